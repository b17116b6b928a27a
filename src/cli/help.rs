//! `etiage completions` and `etiage man`: from the same definitions as the arguments.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::to_stdout;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage completions bash > /etc/bash_completion.d/etiage
  etiage completions zsh > ~/.zfunc/_etiage
  etiage completions fish > ~/.config/fish/completions/etiage.fish")]
pub struct CompletionsArgs {
    shell: Shell,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage man man1 && man ./man1/etiage-run.1
  sudo etiage man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Made where it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "etiage", &mut script);
    to_stdout(|out| Ok(out.write_all(&script)?))
}

pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    let directory = &args.directory;
    let failed = || format!("man pages into {}", directory.display());
    std::fs::create_dir_all(directory).with_context(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory).with_context(failed)
}
