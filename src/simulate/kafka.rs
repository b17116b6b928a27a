//! Sends records to a Kafka topic: idempotent, acknowledged by all in-sync replicas, keyed, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::SimulateError;

/// A full queue is waited for so long at a time.
const FULL: Duration = Duration::from_millis(5);
/// Brokers may be away for so long before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts what could not be delivered.
#[derive(Clone, Default)]
struct Failures(Arc<AtomicU64>);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            // The first of them says why; the others would only repeat it.
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!(%error, "a record was not delivered");
            }
        }
    }
}

pub(super) struct Topic {
    name: String,
    producer: Arc<ThreadedProducer<Failures>>,
    failures: Failures,
}

impl Topic {
    /// `properties` are librdkafka's, as `key=value`, and win over what is set here.
    pub fn open(brokers: &str, name: &str, properties: &[String]) -> Result<Topic, SimulateError> {
        let mut config = ClientConfig::new();
        config.set("enable.idempotence", "true").set("compression.type", "lz4").set("linger.ms", "20");
        config.set("queue.buffering.max.messages", "100000").set("queue.buffering.max.kbytes", "65536");
        config.set("bootstrap.servers", brokers);
        for property in properties {
            let (key, value) = property.split_once('=').ok_or_else(|| {
                SimulateError::Arguments(format!("-X {property:?}: expected property=value, such as linger.ms=5"))
            })?;
            config.set(key, value);
        }
        let failures = Failures::default();
        let producer = config.create_with_context(failures.clone()).map_err(failed)?;
        Ok(Topic { name: name.to_owned(), producer: Arc::new(producer), failures })
    }

    pub async fn send(&self, key: &str, payload: &[u8]) -> Result<(), SimulateError> {
        let mut record = BaseRecord::to(&self.name).key(key).payload(payload);
        loop {
            match self.producer.send(record) {
                Ok(()) => return self.check(),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => return Err(failed(error)),
            }
            self.check()?;
            tokio::time::sleep(FULL).await;
        }
    }

    pub async fn finish(&self) -> Result<(), SimulateError> {
        let producer = self.producer.clone();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(PATIENCE)).await;
        flushed.map_err(|error| SimulateError::Kafka(error.to_string()))?.map_err(failed)?;
        self.check()
    }

    fn check(&self) -> Result<(), SimulateError> {
        match self.failures.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(SimulateError::Kafka(format!(
                "{lost} records were not delivered to {:?}; see the log for the reason",
                self.name
            ))),
        }
    }
}

fn failed(error: KafkaError) -> SimulateError {
    SimulateError::Kafka(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::{Message, Offset, TopicPartitionList};

    use super::*;
    use crate::simulate::{SimulateArgs, run};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SimulateArgs,
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
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 3, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let send = ["simulate", "--topic", "t", "--brokers", &brokers, "--readings", "500", "--sensors", "20"];
        let summary = run(Cli::parse_from(send).args).await.unwrap();
        assert_eq!(summary.counts.readings, 500);
        let mut partitions: BTreeMap<String, i32> = BTreeMap::new();
        for (partition, key, payload) in read(&brokers, 500) {
            assert!(payload.starts_with("{\"id\":"), "{payload}");
            assert_eq!(*partitions.entry(key).or_insert(partition), partition, "a sensor stays in its partition");
        }
        assert_eq!(partitions.len(), 20);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_csv_file_goes_line_by_line_with_its_header() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 3, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("synop.csv");
        std::fs::write(&file, "numer_sta;t\r\n07005;281.25\r\n07015;mq\r\n").unwrap();
        let file = file.to_str().unwrap();
        let send = ["simulate", "--from-file", file, "--key", "numer_sta", "--topic", "t", "--brokers", &brokers];
        run(Cli::parse_from(send).args).await.unwrap();
        let mut records: Vec<(String, String)> =
            read(&brokers, 2).into_iter().map(|(_, key, payload)| (key, payload)).collect();
        records.sort();
        let expected = [("07005", "numer_sta;t\n07005;281.25"), ("07015", "numer_sta;t\n07015;mq")];
        assert_eq!(records, expected.map(|(key, payload)| (key.to_owned(), payload.to_owned())));
    }
}
