//! Rejected and late readings of a run without Kafka: appended to two files, one JSON object a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::source::{Outbox, Outgoing, SourceError};

/// Appends to `rejects.ndjson` and `late.ndjson` in a directory, which come into being with the first reading.
pub struct FileOutbox {
    inner: Arc<Mutex<Files>>,
}

struct Files {
    dir: PathBuf,
    rejects: Option<File>,
    late: Option<File>,
}

impl FileOutbox {
    pub fn new(dir: &Path) -> FileOutbox {
        FileOutbox { inner: Arc::new(Mutex::new(Files { dir: dir.into(), rejects: None, late: None })) }
    }
}

#[async_trait]
impl Outbox for FileOutbox {
    async fn send(&self, readings: &[Arc<Outgoing>]) -> Result<(), SourceError> {
        let lines = |late| readings.iter().filter(|one| one.late == late).map(|one| line(one)).collect::<String>();
        let (rejects, late, inner) = (lines(false), lines(true), self.inner.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut files = inner.lock().unwrap_or_else(PoisonError::into_inner);
            let Files { dir, rejects: rejects_file, late: late_file } = &mut *files;
            append(rejects_file, &dir.join("rejects.ndjson"), &rejects)?;
            append(late_file, &dir.join("late.ndjson"), &late)
        });
        written.await.unwrap_or_else(|error| Err(SourceError::Unavailable(error.to_string())))
    }
}

/// One object a line, the key among its members.
fn line(reading: &Outgoing) -> String {
    let mut object = match serde_json::from_str(&reading.value) {
        Ok(Value::Object(object)) => object,
        _ => Map::from_iter([("value".to_string(), reading.value.clone().into())]),
    };
    object.insert("key".into(), reading.key.clone().into());
    let mut text = Value::Object(object).to_string();
    text.push('\n');
    text
}

fn append(slot: &mut Option<File>, path: &Path, lines: &str) -> Result<(), SourceError> {
    if lines.is_empty() {
        return Ok(());
    }
    let write = |slot: &mut Option<File>| -> io::Result<()> {
        let file = match slot {
            Some(file) => file,
            None => slot.insert(open(path)?),
        };
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    };
    write(slot).map_err(|error| {
        // What was written of it is ended by the next opening.
        *slot = None;
        let text = format!("rejected and late readings cannot be kept: {}: {error}", path.display());
        match lasts(&error) {
            true => SourceError::Fatal(format!(
                "{text}: let this user write there, or set rejects.dir to another directory"
            )),
            false => {
                SourceError::Unavailable(format!("{text}: make room there, or set rejects.dir to another directory"))
            }
        }
    })
}

/// What stays until somebody does something.
fn lasts(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidInput, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    [PermissionDenied, ReadOnlyFilesystem, NotADirectory, AlreadyExists, InvalidInput].contains(&error.kind())
}

/// Opens at the end; a line that a crash has cut off is ended first.
fn open(path: &Path) -> io::Result<File> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    File::open(dir)?.sync_all()?;
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_no_waiting_mends_stops_the_engine() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a-file");
        fs::write(&file, "").expect("written");
        let outbox = FileOutbox::new(&file.join("below"));
        let refusal = outbox.send(&[reading(false, "f/0/0/0", "{}")]).await.expect_err("no directory");
        assert!(
            matches!(&refusal, SourceError::Fatal(text) if text.contains("a-file/below") && text.contains("rejects.dir"))
        );
    }

    fn reading(late: bool, key: &str, value: &str) -> Arc<Outgoing> {
        Arc::new(Outgoing { late, key: key.into(), value: value.into() })
    }

    #[tokio::test]
    async fn appends_objects_and_ends_a_torn_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let deeper = dir.path().join("not/yet");
        let outbox = FileOutbox::new(&deeper);
        outbox.send(&[]).await.expect("nothing to do");
        assert!(!deeper.exists(), "created with the first reading");
        outbox.send(&[reading(false, "f/0/3/0", r#"{"reason":"bad"}"#)]).await.expect("written");
        assert!(!deeper.join("late.ndjson").exists());
        OpenOptions::new()
            .append(true)
            .open(deeper.join("rejects.ndjson"))
            .expect("open")
            .write_all(b"{\"torn")
            .expect("torn");
        let outbox = FileOutbox::new(&deeper);
        outbox.send(&[reading(false, "f/0/4/1", "no json"), reading(true, "f/0/5/0", "{}")]).await.expect("written");
        let text = fs::read_to_string(deeper.join("rejects.ndjson")).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"key":"f/0/3/0","reason":"bad"}"#);
        assert_eq!(lines[1], "{\"torn");
        assert_eq!(lines[2], r#"{"key":"f/0/4/1","value":"no json"}"#);
        assert_eq!(fs::read_to_string(deeper.join("late.ndjson")).expect("read"), "{\"key\":\"f/0/5/0\"}\n");
    }
}
