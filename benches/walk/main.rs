//! What each step of the walk costs, a reading. Every bench checks its answers first.

#![expect(clippy::disallowed_methods, reason = "benches read the clock")]

mod locate;

fn main() {
    locate::run();
}
