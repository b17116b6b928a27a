//! The store's contract against a real Cassandra.

use crate::store;

#[tokio::test(flavor = "multi_thread")]
async fn cassandra_keeps_the_contract_of_a_store() {
    store::cassandra_conforms().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cassandra_keeps_it_in_a_simple_keyspace() {
    store::a_simple_keyspace_conforms().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_cassandra_is_named() {
    store::an_absent_cassandra_is_named().await;
}
