//! What a server may be set to that would break the store's rules: limits on write timestamps
//! (ours are a generation's epoch plus a revision, old from the start), and time to live.

use std::time::Duration;

use scylla::statement::Consistency;

use super::Cassandra;
use super::roles::SETTINGS;
use crate::store::StoreError;

/// How old a write's timestamp may be, and how far ahead; beyond, the write fails.
const MINIMUM: &str = "minimum_timestamp_fail_threshold";
const MAXIMUM: &str = "maximum_timestamp_fail_threshold";

/// Whether clients may give timestamps at all.
const ALLOWED: &str = "user_timestamps_enabled";

/// An epoch lies ahead of the clock by some hours after a replay.
const AHEAD: Duration = Duration::from_secs(86_400);

impl Cassandra {
    pub(super) async fn check_guards(&self) -> Result<(), StoreError> {
        let readable = self.may_read(SETTINGS).await?;
        if !readable {
            tracing::warn!(
                "cassandra's guardrails on timestamps cannot be checked: let this user read {SETTINGS}, as `etiage \
                 migrate` lets the role {}_writer",
                self.keyspace
            );
        }
        for name in [ALLOWED, MINIMUM, MAXIMUM].into_iter().filter(|_| readable) {
            if let Some(value) = self.setting(name).await? {
                check_guardrail(name, &value)?;
            }
        }
        let text = "SELECT table_name, default_time_to_live FROM system_schema.tables WHERE keyspace_name = ?";
        let tables: Vec<(String, Option<i32>)> = self.ask(text, (&self.keyspace,), Consistency::LocalOne).await?;
        tables.into_iter().try_for_each(|(table, ttl)| check_ttl(&table, ttl.unwrap_or(0)))
    }

    /// A setting of the node that happens to answer; none on servers without this table.
    pub(super) async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let text = format!("SELECT value FROM {SETTINGS} WHERE name = ?");
        match self.ask::<(Option<String>,)>(&text, (name,), Consistency::LocalOne).await {
            Ok(found) => Ok(found.into_iter().next().and_then(|(value,)| value)),
            Err(StoreError::Refused(_)) => Ok(None),
            Err(unavailable) => Err(unavailable),
        }
    }
}

fn check_ttl(table: &str, ttl: i32) -> Result<(), StoreError> {
    if ttl == 0 {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "table {table} has default_time_to_live = {ttl}: cells would expire by the clock and be counted again; ALTER TABLE {table} WITH default_time_to_live = 0"
    )))
}

fn check_guardrail(name: &str, value: &str) -> Result<(), StoreError> {
    let unset = value.is_empty() || value == "null";
    let harmless = match name {
        ALLOWED => value != "false",
        MAXIMUM => unset || duration_of(value).is_some_and(|limit| limit >= AHEAD),
        _ => unset,
    };
    if harmless {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "cassandra's guardrail {name} is {value}, but étiage writes with timestamps of its own (a generation's epoch \
         plus a revision): let {ALLOWED} be true, {MINIMUM} unset, and {MAXIMUM} unset or at least {} h",
        AHEAD.as_secs() / 3600
    )))
}

/// A duration as Cassandra writes it: a number and a unit.
pub(super) fn duration_of(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let nanoseconds: u64 = match &text[digits..] {
        "d" => 86_400_000_000_000,
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    Some(Duration::from_nanos(number.saturating_mul(nanoseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guardrails_that_would_fail_our_writes_are_refused() {
        for (name, value) in [
            (ALLOWED, "true"),
            (MINIMUM, ""),
            (MINIMUM, "null"),
            (MAXIMUM, "null"),
            (MAXIMUM, "24h"),
            (MAXIMUM, "3d"),
            (MAXIMUM, "86400s"),
        ] {
            assert!(check_guardrail(name, value).is_ok(), "{name} {value}");
        }
        for (name, value) in [
            (ALLOWED, "false"),
            (MINIMUM, "10000d"),
            (MAXIMUM, "23h"),
            (MAXIMUM, "3000000us"),
            (MAXIMUM, "soon"),
            (MAXIMUM, "5"),
        ] {
            let text = check_guardrail(name, value).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(value) && text.contains("24 h"), "{text}");
        }
    }

    #[test]
    fn a_time_to_live_is_refused() {
        assert!(check_ttl("parts", 0).is_ok());
        let text = check_ttl("parts", 60).unwrap_err().to_string();
        assert!(text.contains("ALTER TABLE parts WITH default_time_to_live = 0"), "{text}");
    }
}
