//! What each step of the walk costs, a reading. Every bench checks its answers first.

#![expect(clippy::disallowed_methods, reason = "benches read the clock")]

mod communes;
mod decode;
mod fold;
mod locate;
mod measure;
mod readings;
mod whole;

/// That of the engine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// All of them, or those that are named (`cargo bench -- decode`).
fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let steps: [(&str, fn()); 4] =
        [("decode", decode::run), ("locate", locate::run), ("fold", fold::run), ("whole", whole::run)];
    steps
        .into_iter()
        .filter(|(name, _)| asked.is_empty() || asked.iter().any(|word| word == name))
        .for_each(|(_, run)| run());
}
