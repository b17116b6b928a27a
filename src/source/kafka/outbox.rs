//! Rejected and late readings on their way to their topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as E};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, util::Timeout};

use super::properties;
use crate::source::{Outbox, Outgoing, SourceError};

/// Readings in flight at once.
const CHUNK: usize = 1000;

/// Sends to the rejects topic and the late topic; returns once all in-sync replicas have them.
pub struct KafkaOutbox {
    producer: FutureProducer,
    rejects: String,
    late: String,
}

impl KafkaOutbox {
    /// `properties`: the user's; what is a consumer's only is left out.
    pub fn new(properties: &BTreeMap<String, String>, rejects: &str, late: &str) -> Result<KafkaOutbox, SourceError> {
        let refused = |error: KafkaError| properties::refused(properties, &error.to_string());
        let producer = config(properties).create().map_err(refused)?;
        Ok(KafkaOutbox { producer, rejects: rejects.into(), late: late.into() })
    }

    async fn send_one(&self, reading: &Outgoing) -> Result<(), SourceError> {
        match self.deliver(reading, &reading.value).await {
            // A reading that is too large must not stop the engine: its place and reason still go out.
            Err(error) if too_large(&error) => {
                let delivered = self.deliver(reading, &without_payload(&reading.value)).await;
                delivered.map_err(|error| self.verdict(reading, &error))
            }
            delivered => delivered.map_err(|error| self.verdict(reading, &error)),
        }
    }

    async fn deliver(&self, reading: &Outgoing, value: &str) -> Result<(), KafkaError> {
        let record = FutureRecord::to(self.topic(reading)).key(&reading.key).payload(value);
        self.producer.send(record, Timeout::Never).await.map(|_| ()).map_err(|(error, _)| error)
    }

    fn topic(&self, reading: &Outgoing) -> &str {
        if reading.late { &self.late } else { &self.rejects }
    }

    fn verdict(&self, reading: &Outgoing, error: &KafkaError) -> SourceError {
        let topic = self.topic(reading);
        let text = format!("topic \"{topic}\" did not take {}: {error}", reading.key);
        match error.rdkafka_error_code() {
            Some(E::UnknownTopic | E::UnknownTopicOrPartition | E::InvalidTopic) => {
                SourceError::Fatal(format!("{text}: `etiage migrate` creates it, or correct the name under [rejects]"))
            }
            Some(E::TopicAuthorizationFailed) => SourceError::Fatal(format!("{text}: grant this user WRITE on it")),
            Some(E::MessageSizeTooLarge | E::InvalidMessageSize) => SourceError::Fatal(format!(
                "{text}: raise the topic's max.message.bytes and message.max.bytes under [kafka]"
            )),
            Some(E::ClusterAuthorizationFailed | E::Fatal) => SourceError::Fatal(text),
            _ => SourceError::Unavailable(text),
        }
    }
}

impl Drop for KafkaOutbox {
    fn drop(&mut self) {
        // Nothing is owed to anybody here: `send` returns only when all is acknowledged.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}

#[async_trait]
impl Outbox for KafkaOutbox {
    async fn send(&self, readings: &[Arc<Outgoing>]) -> Result<(), SourceError> {
        for chunk in readings.chunks(CHUNK) {
            try_join_all(chunk.iter().map(|reading| self.send_one(reading))).await?;
        }
        Ok(())
    }
}

fn config(user: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    let defaults = [
        ("queue.buffering.max.kbytes", "16384"),
        ("queue.buffering.max.messages", "10000"),
        ("compression.type", "lz4"),
        // A topic that is just being created has so long; then it counts as absent.
        ("topic.metadata.propagation.max.ms", "10000"),
        // Long enough for a leader to move; the caller tries again.
        ("delivery.timeout.ms", "30000"),
    ];
    let fixed = [("acks", "all"), ("enable.idempotence", "true")];
    let given = properties::producer(user);
    for (key, value) in defaults {
        config.set(key, value);
    }
    for (key, value) in given.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(fixed) {
        config.set(key, value);
    }
    config.remove("request.required.acks");
    config
}

fn too_large(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(E::MessageSizeTooLarge | E::InvalidMessageSize))
}

/// The same object with its payload's size in place of the payload.
fn without_payload(value: &str) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(value).unwrap_or_default();
    object.remove("payload");
    object.insert("payload_withheld".into(), format!("too large for the topic ({} bytes in all)", value.len()).into());
    serde_json::Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_gives_way_and_the_reason_stays() {
        let long = r#"{"stream":"s","reason":"bad time","payload":"xxxxxxxx"}"#;
        let short = without_payload(long);
        let object: serde_json::Value = serde_json::from_str(&short).expect("an object");
        assert_eq!(object["reason"], "bad time");
        assert_eq!(object.get("payload"), None);
        assert!(
            object["payload_withheld"].as_str().is_some_and(|text| text.contains(&format!("{} bytes", long.len()))),
            "{short}"
        );
    }

    #[test]
    fn durability_is_not_the_users_to_lower() {
        let user = BTreeMap::from([("acks".to_string(), "1".to_string()), ("group.id".to_string(), "g".to_string())]);
        let config = config(&user);
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("group.id"), None);
        assert_eq!(config.get("delivery.timeout.ms"), Some("30000"));
    }
}
