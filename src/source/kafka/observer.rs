//! A client that only asks: why there is no answer, in words that name the brokers and what to do. Of a client that
//! reads, the reader's own polls say it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ffi::Client;
use super::topics::{self, Streams};
use crate::source::SourceError;

/// A topic that was made a moment ago may not be known to every broker yet.
const MISSING_GRACE: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    servers: Arc<str>,
    absent_since: Arc<Mutex<Option<Instant>>>,
    /// librdkafka says a thing once: it stays true until there is an answer.
    last: Arc<Mutex<Option<String>>>,
}

impl Observer {
    pub fn new(properties: &BTreeMap<String, String>) -> Observer {
        Observer { servers: servers(properties).into(), absent_since: Arc::default(), last: Arc::default() }
    }

    /// What is not there yet, and what does not answer, told apart and named.
    pub fn explain(&self, client: &Client, streams: &Streams, error: SourceError) -> SourceError {
        let SourceError::Unavailable(text) = error else { return error };
        let trouble = self.remembered(Trouble::of(client));
        if trouble.all_down {
            return SourceError::Unavailable(trouble.told(&self.servers));
        }
        match topics::missing(client, streams) {
            Ok(absent) if absent.is_empty() => SourceError::Unavailable(text),
            Ok(absent) => self.absent(&absent),
            Err(_) => SourceError::Unavailable(trouble.told(&self.servers)),
        }
    }

    fn remembered(&self, trouble: Trouble) -> Trouble {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = trouble.last.or_else(|| last.take());
        Trouble { last: last.clone(), ..trouble }
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

/// What librdkafka has said of its connections since it was last asked: no request's own error says it.
struct Trouble {
    last: Option<String>,
    all_down: bool,
}

impl Trouble {
    fn of(client: &Client) -> Trouble {
        // Errors are called back from within a poll.
        client.consume(Duration::ZERO, 1, &mut Vec::new());
        let mut trouble = Trouble { last: None, all_down: false };
        while let Some(failure) = client.notes.next_error() {
            match failure.code.known() {
                Some(rdkafka_sys::RDKafkaErrorCode::AllBrokersDown) => trouble.all_down = true,
                _ => trouble.last = Some(without_state(failure.text)),
            }
        }
        trouble
    }

    fn told(self, servers: &str) -> String {
        let why = self.last.map_or_else(String::new, |text| format!(" ({text})"));
        format!("kafka does not answer{why}: {}", reach(servers))
    }
}

/// Without librdkafka's own state, which nobody can do anything about.
fn without_state(mut text: String) -> String {
    text.truncate(text.find(" (after ").unwrap_or(text.len()));
    text
}

pub fn no_answer(client: &Client, servers: &str) -> String {
    Trouble::of(client).told(servers)
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
        let trouble = Trouble { last: Some(without_state(text.into())), all_down: true };
        assert_eq!(
            trouble.told("b:1"),
            "kafka does not answer (b:1/bootstrap: Connect to ipv4#1.2.3.4:1 failed: Connection refused): \
             kafka.bootstrap.servers = b:1: are they up, and can this machine reach them?"
        );
    }

    #[test]
    fn what_was_said_once_is_remembered_and_an_absent_topic_has_its_time() {
        let observer = Observer::new(&BTreeMap::from([("bootstrap.servers".to_owned(), "b:1".to_owned())]));
        let said = |last: Option<&str>| Trouble { last: last.map(str::to_owned), all_down: false };
        assert_eq!(observer.remembered(said(None)).last, None);
        assert_eq!(observer.remembered(said(Some("refused"))).last.as_deref(), Some("refused"));
        assert_eq!(observer.remembered(said(None)).last.as_deref(), Some("refused"));
        let first = observer.absent(&["t".to_owned()]);
        assert!(matches!(&first, SourceError::Unavailable(text) if text.contains("no topic \"t\"")), "{first:?}");
        *observer.absent_since.lock().expect("nobody panicked") = now().checked_sub(MISSING_GRACE * 2);
        assert!(matches!(observer.absent(&["t".to_owned()]), SourceError::Fatal(_)));
    }
}
