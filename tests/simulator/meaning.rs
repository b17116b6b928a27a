//! The configurations that are drawn: two streams, two views. The engine gets them as settings, as
//! a user would write them; the oracle gets the same meaning as plain numbers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use etiage::config::Config;
use etiage::run::Settings;
use etiage::setup::Compiled;
use etiage::simulate::Random;

use crate::log::FIRST_MS;

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 3_600_000;
pub const STREAMS: [&str; 2] = ["s", "u"];
pub const TOPICS: [&str; 2] = ["topic-s", "topic-u"];
/// What a filter keeps.
pub const HOME: &str = "France";
/// In thousandths, the unit of the values.
pub const THRESHOLD: i64 = 30_000;
pub const MU: i64 = 20_000;
pub const FAR: i64 = 15_000;

/// One of the configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The second stream feeds the first view, too.
    pub both: bool,
    /// 0: JSON arrays, 1: objects or arrays, 2: newline-delimited.
    pub format: u8,
    /// The first view groups by region; else by site.
    pub region: bool,
    pub every_numeric: bool,
    pub tenants: bool,
    /// Index into [`LATENESS_MS`], of each view.
    pub lateness: [u8; 2],
    /// Times of 20 minutes.
    pub out_of_orderness: u8,
    /// Index into [`WIDTHS`], of each view.
    pub widths: [u8; 2],
    /// The second view stands in a later generation than its first, which began here.
    pub from: u8,
}

pub const LATENESS_MS: [Option<i64>; 4] = [None, Some(0), Some(HOUR_MS / 2), Some(4 * HOUR_MS)];
pub const WIDTHS: [&[&str]; 4] = [&["1h"], &["1h", "12h"], &["30m", "1d", "1w"], &["2h", "1d"]];

/// How many configurations there are: each is compiled once, and kept.
const VARIANTS: usize = 250;

impl Variant {
    pub fn draw(random: &mut Random) -> Variant {
        let random = &mut Random::new(random.below(VARIANTS) as u64);
        Variant {
            both: random.chance(0.4),
            format: random.below(3) as u8,
            region: random.chance(0.2),
            every_numeric: random.chance(0.5),
            tenants: random.chance(0.2),
            lateness: [random.below(4) as u8, random.below(4) as u8],
            out_of_orderness: random.below(3) as u8,
            widths: [random.below(4) as u8, random.below(4) as u8],
            from: if random.chance(0.3) { 1 + random.below(12) as u8 } else { 0 },
        }
    }

    pub fn lateness_ms(&self, view: usize) -> Option<i64> {
        LATENESS_MS[self.lateness[view] as usize]
    }

    /// Where the second view's later generation leaves windows alone: some readings of that time are taken for lost.
    pub fn horizon_ms(&self) -> Option<i64> {
        let from = i64::from(self.from);
        (from % 3 > 0).then_some(FIRST_MS + from * HOUR_MS / 3)
    }

    pub fn out_of_orderness_ms(&self) -> i64 {
        i64::from(self.out_of_orderness) * 20 * MINUTE_MS
    }

    /// No device may end what others still send.
    pub fn max_future_ms(&self) -> i64 {
        let least = self.lateness.iter().filter_map(|index| LATENESS_MS[*index as usize]).min();
        least.map_or(5 * MINUTE_MS, |lateness_ms| (lateness_ms + self.out_of_orderness_ms()).min(5 * MINUTE_MS))
    }

    /// The views as the oracle sees them.
    pub fn views(&self) -> [Meaning; 2] {
        let [near, wide] = [0, 1].map(|view| WIDTHS[self.widths[view] as usize].to_vec());
        [
            Meaning {
                name: "near",
                generation: 1,
                streams: if self.both { vec![0, 1] } else { vec![0] },
                by_region: self.region,
                widths: near,
                lateness_ms: self.lateness_ms(0),
                horizon_ms: None,
                any: false,
            },
            Meaning {
                name: "wide",
                generation: if self.from > 0 { 2 } else { 1 },
                streams: vec![0],
                by_region: false,
                widths: wide,
                lateness_ms: self.lateness_ms(1),
                horizon_ms: self.horizon_ms(),
                any: self.every_numeric,
            },
        ]
    }

    /// The same configuration, with another lateness of the second view, where there is one that changes nothing else.
    pub fn changed(&self) -> Variant {
        let other = |lateness: u8| Variant { lateness: [self.lateness[0], lateness], ..*self };
        let fits =
            |lateness: &u8| *lateness != self.lateness[1] && other(*lateness).max_future_ms() == self.max_future_ms();
        (0..4).find(fits).map_or(*self, other)
    }

    fn settings(&self, views: usize) -> Vec<(String, String)> {
        let format = ["json-array", "json", "ndjson"][self.format as usize];
        let mut set = vec![
            ("KAFKA__GROUP_ID".to_owned(), "group".to_owned()),
            ("REJECTS__TOPIC".to_owned(), "rejects".to_owned()),
            ("REJECTS__LATE_TOPIC".to_owned(), "late".to_owned()),
        ];
        let duration = |ms: i64| format!("{}s", ms / 1_000);
        for (number, name) in STREAMS.iter().enumerate().filter(|(number, _)| *number == 0 || self.both) {
            let key = |key: &str| format!("STREAMS__{}__{key}", name.to_uppercase());
            let mut put = |name: &str, value: &str| set.push((key(name), value.to_owned()));
            put("TOPICS", &format!("[\"{}\"]", TOPICS[number]));
            put("FORMAT", format);
            put("TIME", "t");
            put("TIME_FORMAT", if number == 0 { "epoch-ms" } else { "auto" });
            put("LAT", "lat");
            put("LON", "lon");
            put("ACTIVE", "active");
            put("UNIT", "1e-3");
            put("FILTERS", &format!("[{{ field = \"country\", equals = \"{HOME}\" }}]"));
            put("OUT_OF_ORDERNESS", &duration(self.out_of_orderness_ms()));
            put("MAX_FUTURE", &duration(self.max_future_ms()));
            put("IDLE_AFTER", "1s");
            put("LABELS__SITE", "site");
            put("METRICS__A__THRESHOLD", "30");
            put("METRICS__B__NORMAL", "{ mu = 20, sigma = 5, k = 3 }");
            put("EVERY_NUMERIC", if self.every_numeric && number == 0 { "true" } else { "false" });
            if self.tenants {
                put("TENANT", "{ key = true }");
            }
        }
        for (number, meaning) in self.views().iter().enumerate().take(views) {
            let key = |key: &str| format!("VIEWS__{}__{key}", meaning.name.to_uppercase());
            let mut put = |name: &str, value: &str| set.push((key(name), value.to_owned()));
            let streams: Vec<String> = meaning.streams.iter().map(|at| format!("\"{}\"", STREAMS[*at])).collect();
            let rollups: Vec<String> = meaning.widths[1..].iter().map(|width| format!("\"{width}\"")).collect();
            put("STREAMS", &format!("[{}]", streams.join(",")));
            put("GROUP_BY", if meaning.by_region { "[\"region\"]" } else { "[\"site\"]" });
            if meaning.by_region {
                put("REGIONS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulator/regions.geojson"));
            }
            put("WINDOW", meaning.widths[0]);
            put("ROLLUPS", &format!("[{}]", rollups.join(",")));
            put("ALLOWED_LATENESS", &meaning.lateness_ms.map_or("unlimited".to_owned(), duration));
            put("FLUSH", ["50ms", "150ms"][number]);
            if !meaning.any {
                put("METRICS", "[\"a\",\"b\"]");
            }
        }
        set
    }
}

/// What a view means in one of its generations.
#[derive(Clone, Debug)]
pub struct Meaning {
    pub name: &'static str,
    pub generation: u32,
    pub streams: Vec<usize>,
    pub by_region: bool,
    pub widths: Vec<&'static str>,
    pub lateness_ms: Option<i64>,
    /// Windows that start up to it are left alone.
    pub horizon_ms: Option<i64>,
    /// Takes those that nobody names, too.
    pub any: bool,
}

/// A configuration as the engine starts with it.
pub struct Setup {
    pub config: Config,
    pub compiled: Compiled,
    pub settings: Settings,
}

thread_local! {
    static KNOWN: RefCell<HashMap<(Variant, usize), Arc<Setup>>> = RefCell::default();
}

/// The engine's configuration with the first `views` of the views; compiled once.
pub fn setup(variant: Variant, views: usize) -> Arc<Setup> {
    let variant = Variant { from: 0, ..variant };
    KNOWN.with_borrow_mut(|known| {
        known.entry((variant, views)).or_insert_with(|| Arc::new(make(variant, views))).clone()
    })
}

fn make(variant: Variant, views: usize) -> Setup {
    let settings = variant.settings(views).into_iter().map(|(key, value)| (format!("ETIAGE_{key}"), value));
    let config = Config::load(None, settings).unwrap_or_else(|error| panic!("{variant:?}: {error}"));
    let compiled = Compiled::new(&config).unwrap_or_else(|error| panic!("{variant:?}: {error}"));
    let settings = etiage::setup::settings(&config, false);
    Setup { config, compiled, settings }
}
