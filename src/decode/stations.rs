//! The registry of stations: positions for readings that carry only a station's id.

use rustc_hash::FxHashMap;

use crate::config::StationsConfig;

/// Station id → latitude, longitude.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stations {
    positions: FxHashMap<Box<str>, (f64, f64)>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("line {line} of the station registry: {problem}")]
pub struct StationsError {
    pub line: u64,
    pub problem: String,
}

impl Stations {
    /// Reads the registry's CSV text: a header with the configured names (trimmed; a byte-order
    /// mark is tolerated), then one station a line.
    pub fn from_csv(text: &str, config: &StationsConfig) -> Result<Stations, StationsError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(config.separator)
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| unreadable(&error))?.clone();
        let columns = [column(&header, &config.id)?, column(&header, &config.lat)?, column(&header, &config.lon)?];
        let mut stations = Stations::default();
        for row in reader.records() {
            let row = row.map_err(|error| unreadable(&error))?;
            let line = row.position().map_or(0, csv::Position::line);
            stations.add(&row, columns).map_err(|problem| StationsError { line, problem })?;
        }
        Ok(stations)
    }

    fn add(&mut self, row: &csv::StringRecord, [id, lat, lon]: [usize; 3]) -> Result<(), String> {
        let cell = |column: usize| row.get(column).ok_or_else(|| format!("{} cells are too few", row.len()));
        let (id, position) = (cell(id)?, (degrees(cell(lat)?, 90.0)?, degrees(cell(lon)?, 180.0)?));
        if id.is_empty() {
            return Err("a station without an id".to_owned());
        }
        match self.positions.insert(id.into(), position) {
            Some(earlier) if earlier != position => {
                Err(format!("station {id:?} stands at {position:?} and, further up, at {earlier:?}: keep one"))
            }
            _ => Ok(()),
        }
    }

    pub fn get(&self, id: &str) -> Option<(f64, f64)> {
        self.positions.get(id).copied()
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Ids and positions by id: an order that a fingerprint can rely on.
    pub fn sorted(&self) -> Vec<(&str, (f64, f64))> {
        let mut all: Vec<_> = self.positions.iter().map(|(id, &position)| (&**id, position)).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }
}

fn unreadable(error: &csv::Error) -> StationsError {
    StationsError { line: error.position().map_or(1, csv::Position::line), problem: error.to_string() }
}

fn column(header: &csv::StringRecord, name: &str) -> Result<usize, StationsError> {
    header.iter().position(|column| column == name).ok_or_else(|| {
        let columns: Vec<&str> = header.iter().collect();
        let problem = format!("no column {name:?} among {columns:?}: check the names and the separator");
        StationsError { line: 1, problem }
    })
}

fn degrees(text: &str, limit: f64) -> Result<f64, String> {
    let degrees: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of degrees"))?;
    // Adding zero turns −0 into 0: one place, one bit pattern.
    (degrees.abs() <= limit).then_some(degrees + 0.0).ok_or_else(|| format!("{text} is beyond ±{limit} degrees"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Stations, StationsError> {
        let [id, lat, lon] = ["ID", "Latitude", "Longitude"].map(str::to_owned);
        Stations::from_csv(text, &StationsConfig { file: "stations.csv".into(), separator: b';', id, lat, lon })
    }

    #[test]
    fn reads_the_columns_by_name() {
        let stations =
            read("\u{feff}ID; Nom;Latitude;Longitude;Altitude\r\n07015;LILLE;50.57;3.0975;47\r\n07005;;-0;1;2\n");
        let stations = stations.expect("valid");
        assert_eq!(stations.sorted(), [("07005", (0.0, 1.0)), ("07015", (50.57, 3.0975))]);
        assert!(stations.get("07005").expect("known").0.is_sign_positive());
        assert_eq!(stations.get("7015"), None);
    }

    #[test]
    fn names_the_line_of_a_bad_station() {
        let header = "ID;Latitude;Longitude\n";
        for (rows, line) in [
            ("a;1;2\nb;91;2\n", 3),
            ("a;NaN;2\n", 2),
            ("a;inf;2\n", 2),
            ("a;x;2\n", 2),
            ("a;1\n", 2),
            (";1;2\n", 2),
            ("a;1;2\na;1;3\n", 3),
        ] {
            let error = read(&format!("{header}{rows}")).expect_err(rows);
            assert_eq!(error.line, line, "{rows}: {error}");
        }
        assert!(read(&format!("{header}a;1;2\na;1;2\n")).is_ok());
        let error = read("ID,Latitude,Longitude\na,1,2\n").expect_err("separator");
        assert!(error.to_string().contains("separator"), "{error}");
    }
}
