//! `etiage status`: what is committed, from Kafka (for files: the store) and the store alone; works
//! while nothing runs.

use std::io::Write;

use clap::Args;
use etiage::commit::{Commit, Tally};
use etiage::run::closer::commit_of;
use etiage::setup::connect;
use etiage::source::GroupPosition;
use etiage::store;
use etiage::window::Width;
use serde_json::{Value, json};

use super::ConfigArg;
use super::output::to_stdout;
use super::rows::time;

#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// One partition, as far as it is known.
struct Line {
    position: GroupPosition,
    log_start: i64,
    log_end: i64,
    commit: Option<Commit>,
}

pub async fn run(args: StatusArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let store = store::open(&config.store).await?;
    store.check().await?;
    let source = connect::observe(&config, store.clone()).await?;
    let mut lines = Vec::new();
    for position in source.group_positions().await? {
        let (start, end) = source.log_bounds(&position.partition).await?;
        let commit = commit_of(&*store, source.group(), &position).await?;
        lines.push(Line { position, log_start: start.0, log_end: end.0, commit });
    }
    lines.sort_by(|a, b| a.position.partition.cmp(&b.position.partition));
    to_stdout(|out| if args.json { write_json(source.group(), &lines, out) } else { write_text(&lines, out) })
}

fn committed(line: &Line) -> Option<i64> {
    line.position.committed.as_ref().map(|committed| committed.offset.0)
}

fn tallies(line: &Line) -> impl Iterator<Item = (&str, u32, Option<i64>, Width, &Tally)> {
    line.commit.iter().flat_map(|commit| &commit.views).flat_map(|view| {
        view.tallies.iter().map(|(width, tally)| (&*view.view, view.generation, view.max_ms, *width, tally))
    })
}

fn write_json(group: &str, lines: &[Line], out: &mut dyn Write) -> anyhow::Result<()> {
    let partition = |line: &Line| {
        let views = tallies(line).map(|(view, generation, max_ms, width, tally)| {
            json!({
                "view": view, "generation": generation, "width": width.to_string(), "max_event_time": max_ms.map(time),
                "seen": tally.seen, "folded": tally.folded, "late": tally.late, "rejected": tally.rejected,
                "outside": tally.outside, "unkeyed": tally.unkeyed, "filtered": tally.filtered, "before_history": tally.before_history,
                "missing": tally.missing, "surplus": tally.surplus, "adds_up": tally.adds_up(),
            })
        });
        let start = committed(line).unwrap_or(line.log_start);
        json!({
            "topic": &*line.position.partition.topic, "partition": line.position.partition.partition,
            "topic_id": line.position.source.topic.to_string(), "stream": &*line.position.stream,
            "log_start": line.log_start, "log_end": line.log_end, "committed": committed(line),
            "committed_lag": (line.log_end - start).max(0),
            "ours": line.position.committed.is_none() || line.commit.is_some(),
            "idle_watermark": line.commit.as_ref().and_then(|commit| commit.idle_ms).map(time),
            "views": views.collect::<Vec<Value>>(),
        })
    };
    let all: Vec<Value> = lines.iter().map(partition).collect();
    let adds_up = lines.iter().flat_map(tallies).all(|(.., tally)| tally.adds_up());
    Ok(writeln!(out, "{:#}", json!({ "group": group, "partitions": all, "adds_up": adds_up }))?)
}

fn write_text(lines: &[Line], out: &mut dyn Write) -> anyhow::Result<()> {
    for line in lines {
        let name = &line.position.partition;
        match committed(line) {
            None => writeln!(out, "{name}: nothing committed, log {}..{}", line.log_start, line.log_end)?,
            Some(offset) => {
                writeln!(
                    out,
                    "{name}: committed {offset}, log {}..{}, lag {}",
                    line.log_start,
                    line.log_end,
                    line.log_end - offset
                )?;
            }
        }
        if line.position.committed.is_some() && line.commit.is_none() {
            writeln!(out, "  this offset does not carry Étiage's metadata: the engine will not start from it")?;
        }
        for (view, generation, max_ms, width, tally) in tallies(line) {
            writeln!(
                out,
                "  {view} g{generation} {width}: up to {}, seen {} = folded {} + late {} + rejected {} + outside {} + unkeyed {} + filtered {} + \
                 before history {}{}",
                max_ms.map_or_else(|| "nothing".to_owned(), time),
                tally.seen,
                tally.folded,
                tally.late,
                tally.rejected,
                tally.outside,
                tally.unkeyed,
                tally.filtered,
                tally.before_history,
                if tally.adds_up() { "" } else { "  DOES NOT ADD UP" }
            )?;
        }
    }
    Ok(())
}
