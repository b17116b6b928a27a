//! The commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use etiage::config::{Config, StoreConfig};
use etiage::store::{self, Store};

mod check;
mod diff;
mod gc;
mod generations;
mod help;
mod locate;
mod merged;
mod migrate;
mod output;
mod replay;
mod retire;
mod rows;
mod run;
mod signals;
mod simulate;
mod status;

/// Exactly-once windowed aggregation of geolocated sensor readings: Kafka topics in, Cassandra rows out.
#[derive(Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  etiage check --config etiage.toml                is all well? what do the first readings become?
  etiage migrate --config etiage.toml              prepare the keyspace and the topics, once
  etiage run --config etiage.toml                  join the consumer group and go on for ever
  etiage rows --config etiage.toml --view region --metric temperature --key 53
  etiage status --config etiage.toml               how far is it, and does everything add up?
  etiage replay --config new.toml --from earliest  polygons, thresholds or views have changed
  etiage locate 48.11 -1.68                        which region is this?

Every key of the configuration can be set from the environment:
  ETIAGE_STREAMS__TEMPERATURES__TOPICS='[\"a\",\"b\"]'  ETIAGE_STORE__PASSWORD_FILE=/run/secrets/cassandra";

#[derive(Subcommand)]
enum Command {
    /// Read the streams, fold them into windows and keep the rows up to date
    Run(run::RunArgs),
    /// Hold a configuration against its topics and store, and show what the first readings become
    Check(check::CheckArgs),
    /// Create or upgrade the store's tables, and create missing topics
    Migrate(migrate::MigrateArgs),
    /// Compute views again from their history, beside the live rows, and let the result take over
    Replay(replay::ReplayArgs),
    /// Show what a replay that has not taken over yet would change, by key and month
    Diff(diff::DiffArgs),
    /// List the generations of all views: which one is live, and what each of them means
    Generations(generations::GenerationsArgs),
    /// Remove a view for good, which a configuration has lost
    Retire(retire::RetireArgs),
    /// Remove what superseded generations were computed with: their parts, which nobody reads any more
    Gc(gc::GcArgs),
    /// Show rows of a view, from either store
    Rows(rows::RowsArgs),
    /// Show position, lag, watermark and tallies of every partition, and the instances that run
    Status(status::StatusArgs),
    /// Send simulated readings, or a file's lines, to files, stdout or a topic
    Simulate(simulate::SimulateCommand),
    /// Find the region of a position, or of every line of a CSV file
    Locate(locate::LocateArgs),
    /// Print completions for a shell
    Completions(help::CompletionsArgs),
    /// Write man pages, one a command, into a directory
    Man(help::ManArgs),
}

/// The configuration that most commands take.
#[derive(Args, Clone)]
pub struct ConfigArg {
    /// TOML file; what it leaves out has the defaults that `etiage run --defaults` prints
    #[arg(long, short, value_name = "FILE", env = "ETIAGE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArg {
    /// The defaults under the file under the environment.
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
    pub fn load(&self) -> anyhow::Result<Config> {
        // A variable that is no Unicode is none of ours.
        let unicode = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment = std::env::vars_os().filter_map(unicode);
        let config = Config::load(self.config.as_deref(), environment);
        match self.config {
            Some(_) => Ok(config?),
            None => config.context("no --config FILE is given, so there is the environment alone"),
        }
    }
}

/// The store of who only asks: it is there, with this binary's schema.
async fn open_store(settings: &StoreConfig) -> anyhow::Result<Arc<dyn Store>> {
    let store = match settings {
        StoreConfig::Sqlite { path } if !path.exists() => {
            bail!("there is no database {} yet: `etiage run` makes it, or correct store.path", path.display())
        }
        settings => store::open(settings).await?,
    };
    store.check().await?;
    Ok(store)
}

impl Cli {
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(args) => block_on(run::run(args)),
            Command::Check(args) => block_on(check::run(args)),
            Command::Migrate(args) => block_on(migrate::run(args)),
            Command::Replay(args) => block_on(replay::run(args)),
            Command::Diff(args) => block_on(diff::run(args)),
            Command::Generations(args) => block_on(generations::run(args)),
            Command::Retire(args) => block_on(retire::run(args)),
            Command::Gc(args) => block_on(gc::run(args)),
            Command::Rows(args) => block_on(rows::run(args)),
            Command::Status(args) => block_on(status::run(args)),
            Command::Simulate(args) => block_on(simulate::run(args)),
            Command::Locate(args) => locate::run(&args),
            Command::Completions(args) => help::completions(&args),
            Command::Man(args) => help::man(&args),
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    let outcome = runtime.block_on(command);
    // A blocking call into a server that does not answer must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
