//! Whether a store keeps what it acknowledges. Pure.

use super::{About, Finding, duration};
use crate::store::StoreFacts;

/// A Cassandra keyspace; `commit_lag_ms` is the configured one.
pub fn cassandra(facts: &StoreFacts, keyspace: &str, commit_lag_ms: u64) -> Vec<Finding> {
    let mut about = About::new(format!("keyspace {keyspace}"));
    for (place, factor) in &facts.replication {
        match factor {
            0 => {}
            1 => about.warn(format!(
                "{place} = 1: one replica, so a lost node loses rows and a node that is away stops the engine; \
                 ALTER KEYSPACE {keyspace} to 3, then run a full repair"
            )),
            2 => about.warn(format!(
                "{place} = 2: a quorum of two is both, so a node that is away stops the engine; 3 replicas bear one loss"
            )),
            _ => about.well(format!("{factor} replicas ({place})")),
        }
    }
    commit_log(facts, commit_lag_ms, &mut about);
    about.findings
}

/// An acknowledged write is safe once the commit log is on disk: two writes a lag apart stand for it.
fn commit_log(facts: &StoreFacts, commit_lag_ms: u64, about: &mut About) {
    let lag = duration(commit_lag_ms as i64);
    match (facts.log_sync.as_deref(), facts.log_sync_period_ms) {
        (Some("periodic"), Some(period_ms)) if commit_lag_ms < 2 * period_ms => about.warn(format!(
            "store.commit_lag is {lag}, and the servers sync their commit log every {}: a power cut could take what a \
             commit relies on; set store.commit_lag to {}",
            duration(period_ms as i64),
            duration(2 * period_ms as i64)
        )),
        (Some("periodic"), Some(period_ms)) => {
            about.well(format!("commit log synced every {}, store.commit_lag {lag}", duration(period_ms as i64)));
        }
        (Some(sync @ ("batch" | "group")), _) if commit_lag_ms > 0 => about.well(format!(
            "commit log synced before each acknowledgement ({sync}): store.commit_lag could be \"0s\" instead of {lag}"
        )),
        (Some(sync @ ("batch" | "group")), _) => {
            about.well(format!("commit log synced before each acknowledgement ({sync})"))
        }
        _ => about.warn(format!(
            "commitlog_sync cannot be read here: make sure that store.commit_lag ({lag}) is twice the servers' \
             commitlog_sync_period"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Level, levels};
    use super::*;

    fn facts(factor: u32, sync: Option<&str>, period_ms: Option<u64>) -> StoreFacts {
        StoreFacts {
            name: "Cassandra".into(),
            replication: BTreeMap::from([("dc1".to_owned(), factor)]),
            log_sync: sync.map(str::to_owned),
            log_sync_period_ms: period_ms,
        }
    }

    #[test]
    fn three_replicas_and_twice_the_period_are_well() {
        let findings = cassandra(&facts(3, Some("periodic"), Some(10_000)), "k", 20_000);
        assert!(findings.iter().all(|one| one.level == Level::Well) && findings.len() == 2, "{findings:?}");
        for sync in ["batch", "group"] {
            assert!(levels(&cassandra(&facts(3, Some(sync), None), "k", 0), Level::Warning).is_empty());
        }
    }

    #[test]
    fn what_may_be_lost_is_said() {
        for (facts, lag_ms, says) in [
            (facts(1, Some("batch"), None), 0, "dc1 = 1: one replica"),
            (facts(2, Some("batch"), None), 0, "dc1 = 2: a quorum of two is both"),
            (facts(3, Some("periodic"), Some(10_000)), 2_000, "set store.commit_lag to 20s"),
            (facts(3, None, None), 20_000, "commitlog_sync cannot be read"),
        ] {
            let findings = cassandra(&facts, "k", lag_ms);
            let warnings = levels(&findings, Level::Warning);
            assert!(matches!(warnings[..], [text] if text.contains(says)), "{says}: {findings:?}");
        }
    }
}
