//! The status as text for people.

use std::io::Write;

use etiage::commit::Tally;

use super::{Beat, Line, Status};
use crate::cli::rows::time;

pub fn write(status: &Status, out: &mut dyn Write) -> anyhow::Result<()> {
    for line in &status.lines {
        writeln!(out, "{}", partition(line))?;
        writeln!(out, "  {}", owner(line.beat.as_ref()))?;
        if !line.is_ours() {
            writeln!(out, "  this offset does not carry Étiage's metadata: the engine will not start from it")?;
        }
        for (view, generation, max_ms, width, tally) in line.tallies() {
            let newest = max_ms.map_or_else(|| "nothing".to_owned(), time);
            let watermark = line.watermark(view, generation).map_or_else(|| "none".to_owned(), time);
            writeln!(out, "  {view} g{generation} {width}: up to {newest}, watermark {watermark}, {}", sums(tally))?;
        }
    }
    writeln!(out)?;
    instances(status, out)?;
    let sums = if status.adds_up() { "tallies add up" } else { "TALLIES DO NOT ADD UP" };
    writeln!(
        out,
        "group {}: lag {} folded, {} committed; {} records/s; {} open windows; {sums}",
        status.group,
        status.folded_lag(),
        status.committed_lag(),
        status.records_per_second(),
        status.open_windows(),
    )?;
    Ok(())
}

fn partition(line: &Line) -> String {
    let (name, log) = (&line.position.partition, format!("log {}..{}", line.log_start, line.log_end));
    match line.committed() {
        None => format!("{name}: nothing committed, {log}, lag {}", line.committed_lag()),
        Some(offset) => format!("{name}: committed {offset}, {log}, lag {}", line.committed_lag()),
    }
}

fn owner(beat: Option<&Beat>) -> String {
    let Some(Beat { said, age_ms }) = beat else { return "not running".to_owned() };
    if !beat.is_some_and(Beat::is_alive) {
        return format!("not running, last seen {} ago as {}", age(*age_ms), said.instance);
    }
    format!(
        "{} folded up to {}, {} records/s, {} open windows in {} KiB, watermark {}, {} ago",
        said.instance,
        said.folded,
        said.records_per_second,
        said.open_windows,
        said.memory_bytes / 1024,
        said.watermark_ms.map_or_else(|| "none".to_owned(), time),
        age(*age_ms)
    )
}

fn sums(tally: &Tally) -> String {
    format!(
        "seen {} = folded {} + late {} + rejected {} + outside {} + unkeyed {} + filtered {} + before history {}{}",
        tally.seen,
        tally.folded,
        tally.late,
        tally.rejected,
        tally.outside,
        tally.unkeyed,
        tally.filtered,
        tally.before_history,
        if tally.adds_up() { "" } else { "  DOES NOT ADD UP" }
    )
}

fn instances(status: &Status, out: &mut dyn Write) -> anyhow::Result<()> {
    let alive: Vec<_> = status.instances().into_iter().filter(super::Instance::is_alive).collect();
    for one in &alive {
        let started = time(one.started_ms - one.started_ms.rem_euclid(1_000));
        writeln!(
            out,
            "instance {}: since {started}, {} partitions, seen {} ago",
            one.name,
            one.partitions,
            age(one.age_ms)
        )?;
    }
    if alive.is_empty() {
        writeln!(out, "no instance runs")?;
    }
    for member in &status.members {
        writeln!(out, "member {} at {}: {}", member.client, member.host, member.id)?;
    }
    Ok(())
}

/// Seconds, and from two minutes on minutes, and from two hours on hours.
fn age(ms: i64) -> String {
    match ms / 1_000 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_told_in_units_that_people_count_in() {
        let told = [0, 119_999, 120_000, 7_199_000, 7_200_000].map(age);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h"]);
    }
}
