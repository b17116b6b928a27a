//! `etiage simulate`: seeded sensors at real places across France, or a file of readings, to files,
//! stdout or a topic.

use clap::{Args, Subcommand};
use etiage::simulate;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  A look at what there is:
    etiage simulate | head -3
    etiage simulate --shape bts-alarms --format csv | head -3
  Live, until Ctrl-C, with some that come late, twice or broken:
    etiage simulate --topic temperatures --rate 5000 --late 0.01 --duplicates 0.01 --garbage 0.001
  A backfill: city sensors up to now, as fast as possible, and then in real time:
    etiage simulate --shape city-sensors --topic city --start 2026-03-01 --until now --interval 5m
    etiage simulate --shape city-sensors --topic city --rate 100
  Alarms of 200 tenants:
    etiage simulate --shape bts-alarms --topic alarms --tenants 200 --sensors 100000
  Weather stations, and the list that says where they stand:
    etiage simulate --shape synop --topic synop --write-stations postesSynop.csv
  Files, each one a partition, the same ones every time:
    etiage simulate --files readings --partitions 4 --readings 1000000 --seed 7 --start 2026-03-01
  A file of readings, sixty times faster than it happened:
    etiage simulate replay synop.201901.csv --time date --key numer_sta --topic synop --speed 60

Towards a secured cluster, put the client's properties into a file:
    etiage simulate --topic temperatures --brokers kafka-1:9093 --properties client.properties"
)]
pub struct SimulateCommand {
    #[command(flatten)]
    simulate: Box<simulate::SimulateArgs>,
    #[command(subcommand)]
    replay: Option<Replay>,
}

#[derive(Subcommand)]
enum Replay {
    /// Send the rows of a CSV file, or the lines of a JSON one, at n times real time
    #[command(after_help = "\
Examples:
  etiage simulate replay synop.201901.csv --time date --key numer_sta --topic synop --speed 3600
  etiage simulate replay alarms.csv --key station_id --format json | head -3
  etiage simulate replay readings.ndjson --time timestamp --key id --topic temperatures --speed 1

In a topic each record is the header line and one row; with --format json an object, whose numbers stay as they
are written. A row that happened before an earlier one is sent at once, and so is one whose time cannot be read.")]
    Replay(Box<simulate::ReplayArgs>),
}

pub async fn run(args: SimulateCommand) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    match args.replay {
        None => eprintln!("{}", simulate::run(*args.simulate, stop).await?),
        Some(Replay::Replay(replay)) => eprintln!("{}", simulate::replay(*replay, stop).await?),
    }
    Ok(())
}

/// Turns true at the first signal; a second one ends the process at once.
fn stop_on_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (tell, stop) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if *tell.borrow() {
                std::process::exit(super::signals::INTERRUPTED);
            }
            eprintln!("etiage: stopping; what is on its way is seen through (a second signal does not wait)");
            // The simulation may have ended by itself.
            let _ = tell.send(true);
        }
    });
    Ok(stop)
}
