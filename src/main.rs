//! The command line. Everything it does is the library's; here are arguments, signals and errors
//! for people.

use std::process::ExitCode;

use clap::Parser;

mod cli;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etiage: {error:#}");
            ExitCode::FAILURE
        }
    }
}
