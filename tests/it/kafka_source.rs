//! The Kafka source against a real broker: a toy engine that reads, commits and lets go stands behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use etiage::reading::{Offset, SourceId, TopicPartition};
use etiage::source::kafka::provision::{Outcome, Wanted, create_topics, topic_partitions};
use etiage::source::kafka::{self, KafkaOutbox, KafkaSettings, KafkaSource};
use etiage::source::outlet::Budget;
use etiage::source::{CommitRequest, Committed, Outbox, Outgoing, ReadFrom, Source, SourceError, SourceEvent};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{Message, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::toy::{Toy, commit_until_answered};

mod toy;

const MIB: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What toy engines have seen between them.
#[derive(Default)]
struct Seen {
    /// How often each record came, by partition and offset.
    records: BTreeMap<(i32, i64), u32>,
    /// Largest position reported as a partition's end.
    ends: BTreeMap<i32, i64>,
    assigned: Vec<(String, SourceId, Option<Committed>)>,
    revocations: usize,
    commits_refused: Vec<String>,
    failed: Vec<String>,
}

/// By partition: its identity, the next offset, the last leader epoch.
type Held = Arc<Mutex<BTreeMap<i32, (SourceId, i64, i32)>>>;

/// One member of the group with a toy engine.
struct Member {
    source: Arc<KafkaSource>,
    engine: JoinHandle<()>,
    held: Held,
    joined: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Bench {
    bootstrap: String,
    topic: String,
    group: String,
    extra: BTreeMap<String, String>,
    seen: Arc<Mutex<Seen>>,
}

impl Bench {
    async fn new(bootstrap: &str, name: &str, partitions: i32) -> Bench {
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        let topic = format!("it-{name}-{stamp}");
        let bench = Bench {
            bootstrap: bootstrap.into(),
            group: format!("group-{topic}"),
            topic,
            extra: BTreeMap::new(),
            seen: Arc::default(),
        };
        bench.create(partitions).await;
        bench
    }

    fn with(mut self, key: &str, value: &str) -> Bench {
        self.extra.insert(key.into(), value.into());
        self
    }

    async fn create(&self, partitions: i32) {
        let wanted = Wanted { name: self.topic.clone(), partitions, replication: -1 };
        create_topics(&self.properties(), &[wanted]).await.expect("a topic");
    }

    fn properties(&self) -> BTreeMap<String, String> {
        let own = [("bootstrap.servers", &self.bootstrap), ("group.id", &self.group)];
        let mut all: BTreeMap<_, _> = own.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        all.extend(self.extra.clone());
        all
    }

    fn start(&self, budget: usize) -> (Arc<KafkaSource>, mpsc::Receiver<SourceEvent>) {
        let settings = KafkaSettings {
            headers: BTreeMap::new(),
            properties: self.properties(),
            topics: BTreeMap::from([(self.topic.clone(), "temperatures".to_string())]),
            budget: Budget::new(budget),
            revoke_deadline: Duration::from_secs(10),
        };
        kafka::start(settings).expect("valid settings")
    }

    /// A member whose engine takes `pace` for a batch.
    fn join(&self, budget: usize, pace: Duration) -> Member {
        let (source, events) = self.start(budget);
        let (held, joined) = (Held::default(), Arc::new(AtomicBool::new(false)));
        let toy = Toy {
            source: source.clone(),
            seen: self.seen.clone(),
            held: held.clone(),
            joined: joined.clone(),
            topic: self.topic.as_str().into(),
        };
        Member { source, engine: tokio::spawn(toy.run(events, pace)), held, joined }
    }

    async fn produce(&self, partitions: i32, each: usize, payload: usize) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("linger.ms", "5");
        let producer: FutureProducer = config.create().expect("a producer");
        let text = "x".repeat(payload);
        let mut sent = Vec::new();
        for partition in (0..partitions).cycle().take(each * partitions as usize) {
            let record = FutureRecord::<str, _>::to(&self.topic).partition(partition).payload(&text);
            match producer.send_result(record) {
                Ok(delivery) => sent.push(delivery),
                Err((_, record)) => drop(producer.send(record, Timeout::Never).await.expect("delivered")),
            }
        }
        for delivery in sent {
            delivery.await.expect("an answer").expect("delivered");
        }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let begin = Instant::now();
        while !holds(&self.seen.lock().expect("unpoisoned")) {
            if begin.elapsed() > PATIENCE {
                let seen = self.seen.lock().expect("unpoisoned");
                panic!(
                    "not in time: {what}: {} records, ends {:?}, failed {:?}",
                    seen.records.len(),
                    seen.ends,
                    seen.failed
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn assert_each_once(&self, partitions: i32, each: i64) {
        let seen = self.seen.lock().expect("unpoisoned");
        assert_eq!(seen.commits_refused, Vec::<String>::new());
        assert_eq!(seen.failed, Vec::<String>::new());
        let expected: BTreeSet<_> = (0..partitions).flat_map(|p| (0..each).map(move |offset| (p, offset))).collect();
        let missing: Vec<_> = expected.iter().filter(|key| !seen.records.contains_key(*key)).take(5).collect();
        let twice: Vec<_> = seen.records.iter().filter(|(_, times)| **times != 1).take(5).collect();
        assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, more than once {twice:?}");
        assert_eq!(seen.records.len(), expected.len());
    }
}

impl Member {
    async fn leave(self) {
        let begin = Instant::now();
        self.source.close().await;
        self.engine.await.expect("the toy engine ends with the source");
        assert!(begin.elapsed() < Duration::from_secs(10), "leaving took {:?}", begin.elapsed());
    }

    fn held(&self) -> usize {
        self.held.lock().expect("unpoisoned").len()
    }
}

/// Reads all, reports the ends, commits with metadata that the next owner and outsiders read back.
pub async fn reads_commits_and_reads_back(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "walk", 3).await;
    bench.produce(3, 2000, 100).await;
    let member = bench.join(8 * MIB, Duration::ZERO);
    bench.until("ends", |seen| (0..3).all(|p| seen.ends.get(&p) == Some(&2000))).await;
    bench.produce(3, 5, 100).await;
    bench.until("later ends", |seen| (0..3).all(|p| seen.ends.get(&p) == Some(&2005))).await;
    let place = TopicPartition { topic: bench.topic.as_str().into(), partition: 1 };
    assert_eq!(member.source.log_bounds(&place).await.expect("bounds"), (Offset(0), Offset(2005)));
    let positions = member.source.group_positions().await.expect("positions");
    assert_eq!(positions.len(), 3);
    assert!(positions.iter().all(|one| one.committed.is_none()));
    member.leave().await;

    let again = bench.join(8 * MIB, Duration::ZERO);
    bench.until("a second assignment", |seen| seen.assigned.len() == 6).await;
    let positions = again.source.group_positions().await.expect("positions");
    for one in &positions {
        let expected =
            Committed { offset: Offset(2005), metadata: format!("at 2005 of {}", one.partition).into_bytes() };
        assert_eq!(one.committed, Some(expected));
        assert_eq!(&*one.stream, "temperatures");
    }
    let stranger = CommitRequest {
        partition: TopicPartition { topic: bench.topic.as_str().into(), partition: 99 },
        source: positions[0].source,
        offset: Offset(1),
        leader_epoch: -1,
        metadata: vec![],
    };
    assert!(matches!(again.source.commit(&[stranger]).await, Err(SourceError::Fenced(_))));
    again.leave().await;
    bench.assert_each_once(3, 2005);
}

/// The largest metadata that the source says fits is taken by a broker with default settings.
pub async fn metadata_up_to_the_limit(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "metadata", 1).await;
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("an assignment", |seen| seen.ends.contains_key(&0)).await;
    let source = member.held.lock().expect("unpoisoned")[&0].0;
    let partition = TopicPartition { topic: bench.topic.as_str().into(), partition: 0 };
    let request = |len: usize| CommitRequest {
        partition: partition.clone(),
        source,
        offset: Offset(0),
        leader_epoch: -1,
        metadata: vec![255; len],
    };
    let limit = member.source.metadata_limit();
    commit_until_answered(&*member.source, &[request(limit)]).await.expect("the limit fits");
    let committed = member.source.group_positions().await.expect("positions").remove(0).committed;
    assert_eq!(committed.map(|one| one.metadata.len()), Some(limit));
    let refusal = commit_until_answered(&*member.source, &[request(limit + 3)]).await.expect_err("too large");
    assert!(matches!(&refusal, SourceError::Fatal(text) if text.contains("offset.metadata.max.bytes")), "{refusal}");
    member.leave().await;
}

/// A second member joins in the middle and leaves again; each record is read once all the same.
pub async fn members_come_and_go(bootstrap: &str, key: &str, value: &str) {
    let bench = Bench::new(bootstrap, "members", 6).await.with(key, value);
    bench.produce(6, 3000, 100).await;
    let first = bench.join(256 << 10, Duration::from_millis(20));
    bench.until("some records", |seen| seen.records.len() > 1000).await;
    let second = bench.join(256 << 10, Duration::from_millis(20));
    let begin = Instant::now();
    while second.held() != 3 || first.held() != 3 {
        assert!(begin.elapsed() < PATIENCE, "never balanced: {} and {}", first.held(), second.held());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.produce(6, 1000, 100).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.leave().await;
    // Whatever it has read until then, the other one reads what comes after it, in all partitions.
    bench.produce(6, 500, 100).await;
    bench.until("all records", |seen| seen.records.len() >= 27_000).await;
    bench.until("all ends", |seen| (0..6).all(|p| seen.ends.get(&p) == Some(&4500))).await;
    assert_eq!(second.held(), 6);
    second.leave().await;
    bench.assert_each_once(6, 4500);
}

/// Where there are fewer partitions than members, each of them hears that it has joined.
pub async fn members_stand_by(bootstrap: &str, key: &str, value: &str) {
    let bench = Bench::new(bootstrap, "surplus", 1).await.with(key, value);
    let first = bench.join(MIB, Duration::ZERO);
    bench.until("an assignment", |seen| seen.assigned.len() == 1).await;
    let second = bench.join(MIB, Duration::ZERO);
    let begin = Instant::now();
    let both = || [&first, &second].iter().all(|member| member.joined.load(Ordering::Relaxed));
    while !both() || first.held() + second.held() != 1 {
        assert!(begin.elapsed() < PATIENCE, "one of them never heard that it has joined");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    second.leave().await;
    first.leave().await;
}

/// A budget smaller than a batch, and an engine that stalls for longer than the source waits before it pauses.
pub async fn little_room(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "room", 2).await;
    bench.produce(2, 20_000, 200).await;
    let member = bench.join(100_000, Duration::from_millis(400));
    bench.until("all records", |seen| seen.records.len() >= 40_000).await;
    member.leave().await;
    bench.assert_each_once(2, 20_000);
}

/// A topic that is deleted and made anew has another id, and its old commits are seen as they are.
pub async fn a_topic_made_anew_has_another_id(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "anew", 1).await;
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("the end", |seen| seen.ends.contains_key(&0)).await;
    member.leave().await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    admin.delete_topics(&[&bench.topic], &AdminOptions::new()).await.expect("deleted");
    while topic_partitions(&bench.properties(), &bench.topic).await.expect("an answer").is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.create(1).await;
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("a second assignment", |seen| seen.assigned.len() == 2).await;
    member.leave().await;
    let seen = bench.seen.lock().expect("unpoisoned");
    assert_ne!(seen.assigned[0].1.topic, seen.assigned[1].1.topic);
    assert_ne!(seen.assigned[0].1.topic.0, [0; 16]);
}

/// A topic grows while it is read: its new partitions are known when asked for, and read.
pub async fn added_partitions_are_read(bootstrap: &str) {
    use rdkafka::admin::NewPartitions;
    let bench = Bench::new(bootstrap, "grown", 2).await.with("topic.metadata.refresh.interval.ms", "3000");
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("ends", |seen| seen.ends.len() == 2).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let four = NewPartitions::new(&bench.topic, 4);
    admin.create_partitions(&[four], &AdminOptions::new()).await.expect("an answer")[0].as_ref().expect("grown");
    let place = TopicPartition { topic: bench.topic.as_str().into(), partition: 3 };
    // The brokers themselves may take a moment.
    let begin = Instant::now();
    loop {
        match member.source.log_bounds(&place).await {
            Ok(bounds) => break assert_eq!(bounds, (Offset(0), Offset(0))),
            Err(SourceError::Unavailable(_)) if begin.elapsed() < PATIENCE => {}
            Err(other) => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.produce(4, 100, 50).await;
    bench.until("all ends", |seen| (0..4).all(|p| seen.ends.get(&p) == Some(&100))).await;
    member.leave().await;
    bench.assert_each_once(4, 100);
}

/// The log's beginning has moved past the position: the source stops and says why and what to do.
pub async fn a_position_that_the_log_has_lost_stops(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "lost", 1).await;
    bench.produce(1, 100, 50).await;
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("the end", |seen| seen.ends.get(&0) == Some(&100)).await;
    member.leave().await;
    bench.produce(1, 100, 50).await;
    delete_records(&bench, 150).await;
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("a failure", |seen| !seen.failed.is_empty()).await;
    member.leave().await;
    let text = bench.seen.lock().expect("unpoisoned").failed.remove(0);
    assert!(
        text.contains(&format!("{}/0", bench.topic)) && text.contains("100") && text.contains("etiage replay"),
        "{text}"
    );
}

async fn delete_records(bench: &Bench, before: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &bench.bootstrap).create().expect("an admin client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&bench.topic, 0, rdkafka::Offset::Offset(before)).expect("valid");
    admin.delete_records(&list, &AdminOptions::new()).await.expect("deleted");
}

/// A compacted topic is refused.
pub async fn a_compacted_topic_is_refused(bootstrap: &str) {
    use rdkafka::admin::{AlterConfig, ResourceSpecifier};
    let bench = Bench::new(bootstrap, "compacted", 1).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let alter = AlterConfig::new(ResourceSpecifier::Topic(&bench.topic)).set("cleanup.policy", "compact");
    admin.alter_configs(&[alter], &AdminOptions::new()).await.expect("altered")[0].as_ref().expect("altered");
    let member = bench.join(MIB, Duration::ZERO);
    bench.until("a refusal", |seen| !seen.failed.is_empty()).await;
    member.leave().await;
    let text = bench.seen.lock().expect("unpoisoned").failed.remove(0);
    assert!(text.contains("compacted") && text.contains("cleanup.policy"), "{text}");
}

/// The engine goes away without a word: the source ends all the same.
pub async fn an_engine_that_has_gone_is_not_waited_for(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "gone", 2).await;
    bench.produce(2, 100, 50).await;
    let (source, mut events) = bench.start(MIB);
    let assigned = events.recv().await;
    assert!(matches!(assigned, Some(SourceEvent::Assigned { .. })));
    drop((assigned, events));
    tokio::time::timeout(Duration::from_secs(8), source.close()).await.expect("closed");
}

/// The broker goes away for some seconds in the middle; nothing fails and nothing is lost.
pub async fn the_broker_comes_back(bootstrap: &str, stop: impl FnOnce(), start: impl FnOnce()) {
    let bench = Bench::new(bootstrap, "outage", 2).await;
    bench.produce(2, 5000, 100).await;
    let member = bench.join(64 << 10, Duration::from_millis(30));
    bench.until("some records", |seen| seen.records.len() > 500).await;
    stop();
    tokio::time::sleep(Duration::from_secs(4)).await;
    start();
    bench.produce(2, 1000, 100).await;
    bench.until("all records", |seen| seen.records.len() >= 12_000).await;
    bench.until("all ends", |seen| (0..2).all(|p| seen.ends.get(&p) == Some(&6000))).await;
    member.leave().await;
    let seen = bench.seen.lock().expect("unpoisoned");
    // The session may have ended while the broker was away; then records come again from the last commit.
    assert!(seen.records.values().all(|times| *times >= 1));
    assert_eq!((seen.records.len(), seen.failed.len()), (12_000, 0), "{:?}", seen.failed);
}

/// Stopping while the broker is away takes no longer than it must.
pub async fn leaving_while_the_broker_is_away(bootstrap: &str, stop: impl FnOnce(), start: impl FnOnce()) {
    let bench = Bench::new(bootstrap, "away", 2).await;
    let (source, mut events) = bench.start(MIB);
    let engine = tokio::spawn(async move {
        let mut revoked = 0;
        while let Some(event) = events.recv().await {
            match event {
                SourceEvent::Assigned { partitions, reply } => {
                    let from = |one: etiage::source::Assignment| ReadFrom {
                        partition: one.partition,
                        offset: one.log_start,
                        leader_epoch: -1,
                    };
                    let _ = reply.send(partitions.into_iter().map(from).collect());
                }
                SourceEvent::Revoked { partitions, reply, .. } => {
                    revoked += partitions.len();
                    let _ = reply.send(());
                }
                _ => {}
            }
        }
        revoked
    });
    while source.group_positions().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop();
    let begin = Instant::now();
    source.close().await;
    let took = begin.elapsed();
    start();
    assert_eq!(engine.await.expect("no panic"), 2, "revocations are told all the same");
    assert!(took < Duration::from_secs(8), "leaving took {took:?}");
}

/// Rejected and late readings reach their topics, and one that is too large goes without its payload.
pub async fn the_outbox_delivers(bootstrap: &str) {
    let bench = Bench::new(bootstrap, "outbox", 1).await;
    let late = format!("{}-late", bench.topic);
    let wanted = |name: &str| Wanted { name: name.into(), partitions: 1, replication: -1 };
    let made = create_topics(&bench.properties(), &[wanted(&bench.topic), wanted(&late)]).await.expect("topics");
    assert_eq!(made, [Outcome::Existed, Outcome::Created]);
    assert_eq!(topic_partitions(&bench.properties(), &late).await.expect("an answer"), Some(1));
    let outbox = KafkaOutbox::new(&bench.properties(), &bench.topic, &late).expect("an outbox");
    let huge = format!(r#"{{"reason":"unreadable","payload":"{}"}}"#, "y".repeat(3 * MIB));
    let reading = |late, key: &str, value: &str| Arc::new(Outgoing { late, key: key.into(), value: value.into() });
    let readings = [reading(false, "t/0/1/0", "{}"), reading(true, "t/0/2/0", "{}"), reading(false, "t/0/3/0", &huge)];
    outbox.send(&readings).await.expect("delivered");
    assert_eq!(read_all(bootstrap, &late, 1), [("t/0/2/0".to_string(), "{}".to_string())]);
    let rejects = read_all(bootstrap, &bench.topic, 2);
    assert_eq!(rejects[0].0, "t/0/1/0");
    assert!(rejects[1].0 == "t/0/3/0" && rejects[1].1.contains("unreadable") && rejects[1].1.len() < 200);
    let bench = bench.with("topic.metadata.propagation.max.ms", "500");
    let nowhere = KafkaOutbox::new(&bench.properties(), "it-no-such-topic", &late).expect("an outbox");
    let refusal = nowhere.send(&readings[..1]).await.expect_err("no such topic");
    assert!(matches!(&refusal, SourceError::Fatal(text) if text.contains("etiage migrate")), "{refusal}");
}

pub fn read_all(bootstrap: &str, topic: &str, count: usize) -> Vec<(String, String)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "it-reader").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).expect("valid");
    consumer.assign(&list).expect("assigned");
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut all = Vec::new();
    while all.len() < count {
        let message = consumer.poll(PATIENCE).expect("a message in time").expect("no error");
        all.push((text(message.key()), text(message.payload())));
    }
    all
}
