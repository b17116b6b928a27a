//! Six months of real readings through Kafka, against a recount of the files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{ROOT, Scenario, Servers, python, scratch, skip, succeed};

/// Météo-France's messages are not shipped: beside the checkout, or where `ETIAGE_TEST_SYNOP` says.
fn archive() -> Option<PathBuf> {
    let named = std::env::var("ETIAGE_TEST_SYNOP").map(PathBuf::from);
    let path = named.unwrap_or_else(|_| Path::new(ROOT).join("../shared/data/readings/synop-2019h1.tar.xz"));
    path.exists().then_some(path)
}

#[test]
fn kafka_cassandra_six_months_of_real_readings() {
    let Some(archive) = archive() else {
        return skip(
            "kafka_cassandra_six_months_of_real_readings",
            "no synop-2019h1.tar.xz (ETIAGE_TEST_SYNOP names it)",
        );
    };
    let files = scratch("synop");
    succeed(Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(&files));
    let directory = files.to_str().expect("a path of ours is UTF-8");
    let stations = format!("{directory}/postesSynop.csv");

    let servers = Servers::shared();
    let scenario = Scenario::new(&servers, "synop.toml", "synop")
        .with("STREAMS__SYNOP__STATIONS__FILE", &stations)
        .with("STORE__COMMIT_LAG", "2s");
    succeed(&mut python("synop.py", &["produce", &servers.kafka, &scenario.name, "4", directory]));
    succeed(&mut scenario.etiage("migrate", &[]));
    scenario.run_until_end(Duration::from_secs(600));
    succeed(&mut python("synop.py", &["check", &servers.cassandra, &scenario.name, directory]));
}
