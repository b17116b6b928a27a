//! Where the simulated sensors stand: towns of all eighteen regions, and some abroad.
//! Coordinates are of the towns' centres or outskirts, rounded, and away from coasts and borders.

use super::Random;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Town {
    pub name: &'static str,
    /// INSEE code of its region; empty abroad.
    pub region: &'static str,
    pub country: &'static str,
    pub lat: f64,
    pub lon: f64,
    /// The year's mean temperature there, °C.
    pub mean: f64,
}

const fn at(name: &'static str, region: &'static str, lat: f64, lon: f64, mean: f64) -> Town {
    Town { name, region, country: "France", lat, lon, mean }
}

const fn abroad(name: &'static str, country: &'static str, lat: f64, lon: f64, mean: f64) -> Town {
    Town { name, region: "", country, lat, lon, mean }
}

/// Sensors jitter around a town by at most this, degrees.
pub const JITTER: f64 = 0.005;

/// Where a sensor stands: a function of the seed and its number, so that millions of them take no memory.
#[derive(Clone, Debug)]
pub struct Place {
    pub town: &'static Town,
    /// Of the town among all: those of France, then those abroad.
    pub number: usize,
    pub lat: f64,
    pub lon: f64,
    /// For whatever else is the sensor's own.
    pub random: Random,
}

impl Place {
    /// Towns take turns, so that every region has its share.
    pub fn of(seed: u64, sensor: u32, abroad_share: f64) -> Place {
        let mut random = Random::of(seed, sensor);
        let (towns, first) = if random.chance(abroad_share) { (&ABROAD[..], FRANCE.len()) } else { (&FRANCE[..], 0) };
        let at = sensor as usize % towns.len();
        let town = &towns[at];
        let lat = town.lat + random.between(-JITTER, JITTER);
        let lon = town.lon + random.between(-JITTER, JITTER);
        Place { town, number: first + at, lat, lon, random }
    }

    pub fn is_abroad(&self) -> bool {
        self.town.region.is_empty()
    }
}

pub static FRANCE: [Town; 64] = [
    at("Paris", "11", 48.857, 2.352, 12.8),
    at("Versailles", "11", 48.803, 2.135, 11.9),
    at("Melun", "11", 48.540, 2.660, 11.6),
    at("Meaux", "11", 48.960, 2.888, 11.5),
    at("Orléans", "24", 47.903, 1.909, 11.5),
    at("Tours", "24", 47.394, 0.685, 12.0),
    at("Bourges", "24", 47.084, 2.396, 11.8),
    at("Chartres", "24", 48.447, 1.489, 11.2),
    at("Dijon", "27", 47.322, 5.041, 11.2),
    at("Besançon", "27", 47.238, 6.024, 10.9),
    at("Auxerre", "27", 47.798, 3.567, 11.3),
    at("Nevers", "27", 46.990, 3.159, 11.1),
    at("Rouen", "28", 49.443, 1.099, 10.8),
    at("Caen", "28", 49.183, -0.371, 11.2),
    at("Évreux", "28", 49.024, 1.151, 10.9),
    at("Alençon", "28", 48.432, 0.091, 10.9),
    at("Lille", "32", 50.629, 3.057, 11.0),
    at("Amiens", "32", 49.894, 2.296, 10.7),
    at("Saint-Quentin", "32", 49.848, 3.287, 10.6),
    at("Beauvais", "32", 49.430, 2.081, 10.8),
    at("Strasbourg", "44", 48.573, 7.740, 11.1),
    at("Reims", "44", 49.258, 4.032, 10.8),
    at("Nancy", "44", 48.692, 6.184, 10.7),
    at("Troyes", "44", 48.297, 4.074, 11.1),
    at("Nantes", "52", 47.218, -1.554, 12.5),
    at("Angers", "52", 47.478, -0.563, 12.2),
    at("Le Mans", "52", 48.006, 0.199, 11.9),
    at("La Roche-sur-Yon", "52", 46.670, -1.426, 12.2),
    at("Rennes", "53", 48.117, -1.678, 12.1),
    at("Pontivy", "53", 48.069, -2.963, 11.4),
    at("Carhaix", "53", 48.276, -3.573, 10.9),
    at("Loudéac", "53", 48.178, -2.754, 11.2),
    at("Bordeaux", "75", 44.838, -0.579, 13.8),
    at("Limoges", "75", 45.831, 1.261, 11.4),
    at("Poitiers", "75", 46.580, 0.340, 11.9),
    at("Pau", "75", 43.295, -0.371, 13.3),
    at("Toulouse", "76", 43.605, 1.444, 13.8),
    at("Montpellier", "76", 43.611, 3.877, 15.1),
    at("Rodez", "76", 44.350, 2.575, 10.8),
    at("Cahors", "76", 44.448, 1.441, 13.0),
    at("Lyon", "84", 45.764, 4.836, 12.5),
    at("Clermont-Ferrand", "84", 45.777, 3.087, 11.9),
    at("Grenoble", "84", 45.188, 5.725, 12.2),
    at("Saint-Étienne", "84", 45.439, 4.387, 11.0),
    at("Aix-en-Provence", "93", 43.530, 5.447, 14.2),
    at("Gap", "93", 44.559, 6.079, 10.0),
    at("Digne-les-Bains", "93", 44.092, 6.236, 12.0),
    at("Draguignan", "93", 43.537, 6.465, 14.1),
    at("Corte", "94", 42.306, 9.149, 13.5),
    at("Sartène", "94", 41.622, 8.975, 15.3),
    at("Ghisoni", "94", 42.103, 9.213, 13.0),
    at("Petit-Bourg", "01", 16.190, -61.610, 26.3),
    at("Morne-à-l'Eau", "01", 16.340, -61.470, 26.5),
    at("Saint-Joseph", "02", 14.670, -61.040, 25.9),
    at("Ducos", "02", 14.575, -60.975, 26.4),
    at("Saül", "03", 3.623, -53.208, 25.7),
    at("Régina", "03", 4.315, -52.132, 26.1),
    at("Saint-Georges", "03", 3.900, -51.830, 26.2),
    at("Le Tampon", "04", -21.270, 55.515, 21.0),
    at("Cilaos", "04", -21.135, 55.470, 18.5),
    at("La Plaine-des-Palmistes", "04", -21.135, 55.627, 17.8),
    at("Combani", "06", -12.780, 45.140, 25.4),
    at("Ouangani", "06", -12.845, 45.135, 25.6),
    at("Chiconi", "06", -12.830, 45.120, 26.0),
];

pub static ABROAD: [Town; 8] = [
    abroad("Bruxelles", "Belgium", 50.850, 4.352, 11.0),
    abroad("Köln", "Germany", 50.938, 6.960, 11.1),
    abroad("Bern", "Switzerland", 46.948, 7.447, 9.7),
    abroad("Torino", "Italy", 45.070, 7.687, 13.2),
    abroad("Zaragoza", "Spain", 41.649, -0.889, 15.8),
    abroad("London", "United Kingdom", 51.507, -0.128, 11.6),
    abroad("Paramaribo", "Suriname", 5.830, -55.170, 27.1),
    abroad("Luxembourg", "Luxembourg", 49.611, 6.130, 9.9),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use geo::Contains;
    use geojson::{FeatureCollection, GeoJson};

    use super::*;

    /// The shipped regions, by the crate `geo` and without any code of this one.
    fn regions() -> Vec<(String, geo::Geometry<f64>)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/regions/regions.geojson");
        let GeoJson::FeatureCollection(FeatureCollection { features, .. }) =
            std::fs::read_to_string(path).unwrap().parse().unwrap()
        else {
            panic!("a collection")
        };
        let code = |feature: &geojson::Feature| feature.property("code").unwrap().as_str().unwrap().to_owned();
        features.into_iter().map(|feature| (code(&feature), feature.geometry.unwrap().try_into().unwrap())).collect()
    }

    #[test]
    fn every_sensor_stands_in_its_region_and_every_region_has_one() {
        let regions = regions();
        let mut found = BTreeSet::new();
        for town in &FRANCE {
            let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 0.0)];
            for (x, y) in corners.map(|(x, y)| (town.lon + x * JITTER, town.lat + y * JITTER)) {
                let codes: Vec<&str> = regions
                    .iter()
                    .filter(|(_, shape)| shape.contains(&geo::Point::new(x, y)))
                    .map(|(code, _)| code.as_str())
                    .collect();
                assert_eq!(codes, [town.region], "{}", town.name);
            }
            found.insert(town.region);
        }
        assert_eq!(found.len(), 18);
        for town in &ABROAD {
            assert!(
                !regions.iter().any(|(_, shape)| shape.contains(&geo::Point::new(town.lon, town.lat))),
                "{}",
                town.name
            );
        }
    }
}
