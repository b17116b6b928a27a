//! Where simulated records go: files, one a partition; stdout; or a Kafka topic.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use super::kafka::Topic;

#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("kafka: {0}")]
    Kafka(String),
    /// Arguments that do not go together, or input that is not what they say.
    #[error("{0}")]
    Arguments(String),
}

impl SimulateError {
    pub(super) fn file(path: &Path) -> impl Fn(io::Error) -> SimulateError {
        move |source| SimulateError::File { path: path.display().to_string(), source }
    }
}

pub(super) enum Output {
    Files(Vec<(PathBuf, BufWriter<File>)>),
    Stdout(BufWriter<Stdout>),
    Topic(Topic),
}

impl Output {
    /// Creates `part-0.ndjson`, `part-1.ndjson`, … in a directory, which is made where it is absent.
    pub fn files(dir: &Path, partitions: u32) -> Result<Output, SimulateError> {
        std::fs::create_dir_all(dir).map_err(SimulateError::file(dir))?;
        let create = |number: u32| {
            let path = dir.join(format!("part-{number}.ndjson"));
            let file = File::create(&path).map_err(SimulateError::file(&path))?;
            Ok((path, BufWriter::with_capacity(1 << 16, file)))
        };
        (0..partitions).map(create).collect::<Result<_, SimulateError>>().map(Output::Files)
    }

    pub fn stdout() -> Output {
        Output::Stdout(BufWriter::with_capacity(1 << 16, io::stdout()))
    }

    /// Writes one record. `sender` picks the file, `key` the topic's partition.
    pub async fn write(&mut self, sender: u32, key: &str, payload: &[u8]) -> Result<(), SimulateError> {
        match self {
            Output::Files(files) => {
                let at = sender as usize % files.len();
                let (path, file) = &mut files[at];
                line(file, payload).map_err(SimulateError::file(path))
            }
            Output::Stdout(out) => line(out, payload).map_err(SimulateError::file(Path::new("stdout"))),
            Output::Topic(topic) => topic.send(key, payload).await,
        }
    }

    /// Sees everything through to the disk or the brokers.
    pub async fn finish(&mut self) -> Result<(), SimulateError> {
        match self {
            Output::Files(files) => {
                files.iter_mut().try_for_each(|(path, file)| file.flush().map_err(SimulateError::file(path)))
            }
            Output::Stdout(out) => out.flush().map_err(SimulateError::file(Path::new("stdout"))),
            Output::Topic(topic) => topic.finish().await,
        }
    }

    /// Lets readers see what is there: records that are sent at a pace are worth little in a buffer.
    pub fn flush(&mut self) -> Result<(), SimulateError> {
        match self {
            Output::Files(files) => {
                files.iter_mut().try_for_each(|(path, file)| file.flush().map_err(SimulateError::file(path)))
            }
            Output::Stdout(out) => out.flush().map_err(SimulateError::file(Path::new("stdout"))),
            Output::Topic(_) => Ok(()),
        }
    }
}

/// In a file a line is a record: a newline within one would make it two.
fn line(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    if payload.contains(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the record holds a newline and cannot be one line of a file",
        ));
    }
    out.write_all(payload)?;
    out.write_all(b"\n")
}
