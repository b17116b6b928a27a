//! What the simulator is asked for. It is a test among the others, too: without arguments it runs as
//! many histories as belong into every run of the tests, and understands what the harness passes on.

use std::time::{SystemTime, UNIX_EPOCH};

const USAGE: &str = "\
simulator [--from N] [--seeds N] [--tell] [--until-failure] [--no-shrink]
  --from N         the first seed; drawn, and said, where none is given
  --seeds N        how many (10000)
  --tell           print every history
  --until-failure  end with the first seed that fails
  --no-shrink      do not look for a smaller history that fails, too";

/// Histories in a run of all tests.
const IN_TESTS: u64 = 10_000;

pub struct Arguments {
    pub from: u64,
    pub seeds: u64,
    pub tell: bool,
    pub until_failure: bool,
    pub shrink: bool,
    /// Nobody asked for anything in particular.
    pub as_test: bool,
}

impl Arguments {
    /// `None` where there is nothing to do.
    pub fn read() -> Option<Arguments> {
        let mut arguments = Arguments {
            from: drawn(),
            seeds: IN_TESTS,
            tell: false,
            until_failure: false,
            shrink: true,
            as_test: true,
        };
        let mut rest = std::env::args().skip(1);
        while let Some(argument) = rest.next() {
            match &*argument {
                "--from" => arguments.from = number(rest.next()),
                "--seeds" => arguments.seeds = number(rest.next()),
                "--tell" => arguments.tell = true,
                "--until-failure" => arguments.until_failure = true,
                "--no-shrink" => arguments.shrink = false,
                "--help" => {
                    println!("{USAGE}");
                    return None;
                }
                "--list" => {
                    println!("simulator: test");
                    return None;
                }
                // What else the harness of the other tests understands.
                option if option.starts_with('-') => continue,
                filter if !"simulator".contains(filter) => return None,
                _ => continue,
            }
            arguments.as_test = false;
        }
        Some(arguments)
    }
}

fn number(text: Option<String>) -> u64 {
    text.as_deref().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        eprintln!("a number is missing\n{USAGE}");
        std::process::exit(2)
    })
}

#[expect(clippy::disallowed_methods, reason = "a start that nobody chose")]
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    now % 1_000_000_007 * 1_000
}
