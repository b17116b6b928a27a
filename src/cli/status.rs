//! `etiage status`: how far a group is, from Kafka (for files: the store) and the store alone; works
//! while nothing runs. What only a running instance knows comes from its heartbeats, with their age.

use std::io::Write;

use clap::Args;
use etiage::clock::Clock;
use etiage::closing::partition_watermark;
use etiage::commit::{Commit, Tally};
use etiage::config::Config;
use etiage::heartbeat::Heartbeat;
use etiage::run::beating;
use etiage::run::closer::commit_of;
use etiage::setup::connect;
use etiage::source::kafka::inspect::{Inspector, Member};
use etiage::source::{GroupPosition, Source};
use etiage::store::{PositionKind, Store};
use etiage::window::Width;

use super::ConfigArg;
use super::output::to_stdout;

mod json;
mod text;

/// Older, and whoever sent it does not run any more.
const ALIVE_MS: i64 = 3 * beating::EVERY.as_millis() as i64;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage status --config etiage.toml
  etiage status --config etiage.toml --json | jq '.lag, .adds_up'
  watch -n 5 etiage status --config etiage.toml

Committed positions, watermarks and tallies are what is durable. Folded positions, rates and open windows are what each
instance said last, every 5 s; \"not running\" where nobody has said anything for 15 s.")]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Everything that is shown.
pub struct Status {
    group: String,
    lines: Vec<Line>,
    /// Of the consumer group, as the brokers know them.
    members: Vec<Member>,
}

/// One partition, as far as it is known.
pub struct Line {
    position: GroupPosition,
    log_start: i64,
    log_end: i64,
    commit: Option<Commit>,
    out_of_orderness_ms: i64,
    beat: Option<Beat>,
}

/// What its owner said last.
pub struct Beat {
    said: Heartbeat,
    age_ms: i64,
}

/// An instance, by its heartbeats.
pub struct Instance<'a> {
    name: &'a str,
    started_ms: i64,
    age_ms: i64,
    partitions: usize,
}

pub async fn run(args: StatusArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let status = ask(&config).await?;
    to_stdout(|out: &mut dyn Write| if args.json { json::write(&status, out) } else { text::write(&status, out) })
}

async fn ask(config: &Config) -> anyhow::Result<Status> {
    let store = super::open_store(&config.store).await?;
    let source = connect::observe(config, store.clone()).await?;
    let mut lines = Vec::new();
    for position in source.group_positions().await? {
        lines.push(line(config, &*store, &*source, position).await?);
    }
    lines.sort_by(|a, b| a.position.partition.cmp(&b.position.partition));
    let reads_topics = config.streams.values().any(|stream| !stream.topics.is_empty());
    let members = if reads_topics { members(config).await } else { Vec::new() };
    Ok(Status { group: source.group().to_owned(), lines, members })
}

/// A user who may not list groups still sees the instances by their heartbeats.
async fn members(config: &Config) -> Vec<Member> {
    let asked = async { Inspector::new(&config.kafka.properties)?.members().await };
    asked.await.unwrap_or_else(|error| {
        eprintln!("the group's members cannot be listed: {error}");
        Vec::new()
    })
}

async fn line(
    config: &Config,
    store: &dyn Store,
    source: &dyn Source,
    position: GroupPosition,
) -> anyhow::Result<Line> {
    let (start, end) = source.log_bounds(&position.partition).await?;
    let commit = commit_of(store, source.group(), &position).await?;
    let said = store.positions(source.group(), position.source, PositionKind::Heartbeat, 1).await?;
    let now_ms = Clock::start().wall_ms();
    let beat = said.into_iter().next().and_then(|stored| {
        let said = Heartbeat::decode(&stored.metadata).ok()?;
        Some(Beat { said, age_ms: (now_ms - stored.written_at_ms).max(0) })
    });
    let out_of_orderness_ms = config.streams[&*position.stream].out_of_orderness_ms;
    Ok(Line { position, log_start: start.0, log_end: end.0, commit, out_of_orderness_ms, beat })
}

impl Beat {
    fn is_alive(&self) -> bool {
        self.age_ms <= ALIVE_MS
    }
}

impl Line {
    fn committed(&self) -> Option<i64> {
        self.position.committed.as_ref().map(|committed| committed.offset.0)
    }

    fn committed_lag(&self) -> i64 {
        (self.log_end - self.committed().unwrap_or(self.log_start)).max(0)
    }

    /// Of an instance that runs: what is folded and not committed is nobody's once it has gone.
    fn alive(&self) -> Option<&Heartbeat> {
        self.beat.as_ref().filter(|beat| beat.is_alive()).map(|beat| &beat.said)
    }

    fn folded(&self) -> Option<i64> {
        self.alive().map(|said| said.folded.0.max(self.committed().unwrap_or(said.folded.0)))
    }

    fn folded_lag(&self) -> Option<i64> {
        self.folded().map(|folded| (self.log_end - folded).max(0))
    }

    /// Ours, or nothing yet: an offset without the engine's metadata is neither.
    fn is_ours(&self) -> bool {
        self.position.committed.is_none() || self.commit.is_some()
    }

    /// What the commit proves of a view.
    fn watermark(&self, view: &str, generation: u32) -> Option<i64> {
        partition_watermark(self.commit.as_ref()?, view, generation, self.out_of_orderness_ms)
    }

    fn tallies(&self) -> impl Iterator<Item = (&str, u32, Option<i64>, Width, &Tally)> {
        self.commit.iter().flat_map(|commit| &commit.views).flat_map(|view| {
            view.tallies.iter().map(|(width, tally)| (&*view.view, view.generation, view.max_ms, *width, tally))
        })
    }
}

impl Status {
    fn adds_up(&self) -> bool {
        self.lines.iter().flat_map(Line::tallies).all(|(.., tally)| tally.adds_up())
    }

    fn committed_lag(&self) -> i64 {
        self.lines.iter().map(Line::committed_lag).sum()
    }

    /// Where an owner runs, its own; elsewhere what is committed is all that is folded for good.
    fn folded_lag(&self) -> i64 {
        self.lines.iter().map(|line| line.folded_lag().unwrap_or_else(|| line.committed_lag())).sum()
    }

    fn records_per_second(&self) -> u64 {
        self.lines.iter().filter_map(Line::alive).map(|said| said.records_per_second).sum()
    }

    fn open_windows(&self) -> u64 {
        self.lines.iter().filter_map(Line::alive).map(|said| said.open_windows).sum()
    }

    /// The newest first.
    fn instances(&self) -> Vec<Instance<'_>> {
        let mut instances: Vec<Instance<'_>> = Vec::new();
        for beat in self.lines.iter().filter_map(|line| line.beat.as_ref()) {
            let Beat { said, age_ms } = beat;
            let same = |one: &&mut Instance<'_>| one.name == said.instance && one.started_ms == said.started_ms;
            match instances.iter_mut().find(same) {
                Some(one) => {
                    one.partitions += 1;
                    one.age_ms = one.age_ms.min(*age_ms);
                }
                None => instances.push(Instance {
                    name: &said.instance,
                    started_ms: said.started_ms,
                    age_ms: *age_ms,
                    partitions: 1,
                }),
            }
        }
        instances.sort_by_key(|one| (one.age_ms > ALIVE_MS, one.name, one.started_ms));
        instances
    }
}

impl Instance<'_> {
    fn is_alive(&self) -> bool {
        self.age_ms <= ALIVE_MS
    }
}
