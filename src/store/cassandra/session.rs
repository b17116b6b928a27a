//! Opens the driver's session: contact points, credentials, TLS, and the local data centre that
//! every quorum is counted in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::ClusterState;
use scylla::cluster::metadata::Strategy;
use scylla::errors::NewSessionError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::DefaultRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::{Consistency, SerialConsistency};

use super::error::{ASIDE, not_opened, tls_refused};
use crate::config::CassandraConfig;
use crate::store::StoreError;

/// One connection attempt may take this long.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// All of them together: beyond it, somebody should be told.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// A node that has not answered by then may be cut off or stand still: another one is asked, too. The first answer
/// counts; every statement but the lightweight transactions can be executed twice.
const SECOND_NODE_AFTER: Duration = Duration::from_secs(1);

/// A session, and the data centre that it counts as local.
pub async fn open(config: &CassandraConfig) -> Result<(Session, String), StoreError> {
    let handle = profile(config, None).into_handle();
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.nodes)
        .connection_timeout(CONNECTION_TIMEOUT)
        .keyspaces_to_fetch([&config.keyspace])
        .default_execution_profile_handle(handle.clone());
    if let Some(username) = &config.username {
        builder = builder.user(username, config.password.as_deref().unwrap_or_default());
    }
    if config.tls.is_some() {
        builder = with_tls(builder, config)?;
    }
    let session = match tokio::time::timeout(SESSION_TIMEOUT, builder.build()).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return Err(told(config, &error).await),
        Err(_) => return Err(silent(config)),
    };
    let local = local_datacenter(config, &session)?;
    let only = datacenters(&session.get_cluster_state()).len() == 1;
    // To prefer the only one there is changes nothing for such a keyspace, which has no quorum of a
    // data centre either; but the driver would warn of it at every statement.
    if !(only && is_simple(config, &session)) {
        handle.clone().map_to_another_profile(profile(config, Some(&local)));
    }
    Ok((session, local))
}

/// Whether the keyspace, or the one that `migrate` will make, places its replicas without regard
/// to data centres.
fn is_simple(config: &CassandraConfig, session: &Session) -> bool {
    match session.get_cluster_state().get_keyspace(&config.keyspace) {
        Some(keyspace) => matches!(keyspace.strategy, Strategy::SimpleStrategy { .. }),
        None => config.replication.contains("SimpleStrategy"),
    }
}

fn datacenters(state: &ClusterState) -> BTreeSet<&str> {
    state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect()
}

/// Why there is no session. Where the driver does not know, the nodes are asked once more.
async fn told(config: &CassandraConfig, error: &NewSessionError) -> StoreError {
    let nodes = config.nodes.join(", ");
    match not_opened(error, &nodes) {
        unavailable @ StoreError::Unavailable(_) => match objection(config).await {
            Some(words) => tls_refused(&words, &nodes).unwrap_or(unavailable),
            None => unavailable,
        },
        refused => refused,
    }
}

#[cfg(not(feature = "tls"))]
async fn objection(_: &CassandraConfig) -> Option<String> {
    None
}

#[cfg(feature = "tls")]
async fn objection(config: &CassandraConfig) -> Option<String> {
    let (tls, nodes) = (config.tls.clone()?, config.nodes.clone());
    let asked = move || nodes.iter().find_map(|node| super::tls::objection(&tls, node));
    tokio::task::spawn_blocking(asked).await.ok()?
}

fn silent(config: &CassandraConfig) -> StoreError {
    StoreError::Unavailable(format!(
        "cassandra: no answer within {} s from store.nodes {} ({ASIDE})",
        SESSION_TIMEOUT.as_secs(),
        config.nodes.join(", ")
    ))
}

/// Every statement: a quorum of the local data centre, a bounded wait, the driver's own retries
/// on other nodes. Never another data centre: its quorum is another one.
fn profile(config: &CassandraConfig, local: Option<&str>) -> ExecutionProfile {
    let policy = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    let policy = match local {
        Some(local) => policy.prefer_datacenter(local.to_owned()),
        None => policy,
    };
    let request_timeout = Duration::from_millis(config.request_timeout_ms.max(1));
    let second = SimpleSpeculativeExecutionPolicy {
        max_retry_count: 1,
        retry_interval: SECOND_NODE_AFTER.min(request_timeout / 4),
    };
    ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(request_timeout))
        .retry_policy(Arc::new(DefaultRetryPolicy::new()))
        .speculative_execution_policy(Some(Arc::new(second)))
        .load_balancing_policy(policy.build())
        .build()
}

/// The configured data centre, or the only one there is.
fn local_datacenter(config: &CassandraConfig, session: &Session) -> Result<String, StoreError> {
    choose_datacenter(config.local_datacenter.as_deref(), &datacenters(&session.get_cluster_state()))
}

fn choose_datacenter(configured: Option<&str>, known: &BTreeSet<&str>) -> Result<String, StoreError> {
    let names = || known.iter().copied().collect::<Vec<_>>().join(", ");
    match configured {
        Some(local) if known.contains(local) => Ok(local.to_owned()),
        Some(local) => Err(StoreError::Refused(format!(
            "store.local_datacenter {local:?} is not one of the cluster's data centres: {}",
            names()
        ))),
        None => match known.first() {
            Some(only) if known.len() == 1 => Ok((*only).to_owned()),
            _ => Err(StoreError::Refused(format!(
                "the cluster has {} data centres ({}): name the one whose quorum counts with store.local_datacenter",
                known.len(),
                names()
            ))),
        },
    }
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: SessionBuilder, _: &CassandraConfig) -> Result<SessionBuilder, StoreError> {
    let text =
        "store.tls is set, but this etiage was built without TLS: build it with `--features tls`, as `make` does";
    Err(StoreError::Refused(text.into()))
}

#[cfg(feature = "tls")]
fn with_tls(builder: SessionBuilder, config: &CassandraConfig) -> Result<SessionBuilder, StoreError> {
    let Some(tls) = &config.tls else { return Ok(builder) };
    Ok(builder.tls_context(Some(super::tls::context(tls)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_data_centre_is_named_or_the_only_one() {
        let [one, two] = [BTreeSet::from(["dc1"]), BTreeSet::from(["dc1", "dc2"])];
        assert_eq!(choose_datacenter(None, &one).unwrap(), "dc1");
        assert_eq!(choose_datacenter(Some("dc2"), &two).unwrap(), "dc2");
        for (configured, known, says) in [
            (None, &two, "2 data centres (dc1, dc2)"),
            (Some("dc3"), &two, "\"dc3\" is not one of the cluster's data centres: dc1, dc2"),
            (None, &BTreeSet::new(), "0 data centres"),
        ] {
            let text = choose_datacenter(configured, known).unwrap_err().to_string();
            assert!(text.contains(says) && text.contains("store.local_datacenter"), "{text}");
        }
    }
}
