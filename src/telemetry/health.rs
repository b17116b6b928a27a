//! Whether the process lives, and whether it does its work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Shared between the engine, which sets it, and the listener, which shows it.
#[derive(Debug)]
pub struct Health {
    live: AtomicBool,
    ready: AtomicBool,
    /// Why it is not ready, or not live.
    reason: Mutex<String>,
}

impl Health {
    /// Lives, and is not ready yet for the given reason.
    pub fn starting(reason: &str) -> Health {
        Health { live: AtomicBool::new(true), ready: AtomicBool::new(false), reason: Mutex::new(reason.to_owned()) }
    }

    pub fn ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// It goes on by itself once the reason has passed: "cassandra does not answer".
    pub fn not_ready(&self, reason: &str) {
        self.say(reason);
        self.ready.store(false, Ordering::Release);
    }

    /// Only a restart helps.
    pub fn dead(&self, reason: &str) {
        self.not_ready(reason);
        self.live.store(false, Ordering::Release);
    }

    /// `Err` says why not.
    pub fn is_live(&self) -> Result<(), String> {
        if self.live.load(Ordering::Acquire) { Ok(()) } else { Err(self.reason()) }
    }

    /// `Err` says why not.
    pub fn is_ready(&self) -> Result<(), String> {
        if self.ready.load(Ordering::Acquire) { Ok(()) } else { Err(self.reason()) }
    }

    fn say(&self, reason: &str) {
        let mut text = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        text.clear();
        text.push_str(reason);
    }

    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
