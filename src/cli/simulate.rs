//! `etiage simulate`: seeded sensors at real places across France, to files, stdout or a topic.

use clap::Args;
use etiage::simulate;

#[derive(Args)]
#[command(after_help = "\
Examples:
  etiage simulate | head -3
  etiage simulate --files readings --partitions 4 --readings 1000000 --late 0.01 --garbage 0.001
  etiage simulate --topic temperatures --rate 5000
  etiage simulate --topic synop --from-file synop.201901.csv --key numer_sta")]
pub struct SimulateCommand {
    #[command(flatten)]
    inner: simulate::SimulateArgs,
}

pub async fn run(args: SimulateCommand) -> anyhow::Result<()> {
    let summary = simulate::run(args.inner).await?;
    eprintln!("{summary}");
    Ok(())
}
