//! The contracts of store and source against real servers.

use crate::support::Servers;
use crate::{kafka_source, store};

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

#[tokio::test(flavor = "multi_thread")]
async fn kafka_source_reads_commits_and_refuses() {
    let kafka = Servers::shared().kafka.clone();
    kafka_source::reads_commits_and_reads_back(&kafka).await;
    kafka_source::metadata_up_to_the_limit(&kafka).await;
    kafka_source::little_room(&kafka).await;
    kafka_source::added_partitions_are_read(&kafka).await;
    kafka_source::a_topic_made_anew_has_another_id(&kafka).await;
    kafka_source::a_position_that_the_log_has_lost_stops(&kafka).await;
    kafka_source::a_compacted_topic_is_refused(&kafka).await;
    kafka_source::an_engine_that_has_gone_is_not_waited_for(&kafka).await;
    kafka_source::the_outbox_delivers(&kafka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_members_come_and_go() {
    let kafka = Servers::shared().kafka.clone();
    kafka_source::members_come_and_go(&kafka, "partition.assignment.strategy", "cooperative-sticky").await;
    kafka_source::members_come_and_go(&kafka, "partition.assignment.strategy", "range").await;
    kafka_source::members_come_and_go(&kafka, "group.protocol", "consumer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_members_stand_by() {
    let kafka = Servers::shared().kafka.clone();
    kafka_source::members_stand_by(&kafka, "partition.assignment.strategy", "cooperative-sticky").await;
    kafka_source::members_stand_by(&kafka, "partition.assignment.strategy", "range").await;
    kafka_source::members_stand_by(&kafka, "group.protocol", "consumer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_source_outlives_the_broker() {
    let servers = Servers::own("outage");
    let kafka = servers.kafka.clone();
    kafka_source::the_broker_comes_back(&kafka, || servers.stop_kafka(), || servers.start_kafka()).await;
    kafka_source::leaving_while_the_broker_is_away(&kafka, || servers.stop_kafka(), || servers.start_kafka()).await;
}
