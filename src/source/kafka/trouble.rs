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
        // Of one broker only, perhaps: `refusal` tells when waiting is no use.
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

/// Why the brokers let nobody in, where no waiting cures it, and what to set. Certificates and passwords are renewed
/// while the engine runs and brokers may lag behind them: so it is final at the start, and only a warning later.
pub fn refusal(failure: &Failure) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|word| failure.text.contains(word));
    let (what, remedy) = match failure.code.known()? {
        E::Authentication if says(&["mechanism handshake failed"]) => (
            "the brokers do not offer this SASL mechanism",
            "set sasl.mechanism under [kafka] to one of those that they support",
        ),
        E::Authentication | E::SaslAuthenticationFailed => (
            "the brokers refuse these credentials",
            "set sasl.username and sasl.password (or sasl.password.file) under [kafka] to those of a user that the \
             brokers know for this sasl.mechanism",
        ),
        E::SSL if says(&["certificate verify failed", "verify broker certificate"]) => (
            "the broker's certificate is not trusted",
            "set ssl.ca.location under [kafka] to the certificate of the authority that signed it, and \
             bootstrap.servers to names or addresses that it names",
        ),
        E::SSL if says(&["wrong version number", "packet length too long"]) => (
            "no TLS is spoken on this port",
            "set bootstrap.servers under [kafka] to a TLS listener, or security.protocol to PLAINTEXT or SASL_PLAINTEXT",
        ),
        // With TLS 1.3 the broker's refusal comes after the handshake, as an alert in place of an answer.
        E::SSL | E::BrokerTransportFailure if says(&CLIENT_CERTIFICATE_REFUSED) => (
            "the brokers refuse this client's certificate, or its absence",
            "set ssl.certificate.location and ssl.key.location under [kafka] to a certificate that they trust, and its \
             key",
        ),
        _ => return None,
    };
    Some(format!("kafka: {what} ({}): {remedy}", failure.text))
}

/// As OpenSSL words a server's alerts.
const CLIENT_CERTIFICATE_REFUSED: [&str; 6] = [
    "alert certificate required",
    "alert bad certificate",
    "alert unknown ca",
    "alert certificate unknown",
    "alert certificate expired",
    "alert unsupported certificate",
];

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
    fn refusals_name_what_to_set() {
        let of = |code: E, text: &str| refusal(&Failure { code: Code(code as i32), text: text.into() });
        let handshake =
            "ssl://b:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed";
        let receive = "ssl://b:1/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required";
        for (code, text, names) in [
            (E::Authentication, "SASL authentication error: invalid credentials", "sasl.password"),
            (E::Authentication, "SASL PLAIN mechanism handshake failed: x", "sasl.mechanism"),
            (E::SSL, handshake, "ssl.ca.location"),
            (E::SSL, "SSL handshake failed: error:0A00010B:SSL routines::wrong version number", "security.protocol"),
            (E::BrokerTransportFailure, receive, "ssl.certificate.location"),
        ] {
            let told = of(code, text).unwrap_or_else(|| panic!("no refusal: {text}"));
            assert!(told.contains(names) && told.contains(text), "{told}");
        }
        for (code, text) in [
            (E::BrokerTransportFailure, "Connect to ipv4#127.0.0.1:1 failed: Connection refused"),
            (
                E::BrokerTransportFailure,
                "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
            ),
            (E::AllBrokersDown, "1/1 brokers are down"),
        ] {
            assert_eq!(of(code, text), None, "{text}");
        }
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
