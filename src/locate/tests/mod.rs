//! The lookup against its twins, other libraries and what everybody knows of France.

mod agreement;
mod borders;
mod hostile;
mod nearest;
mod places;

use std::sync::LazyLock;

use super::*;

/// A set and the rings that it was made of.
struct Case {
    set: RegionSet,
    outlines: Outlines,
}

impl Case {
    fn new(text: &str, code: &str, name: &str) -> Result<Case, RegionSetError> {
        let set = RegionSet::from_geojson(text, code, name)?;
        Ok(Case { set, outlines: Outlines::from_geojson(text, code, name)? })
    }

    fn shipped(name: &str) -> Case {
        let (code, label) = SHIPPED_PROPERTIES;
        Case::new(RegionSet::shipped(name).unwrap(), code, label).unwrap()
    }

    /// The answer of the table, after the index and the slow twin said the same.
    fn locate(&self, lat: f64, lon: f64) -> Option<RegionIdx> {
        let answer = self.set.locate(lat, lon);
        assert_eq!(answer, self.set.locate_by_index(lat, lon), "table and index, {lat:?} {lon:?}");
        assert_eq!(answer, self.outlines.locate(lat, lon), "table and slow twin, {lat:?} {lon:?}");
        assert_eq!(vec![answer], self.column(&[lat], &[lon]), "by itself and in a column, {lat:?} {lon:?}");
        answer
    }

    fn column(&self, lat: &[f64], lon: &[f64]) -> Vec<Option<RegionIdx>> {
        let mut out = vec![None; 3];
        self.set.locate_column(lat, lon, &mut out);
        out
    }

    /// Squares that the table leaves to the index.
    fn unknown_squares(&self) -> usize {
        self.set.cells.entries.iter().filter(|entry| **entry == cells::Entry::UNKNOWN).count()
    }

    fn code(&self, lat: f64, lon: f64) -> &str {
        self.locate(lat, lon).map_or("", |region| self.set[region].code())
    }
}

static REGIONS: LazyLock<Case> = LazyLock::new(|| Case::shipped("regions"));
static DEPARTEMENTS: LazyLock<Case> = LazyLock::new(|| Case::shipped("departements"));

/// A FeatureCollection of one region for every list of polygons; codes are 0, 1, ….
fn collection(regions: &[Vec<Vec<Vec<[f64; 2]>>>]) -> String {
    let feature = |(code, polygons): (usize, &Vec<Vec<Vec<[f64; 2]>>>)| {
        serde_json::json!({
            "type": "Feature",
            "properties": {"code": code, "name": format!("region {code}")},
            "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        })
    };
    let features: Vec<_> = regions.iter().enumerate().map(feature).collect();
    serde_json::json!({"type": "FeatureCollection", "features": features}).to_string()
}

fn case(regions: &[Vec<Vec<Vec<[f64; 2]>>>]) -> Case {
    Case::new(&collection(regions), "code", "name").unwrap()
}

/// The ring around a box.
fn ring(west: f64, south: f64, east: f64, north: f64) -> Vec<[f64; 2]> {
    vec![[west, south], [east, south], [east, north], [west, north], [west, south]]
}
