//! Writing to standard output: a reader that has gone (`| head`) ends the command quietly.

use std::io::{ErrorKind, Write};

/// Runs `write` on a buffered standard output.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let outcome = write(&mut out).and_then(|()| Ok(out.flush()?));
    match outcome {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    let mut kinds = io.map(std::io::Error::kind);
    let csv = error.downcast_ref::<csv::Error>().and_then(|error| match error.kind() {
        csv::ErrorKind::Io(io) => Some(io.kind()),
        _ => None,
    });
    kinds.any(|kind| kind == ErrorKind::BrokenPipe) || csv == Some(ErrorKind::BrokenPipe)
}
