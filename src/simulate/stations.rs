//! Weather stations: read from a list such as Météo-France's, or set up at the simulated places and
//! written as such a list.

use std::path::Path;

use super::{Place, SimulateError};
use crate::limited;

/// A station that reports by its id alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    pub id: String,
    pub name: String,
    pub lat: f64,
    pub lon: f64,
    pub is_abroad: bool,
}

impl Station {
    /// The year's mean temperature at such a latitude, roughly, °C.
    pub(super) fn mean(&self) -> f64 {
        27.0 - 0.006_5 * self.lat * self.lat
    }
}

/// So many stations, made up.
pub(super) fn simulated(seed: u64, stations: u32, abroad_share: f64) -> Vec<Station> {
    let station = |number: u32| {
        let place = Place::of(seed, number, abroad_share);
        Station {
            // Ids of a range that the World Meteorological Organization gives to nobody in Europe.
            id: format!("{:05}", 99_000 + u64::from(number)),
            name: place.town.name.to_uppercase(),
            lat: place.lat,
            lon: place.lon,
            is_abroad: place.is_abroad(),
        }
    };
    (0..stations).map(station).collect()
}

/// No list is as long, bytes.
const MAX_LIST: u64 = 256 << 20;
const HEADER: [&str; 4] = ["ID", "Nom", "Latitude", "Longitude"];

/// Reads a list: the columns ID, Nom, Latitude and Longitude, in any order, separated by `;` or `,`.
pub(super) fn read(path: &Path) -> Result<Vec<Station>, SimulateError> {
    let text = limited::read_bytes(path, MAX_LIST).map_err(SimulateError::file(path))?;
    let wrong = |what: String| {
        SimulateError::Arguments(format!("--stations {}: {what}; wanted is {}", path.display(), HEADER.join(";")))
    };
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let separator = if first.contains(&b';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(&text[..]);
    let header = reader.byte_headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|column| column.trim_ascii() == name.as_bytes());
        found.ok_or_else(|| wrong(format!("no column {name:?}")))
    };
    let [id, name, lat, lon] = [column("ID")?, column("Nom")?, column("Latitude")?, column("Longitude")?];
    let mut stations = Vec::new();
    for (number, row) in reader.byte_records().enumerate() {
        let row = row.map_err(|error| wrong(error.to_string()))?;
        let cell = |at: usize| String::from_utf8_lossy(row.get(at).unwrap_or_default()).trim().to_owned();
        let degrees = |at: usize| cell(at).parse::<f64>().ok().filter(|degrees| degrees.abs() <= 180.0);
        let (Some(lat), Some(lon)) = (degrees(lat), degrees(lon)) else {
            return Err(wrong(format!("line {}: no position", number + 2)));
        };
        stations.push(Station { id: cell(id), name: cell(name), lat, lon, is_abroad: false });
    }
    if stations.is_empty() {
        return Err(wrong("no station in it".to_owned()));
    }
    Ok(stations)
}

/// Writes the list that a stream's `stations.file` names.
pub(super) fn write(path: &Path, stations: &[Station]) -> Result<(), SimulateError> {
    let mut text = HEADER.join(";") + "\n";
    for Station { id, name, lat, lon, .. } in stations {
        text += &format!("{id};{name};{lat:.6};{lon:.6}\n");
    }
    std::fs::write(path, text).map_err(SimulateError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stations.csv");
        let stations = simulated(1, 80, 0.1);
        write(&path, &stations).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.len(), 80);
        assert_eq!((&read[3].id, &read[3].name), (&stations[3].id, &stations[3].name));
        assert!((read[3].lat - stations[3].lat).abs() < 1e-6);
    }

    #[test]
    fn other_lists_are_read_and_wrong_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stations.csv");
        std::fs::write(&path, "Altitude,Longitude,Latitude,Nom,ID\n69,1.834,50.136,ABBEVILLE,07005\n").unwrap();
        let station = read(&path).unwrap().pop().unwrap();
        assert_eq!((station.id.as_str(), station.lat, station.lon), ("07005", 50.136, 1.834));
        for (text, wanted) in [
            ("ID;Nom;Latitude\n", "no column \"Longitude\""),
            ("ID;Nom;Latitude;Longitude\n07005;A;north;2\n", "line 2: no position"),
            ("ID;Nom;Latitude;Longitude\n", "no station in it"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(wanted) && message.ends_with("wanted is ID;Nom;Latitude;Longitude"), "{message}");
        }
    }
}
