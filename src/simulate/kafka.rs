//! Sends records to a Kafka topic: idempotent, acknowledged by all in-sync replicas, keyed, in order.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::{Destination, SimulateError};
use crate::limited;

/// A full queue is waited for so long at a time.
const FULL: Duration = Duration::from_millis(5);
/// Brokers must answer within this at the beginning.
const ANSWER: Duration = Duration::from_secs(10);
/// A topic that was just created is not known to every broker yet: it is asked for so often, with this pause.
const ASKED: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);
/// Later they may be away for so long before it is given up; whoever asked to stop waits less.
const PATIENCE: Duration = Duration::from_secs(120);
const HURRIED: Duration = Duration::from_secs(10);

/// What went wrong in the client's own threads.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// Records that were not delivered, and why the first of them was not.
    lost: u64,
    reason: String,
    /// The last thing that the connections complained of.
    complaint: String,
}

impl Troubles {
    fn note<T>(&self, with: impl FnOnce(&mut Noted) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Troubles {
    fn error(&self, error: KafkaError, reason: &str) {
        // That all are down says nothing that the one before did not say better.
        if !matches!(error, KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)) {
            self.note(|noted| noted.complaint = reason.to_owned());
        }
    }

    /// They would go to a log that this command does not have.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
}

impl ProducerContext for Troubles {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.note(|noted| {
                noted.lost += 1;
                if noted.lost == 1 {
                    noted.reason = error.to_string();
                }
            });
        }
    }
}

pub(super) struct Topic {
    name: String,
    producer: Arc<ThreadedProducer<Troubles>>,
    troubles: Troubles,
}

impl Topic {
    /// The properties are librdkafka's, and win over what is set here. The topic must be there.
    pub async fn open(to: &Destination, name: &str) -> Result<Topic, SimulateError> {
        let config = client(to)?;
        let troubles = Troubles::default();
        let producer = Arc::new(config.create_with_context(troubles.clone()).map_err(refused)?);
        let topic = Topic { name: name.to_owned(), producer, troubles };
        topic.must_be_there(config.get("bootstrap.servers").unwrap_or_default()).await?;
        Ok(topic)
    }

    /// All topics are asked for: to ask for one by name would create it on many clusters, with one partition.
    async fn must_be_there(&self, brokers: &str) -> Result<(), SimulateError> {
        let (producer, name) = (self.producer.clone(), self.name.clone());
        let asked = tokio::task::spawn_blocking(move || {
            for _ in 0..ASKED {
                let metadata = producer.client().fetch_metadata(None, ANSWER)?;
                if metadata.topics().iter().any(|topic| topic.name() == name && !topic.partitions().is_empty()) {
                    return Ok(true);
                }
                std::thread::sleep(PAUSE);
            }
            Ok(false)
        });
        let there: Result<bool, KafkaError> = asked.await.map_err(|error| SimulateError::Kafka(error.to_string()))?;
        match there {
            Ok(true) => Ok(()),
            Ok(false) => Err(SimulateError::Kafka(format!(
                "there is no topic {:?} at {brokers}: `etiage migrate` creates the topics of a configuration; or correct \
                 --topic",
                self.name
            ))),
            Err(error) => {
                let complaint = self.troubles.note(|noted| std::mem::take(&mut noted.complaint));
                let why = if complaint.is_empty() { error.to_string() } else { complaint };
                Err(SimulateError::Kafka(format!(
                    "no broker at {brokers} has answered within {} s ({why}): start one (`make up` does), or name yours \
                     with --brokers",
                    ANSWER.as_secs()
                )))
            }
        }
    }

    /// False where there is no room for it yet: then the caller waits a little and tries again.
    pub fn offer(&self, key: &str, payload: &[u8]) -> Result<bool, SimulateError> {
        self.check()?;
        match self.producer.send(BaseRecord::to(&self.name).key(key).payload(payload)) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                Err(SimulateError::Kafka(format!(
                    "a record of {} bytes is larger than message.max.bytes allows: fewer readings a record, or -X \
                     message.max.bytes=10000000 where the topic takes it",
                    payload.len()
                )))
            }
            Err((error, _)) => Err(SimulateError::Kafka(error.to_string())),
        }
    }

    pub async fn wait_for_room(&self) {
        tokio::time::sleep(FULL).await;
    }

    pub async fn finish(&self, hurried: bool) -> Result<(), SimulateError> {
        let producer = self.producer.clone();
        let patience = if hurried { HURRIED } else { PATIENCE };
        let flushed = tokio::task::spawn_blocking(move || producer.flush(patience)).await;
        let flushed = flushed.map_err(|error| SimulateError::Kafka(error.to_string()))?;
        self.check()?;
        flushed.map_err(|error| {
            let complaint = self.troubles.note(|noted| noted.complaint.clone());
            let why = if complaint.is_empty() { error.to_string() } else { complaint };
            SimulateError::Kafka(format!(
                "{} records were not acknowledged within {} s and may be lost: {why}",
                self.producer.in_flight_count(),
                patience.as_secs()
            ))
        })
    }

    fn check(&self) -> Result<(), SimulateError> {
        self.troubles.note(|noted| match noted.lost {
            0 => Ok(()),
            lost => Err(SimulateError::Kafka(format!(
                "{lost} records were not delivered to {:?}: {}",
                self.name, noted.reason
            ))),
        })
    }
}

/// The producer's settings: ours, then the file's, then those of the command line.
fn client(to: &Destination) -> Result<ClientConfig, SimulateError> {
    let mut config = ClientConfig::new();
    config.set("enable.idempotence", "true").set("compression.type", "lz4").set("linger.ms", "20");
    config.set("queue.buffering.max.messages", "100000").set("queue.buffering.max.kbytes", "65536");
    config.set("bootstrap.servers", &to.brokers);
    for (key, value) in to.properties.as_deref().map(properties).transpose()?.unwrap_or_default() {
        config.set(key, value);
    }
    for property in &to.property {
        let (key, value) = property
            .split_once('=')
            .ok_or_else(|| SimulateError::Arguments("-X: expected property=value, such as linger.ms=5".to_owned()))?;
        config.set(key, value);
    }
    Ok(config)
}

/// No list of properties is as long, bytes.
const MAX_PROPERTIES: u64 = 1 << 20;

/// Lines `property=value`; empty ones and those that open with `#` are comments.
fn properties(path: &Path) -> Result<Vec<(String, String)>, SimulateError> {
    let text = limited::read_text(path, MAX_PROPERTIES).map_err(SimulateError::file(path))?;
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            let (key, value) = line.split_once('=').ok_or_else(|| {
                // Without the line: it may hold half of a secret.
                SimulateError::Arguments(format!("{} line {number}: expected property=value", path.display()))
            })?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// A property that librdkafka does not take; without its value, which may be a secret.
fn refused(error: KafkaError) -> SimulateError {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => SimulateError::Kafka(format!("property {key:?}: {reason}")),
        error => SimulateError::Kafka(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::{Message, Offset, TopicPartitionList};
    use tokio::sync::watch;

    use super::*;
    use crate::simulate::{ReplayArgs, SimulateArgs, Summary, replay, run};

    #[derive(Parser)]
    enum Cli {
        Simulate(SimulateArgs),
        Replay(ReplayArgs),
    }

    async fn simulate(arguments: &[&str]) -> Result<Summary, SimulateError> {
        let Cli::Simulate(args) = Cli::parse_from(["", "simulate"].iter().chain(arguments)) else {
            panic!("simulates")
        };
        let (_keep, stop) = watch::channel(false);
        run(args, stop).await
    }

    fn cluster() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 3, 1).unwrap();
        cluster
    }

    /// Reads `count` records of a topic with three partitions: (partition, key, payload).
    fn read(brokers: &str, count: usize) -> Vec<(i32, String, String)> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "test").create().unwrap();
        let mut from = TopicPartitionList::new();
        (0..3).for_each(|partition| from.add_partition_offset("t", partition, Offset::Beginning).unwrap());
        consumer.assign(&from).unwrap();
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let mut read = Vec::new();
        while read.len() < count {
            let message = consumer.poll(Duration::from_secs(20)).expect("all records are there").unwrap();
            read.push((message.partition(), text(message.key()), text(message.payload())));
        }
        read
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_topic_gets_every_record_with_its_key() {
        let cluster = cluster();
        let brokers = cluster.bootstrap_servers();
        let summary =
            simulate(&["--topic", "t", "--brokers", &brokers, "--readings", "500", "--sensors", "20"]).await.unwrap();
        assert_eq!(summary.counts.readings, 500);
        let mut partitions: BTreeMap<String, i32> = BTreeMap::new();
        for (partition, key, payload) in read(&brokers, 500) {
            assert!(payload.starts_with("{\"id\":"), "{payload}");
            assert_eq!(*partitions.entry(key).or_insert(partition), partition, "a sensor stays in its partition");
        }
        assert_eq!(partitions.len(), 20);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_topic_that_was_just_created_is_waited_for_a_moment() {
        let cluster = MockCluster::new(1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let arguments = ["--topic", "t", "--brokers", &brokers, "--readings", "50", "--sensors", "5"];
        let created = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cluster.create_topic("t", 3, 1).unwrap();
        };
        assert_eq!(tokio::join!(simulate(&arguments), created).0.unwrap().counts.readings, 50);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_record_of_csv_opens_with_its_header() {
        let cluster = cluster();
        let brokers = cluster.bootstrap_servers();
        let csv = ["--shape", "bts-alarms", "--format", "csv", "--tenants", "3", "--per-record", "2"];
        let to = ["--topic", "t", "--brokers", &brokers, "--readings", "60", "--sensors", "6"];
        simulate(&[&csv[..], &to].concat()).await.unwrap();
        let mut keys = BTreeMap::<String, u32>::new();
        for (_, key, payload) in read(&brokers, 30) {
            let (header, rows) = payload.split_once('\n').unwrap();
            assert_eq!(header, "station_id,datapoint_id,alarm_id,event_time,value,valueThreshold,isActive,storedtime");
            assert_eq!(rows.lines().count(), 2);
            *keys.entry(key).or_default() += 1;
        }
        let tenants = ["tenant-000", "tenant-001", "tenant-002"].map(|tenant| (tenant.to_owned(), 10));
        assert_eq!(keys, tenants.into());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_csv_file_goes_row_by_row_with_its_header() {
        let cluster = cluster();
        let brokers = cluster.bootstrap_servers();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("synop.csv");
        std::fs::write(&file, "numer_sta;t\r\n07005;281.25\r\n07015;mq\r\n").unwrap();
        let arguments =
            ["", "replay", file.to_str().unwrap(), "--key", "numer_sta", "--topic", "t", "--brokers", &brokers];
        let Cli::Replay(args) = Cli::parse_from(arguments) else { panic!("replays") };
        let (_keep, stop) = watch::channel(false);
        replay(args, stop).await.unwrap();
        let mut records: Vec<(String, String)> =
            read(&brokers, 2).into_iter().map(|(_, key, payload)| (key, payload)).collect();
        records.sort();
        let expected = [("07005", "numer_sta;t\n07005;281.25"), ("07015", "numer_sta;t\n07015;mq")];
        assert_eq!(records, expected.map(|(key, payload)| (key.to_owned(), payload.to_owned())));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_there_is_named_with_the_remedy() {
        let cluster = cluster();
        let brokers = cluster.bootstrap_servers();
        let missing = simulate(&["--topic", "tt", "--brokers", &brokers]).await.unwrap_err().to_string();
        assert!(missing.starts_with("kafka: there is no topic \"tt\" at 127.0.0.1:"), "{missing}");
        assert!(missing.contains("`etiage migrate` creates"), "{missing}");
        // A port that nobody listens on: one that was free a moment ago.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let away = simulate(&["--topic", "t", "--brokers", &closed]).await.unwrap_err().to_string();
        assert!(away.starts_with(&format!("kafka: no broker at {closed} has answered within 10 s")), "{away}");
        assert!(away.contains("refused") && away.ends_with("or name yours with --brokers"), "{away}");
    }

    #[tokio::test]
    async fn properties_come_from_a_file_and_secrets_stay_out_of_messages() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("client.properties");
        std::fs::write(&file, "# ours\n\nbootstrap.servers = other:9092\nlinger.ms=7\n").unwrap();
        let parse = |more: &[&str]| {
            let fixed = ["", "simulate", "--properties", file.to_str().unwrap(), "-X", "linger.ms=8"];
            let Cli::Simulate(args) = Cli::parse_from(fixed.iter().chain(more)) else { panic!("simulates") };
            args.to
        };
        let config = client(&parse(&[])).unwrap();
        assert_eq!((config.get("bootstrap.servers"), config.get("linger.ms")), (Some("other:9092"), Some("8")));
        let unknown = simulate(&["--topic", "t", "-X", "sasl.pasword=hunter2"]).await.unwrap_err().to_string();
        assert!(unknown.contains("sasl.pasword") && !unknown.contains("hunter2"), "{unknown}");
        std::fs::write(&file, "sasl.password hunter2\n").unwrap();
        let torn = client(&parse(&[])).unwrap_err().to_string();
        assert!(torn.ends_with("line 1: expected property=value"), "{torn}");
    }
}
