//! The queries that the documents promise.

use std::process::Command;
use std::time::Duration;

use crate::support::{Scenario, Servers, python, succeed};

/// Every `cql` block of `docs/cql.md` runs and answers, on rows that the engine wrote.
#[test]
fn kafka_cassandra_every_documented_query_answers() {
    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "temperatures.toml", "temperatures").with("STORE__COMMIT_LAG", "500ms");
    succeed(&mut scenario.etiage("migrate", &[]));
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_etiage"));
    simulate.args(["simulate", "--topic", &scenario.name, "--brokers", &scenario.kafka]);
    // A day and a half from midnight: 12 readings an hour from each sensor, in arrays as the stream wants them.
    simulate.args([
        "--start",
        "2019-02-19T00:00:00Z",
        "--interval",
        "300",
        "--sensors",
        "200",
        "--readings",
        "86400",
        "--per-record",
        "2",
    ]);
    succeed(&mut simulate);
    scenario.run_until_end(Duration::from_secs(90));
    let mut queries = python("queries.py", &[&scenario.cassandra, &scenario.name, "docs/cql.md"]);
    succeed(queries.current_dir(crate::support::ROOT));
}
