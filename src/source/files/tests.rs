//! Files from start to close, over a store that keeps nothing but positions.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::source::ReadFrom;
use crate::store::*;
use crate::window::Width;

type Key = (String, SourceId, PositionKind);

#[derive(Default)]
struct Positions(Mutex<BTreeMap<Key, StoredPosition>>);

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Refused("not a file source's business".into()))
}

#[async_trait]
impl Store for Positions {
    async fn migrate(&self, _: bool) -> Result<Vec<MigrationStep>, StoreError> {
        unused()
    }
    async fn check(&self) -> Result<(), StoreError> {
        unused()
    }
    async fn write_parts(&self, _: &[PartWrite]) -> Result<(), StoreError> {
        unused()
    }
    async fn read_own_parts(&self, _: SourceId, _: &[Slot]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        unused()
    }
    async fn read_slots(&self, _: &[Slot]) -> Result<Vec<Vec<(SourceId, Vec<u8>)>>, StoreError> {
        unused()
    }
    async fn write_rows(&self, _: &[RowWrite]) -> Result<(), StoreError> {
        unused()
    }
    async fn write_before(&self, _: &[BeforeWrite]) -> Result<(), StoreError> {
        unused()
    }
    async fn mark_final(&self, _: &[RowId], _: Stamp) -> Result<(), StoreError> {
        unused()
    }
    async fn list_rows(&self, _: &str, _: u32, _: Width, _: Option<i64>, _: i64, _: Pieces) -> Result<(), StoreError> {
        unused()
    }
    async fn rows(&self, _: &RowQuery) -> Result<Vec<Row>, StoreError> {
        unused()
    }
    async fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        unused()
    }
    async fn create_generation(&self, _: &GenerationRecord) -> Result<bool, StoreError> {
        unused()
    }
    async fn change_generations(&self, _: &[GenerationChange]) -> Result<bool, StoreError> {
        unused()
    }
    async fn list_slots(&self, _: &str, _: u32, _: SlotPieces) -> Result<(), StoreError> {
        unused()
    }
    async fn remove_parts(&self, _: &[Slot], _: Stamp) -> Result<(), StoreError> {
        unused()
    }
    async fn remove_rows(&self, _: &str, _: Stamp, _: Option<i64>) -> Result<(), StoreError> {
        unused()
    }
    async fn closing(&self, _: &str, _: u32, _: Width) -> Result<Closing, StoreError> {
        unused()
    }
    async fn write_closing_cursor(&self, _: &str, _: u32, _: Width, _: i64) -> Result<(), StoreError> {
        unused()
    }
    async fn write_closed(&self, _: &str, _: u32, _: Width, _: i64) -> Result<(), StoreError> {
        unused()
    }
    async fn write_positions(&self, positions: &[StoredPosition]) -> Result<(), StoreError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in positions {
            let slot = all.entry((one.group.clone(), one.source, one.kind)).or_insert_with(|| one.clone());
            if one.written_at_ms >= slot.written_at_ms {
                *slot = one.clone();
            }
        }
        Ok(())
    }
    async fn positions(
        &self,
        group: &str,
        source: SourceId,
        kind: PositionKind,
        _: usize,
    ) -> Result<Vec<StoredPosition>, StoreError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.get(&(group.to_string(), source, kind)).cloned().into_iter().collect())
    }
    async fn trim_positions(&self, _: &str, _: SourceId, _: PositionKind, _: Offset) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Positions>,
}

/// What one run has read: lines by file, and the ends.
#[derive(Debug, Default, PartialEq)]
struct Read {
    lines: BTreeMap<String, Vec<(i64, String)>>,
    ends: BTreeMap<String, i64>,
    failed: Option<String>,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Bench {
        let bench = Bench { dir: tempfile::tempdir().expect("a directory"), store: Arc::default() };
        files.iter().for_each(|(name, text)| bench.write(name, text));
        bench
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("written");
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.dir.path().join(name)).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn settings(&self, files: &[&str], has_header: bool, budget: usize) -> FileSettings {
        let files =
            files.iter().map(|name| InputFile { name: (*name).to_owned(), path: self.dir.path().join(name) }).collect();
        FileSettings {
            group: "g".into(),
            streams: vec![FileStream { name: "s".into(), files, has_header, max_record: 1 << 20 }],
            budget: Budget::new(budget),
            whole: Vec::new(),
            store: self.store.clone(),
            revoke_deadline: Duration::from_secs(5),
        }
    }

    /// Reads from the commits to the ends (or a failure), commits, closes.
    async fn run(&self, files: &[&str], has_header: bool, budget: usize) -> Read {
        let started = start(self.settings(files, has_header, budget)).await.expect("files");
        read(started, files.len()).await
    }
}

async fn read((source, mut events): (Arc<FileSource>, mpsc::Receiver<SourceEvent>), files: usize) -> Read {
    let (mut read, mut marks) = (Read::default(), BTreeMap::new());
    let mut closing = None;
    while let Some(event) = events.recv().await {
        match event {
            SourceEvent::Joined => {}
            SourceEvent::Assigned { partitions, reply } => drop(reply.send(partitions.iter().map(from).collect())),
            SourceEvent::Batch { partition, raw, .. } => {
                marks.insert(partition.clone(), raw.leader_epoch);
                let text = |record| String::from_utf8_lossy(raw.payload(record).unwrap_or_default()).into_owned();
                let lines = raw.records.iter().map(|record| (record.offset.0, text(record)));
                read.lines.entry(name(&partition)).or_default().extend(lines);
            }
            SourceEvent::End { partition, position } => {
                if let Some(mark) = marks.get(&partition) {
                    source.commit(&[request(&source, &partition, position, *mark)]).await.expect("committed");
                }
                read.ends.insert(name(&partition), position.0);
            }
            SourceEvent::Revoked { reply, .. } => drop(reply.send(())),
            SourceEvent::Failed(error) => read.failed = Some(error.to_string()),
        }
        if closing.is_none() && (read.ends.len() == files || read.failed.is_some()) {
            let source = source.clone();
            closing = Some(tokio::spawn(async move { source.close().await }));
        }
    }
    read
}

fn name(partition: &TopicPartition) -> String {
    partition.topic.rsplit('/').next().unwrap_or_default().into()
}

/// The mark travels in the metadata, as the engine's leader epoch does.
fn from(one: &Assignment) -> ReadFrom {
    let epoch = |committed: &Committed| i32::from_be_bytes(committed.metadata[..].try_into().expect("four bytes"));
    ReadFrom {
        partition: one.partition.clone(),
        offset: one.committed.as_ref().map_or(one.log_start, |committed| committed.offset),
        leader_epoch: one.committed.as_ref().map_or(-1, epoch),
    }
}

fn request(source: &FileSource, partition: &TopicPartition, offset: Offset, mark: i32) -> CommitRequest {
    let site = source.sites.iter().find(|site| site.partition == *partition).expect("one of the files");
    let metadata = mark.to_be_bytes().to_vec();
    CommitRequest { partition: partition.clone(), source: site.source, offset, leader_epoch: mark, metadata }
}

fn numbered(range: std::ops::Range<i64>) -> String {
    range.map(|number| format!("{{\"n\":{number}}}\n")).collect()
}

#[tokio::test]
async fn every_line_once_in_order_with_little_room() {
    let text = numbered(0..100_000);
    let bench = Bench::new(&[("a", &text), ("b", "1\n2"), ("empty", "")]);
    let read = bench.run(&["a", "b", "empty"], false, 10_000).await;
    let expected: Vec<_> = text.lines().enumerate().map(|(offset, line)| (offset as i64, line.to_string())).collect();
    assert_eq!(read.failed, None);
    assert!(read.lines["a"] == expected, "lines of a differ");
    assert_eq!(read.lines["b"], [(0, "1".to_string()), (1, "2".to_string())]);
    assert_eq!(read.ends, [("a", 100_000), ("b", 2), ("empty", 0)].map(|(name, end)| (name.to_string(), end)).into());
}

#[tokio::test]
async fn a_second_run_reads_what_was_appended() {
    let bench = Bench::new(&[("a", "h\n1\n2")]);
    assert_eq!(bench.run(&["a"], true, 1000).await.ends["a"], 2);
    assert_eq!(bench.run(&["a"], true, 1000).await.lines, BTreeMap::new());
    bench.append("a", "\n3\n");
    // Another file before it in the list changes nothing.
    bench.write("0", "h\nx\n");
    let read = bench.run(&["0", "a"], true, 1000).await;
    assert_eq!(read.lines["a"], [(2, "3".to_string())]);
    assert_eq!(read.lines["0"], [(0, "x".to_string())]);
}

#[tokio::test]
async fn a_file_changed_before_the_position_stops() {
    for (was, is, why) in
        [("1\n2\n", "1\n9\n", "checksum"), ("1\n2", "1\n2more\n", "checksum"), ("1\n2\n", "1\n", "1 lines now")]
    {
        let bench = Bench::new(&[("a", was)]);
        assert_eq!(bench.run(&["a"], false, 1000).await.failed, None);
        bench.write("a", is);
        let failed = bench.run(&["a"], false, 1000).await.failed.expect("refused");
        assert!(failed.contains(why) && failed.contains("/a") && failed.contains("etiage replay"), "{failed}");
    }
}

/// Not the lines that have been read alone: all that the file held when it was measured.
#[tokio::test]
async fn a_file_that_is_not_what_it_was_as_a_whole_stops() {
    let bench = Bench::new(&[("a", "h\n1\n2\n3\n"), ("b", "h\n1\n")]);
    let settings = || bench.settings(&["a", "b"], true, 1000);
    let whole: Vec<_> = measured(&settings()).await.expect("measured").into_iter().collect();
    let held = || FileSettings { whole: whole.clone(), ..settings() };
    let mut lines: Vec<_> = whole.iter().map(|(_, whole)| whole.lines.0).collect();
    lines.sort_unstable();
    assert_eq!(lines, [1, 3]);
    for (is, why) in [
        ("h\n1\n2\n", "has 2 now"),
        ("h\n1\n2\n3\n4\n", "has 4 now"),
        ("h\n", "has 0 now"),
        ("h\n1\n2\n4\n", "checksum"),
        ("h\n1\n9\n3\n", "checksum"),
        ("g\n1\n2\n3\n", "checksum"),
    ] {
        bench.write("a", is);
        let refused = start(held()).await.err().expect(is).to_string();
        assert!(refused.contains(why) && refused.contains("/a") && refused.contains("--abort"), "{refused}");
        // It may come to be like that while it is read.
        bench.write("a", "h\n1\n2\n3\n");
        let started = start(held()).await.expect("it is what it was");
        bench.write("a", is);
        let read = read(started, 2).await;
        assert!(read.failed.expect(is).contains(why));
        assert!(!read.ends.contains_key("a"), "its end would make it count");
    }
    bench.write("a", "h\r\n1\r\n2\r\n3");
    let read = read(start(held()).await.expect("the same lines"), 2).await;
    assert_eq!((read.failed, read.ends["a"]), (None, 3));
    // Of two that were measured at different times one is not what it was.
    let other = Whole { lines: Offset(3), mark: 0 };
    let twice = whole.iter().flat_map(|(source, whole)| [(*source, *whole), (*source, other)]).collect();
    let refused = start(FileSettings { whole: twice, ..settings() }).await.err().expect("refused").to_string();
    assert!(refused.contains("/a") && refused.contains("checksum"), "{refused}");
}

#[tokio::test]
async fn absent_and_doubled_files_are_refused() {
    let bench = Bench::new(&[("a", "1\n")]);
    let refusal = |files: &'static [&str]| {
        let settings = bench.settings(files, false, 1000);
        async { start(settings).await.err().expect("refused").to_string() }
    };
    assert!(refusal(&["nowhere"]).await.contains("nowhere"));
    assert!(refusal(&["a", "a"]).await.contains("twice"));
}

#[tokio::test]
async fn commits_after_the_end_are_fenced() {
    let bench = Bench::new(&[("a", "1\n")]);
    let (source, events) = start(bench.settings(&["a"], false, 1000)).await.expect("files");
    drop(events);
    source.close().await;
    let place = source.sites[0].partition.clone();
    let refused = source.commit(&[request(&source, &place, Offset(1), 5)]).await;
    assert!(matches!(refused, Err(SourceError::Fenced(_))));
    assert!(source.group_positions().await.expect("positions")[0].committed.is_none());
}
