//! The store's contract on real Cassandra: the conformance suite, the migration's lock and
//! refusals, and what the tables look like to those who query them.

use etiage::config::{CassandraConfig, StoreConfig};
use etiage::store::cassandra::{Cassandra, connect};
use etiage::store::{Store, StoreError, conformance};

/// Where a Cassandra listens: `127.0.0.1:9042`.
pub const NODE: &str = "ETIAGE_TEST_CASSANDRA";

/// Configures a keyspace of the test's own on the server under test.
pub fn config(keyspace: &str) -> CassandraConfig {
    let node = std::env::var(NODE).unwrap_or_else(|_| panic!("set {NODE} to the host:port of a Cassandra to test on"));
    CassandraConfig {
        nodes: vec![node],
        keyspace: format!("{keyspace}_{}", std::process::id()),
        replication: "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}".into(),
        local_datacenter: None,
        username: None,
        password: None,
        concurrency: 64,
        request_timeout_ms: 10_000,
        commit_lag_ms: 0,
        tls: None,
    }
}

fn refusal<T>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Refused(text)) => text,
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// The whole contract, from an absent keyspace on.
pub async fn cassandra_conforms() {
    let config = config("etiage_store");
    let store = connect(&config).await.unwrap();
    assert!(refusal(store.check().await).contains("run `etiage migrate`"));
    assert_eq!(applied(&store, true).await, [false; 2]);
    assert!(refusal(store.check().await).contains("run `etiage migrate`"), "a dry run touches nothing");
    two_migrations_at_once(&config).await;
    assert_eq!(applied(&store, true).await, [true; 2]);
    died_half_way(&store).await;

    let opened = etiage::store::open(&StoreConfig::Cassandra(config.clone())).await.unwrap();
    conformance::run(&*opened).await;
    another_datacenter_is_refused(&config).await;
    strangers_are_refused(&config, &store).await;
    store.drop_keyspace().await.unwrap();
}

/// A keyspace that knows no data centres, in a cluster of one; opened before it exists, and after.
pub async fn a_simple_keyspace_conforms() {
    let replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}".into();
    let config = CassandraConfig { replication, ..config("etiage_simple") };
    let store = connect(&config).await.unwrap();
    assert_eq!(applied(&store, false).await, [false; 2]);
    conformance::run(&connect(&config).await.unwrap()).await;
    store.drop_keyspace().await.unwrap();
}

async fn applied(store: &Cassandra, dry_run: bool) -> Vec<bool> {
    store.migrate(dry_run).await.unwrap().iter().map(|step| step.applied).collect()
}

/// What a migration had done before it died is not in the way of the next one.
async fn died_half_way(store: &Cassandra) {
    store.execute_raw("DELETE FROM schema_migrations WHERE scope = 'etiage' AND version = 2 IF EXISTS").await.unwrap();
    assert!(refusal(store.check().await).contains("run `etiage migrate`"));
    assert_eq!(applied(store, false).await, [true, false]);
    store.check().await.unwrap();
}

/// Of two that start together one waits for the other, and finds the work done.
async fn two_migrations_at_once(config: &CassandraConfig) {
    let stores = tokio::try_join!(connect(config), connect(config)).unwrap();
    let (left, right) = tokio::join!(applied(&stores.0, false), applied(&stores.1, false));
    let mut outcomes = [left, right];
    outcomes.sort();
    assert_eq!(outcomes, [vec![false; 2], vec![true; 2]]);
    stores.0.check().await.unwrap();
}

async fn another_datacenter_is_refused(config: &CassandraConfig) {
    let elsewhere = CassandraConfig { local_datacenter: Some("atlantis".into()), ..config.clone() };
    let text = refusal(connect(&elsewhere).await);
    assert!(text.contains("atlantis") && text.contains("store.local_datacenter"), "{text}");
}

/// A keyspace that a later release has migrated, then one whose recorded data centre is another.
async fn strangers_are_refused(config: &CassandraConfig, store: &Cassandra) {
    let later = "INSERT INTO schema_migrations (scope, version, name, checksum) VALUES ('etiage', 99, '0099_later.cql', 'x') IF NOT EXISTS";
    store.execute_raw(later).await.unwrap();
    let fresh = connect(config).await.unwrap();
    for text in [refusal(fresh.check().await), refusal(fresh.migrate(false).await), refusal(fresh.migrate(true).await)]
    {
        assert!(text.contains("version 99") && text.contains("use a newer etiage"), "{text}");
    }
    store.execute_raw("DELETE FROM schema_migrations WHERE scope = 'etiage' AND version = 99 IF EXISTS").await.unwrap();
    let moved =
        "UPDATE schema_migrations SET local_datacenter = 'atlantis' WHERE scope = 'etiage' AND version = 0 IF EXISTS";
    store.execute_raw(moved).await.unwrap();
    for text in [refusal(fresh.check().await), refusal(fresh.migrate(false).await)] {
        assert!(text.contains("\"atlantis\"") && text.contains("store.local_datacenter"), "{text}");
    }
}

/// A server that is not there is reported within seconds, with what to look at.
pub async fn an_absent_cassandra_is_named() {
    let config = CassandraConfig { nodes: vec!["127.0.0.1:1".into()], ..config("etiage_absent") };
    match connect(&config).await {
        Err(StoreError::Unavailable(text)) => {
            assert!(text.contains("127.0.0.1:1") && text.contains("store.nodes"), "{text}")
        }
        other => panic!("not unavailable: {other:?}"),
    }
}
