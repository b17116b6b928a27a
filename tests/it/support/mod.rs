//! What the tests against real servers share: the servers, the binary as a child process, the
//! Python scripts that say what is right.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod engine;
pub mod machine;
mod servers;

pub use engine::Scenario;
pub use servers::Servers;

/// The checkout.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A variable that `make test` sets.
pub fn from_make_test(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the servers that this test needs"))
}

/// A name that no other test, and no earlier run, has taken: fit for topics, groups and keyspaces.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    format!("{what}_{seconds}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One of the scripts in `tests/it/scripts`, in the environment that `make test` made for them.
pub fn python(script: &str, arguments: &[&str]) -> Command {
    script_at(&format!("tests/it/scripts/{script}"), arguments)
}

/// The same for a script anywhere in the checkout.
pub fn script_at(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(&from_make_test("ETIAGE_TEST_VENV")).join("bin/python"));
    // Without bytecode files: the checkout stays as it was.
    command.arg("-B").arg(Path::new(ROOT).join(path)).args(arguments);
    command
}

/// Runs a command to its end; its output is the test's, and a failure fails the test with it.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = both(&output);
    assert!(output.status.success(), "{command:?} failed with {}:\n{text}", output.status);
    println!("{text}");
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Says, past the test harness's capture and in the closing lines of `make test`, that something did not run.
pub fn skip(test: &str, reason: &str) {
    use std::io::Write;
    let line = format!("SKIPPED {test}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("\n{line}").as_bytes());
    if let Ok(notes) = std::env::var("ETIAGE_TEST_NOTES") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(notes);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the notes of `make test` can be written");
    }
}

/// Limits are those of a quiet machine. A busy one may take so many times as long: they are there for what is stuck.
const BUSY: u32 = 4;

/// Tries until it succeeds; the last answer is told when it does not in time.
pub fn wait_for<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let (begun, limit) = (std::time::Instant::now(), limit * BUSY);
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(last) if begun.elapsed() > limit => panic!("{what}: not within {limit:?}: {last}"),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// A directory beside the servers' own, so that `make test` removes it whatever happens.
pub fn scratch(what: &str) -> PathBuf {
    let directory = Path::new(&from_make_test("ETIAGE_TEST_SERVICES")).join(unique(what));
    std::fs::create_dir_all(&directory).expect("the directory of `make test` can be written");
    directory
}
