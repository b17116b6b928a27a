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
}

impl Observer {
    pub fn new(properties: &BTreeMap<String, String>) -> Observer {
        Observer { servers: servers(properties).into(), absent_since: Arc::default() }
    }

    /// What is not there yet, and what does not answer, told apart and named.
    pub fn explain(&self, client: &Client, streams: &Streams, error: SourceError) -> SourceError {
        let SourceError::Unavailable(text) = error else { return error };
        let trouble = Trouble::of(client);
        if trouble.all_down {
            return SourceError::Unavailable(trouble.told(&self.servers));
        }
        match topics::missing(client, streams) {
            Ok(absent) if absent.is_empty() => SourceError::Unavailable(text),
            Ok(absent) => self.absent(&absent),
            Err(_) => SourceError::Unavailable(trouble.told(&self.servers)),
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
                _ => trouble.last = Some(failure.text),
            }
        }
        trouble
    }

    fn told(self, servers: &str) -> String {
        let why = self.last.map_or_else(String::new, |text| format!(" ({text})"));
        format!("kafka does not answer{why}: {}", reach(servers))
    }
}

pub fn no_answer(client: &Client, servers: &str) -> String {
    Trouble::of(client).told(servers)
}

/// The edge's clock.
#[expect(clippy::disallowed_methods, reason = "patience with a topic that is absent: no result depends on it")]
fn now() -> Instant {
    Instant::now()
}
