//! Where simulated records go: files, one a partition; stdout; or a Kafka topic.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use super::Destination;
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

    /// The reader of a pipe has gone (`| head`): not a failure, but the end.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, SimulateError::File { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

pub(super) struct Output {
    sink: Sink,
    /// The line that CSV opens with: each record of a topic, a file once.
    header: Option<Vec<u8>>,
    /// A record of a topic, being put together.
    record: Vec<u8>,
}

enum Sink {
    Files(Vec<(PathBuf, BufWriter<File>)>),
    Stdout(BufWriter<Stdout>),
    Topic(Topic),
}

impl Output {
    /// `header` is the first line of CSV; without it the records are JSON.
    pub async fn open(to: &Destination, header: Option<&[u8]>) -> Result<Output, SimulateError> {
        let sink = match (&to.files, &to.topic) {
            (Some(dir), _) => Sink::files(dir, to.partitions, header)?,
            (None, Some(topic)) => Sink::Topic(Topic::open(to, topic).await?),
            (None, None) => {
                let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
                header
                    .map_or(Ok(()), |header| line(&mut out, header))
                    .map_err(SimulateError::file(Path::new("stdout")))?;
                Sink::Stdout(out)
            }
        };
        Ok(Output { sink, header: header.map(<[u8]>::to_vec), record: Vec::new() })
    }

    /// Writes one record; false where brokers had no room for it until it was time to stop. `sender` picks the
    /// file, `key` the topic's partition.
    pub async fn write(
        &mut self,
        sender: u32,
        key: &str,
        payload: &[u8],
        stopped: impl Fn() -> bool,
    ) -> Result<bool, SimulateError> {
        let is_line = self.header.is_none();
        match &mut self.sink {
            Sink::Files(files) => {
                let at = sender as usize % files.len();
                let (path, file) = &mut files[at];
                lines(file, payload, is_line).map_err(SimulateError::file(path))
            }
            Sink::Stdout(out) => lines(out, payload, is_line).map_err(SimulateError::file(Path::new("stdout"))),
            Sink::Topic(topic) => {
                let record = match &self.header {
                    None => payload,
                    Some(header) => {
                        self.record.clear();
                        self.record.extend_from_slice(header);
                        self.record.push(b'\n');
                        self.record.extend_from_slice(payload);
                        &self.record
                    }
                };
                while !topic.offer(key, record)? {
                    if stopped() {
                        return Ok(false);
                    }
                    topic.wait_for_room().await;
                }
                Ok(())
            }
        }?;
        Ok(true)
    }

    /// Sees everything through to the disk or the brokers. `hurried` waits less long for brokers that are away.
    pub async fn finish(&mut self, hurried: bool) -> Result<(), SimulateError> {
        match &self.sink {
            Sink::Topic(topic) => topic.finish(hurried).await,
            _ => self.flush(),
        }
    }

    /// Lets readers see what is there: records that are sent at a pace are worth little in a buffer.
    pub fn flush(&mut self) -> Result<(), SimulateError> {
        match &mut self.sink {
            Sink::Files(files) => {
                files.iter_mut().try_for_each(|(path, file)| file.flush().map_err(SimulateError::file(path)))
            }
            Sink::Stdout(out) => out.flush().map_err(SimulateError::file(Path::new("stdout"))),
            Sink::Topic(_) => Ok(()),
        }
    }
}

impl Sink {
    /// Creates `part-0.ndjson` or `part-0.csv`, … in a directory, which is made where it is absent.
    fn files(dir: &Path, partitions: u32, header: Option<&[u8]>) -> Result<Sink, SimulateError> {
        std::fs::create_dir_all(dir).map_err(SimulateError::file(dir))?;
        let extension = if header.is_some() { "csv" } else { "ndjson" };
        let create = |number: u32| {
            let path = dir.join(format!("part-{number}.{extension}"));
            let file = File::create(&path).map_err(SimulateError::file(&path))?;
            let mut file = BufWriter::with_capacity(1 << 16, file);
            header.map_or(Ok(()), |header| line(&mut file, header)).map_err(SimulateError::file(&path))?;
            Ok((path, file))
        };
        (0..partitions).map(create).collect::<Result<_, SimulateError>>().map(Sink::Files)
    }
}

/// In a file of JSON a line is a record: a newline within one would make it two.
fn lines(out: &mut impl Write, payload: &[u8], is_line: bool) -> io::Result<()> {
    if is_line && payload.contains(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the record holds a newline and cannot be one line of a file",
        ));
    }
    line(out, payload)
}

fn line(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    out.write_all(text)?;
    out.write_all(b"\n")
}
