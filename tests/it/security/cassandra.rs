//! Cassandra with TLS and passwords: whoever is not let in is told what to set.

use super::{ROWS, refused, scenario, servers, with_cassandra};
use crate::support::{Servers, succeed};

#[test]
fn cassandra_whoever_is_not_let_in_is_told_what_to_set() {
    let servers = servers();
    let stranger = servers.certificate("cassandra", "stranger.ca.pem");
    let known = || with_cassandra(scenario(&servers), &servers, "cassandra", "cassandra");

    let wrong = known().with("STORE__PASSWORD", "S3cr3t-but-wrong");
    let credentials = ["refuses these credentials", "store.username and store.password"];
    refused(&wrong, "migrate", &[], &credentials);
    refused(&wrong, "run", &[], &credentials);
    refused(&wrong, "rows", &ROWS, &credentials);

    let untrusted = known().with("STORE__TLS__CA", &stranger);
    refused(&untrusted, "migrate", &[], &["not trusted", "store.tls.ca"]);
    refused(&untrusted, "run", &[], &["not trusted", "store.tls.ca"]);

    let silent = scenario(&servers).with("STORE__TLS__CA", &servers.certificate("cassandra", "ca.pem"));
    refused(&silent, "migrate", &[], &["who asks", "store.username and store.password"]);
    refused(&scenario(&servers), "migrate", &[], &[&servers.cassandra, "store.tls"]);

    // TLS where none is spoken, and an authority that is not there.
    let plain = known().with("STORE__NODES", &Servers::shared().cassandra);
    refused(&plain, "migrate", &[], &["no TLS", "store.tls to false"]);
    let absent = known().with("STORE__TLS__CA", "/nowhere/ca.pem");
    refused(&absent, "migrate", &[], &["store.tls.ca", "/nowhere/ca.pem"]);
}

/// A server of its own: what is asked of clients is asked of all of them.
#[test]
fn cassandra_asks_for_client_certificates() {
    let servers = Servers::cassandra_with_client_certificates("client_certificates");
    let file = |name: &str| servers.certificate("cassandra", name);
    let with = |certificate: &str, key: &str| {
        with_cassandra(scenario(&servers), &servers, "cassandra", "cassandra")
            .with("STORE__TLS__CERTIFICATE", &file(certificate))
            .with("STORE__TLS__KEY", &file(key))
    };
    let words = ["refuses this client's certificate", "store.tls.certificate and store.tls.key"];
    let none = with_cassandra(scenario(&servers), &servers, "cassandra", "cassandra");
    refused(&none, "rows", &ROWS, &words);
    refused(&with("stranger.pem", "stranger.key"), "rows", &ROWS, &words);
    let locked = with("client.pem", "client.locked.key");
    refused(&locked, "rows", &ROWS, &["store.tls.key", "key_password"]);
    refused(&with("client.pem", "server.key"), "rows", &ROWS, &["store.tls.key"]);

    // Let in (the passphrase is that of certificates.sh), and told what is missing inside.
    let known = locked.with("STORE__TLS__KEY_PASSWORD", "etiage-key");
    refused(&known, "rows", &ROWS, &["has no keyspace", "etiage migrate"]);
    let plain = with("client.pem", "client.key");
    let planned = succeed(
        plain.etiage("migrate", &["--dry-run"]).env("ETIAGE_KAFKA__BOOTSTRAP_SERVERS", &Servers::shared().kafka),
    );
    assert!(planned.contains("_reader: would be made"), "{planned}");
}
