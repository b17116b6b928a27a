//! What an error of Kafka's means for us: wait, look for the topic, or stop. Pure but for the log lines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka_sys::RDKafkaErrorCode as E;

use super::ffi::{Code, Failure};
use crate::source::SourceError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Goes away by itself: brokers down, leaders moving, a rebalance.
    Passing,
    /// The topic or partition is not known (any more).
    Missing,
    /// The log no longer holds the position.
    Gone,
    /// Stays until somebody does something.
    Lasting,
}

pub fn nature(code: Code) -> Nature {
    use Nature::{Gone, Lasting, Missing, Passing};
    let Some(known) = code.known() else { return Lasting };
    match known {
        E::UnknownTopic | E::UnknownPartition | E::UnknownTopicOrPartition | E::UnknownTopicId => Missing,
        E::AutoOffsetReset | E::OffsetOutOfRange | E::LogTruncation => Gone,
        E::BrokerTransportFailure | E::AllBrokersDown | E::Resolve | E::BrokerDestroy | E::DestroyBroker => Passing,
        E::OperationTimedOut | E::TimedOutQueue | E::WaitingForCoordinator | E::WaitCache | E::Retry => Passing,
        E::InProgress | E::PreviousInProgress | E::UnknownBroker | E::NodeUpdate | E::Outdated => Passing,
        // Certificates and passwords are renewed while the engine runs, and brokers may lag behind them.
        E::SSL | E::Authentication | E::SaslAuthenticationFailed | E::PollExceeded | E::AssignmentLost => Passing,
        E::LeaderNotAvailable | E::NotLeaderForPartition | E::RequestTimedOut | E::BrokerNotAvailable => Passing,
        E::ReplicaNotAvailable | E::NetworkException | E::CoordinatorLoadInProgress | E::NotController => Passing,
        E::CoordinatorNotAvailable | E::NotCoordinator | E::RebalanceInProgress | E::KafkaStorageError => Passing,
        E::FencedLeaderEpoch | E::UnknownLeaderEpoch | E::OffsetNotAvailable | E::PreferredLeaderNotAvailable => {
            Passing
        }
        E::EligibleLeadersNotAvailable | E::UnstableOffsetCommit | E::ThrottlingQuotaExceeded | E::MemberIdRequired => {
            Passing
        }
        E::IllegalGeneration | E::UnknownMemberId | E::StaleMemberEpoch | E::FencedMemberEpoch => Passing,
        E::NotEnoughReplicas | E::NotEnoughReplicasAfterAppend | E::RebootstrapRequired | E::ReassignmentInProgress => {
            Passing
        }
        E::FetchSessionIdNotFound | E::InvalidFetchSessionEpoch | E::StaleControllerEpoch | E::UnreleasedInstanceId => {
            Passing
        }
        _ => Lasting,
    }
}

/// An error of a request, as the engine is told.
pub fn request_error(what: &str, failure: &Failure) -> SourceError {
    match nature(failure.code) {
        Nature::Passing => SourceError::Unavailable(format!("{what}: {}", failure.text)),
        // A broker, or what librdkafka remembers, may not have heard of new partitions yet, and a leader that moves
        // may answer so: whether a topic is absent for good, the reader finds out, and gives it time.
        Nature::Missing => SourceError::Unavailable(format!(
            "{what}: {}: if this stays, `etiage migrate` creates topics",
            failure.text
        )),
        Nature::Gone | Nature::Lasting => {
            SourceError::Fatal(format!("{what}: {}{}", failure.text, remedy(failure.code)))
        }
    }
}

pub fn remedy(code: Code) -> &'static str {
    match code.known() {
        Some(E::TopicAuthorizationFailed) => {
            ": grant this user READ and DESCRIBE on the topic (WRITE on rejects and late)"
        }
        Some(E::GroupAuthorizationFailed) => ": grant this user READ on the consumer group",
        Some(E::ClusterAuthorizationFailed) => ": grant this user DESCRIBE on the cluster",
        _ => "",
    }
}

/// Says each kind of trouble once when it begins, and again every minute while it lasts.
#[derive(Default)]
pub struct Voice {
    said: BTreeMap<i32, Instant>,
}

impl Voice {
    const AGAIN: Duration = Duration::from_secs(60);

    pub fn warn(&mut self, failure: &Failure, now: Instant) {
        let said = self.said.get(&failure.code.0);
        if said.is_none_or(|at| now.duration_since(*at) >= Self::AGAIN) {
            tracing::warn!(error = %failure.code, "kafka: {}", failure.text);
            self.said.insert(failure.code.0, now);
        }
    }

    /// Records flow: whatever the trouble was, it is over.
    pub fn well(&mut self) {
        if !self.said.is_empty() {
            self.said.clear();
            tracing::info!("kafka: records flow again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_takes_a_topic_for_lost() {
        for code in [E::UnknownPartition, E::UnknownTopic, E::UnknownTopicOrPartition, E::UnknownTopicId] {
            let error = request_error("bounds", &Failure { code: Code(code as i32), text: "x".into() });
            assert!(matches!(&error, SourceError::Unavailable(text) if text.contains("etiage migrate")), "{error:?}");
        }
        let error =
            request_error("bounds", &Failure { code: Code(E::TopicAuthorizationFailed as i32), text: "x".into() });
        assert!(matches!(&error, SourceError::Fatal(text) if text.contains("READ")), "{error:?}");
    }

    #[test]
    fn outages_pass_and_unknown_codes_do_not() {
        assert_eq!(nature(Code(E::AllBrokersDown as i32)), Nature::Passing);
        assert_eq!(nature(Code(E::AutoOffsetReset as i32)), Nature::Gone);
        assert_eq!(nature(Code(E::UnknownTopicOrPartition as i32)), Nature::Missing);
        assert_eq!(nature(Code(E::BadCompression as i32)), Nature::Lasting);
        assert_eq!(nature(Code(32_000)), Nature::Lasting, "a code of a newer broker");
    }
}
