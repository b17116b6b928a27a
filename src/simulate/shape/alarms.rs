//! Base stations: each reading is the value of one of a station's data points, with the threshold
//! above which its alarm fires. It has no position; its record's key is the tenant that owns the station.

use super::{Format, Row, Shape};
use crate::simulate::climate::Clock;
use crate::simulate::{Random, Settings};

/// Station ids count on from here.
const FIRST_STATION: u64 = 1_161_115_000;
/// A threshold that means: none.
const UNSET: i64 = 999_999;
/// Of values above the threshold, and of the others: how many are flagged active.
const ACTIVE: (f64, f64) = (0.9, 0.05);

/// What is measured: its id, its alarm's, the values' mean and deviation, and the usual threshold.
struct DataPoint(u32, u32, f64, f64, i64);

/// Mains voltage, battery voltage, cabinet temperature and humidity, load, fan speed, lost packets, fuel.
const DATA_POINTS: [DataPoint; 8] = [
    DataPoint(121, 308, 230.0, 6.0, 241),
    DataPoint(122, 309, 54.0, 2.0, 58),
    DataPoint(130, 311, 28.0, 5.0, 38),
    DataPoint(131, 312, 55.0, 10.0, 80),
    DataPoint(140, 320, 40.0, 15.0, 75),
    DataPoint(141, 321, 1_200.0, 150.0, UNSET),
    DataPoint(150, 330, 3.0, 2.0, 8),
    DataPoint(151, 331, 60.0, 8.0, UNSET),
];

pub(super) struct Alarms {
    tenants: u32,
    clock: Clock,
}

impl Alarms {
    pub fn new(settings: &Settings) -> Alarms {
        Alarms { tenants: settings.tenants.max(1), clock: Clock::new(Clock::UTC) }
    }
}

impl Shape for Alarms {
    fn columns(&self) -> &'static [&'static str] {
        &["station_id", "datapoint_id", "alarm_id", "event_time", "value", "valueThreshold", "isActive", "storedtime"]
    }

    fn read(&mut self, sensor: u32, event_ms: i64, random: &mut Random, mut row: Row<'_>) -> bool {
        let DataPoint(datapoint, alarm, mean, deviation, usual) = DATA_POINTS[random.below(DATA_POINTS.len())];
        let value = (mean + deviation * random.normal()).max(0.0).round() as i64;
        // Not all stations are set alike.
        let threshold = if usual == UNSET { UNSET } else { usual + i64::from(sensor % 3) };
        let active = random.chance(if value > threshold { ACTIVE.0 } else { ACTIVE.1 });
        row.bare("station_id", FIRST_STATION + u64::from(sensor));
        row.bare("datapoint_id", datapoint);
        row.bare("alarm_id", alarm);
        row.text("event_time", self.clock.text(event_ms));
        row.bare("value", value);
        row.bare("valueThreshold", threshold);
        row.bare("isActive", active);
        row.text("storedtime", "");
        row.end();
        false
    }

    fn garbage(&self, format: Format) -> &'static [&'static [u8]] {
        match format {
            Format::Json => &[
                b"not json at all",
                br#"{"station_id":1161115000,"datapoint_id":121,"alarm_id":308,"event_ti"#,
                br#"{"station_id":1161115000,"datapoint_id":121,"alarm_id":308,"value":240,"valueThreshold":241,"isActive":true,"storedtime":""}"#,
                br#"{"station_id":1161115000,"datapoint_id":121,"alarm_id":308,"event_time":"2017-02-30 18:28:05 UTC","value":240,"valueThreshold":241,"isActive":true,"storedtime":""}"#,
                br#"{"station_id":1161115000,"datapoint_id":121,"alarm_id":308,"event_time":"2017-02-18 18:28:05 UTC","value":"high","valueThreshold":241,"isActive":true,"storedtime":""}"#,
                b"\xff\xfe\x00",
            ],
            Format::Csv => &[
                b"1161115000,121,308",
                b"1161115000,121,308,,240,241,true,",
                b"1161115000,121,308,2017-02-30 18:28:05 UTC,240,241,true,",
                b"1161115000,121,308,2017-02-18 18:28:05 UTC,high,241,true,",
                b"\xff\xfe\x00",
            ],
        }
    }

    fn key(&self, gateway: u32, _: u32) -> String {
        format!("tenant-{:03}", gateway % self.tenants)
    }
}
