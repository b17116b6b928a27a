//! Keeps secrets out of logs and messages.

use std::fmt;

use super::{CassandraConfig, KafkaConfig, TlsConfig};

/// Shown in place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// Whether a key's value is a secret; of librdkafka's properties, rather one too many.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let words = ["password", "secret", "pem", "sasl.jaas", "oauthbearer", "token", "credential", "ssl.key", "ssl_key"];
    words.iter().any(|word| key.contains(word)) && !key.ends_with(".location")
}

/// A property as it may be shown.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret(key) { HIDDEN } else { value }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.properties.iter().map(|(key, value)| (key, shown(key, value)))).finish()
    }
}

impl fmt::Debug for CassandraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraConfig")
            .field("nodes", &self.nodes)
            .field("keyspace", &self.keyspace)
            .field("replication", &self.replication)
            .field("local_datacenter", &self.local_datacenter)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| HIDDEN))
            .field("concurrency", &self.concurrency)
            .field("request_timeout_ms", &self.request_timeout_ms)
            .field("commit_lag_ms", &self.commit_lag_ms)
            .field("tls", &self.tls)
            .finish()
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("ca", &self.ca)
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("key_password", &self.key_password.as_ref().map(|_| HIDDEN))
            .finish()
    }
}
