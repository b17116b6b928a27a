//! What each step of the walk costs, a reading. Every bench checks its answers first.

mod locate;

fn main() {
    locate::run();
}
