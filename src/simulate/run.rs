//! The loop that sends what the sensors measure, as fast as possible or in real time.

use std::fmt;
use std::path::PathBuf;

use tokio::sync::watch;

use super::output::Output;
use super::pace::Pace;
use super::{Counts, Emission, Format, Kind, Settings, SimulateArgs, SimulateError, Simulation, stations};

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Records that went out. The rest of `counts` was still under way when it had to stop.
    pub sent: u64,
    pub counts: Counts,
    pub seconds: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { records, readings, abroad, duplicates, garbage } = self.counts;
        write!(f, "{} records sent in {:.1} s", self.sent, self.seconds)?;
        if self.sent < records {
            write!(f, " ({} more were still under way)", records - self.sent)?;
        }
        write!(f, ": {readings} readings")?;
        if abroad > 0 {
            write!(f, " ({abroad} from abroad)")?;
        }
        write!(f, ", {duplicates} records twice, {garbage} of garbage")
    }
}

/// Sends until everything is sent, or `stop` turns true, or nobody reads any more.
pub async fn run(args: SimulateArgs, stop: watch::Receiver<bool>) -> Result<Summary, SimulateError> {
    let settings = settings(&args, chrono::Utc::now().timestamp_millis())?;
    if let Some(path) = station_list(&args) {
        let stations = stations::simulated(settings.seed, settings.sensors, settings.abroad_share);
        stations::write(&path, &stations)?;
    }
    let mut pace = Pace::new(stop);
    let mut simulation = Simulation::new(settings);
    let header = simulation.header();
    let mut output = Output::open(&args.to, header.as_deref().map(str::as_bytes)).await?;
    let sent = match send(&mut simulation, args.rate > 0.0, &mut pace, &mut output).await {
        Ok(()) => output.finish(pace.stopped()).await,
        Err(error) => Err(error),
    };
    match sent {
        Err(error) if !error.is_closed_pipe() => Err(error),
        _ => Ok(Summary { sent: pace.records(), counts: simulation.counts(), seconds: pace.elapsed().as_secs_f64() }),
    }
}

async fn send(
    simulation: &mut Simulation,
    in_real_time: bool,
    pace: &mut Pace,
    output: &mut Output,
) -> Result<(), SimulateError> {
    while !pace.stopped()
        && let Some(Emission { gateway, arrival_ms, event_ms, payload }) = simulation.next()
    {
        if in_real_time {
            pace.wait_until(pace.until(arrival_ms), output, || shown(event_ms)).await?;
        }
        let key = simulation.key(gateway);
        if pace.stopped() || !output.write(gateway, &key, &payload, || pace.stopped()).await? {
            return Ok(());
        }
        pace.count(|| shown(event_ms));
    }
    Ok(())
}

pub(super) fn shown(time_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(time_ms)
        .map_or(String::new(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Where the list of made up weather stations goes.
fn station_list(args: &SimulateArgs) -> Option<PathBuf> {
    if args.shape != Kind::Synop || args.stations.is_some() {
        return None;
    }
    args.write_stations.clone().or_else(|| {
        let dir = args.to.files.as_ref()?;
        // The files are not there yet, and neither is their directory.
        std::fs::create_dir_all(dir).ok().map(|()| dir.join("stations.csv"))
    })
}

/// `now_ms` is where a simulation without a rate ends, and one with a rate begins.
pub(super) fn settings(args: &SimulateArgs, now_ms: i64) -> Result<Settings, SimulateError> {
    let stations = args.stations.as_deref().map(stations::read).transpose()?.unwrap_or_default();
    let sensors = args.sensors.unwrap_or_else(|| args.shape.usual_sensors(&stations));
    check(args, sensors, &stations)?;
    let interval = match args.rate > 0.0 {
        true => f64::from(sensors) / args.rate,
        false => args.interval.unwrap_or_else(|| args.shape.usual_interval()),
    };
    let interval_ms = ((interval * 1_000.0) as i64).max(1);
    let until_ms = args.until.map(|until| until.ms(now_ms));
    let readings = match (args.readings, until_ms) {
        (Some(readings), _) => readings,
        (None, None) if args.rate == 0.0 => 100_000,
        // From --start on, as many as there are.
        (None, Some(_)) if args.start.is_some() || args.rate > 0.0 => u64::MAX,
        (None, Some(_)) => 100_000,
        (None, None) => u64::MAX,
    };
    let start_ms = match args.start {
        Some(start) => start.ms(now_ms),
        None if args.rate > 0.0 => now_ms,
        None => {
            let rounds = readings.div_ceil(u64::from(sensors)).min(i64::MAX as u64) as i64;
            let first_ms = until_ms.unwrap_or(now_ms).saturating_sub(rounds.saturating_mul(interval_ms));
            // Weather stations report on the hour.
            if args.shape == Kind::Synop { first_ms - first_ms.rem_euclid(interval_ms) } else { first_ms }
        }
    };
    Ok(Settings {
        kind: args.shape,
        format: args.format.unwrap_or_default(),
        seed: args.seed,
        sensors,
        readings,
        start_ms,
        until_ms,
        interval_ms,
        per_record: args.per_record,
        disorder_share: args.disorder_share,
        disorder_ms: args.disorder * 1_000.0,
        late_share: args.late,
        late_ms: args.late_by * 1_000.0,
        duplicate_share: args.duplicates,
        garbage_share: args.garbage,
        abroad_share: args.abroad,
        tenants: args.tenants,
        stations,
    })
}

/// What clap cannot say of arguments that do not go together.
fn check(args: &SimulateArgs, sensors: u32, stations: &[super::Station]) -> Result<(), SimulateError> {
    let wrong = |what: String| Err(SimulateError::Arguments(what));
    if args.rate > 0.0 && args.interval.is_some() {
        let interval = f64::from(sensors) / args.rate;
        return wrong(format!(
            "--interval and --rate: {sensors} sensors at {} readings a second send every {interval} s each; leave one of \
             the two out",
            args.rate
        ));
    }
    if args.rate > 1_000.0 * f64::from(sensors) {
        return wrong(format!(
            "--rate {}: {sensors} sensors send at most 1000 a second each; more --sensors",
            args.rate
        ));
    }
    if args.shape == Kind::Synop && args.format == Some(Format::Json) {
        return wrong("--format json: the messages of --shape synop are CSV".to_owned());
    }
    if args.shape != Kind::Synop && (args.stations.is_some() || args.write_stations.is_some()) {
        return wrong("--stations and --write-stations are of --shape synop".to_owned());
    }
    if args.shape == Kind::Synop && !stations.is_empty() && sensors as usize > stations.len() {
        return wrong(format!("--sensors {sensors}: the list has {} stations", stations.len()));
    }
    Ok(())
}
