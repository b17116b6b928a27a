//! `etiage migrate`: the store's tables, and the topics.

use clap::Args;
use etiage::config::Config;
use etiage::source::kafka::provision::{self, Outcome, Wanted};
use etiage::store::{self, Roles, Store};

use super::ConfigArg;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage migrate --config etiage.toml --dry-run        say what would be done
  etiage migrate --config etiage.toml --partitions 12  create missing topics with 12 partitions
A second run does nothing. Run it once before the engine, and after every upgrade.")]
pub struct MigrateArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Partitions of source topics that are created
    #[arg(long, value_name = "N", default_value_t = 6)]
    partitions: i32,
    /// Replication factor of topics that are created; the brokers' default where absent
    #[arg(long, value_name = "N")]
    replication: Option<i32>,
}

pub async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let store = store::open(&config.store).await?;
    let mut lines = String::new();
    for step in store.migrate(args.dry_run).await? {
        let state = match (step.applied, args.dry_run) {
            (true, _) => "is there",
            (false, true) => "would be applied",
            (false, false) => "applied",
        };
        lines += &format!("schema {:04} {}: {state}\n", step.version, step.name);
    }
    let rest = async {
        lines += &roles(&args, &*store).await?;
        topics(&args, &config).await
    };
    let topics = rest.await;
    // What has been done is told even where the roles or the topics fail.
    to_stdout(|out| Ok(write!(out, "{lines}{}", topics.as_deref().unwrap_or_default())?))?;
    topics.map(drop)
}

async fn roles(args: &MigrateArgs, store: &dyn Store) -> anyhow::Result<String> {
    Ok(match store.roles(args.dry_run).await? {
        Roles::None(why) => format!("roles: none, {why}\n"),
        Roles::Of { names, there } => {
            let state = match (there, args.dry_run) {
                (true, _) => "are there",
                (false, true) => "would be made",
                (false, false) => "made",
            };
            format!("roles {}: {state}\n", names.join(", "))
        }
    })
}

async fn topics(args: &MigrateArgs, config: &Config) -> anyhow::Result<String> {
    let mut lines = String::new();
    let sources = config.streams.values().flat_map(|stream| &stream.topics);
    let sources: Vec<&String> = sources.collect();
    if sources.is_empty() {
        return Ok(lines);
    }
    let replication = args.replication.unwrap_or(-1);
    let wanted = |name: &String, partitions| Wanted { name: name.clone(), partitions, replication };
    let mut all: Vec<Wanted> = sources.into_iter().map(|topic| wanted(topic, args.partitions)).collect();
    all.extend([&config.rejects.topic, &config.rejects.late_topic].map(|topic| wanted(topic, 1)));
    let properties = &config.kafka.properties;
    if args.dry_run {
        for topic in &all {
            match provision::topic_partitions(properties, &topic.name).await? {
                Some(partitions) => lines += &format!("topic {}: is there, {partitions} partitions\n", topic.name),
                None => lines += &format!("topic {}: would be created, {} partitions\n", topic.name, topic.partitions),
            }
        }
        return Ok(lines);
    }
    for (topic, outcome) in all.iter().zip(provision::create_topics(properties, &all).await?) {
        match outcome {
            Outcome::Existed => lines += &format!("topic {}: is there\n", topic.name),
            Outcome::Created => lines += &format!("topic {}: created, {} partitions\n", topic.name, topic.partitions),
        }
    }
    Ok(lines)
}
