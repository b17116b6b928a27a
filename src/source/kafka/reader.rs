//! The thread that polls: messages → batches, errors → a log line or a failure, room or no room → resume or pause.
//!
//! It never waits inside librdkafka for more than a moment and never for the engine: what the engine has no
//! room for waits in the outlet, and a rebalance under way is a state (`rebalance.rs`).

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Shared;
use super::doubted::{Doubted, Place};
use super::ffi::{Client, Code, Failure, List, Message};
use super::rebalance::Step;
use super::topics::{self, Streams};
use super::trouble::{self, Nature, Voice, nature};
use crate::reading::{Offset, RawBatch, TopicPartition};
use crate::source::outlet::{Flow, Outlet};
use crate::source::{SourceError, SourceEvent};

/// A batch's bytes, about; one record may be larger.
const BATCH_BYTES: usize = 1 << 20;
/// Messages taken by one poll, at most (what is done with them then finds them in a cache), and their bytes, about.
const POLL_MESSAGES: usize = 2048;
const POLL_BYTES: usize = 4 << 20;
/// How long a poll waits for the first message.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// How long one waits while an answer of the engine, or room, is awaited.
const SHORT_WAIT: Duration = Duration::from_millis(2);
/// Waiting for room longer than this pauses the partitions. Pausing costs: librdkafka drops what it has fetched.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// How long the brokers have to take note that this member leaves.
const LEAVE_MARGIN: Duration = Duration::from_secs(2);
/// A matter of librdkafka's own threads, not of the brokers'.
pub(super) const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
/// A member that the group has not taken in yet asks this often.
const ASK_GROUP_AGAIN: Duration = Duration::from_millis(300);
/// A topic may be absent for so long: at start, or because it is being made anew.
const MISSING_GRACE: Duration = Duration::from_secs(30);
/// Brokers may refuse certificates or credentials for so long once they have let this member in: they are renewed
/// here and there, not everywhere at once.
const DENIED_GRACE: Duration = Duration::from_secs(60);

pub struct Reader {
    pub(super) client: Arc<Client>,
    pub(super) shared: Arc<Shared>,
    pub(super) streams: Arc<Streams>,
    /// Of a topic: the header that goes along.
    headers: BTreeMap<String, CString>,
    pub(super) outlet: Outlet,
    /// Partitions being read, by topic, with the place of each: what comes below it has been handed over already.
    pub(super) held: BTreeMap<Arc<str>, BTreeMap<i32, Place>>,
    pub(super) doubted: Doubted,
    pub(super) rebalance: Option<Step>,
    pub(super) revoke_deadline: Duration,
    messages: Vec<Message>,
    /// Messages of the next poll: so many that they have about `POLL_BYTES`.
    limit: usize,
    /// The last poll took all that there was, calls for a rebalance included.
    pub(super) drained: bool,
    stalled: Option<Instant>,
    pub(super) paused: bool,
    pub(super) voice: Voice,
    /// When the group is asked (again) whether it has taken this member in; `None` once it has.
    ask_group_at: Option<Instant>,
    missing: Option<Instant>,
    /// Since when a broker has refused this member, and its words with what to set.
    denied: Option<(Instant, String)>,
    pub(super) failed: bool,
    /// When leaving the group must have ended.
    pub(super) leaving: Option<Instant>,
    gone: bool,
}

impl Reader {
    pub(super) fn new(
        client: Arc<Client>,
        shared: Arc<Shared>,
        streams: Arc<Streams>,
        headers: BTreeMap<String, CString>,
        outlet: Outlet,
        revoke_deadline: Duration,
    ) -> Reader {
        Reader {
            client,
            shared,
            streams,
            headers,
            outlet,
            held: BTreeMap::new(),
            doubted: Doubted::default(),
            rebalance: None,
            revoke_deadline,
            messages: Vec::new(),
            limit: POLL_MESSAGES,
            drained: false,
            stalled: None,
            paused: false,
            voice: Voice::default(),
            ask_group_at: Some(now()),
            missing: None,
            denied: None,
            failed: false,
            leaving: None,
            gone: false,
        }
    }

    /// Until the group has been left.
    pub fn run(mut self) {
        if self.prepare() {
            while !self.over() {
                self.read();
                self.heed_errors();
                self.rebalance();
                self.look_for_group();
                self.hand_over();
                self.leave_if_asked();
            }
        }
        // Failures of the last moment still go out, if there is room.
        self.outlet.pump();
    }

    /// Waits until the topics are there and fit, then subscribes; false if stopped before.
    fn prepare(&mut self) -> bool {
        let mut absent_since = None;
        while !self.stop_asked() {
            match self.look() {
                Ok(absent) if absent.is_empty() => return self.subscribe(),
                Ok(absent) => {
                    if now().duration_since(*absent_since.get_or_insert_with(now)) > MISSING_GRACE {
                        self.fail(topics::missing_text(&absent));
                    }
                }
                Err(SourceError::Unavailable(text)) => self.endure(&text),
                Err(other) => self.fail(other.to_string()),
            }
            self.idle();
        }
        false
    }

    /// No answer yet: that is borne, unless it is because nobody lets us in.
    fn endure(&mut self, text: &str) {
        tracing::debug!("kafka: {text}");
        self.client.consume(Duration::ZERO, 1, &mut self.messages);
        self.messages.clear();
        self.heed_errors();
        if let Some((_, refusal)) = self.denied.take() {
            self.fail(refusal);
        }
    }

    /// The topics that are absent; where none is, all are fit to be read.
    fn look(&self) -> Result<Vec<String>, SourceError> {
        let request = |failure: Failure| trouble::request_error("topics", &failure);
        let absent = topics::missing(&self.client, &self.streams).map_err(request)?;
        if absent.is_empty() {
            topics::fit(&self.client, &self.streams)?;
        }
        Ok(absent)
    }

    /// Serves callbacks while there is nothing to read; after a failure, until the engine stops the source.
    fn idle(&mut self) {
        loop {
            self.client.consume(Duration::from_millis(200), 1, &mut self.messages);
            self.messages.clear();
            self.heed_errors();
            self.hand_over();
            if !self.failed || self.stop_asked() {
                return;
            }
        }
    }

    fn subscribe(&mut self) -> bool {
        let result = self.client.subscribe(self.streams.keys().map(|name| &**name));
        if let Err(failure) = result {
            self.fail(format!("kafka: subscription: {}", failure.text));
        }
        true
    }

    /// Of an assignment of no partition nothing is heard under every protocol: whether the group has taken this member in is asked.
    fn look_for_group(&mut self) {
        if self.ask_group_at.is_none_or(|at| now() < at) {
            return;
        }
        self.ask_group_at = Some(now() + ASK_GROUP_AGAIN);
        if self.client.is_member() {
            self.ask_group_at = None;
            self.outlet.control(SourceEvent::Joined);
        }
    }

    fn over(&mut self) -> bool {
        let Some(mut deadline) = self.leaving else { return false };
        if self.rebalance.is_none() && self.shared.owns_nothing() {
            // Only the brokers are still to be told, and they may be away.
            deadline = deadline.min(now() + LEAVE_MARGIN);
            self.leaving = Some(deadline);
        }
        self.client.closed() || now() > deadline
    }

    fn stop_asked(&self) -> bool {
        self.gone || self.shared.stop_asked()
    }

    /// Polls once, unless the engine has no room and has had none only briefly.
    fn read(&mut self) {
        let waiting = self.stalled.is_some() && !self.paused && self.leaving.is_none();
        self.drained = false;
        if waiting {
            thread::sleep(SHORT_WAIT);
            return;
        }
        self.client.consume(Duration::ZERO, self.limit, &mut self.messages);
        if self.messages.is_empty() {
            let wait = if self.rebalance.is_some() || self.paused { SHORT_WAIT * 5 } else { POLL_WAIT };
            self.client.consume(wait, 1, &mut self.messages);
            if !self.messages.is_empty() {
                self.client.consume(Duration::ZERO, self.limit, &mut self.messages);
            }
        }
        self.drained = self.messages.len() < self.limit;
        self.sort_out();
    }

    /// Messages → batches, errors and ends, in order.
    fn sort_out(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        let bytes: usize = messages.iter().map(Message::size).sum();
        if let Some(mean) = bytes.checked_div(messages.len()) {
            self.limit = (POLL_BYTES / mean.max(1)).clamp(1, POLL_MESSAGES);
        }
        let mut rest = &messages[..];
        while let Some(first) = rest.first() {
            let count = if first.code().0 == 0 { self.take_run(rest) } else { self.heed(first) };
            rest = &rest[count..];
        }
        self.messages = messages;
        self.messages.clear();
    }

    /// The longest beginning that is of one partition and fits one batch: how many messages.
    fn take_run(&mut self, messages: &[Message]) -> usize {
        let first = &messages[0];
        let (place, mut bytes) = (first.place(), 0);
        let fits = |message: &&Message| {
            let one_run = message.place() == place && message.code().0 == 0 && bytes < BATCH_BYTES;
            bytes += message.size();
            one_run
        };
        let count = messages.iter().take_while(fits).count().max(1);
        if !self.failed {
            self.hand_on(&first.topic(), first.partition(), &messages[..count]);
        }
        count
    }

    fn hand_on(&mut self, topic: &str, partition: i32, run: &[Message]) {
        let Some((name, _)) = self.streams.get_key_value(topic) else { return };
        if self.doubted.holds_up(topic, partition) {
            return;
        }
        // Of a partition that has been given up meanwhile.
        let Some(place) = self.held.get_mut(topic).and_then(|held| held.get_mut(&partition)) else { return };
        let raw = copy(run, place, self.headers.get(topic).map(|header| &**header));
        if !raw.records.is_empty() {
            self.voice.well();
            let one = TopicPartition { topic: name.clone(), partition };
            self.doubted.forget(&one);
            self.outlet.batch(one, raw);
        }
    }

    /// An error in a message's place.
    fn heed(&mut self, message: &Message) -> usize {
        let (topic, partition) = (message.topic(), message.partition());
        let failure = Failure { code: message.code(), text: message.error_text() };
        let held = self.place(&topic, partition).is_some();
        let name = self.streams.get_key_value(topic.as_str()).map(|(name, _)| name.clone());
        match (name, nature(failure.code)) {
            (Some(topic), _) if is_end(failure.code) => {
                if held && !self.failed && !self.doubted.holds_up(&topic, partition) {
                    let one = TopicPartition { topic, partition };
                    self.doubted.forget(&one);
                    self.outlet.end(one, Offset(message.offset()));
                }
            }
            (Some(topic), Nature::Gone) if held => {
                if !self.doubt(TopicPartition { topic: topic.clone(), partition }, &failure) {
                    self.fail(gone_text(&topic, partition, message.offset(), &failure.text));
                }
            }
            (Some(topic), Nature::Lasting) if held || partition < 0 => {
                let remedy = trouble::remedy(failure.code);
                self.fail(format!("kafka: {topic}/{partition}: {}{remedy}", failure.text));
            }
            (None, Nature::Lasting) => {
                self.fail(format!("kafka: {}{}", failure.text, trouble::remedy(failure.code)));
            }
            (_, kind) => self.bear(&failure, kind),
        }
        1
    }

    /// Errors that came through the callback: of connections, and fatal ones of the client.
    fn heed_errors(&mut self) {
        while let Some(failure) = self.client.notes.next_error() {
            match self.client.fatal() {
                Some(text) => self.fail(format!("kafka: the client cannot go on: {text}: start again")),
                None => self.bear(&failure, nature(failure.code)),
            }
        }
        self.look_for_missing();
        self.look_for_denial();
    }

    pub(super) fn bear(&mut self, failure: &Failure, kind: Nature) {
        if kind == Nature::Missing {
            self.missing.get_or_insert_with(now);
        }
        if let Some(refusal) = trouble::refusal(failure) {
            self.denied.get_or_insert_with(|| (now(), refusal));
        }
        self.voice.warn(failure, now());
    }

    /// A topic that was said to be unknown has had its time to come back.
    fn look_for_missing(&mut self) {
        if self.missing.is_none_or(|since| now().duration_since(since) <= MISSING_GRACE) {
            return;
        }
        match topics::missing(&self.client, &self.streams) {
            Ok(names) if names.is_empty() => self.missing = None,
            Ok(names) => {
                self.missing = None;
                self.fail(topics::missing_text(&names));
            }
            Err(failure) => self.voice.warn(&failure, now()),
        }
    }

    /// Whoever was refused by a broker may have been let in since, or by the others.
    fn look_for_denial(&mut self) {
        let Some((_, refusal)) = self.denied.take_if(|(since, _)| now().duration_since(*since) > DENIED_GRACE) else {
            return;
        };
        if let Err(failure) = topics::missing(&self.client, &self.streams) {
            self.voice.warn(&failure, now());
            self.fail(refusal);
        }
    }

    /// Tells the engine, once, and reads nothing further.
    pub(super) fn fail(&mut self, text: String) {
        if !std::mem::replace(&mut self.failed, true) {
            self.outlet.forget_all();
            self.outlet.control(SourceEvent::Failed(SourceError::Fatal(text)));
        }
    }

    fn hand_over(&mut self) {
        let stalled = match self.outlet.pump() {
            Flow::Gone => return self.gone = true,
            Flow::Full => {
                let since = *self.stalled.get_or_insert_with(now);
                now().duration_since(since) > PAUSE_AFTER
            }
            Flow::Open => {
                self.stalled = None;
                false
            }
        };
        if !self.paused && (stalled || self.doubted.needs_pause(now())) {
            self.client.pause(&self.all_held());
            self.paused = true;
            tracing::debug!(stalled, "kafka: paused");
        } else if self.paused && self.stalled.is_none() && !self.doubted.needs_pause(now()) {
            self.paused = false;
            self.say_positions_anew();
            self.client.resume(&self.all_held());
            tracing::debug!("kafka: resumed");
        }
    }

    /// Before paused partitions go on. librdkafka takes them up where it believes that we are, and a reported end
    /// has told it one record too many (in 2.12 a batch's every message counts, an "end of partition" too): it would
    /// skip a record, or ask for one that is not there yet.
    pub(super) fn say_positions_anew(&mut self) {
        self.doubted.seeks();
        let list = self.all_held();
        if list.is_empty() {
            return;
        }
        if let Err(failure) = self.client.seek(&list, SEEK_TIMEOUT) {
            self.fail(format!("kafka: reading on after a pause: {}: start again", failure.text));
        }
    }

    pub(super) fn place(&self, topic: &str, partition: i32) -> Option<Place> {
        self.held.get(topic).and_then(|held| held.get(&partition)).copied()
    }

    fn all_held(&self) -> List {
        let mut list = List::new();
        for (topic, partitions) in &self.held {
            for (partition, place) in partitions {
                let entry = list.add(topic, *partition).offset(place.next);
                if self.doubted.holds_up(topic, *partition) {
                    // Else it would be read on in whatever log there is, and the answer be one for that.
                    entry.leader_epoch(place.leader_epoch);
                }
            }
        }
        list
    }

    fn leave_if_asked(&mut self) {
        if self.leaving.is_some() || !self.stop_asked() {
            return;
        }
        self.leaving = Some(now() + self.revoke_deadline + LEAVE_MARGIN);
        if let Err(failure) = self.client.begin_close() {
            tracing::warn!("kafka: leaving the group: {}", failure.text);
            self.give_up_all();
            self.leaving = Some(now());
        }
    }
}

/// Copies the records at or after `place`, each with its value of `header`, and moves it past them.
fn copy(run: &[Message], place: &mut Place, header: Option<&CStr>) -> RawBatch {
    let bytes = run.iter().map(Message::size).sum();
    let mut raw =
        RawBatch { bytes: Vec::with_capacity(bytes), records: Vec::with_capacity(run.len()), leader_epoch: -1 };
    for message in run.iter().filter(|message| message.offset() >= place.next) {
        // Never `None`: that would set the files' bound on event times.
        raw.push(Offset(message.offset()), Some(message.timestamp_ms()), message.key(), message.payload());
        if let Some(value) = header.and_then(|header| message.header(header)) {
            raw.push_header(value);
        }
    }
    if let (Some(last), Some(record)) = (run.last(), raw.records.last()) {
        raw.leader_epoch = last.leader_epoch();
        *place = Place { next: record.offset.after().0, leader_epoch: raw.leader_epoch.max(-1) };
    }
    raw
}

fn is_end(code: Code) -> bool {
    code.known() == Some(rdkafka_sys::RDKafkaErrorCode::PartitionEOF)
}

fn gone_text(topic: &str, partition: i32, offset: i64, words: &str) -> String {
    format!(
        "{topic}/{partition}: the log no longer holds offset {offset}, where reading was to go on ({words}): records \
         may have been removed before they were read; `etiage replay --from earliest --forget-history` computes anew from \
         what is left"
    )
}

/// The edge's clock.
#[expect(clippy::disallowed_methods, reason = "deadlines and pauses of this thread alone: no result depends on them")]
pub(super) fn now() -> Instant {
    Instant::now()
}
