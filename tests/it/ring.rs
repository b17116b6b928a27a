//! What a newcomer does: clone, `make run`, and again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{ROOT, skip, succeed};

/// The build directory of this very test binary: the clone's dependencies are compiled there already.
fn target() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_etiage"));
    binary.ancestors().nth(2).expect("target/debug/etiage").to_owned()
}

fn make_run(clone: &Path) -> String {
    // The build takes what the tests beside it leave of the processors: they have deadlines, it has none.
    let mut make = Command::new("nice");
    // What `make test` exports is not a newcomer's.
    for (name, _) in std::env::vars() {
        if name != "ETIAGE_CACHE" && ["ETIAGE_", "MAKE", "MFLAGS"].iter().any(|prefix| name.starts_with(prefix)) {
            make.env_remove(name);
        }
    }
    succeed(make.args(["-n", "19", "make", "run"]).current_dir(clone).env("CARGO_TARGET_DIR", target()))
}

#[test]
fn make_run_from_a_clean_clone() {
    if !Path::new(ROOT).join(".git").exists() {
        return skip("make_run_from_a_clean_clone", "this is no git checkout");
    }
    // Always at the same place: cargo tells packages apart by their paths, and would pile up builds.
    let clone = target().join("clean-clone");
    let _ = std::fs::remove_dir_all(&clone);
    succeed(Command::new("git").args(["clone", "--quiet", "--no-hardlinks", ROOT]).arg(&clone));

    let first = make_run(&clone);
    let begun = Instant::now();
    let second = make_run(&clone);
    assert!(begun.elapsed() < Duration::from_secs(120), "`make run` took {:?} with nothing to build", begun.elapsed());
    for answer in [first, second] {
        for region in ["Bretagne", "Île-de-France", "La Réunion", "Corse"] {
            assert!(answer.contains(region), "no row of {region}:\n{answer}");
        }
    }
}
