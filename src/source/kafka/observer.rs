//! A client that only asks: why there is no answer, in words that name the brokers and what to do. Of a client that
//! reads, the reader's own polls say it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys::RDKafkaErrorCode;

use super::ffi::Client;
use super::topics::{self, Streams};
use super::trouble::refusal;
use crate::source::SourceError;

/// A topic that was made a moment ago may not be known to every broker yet.
const MISSING_GRACE: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    servers: Arc<str>,
    absent_since: Arc<Mutex<Option<Instant>>>,
}

impl Observer {
    pub fn new(properties: &BTreeMap<String, String>) -> Observer {
        Observer { servers: servers(properties).into(), absent_since: Arc::default() }
    }

    /// What is refused, what is not there yet, and what does not answer, told apart and named.
    pub fn explain(&self, client: &Client, streams: &Streams, error: SourceError) -> SourceError {
        let SourceError::Unavailable(text) = error else { return error };
        let grievances = client.grievances();
        if let Some(refusal) = grievances.iter().find_map(refusal) {
            return SourceError::Fatal(refusal);
        }
        if grievances.iter().any(|failure| failure.code.known() == Some(RDKafkaErrorCode::AllBrokersDown)) {
            return silence(client, &self.servers);
        }
        match topics::missing(client, streams) {
            Ok(absent) if absent.is_empty() => SourceError::Unavailable(text),
            Ok(absent) => self.absent(&absent),
            Err(_) => explained(client, &self.servers, SourceError::Unavailable(text)),
        }
    }

    fn absent(&self, names: &[String]) -> SourceError {
        let mut since = self.absent_since.lock().unwrap_or_else(PoisonError::into_inner);
        let text = topics::missing_text(names);
        match now().duration_since(*since.get_or_insert_with(now)) > MISSING_GRACE {
            true => SourceError::Fatal(text),
            false => SourceError::Unavailable(text),
        }
    }
}

pub fn servers(properties: &BTreeMap<String, String>) -> String {
    properties.get("bootstrap.servers").cloned().unwrap_or_default()
}

/// The remedy of whoever has asked these servers in vain.
pub fn reach(servers: &str) -> String {
    format!("kafka.bootstrap.servers = {servers}: are they up, and can this machine reach them?")
}

/// The error of a client that nobody polls: where there was no answer, what its connections have met says why.
pub fn explained(client: &Client, servers: &str, error: SourceError) -> SourceError {
    let SourceError::Unavailable(_) = error else { return error };
    match client.grievances().iter().find_map(refusal) {
        Some(refusal) => SourceError::Fatal(refusal),
        None => silence(client, servers),
    }
}

fn silence(client: &Client, servers: &str) -> SourceError {
    SourceError::Unavailable(told(client.notes.reason().map(|failure| failure.text), servers))
}

fn told(reason: Option<String>, servers: &str) -> String {
    let why = reason.map_or_else(String::new, |text| format!(" ({})", without_state(text)));
    format!("kafka does not answer{why}: {}", reach(servers))
}

/// Without librdkafka's own state, which nobody can do anything about.
fn without_state(mut text: String) -> String {
    text.truncate(text.find(" (after ").unwrap_or(text.len()));
    text
}

/// The edge's clock.
#[expect(clippy::disallowed_methods, reason = "patience with a topic that is absent: no result depends on it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_connection_stay_and_its_state_goes() {
        let text = "b:1/bootstrap: Connect to ipv4#1.2.3.4:1 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(
            told(Some(text.into()), "b:1"),
            "kafka does not answer (b:1/bootstrap: Connect to ipv4#1.2.3.4:1 failed: Connection refused): \
             kafka.bootstrap.servers = b:1: are they up, and can this machine reach them?"
        );
    }

    #[test]
    fn an_absent_topic_has_its_time() {
        let observer = Observer::new(&BTreeMap::from([("bootstrap.servers".to_owned(), "b:1".to_owned())]));
        let first = observer.absent(&["t".to_owned()]);
        assert!(matches!(&first, SourceError::Unavailable(text) if text.contains("no topic \"t\"")), "{first:?}");
        *observer.absent_since.lock().expect("nobody panicked") = now().checked_sub(MISSING_GRACE * 2);
        assert!(matches!(observer.absent(&["t".to_owned()]), SourceError::Fatal(_)));
    }
}
