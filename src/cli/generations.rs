//! `etiage generations`.

use clap::Args;

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage generations --config etiage.toml

One line each. live: its rows are what people read; replaying: being computed beside it; draining:
it pauses, and is about to be replaced; promoting: it serves, its rows are being published;
superseded: another one has taken its place, or its replay was given up; retired: its view was
removed, and its rows stay. The epoch is what all
timestamps of a generation's writes begin at. Two with the same meaning compute the same. Rows of
windows that start up to the horizon are those of earlier generations: this one was begun from a
time after them, or the logs had lost some of their readings. Windows that start up to \"partial to\"
may lack readings from before the view was begun, and their rows say so.")]
pub struct GenerationsArgs {
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: GenerationsArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let mut known = super::open_store(&config.store).await?.generations().await?;
    known.sort_by(|a, b| (&a.view, a.generation).cmp(&(&b.view, b.generation)));
    to_stdout(|out| {
        writeln!(
            out,
            "{:<20} {:>10}  {:<11} {:<27} {:<20} {:<12} {:<24} horizon",
            "view", "generation", "state", "epoch", "group", "meaning", "partial to"
        )?;
        for one in &known {
            let epoch = chrono::DateTime::from_timestamp_micros(one.epoch_us);
            let epoch = epoch.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)).unwrap_or_default();
            let shown = |ms: Option<i64>| {
                let time = ms.and_then(chrono::DateTime::from_timestamp_millis);
                time.map_or("-".to_owned(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
            };
            let (partial, horizon) = (shown(one.partial_until_ms()), shown(one.horizon_ms()));
            let (state, meaning) = (one.state.name(), one.fingerprint.get(..12).unwrap_or(&one.fingerprint));
            writeln!(
                out,
                "{:<20} {:>10}  {state:<11} {epoch:<27} {:<20} {meaning:<12} {partial:<24} {horizon}",
                one.view, one.generation, one.group
            )?;
        }
        Ok(())
    })
}
