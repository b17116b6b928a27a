//! Files as a source: each is a topic with one partition, its lines are the records, their numbers the offsets.
//!
//! A file is read to its end and not followed; what has been appended since is read by the next run. Its lines are
//! told apart by their ends alone, so a quoted CSV field must not hold one. A file's identity is its stream and its
//! path as configured: files may be added to a stream and listed in another order, but not renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use self::reader::Reader;
use super::outlet::{Budget, Outlet};
use super::{Assignment, CommitRequest, Committed, GroupPosition, Source, SourceError, SourceEvent};
use crate::config::InputFile;
use crate::reading::{Offset, SourceId, TopicId, TopicPartition};
use crate::store::{PositionKind, Store, StoreError, StoredPosition, Whole};

mod lines;
mod outbox;
mod reader;

pub use self::lines::{csv_header, first_records};
pub use self::outbox::FileOutbox;

/// Commits above the last one: those of a file that was longer.
const LOOKED_AT: usize = 100;

/// A stream that reads files.
#[derive(Clone, Debug)]
pub struct FileStream {
    pub name: String,
    pub files: Vec<InputFile>,
    /// CSV: the first line is no record.
    pub has_header: bool,
    /// A longer line is cut to one byte more than this, which the decoder rejects; bytes.
    pub max_record: usize,
}

/// What a file source is made from.
pub struct FileSettings {
    /// The name under which positions are stored.
    pub group: String,
    pub streams: Vec<FileStream>,
    /// Files that must hold exactly this.
    pub whole: Vec<(SourceId, Whole)>,
    /// Bytes read and not yet folded.
    pub budget: Budget,
    pub store: Arc<dyn Store>,
    /// How long the end waits for the engine to let go.
    pub revoke_deadline: Duration,
}

/// One file.
struct Site {
    path: PathBuf,
    partition: TopicPartition,
    source: SourceId,
    stream: Arc<str>,
    has_header: bool,
    longest: usize,
    /// What it must hold.
    whole: Vec<Whole>,
    /// Records when last looked.
    records: AtomicI64,
}

impl Site {
    fn new(stream: &FileStream, InputFile { name, path }: &InputFile, whole: &[(SourceId, Whole)]) -> Site {
        let source = SourceId { topic: identity(&stream.name, name), partition: 0 };
        Site {
            path: path.clone(),
            partition: TopicPartition { topic: name.as_str().into(), partition: 0 },
            source,
            whole: whole.iter().filter(|(of, _)| *of == source).map(|(_, whole)| *whole).collect(),
            stream: stream.name.as_str().into(),
            has_header: stream.has_header,
            longest: stream.max_record.saturating_add(1).min(1 << 30),
            records: AtomicI64::new(0),
        }
    }

    fn saw_end(&self, end: Offset) {
        self.records.fetch_max(end.0, Ordering::AcqRel);
    }

    fn end(&self) -> Offset {
        Offset(self.records.load(Ordering::Acquire))
    }

    /// Says what is wrong where it does not hold what it must.
    fn must_be_whole(&self, found: Whole) -> Result<(), String> {
        let Some(whole) = self.whole.iter().find(|whole| **whole != found) else { return Ok(()) };
        let how = match whole.lines == found.lines {
            true => "their checksum is another".to_owned(),
            false => format!("it has {} now", found.lines),
        };
        let (path, lines) = (self.path.display(), whole.lines);
        Err(format!("file {path}: its {lines} lines are not what they were when the replay began ({how})"))
    }
}

/// A digest of the stream and the file's name: neither may hold a zero byte.
fn identity(stream: &str, name: &str) -> TopicId {
    let digest = Sha256::digest(format!("file\0{stream}\0{name}"));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    TopicId(id)
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    given_up: AtomicBool,
    /// Of the newest commit, ms: the clock may stand still or go back, the order of commits must not.
    written_at_ms: AtomicI64,
}

impl Shared {
    fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    #[expect(clippy::disallowed_methods, reason = "the store's write times follow the wall clock")]
    fn next_write(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let next = |last: i64| Some(now.max(last + 1));
        let last = self.written_at_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_default();
        now.max(last + 1)
    }
}

/// Counts the files' lines, looks up their positions, and reads.
pub async fn start(settings: FileSettings) -> Result<(Arc<FileSource>, mpsc::Receiver<SourceEvent>), SourceError> {
    let sites = counted_sites(&settings).await?;
    let shared = Arc::new(Shared::default());
    let (ended, has_ended) = watch::channel(false);
    let source = FileSource { sites, shared, store: settings.store, group: settings.group, has_ended };
    let assignments = source.assignments().await?;
    let (outlet, events) = Outlet::new(settings.budget);
    let reader = Reader {
        sites: source.sites.clone(),
        shared: source.shared.clone(),
        outlet,
        revoke_deadline: settings.revoke_deadline,
    };
    let body = move || {
        reader.run(assignments);
        // The receiver may have gone; nobody waits then.
        let _ = ended.send(true);
    };
    let spawned = thread::Builder::new().name("file-reader".into()).spawn(body);
    spawned.map_err(|error| SourceError::Fatal(format!("files: no thread to read with: {error}")))?;
    Ok((Arc::new(source), events))
}

/// Answers questions about the files and their positions; reads nothing.
pub async fn observe(settings: FileSettings) -> Result<Arc<FileSource>, SourceError> {
    let sites = counted_sites(&settings).await?;
    let (shared, has_ended) = (Arc::new(Shared::default()), watch::channel(true).1);
    Ok(Arc::new(FileSource { sites, shared, store: settings.store, group: settings.group, has_ended }))
}

/// What each file holds: reads all of them.
pub async fn measured(settings: &FileSettings) -> Result<BTreeMap<SourceId, Whole>, SourceError> {
    let sites = sites(settings)?;
    in_background(move || sites.iter().map(|site| Ok((site.source, measure(site)?))).collect()).await
}

async fn counted_sites(settings: &FileSettings) -> Result<Vec<Arc<Site>>, SourceError> {
    let sites = sites(settings)?;
    in_background(move || sites.iter().try_for_each(|site| count(site)).map(|()| sites)).await
}

async fn in_background<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let reading = tokio::task::spawn_blocking(read).await;
    reading.unwrap_or_else(|error| Err(SourceError::Unavailable(error.to_string())))
}

fn sites(settings: &FileSettings) -> Result<Vec<Arc<Site>>, SourceError> {
    let mut seen = BTreeSet::new();
    let all = settings.streams.iter().flat_map(|stream| stream.files.iter().map(move |file| (stream, file)));
    let site = |(stream, file): (&FileStream, &InputFile)| match seen.insert(file.path.clone()) {
        true => Ok(Arc::new(Site::new(stream, file, &settings.whole))),
        false => {
            let path = file.path.display();
            Err(SourceError::Fatal(format!("file {path} is listed twice: its readings would count twice")))
        }
    };
    all.map(site).collect()
}

fn count(site: &Site) -> Result<(), SourceError> {
    if site.whole.is_empty() {
        let records = lines::count(&site.path, site.has_header).map_err(|error| failed(site, &error))?;
        site.saw_end(Offset(records));
        return Ok(());
    }
    // Before any of it is folded: others may be folding the same file.
    let found = measure(site)?;
    site.saw_end(found.lines);
    site.must_be_whole(found).map_err(|what| {
        SourceError::Fatal(format!(
            "{what}: put it back as it was, or give the replay up with `etiage replay --abort`, and begin again"
        ))
    })
}

fn measure(site: &Site) -> Result<Whole, SourceError> {
    lines::whole(&site.path, site.has_header, site.longest).map_err(|error| failed(site, &error))
}

fn failed(site: &Site, error: &io::Error) -> SourceError {
    SourceError::Fatal(format!("file {}: {error}: correct the stream's `files` (or `history`)", site.path.display()))
}

pub struct FileSource {
    sites: Vec<Arc<Site>>,
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    group: String,
    has_ended: watch::Receiver<bool>,
}

impl FileSource {
    async fn assignments(&self) -> Result<Vec<Assignment>, SourceError> {
        let mut all = Vec::new();
        for site in &self.sites {
            all.push(Assignment {
                partition: site.partition.clone(),
                source: site.source,
                stream: site.stream.clone(),
                log_start: Offset(0),
                log_end: site.end(),
                committed: self.committed(site).await?,
            });
        }
        Ok(all)
    }

    async fn committed(&self, site: &Site) -> Result<Option<Committed>, SourceError> {
        let found = self.store.positions(&self.group, site.source, PositionKind::Commit, LOOKED_AT).await;
        // The last one that was written lies below earlier ones where a file has been cut, and computed again.
        let Some(newest) = found.map_err(store_error)?.into_iter().max_by_key(|one| one.written_at_ms) else {
            return Ok(None);
        };
        self.shared.written_at_ms.fetch_max(newest.written_at_ms, Ordering::AcqRel);
        Ok(Some(Committed { offset: newest.offset, metadata: newest.metadata }))
    }
}

#[async_trait]
impl Source for FileSource {
    fn group(&self) -> &str {
        &self.group
    }

    fn metadata_limit(&self) -> usize {
        usize::MAX
    }

    async fn commit(&self, commits: &[CommitRequest]) -> Result<(), SourceError> {
        if self.shared.given_up.load(Ordering::Acquire) {
            return Err(SourceError::Fenced("the files have been given up".into()));
        }
        let position = |one: &CommitRequest| StoredPosition {
            group: self.group.clone(),
            source: one.source,
            kind: PositionKind::Commit,
            offset: one.offset,
            metadata: one.metadata.clone(),
            written_at_ms: self.shared.next_write(),
        };
        let positions: Vec<_> = commits.iter().map(position).collect();
        self.store.write_positions(&positions).await.map_err(store_error)?;
        for one in commits {
            let trimmed = self.store.trim_positions(&self.group, one.source, PositionKind::Commit, one.offset).await;
            trimmed.map_err(store_error)?;
        }
        Ok(())
    }

    async fn group_positions(&self) -> Result<Vec<GroupPosition>, SourceError> {
        let mut all = Vec::new();
        for site in &self.sites {
            all.push(GroupPosition {
                partition: site.partition.clone(),
                source: site.source,
                stream: site.stream.clone(),
                committed: self.committed(site).await?,
            });
        }
        Ok(all)
    }

    async fn log_bounds(&self, partition: &TopicPartition) -> Result<(Offset, Offset), SourceError> {
        match self.sites.iter().find(|site| site.partition == *partition) {
            Some(site) => Ok((Offset(0), site.end())),
            None => Err(SourceError::Fatal(format!("file {partition} is not one of the streams' files"))),
        }
    }

    async fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        // An error means that the thread has gone, which is what is waited for.
        let _ = self.has_ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn store_error(error: StoreError) -> SourceError {
    match error {
        StoreError::Unavailable(_) => SourceError::Unavailable(error.to_string()),
        StoreError::Refused(text) => SourceError::Fatal(text),
    }
}

#[cfg(test)]
mod tests;
