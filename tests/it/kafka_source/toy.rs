//! The toy engine: takes what the source hands over, checks its order, and commits when partitions go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etiage::reading::{Offset, SourceId, TopicPartition};
use etiage::source::kafka::KafkaSource;
use etiage::source::{CommitRequest, ReadFrom, Source, SourceError, SourceEvent};
use tokio::sync::mpsc;

use super::{Held, Seen};

pub struct Toy {
    pub source: Arc<KafkaSource>,
    pub seen: Arc<Mutex<Seen>>,
    pub held: Held,
    pub joined: Arc<AtomicBool>,
    pub topic: Arc<str>,
}

impl Toy {
    pub async fn run(self, mut events: mpsc::Receiver<SourceEvent>, pace: Duration) {
        while let Some(event) = events.recv().await {
            match event {
                SourceEvent::Joined => self.joined.store(true, Ordering::Relaxed),
                SourceEvent::Assigned { partitions, reply } => {
                    let from = partitions.into_iter().map(|one| self.begin(one)).collect();
                    let _ = reply.send(from);
                }
                SourceEvent::Batch { partition, raw, permit } => {
                    self.take(&partition, &raw);
                    tokio::time::sleep(pace).await;
                    drop(permit);
                }
                SourceEvent::End { partition, position } => {
                    let held = self.held.lock().expect("unpoisoned")[&partition.partition].1;
                    assert!(held >= position.0, "an end overtook records: {held} < {position}");
                    self.seen.lock().expect("unpoisoned").ends.insert(partition.partition, position.0);
                }
                SourceEvent::Revoked { partitions, lost, reply } => {
                    self.let_go(&partitions, lost).await;
                    let _ = reply.send(());
                }
                SourceEvent::Failed(error) => self.seen.lock().expect("unpoisoned").failed.push(error.to_string()),
            }
        }
    }

    fn begin(&self, one: etiage::source::Assignment) -> ReadFrom {
        let from = one.committed.as_ref().map_or(one.log_start, |committed| committed.offset);
        let former = self.held.lock().expect("unpoisoned").insert(one.partition.partition, (one.source, from.0, -1));
        assert!(former.is_none(), "assigned twice: {}", one.partition);
        let mut seen = self.seen.lock().expect("unpoisoned");
        seen.assigned.push((one.stream.to_string(), one.source, one.committed));
        ReadFrom { partition: one.partition, offset: from, leader_epoch: -1 }
    }

    fn take(&self, partition: &TopicPartition, raw: &etiage::reading::RawBatch) {
        let mut held = self.held.lock().expect("unpoisoned");
        let (_, next, epoch) = held.get_mut(&partition.partition).expect("a batch of a partition that is held");
        let mut seen = self.seen.lock().expect("unpoisoned");
        for record in &raw.records {
            assert_eq!(record.offset.0, *next, "out of order in {partition}");
            *next += 1;
            *seen.records.entry((partition.partition, record.offset.0)).or_default() += 1;
        }
        *epoch = raw.leader_epoch;
    }

    async fn let_go(&self, partitions: &[TopicPartition], lost: bool) {
        let commits: Vec<_> = {
            let mut held = self.held.lock().expect("unpoisoned");
            let gone =
                partitions.iter().filter_map(|one| held.remove(&one.partition).map(|state| (one.partition, state)));
            gone.map(|(partition, (source, next, epoch))| self.request(partition, source, next, epoch)).collect()
        };
        self.seen.lock().expect("unpoisoned").revocations += 1;
        if !lost {
            // From another task, while the source waits.
            let source = self.source.clone();
            let committed = tokio::spawn(async move { commit_until_answered(&*source, &commits).await });
            if let Err(error) = committed.await.expect("no panic") {
                self.seen.lock().expect("unpoisoned").commits_refused.push(error.to_string());
            }
        }
    }

    fn request(&self, partition: i32, source: SourceId, next: i64, leader_epoch: i32) -> CommitRequest {
        let partition = TopicPartition { topic: self.topic.clone(), partition };
        let metadata = format!("at {next} of {partition}").into_bytes();
        CommitRequest { partition, source, offset: Offset(next), leader_epoch, metadata }
    }
}

pub async fn commit_until_answered(source: &dyn Source, commits: &[CommitRequest]) -> Result<(), SourceError> {
    loop {
        match source.commit(commits).await {
            Err(SourceError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            answer => return answer,
        }
    }
}
