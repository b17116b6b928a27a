//! Rejected and late readings on their way out: no commit may pass a record before its readings
//! are acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::reading::Offset;
use crate::source::Outgoing;

/// Readings sent at a time, at most.
const MAX_SENDING: usize = 10_000;

#[derive(Default)]
pub struct Outbox {
    waiting: VecDeque<(Offset, Arc<Outgoing>)>,
    sending: Vec<(Offset, Arc<Outgoing>)>,
    bytes: usize,
}

impl Outbox {
    pub fn push(&mut self, record: Offset, reading: Outgoing) {
        self.bytes += size(&reading);
        self.waiting.push_back((record, Arc::new(reading)));
    }

    /// What goes next. What nobody has settled goes again.
    pub fn send(&mut self) -> Vec<Arc<Outgoing>> {
        self.failed();
        let count = self.waiting.len().min(MAX_SENDING);
        self.sending = self.waiting.drain(..count).collect();
        self.sending.iter().map(|(_, reading)| reading.clone()).collect()
    }

    pub fn acked(&mut self) {
        let gone: usize = self.sending.iter().map(|(_, reading)| size(reading)).sum();
        self.bytes -= gone;
        self.sending.clear();
    }

    pub fn failed(&mut self) {
        for unsent in self.sending.drain(..).rev() {
            self.waiting.push_front(unsent);
        }
    }

    /// The lowest record with a reading that is not acknowledged.
    pub fn low(&self) -> Option<Offset> {
        self.waiting.iter().chain(&self.sending).map(|(record, _)| *record).min()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(reading: &Outgoing) -> usize {
    reading.key.len() + reading.value.len() + std::mem::size_of::<(Offset, Arc<Outgoing>, Outgoing)>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(number: i64) -> Outgoing {
        Outgoing { late: false, key: number.to_string(), value: String::new() }
    }

    #[test]
    fn nothing_is_forgotten_before_it_is_acknowledged() {
        let mut outbox = Outbox::default();
        (0..3).for_each(|number| outbox.push(Offset(number), reading(number)));
        assert_eq!(outbox.send().len(), 3);
        outbox.push(Offset(3), reading(3));
        outbox.failed();
        assert_eq!(outbox.low(), Some(Offset(0)));
        let again: Vec<String> = outbox.send().iter().map(|reading| reading.key.clone()).collect();
        assert_eq!(again, ["0", "1", "2", "3"]);
        outbox.acked();
        assert_eq!((outbox.low(), outbox.bytes()), (None, 0));
    }

    #[test]
    fn a_flood_goes_in_shares() {
        let mut outbox = Outbox::default();
        (0..MAX_SENDING as i64 + 5).for_each(|number| outbox.push(Offset(number), reading(number)));
        assert_eq!(outbox.send().len(), MAX_SENDING);
        outbox.acked();
        assert_eq!(outbox.low(), Some(Offset(MAX_SENDING as i64)));
        assert_eq!(outbox.send().len(), 5);
    }
}
