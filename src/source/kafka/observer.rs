//! A client that only asks: why there is no answer, in words that name the brokers and what to do. Of a client that
//! reads, the reader's own polls say it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys::RDKafkaErrorCode as E;

use super::ffi::{Client, Failure};
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
        if !matches!(error, SourceError::Unavailable(_)) {
            return error;
        }
        let complaints = client.grievances();
        let all_down = complaints.iter().any(|one| one.code.known() == Some(E::AllBrokersDown));
        let refused = complaints.iter().any(|one| refusal(one).is_some());
        if all_down || refused {
            return verdict(&complaints, client, &self.servers);
        }
        match topics::missing(client, streams) {
            Ok(absent) if absent.is_empty() => error,
            Ok(absent) => self.absent(&absent),
            Err(_) => told(client, &self.servers, error),
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
fn reach(servers: &str) -> String {
    format!("kafka.bootstrap.servers = {servers}: are they up, and can this machine reach them?")
}

/// Why there is no answer: no request's own error says it, only what its connections have met.
pub fn told(client: &Client, servers: &str, error: SourceError) -> SourceError {
    match error {
        SourceError::Unavailable(_) => verdict(&client.grievances(), client, servers),
        other => other,
    }
}

fn verdict(complaints: &[Failure], client: &Client, servers: &str) -> SourceError {
    match complaints.iter().find_map(refusal) {
        Some(refusal) => SourceError::Fatal(refusal),
        None => SourceError::Unavailable(no_answer(client.notes.reason().map(|reason| reason.text), servers)),
    }
}

fn no_answer(reason: Option<String>, servers: &str) -> String {
    let why = reason.map_or_else(String::new, |text| format!(" ({})", without_state(&text)));
    format!("kafka does not answer{why}: {}", reach(servers))
}

/// Without librdkafka's own state, which nobody can do anything about.
fn without_state(text: &str) -> &str {
    &text[..text.find(" (after ").unwrap_or(text.len())]
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
            no_answer(Some(text.into()), "b:1"),
            "kafka does not answer (b:1/bootstrap: Connect to ipv4#1.2.3.4:1 failed: Connection refused): \
             kafka.bootstrap.servers = b:1: are they up, and can this machine reach them?"
        );
        assert!(no_answer(None, "b:1").starts_with("kafka does not answer: kafka.bootstrap.servers = b:1"));
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
