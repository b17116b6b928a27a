//! What a cluster tells of itself, for `etiage check`.

use std::collections::BTreeMap;

use scylla::statement::Consistency;

use super::Cassandra;
use super::guard::duration_of;
use crate::store::{StoreError, StoreFacts};

impl Cassandra {
    pub(super) async fn told(&self) -> Result<StoreFacts, StoreError> {
        let period = match self.setting("commitlog_sync_period").await? {
            Some(period) => Some(period),
            // Older names of it, in ms without a unit.
            None => self.setting("commitlog_sync_period_in_ms").await?.map(|ms| format!("{ms}ms")),
        };
        Ok(StoreFacts {
            name: self.product().await?,
            replication: self.replication().await?,
            log_sync: self.setting("commitlog_sync").await?,
            log_sync_period_ms: period.as_deref().and_then(duration_of).map(|period| period.as_millis() as u64),
        })
    }

    /// Of the node that happens to answer.
    async fn product(&self) -> Result<String, StoreError> {
        let text = "SELECT release_version, data_center FROM system.local";
        let found: Vec<(Option<String>, Option<String>)> = self.ask(text, (), Consistency::LocalOne).await?;
        let (version, datacenter) = found.into_iter().next().unwrap_or_default();
        let (version, datacenter) = (version.unwrap_or_default(), datacenter.unwrap_or_default());
        Ok(format!("Cassandra {version}, data centre {datacenter}"))
    }

    async fn replication(&self) -> Result<BTreeMap<String, u32>, StoreError> {
        let text = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let found: Vec<(BTreeMap<String, String>,)> = self.ask(text, (&self.keyspace,), Consistency::LocalOne).await?;
        let (map,) = found.into_iter().next().unwrap_or_default();
        // `class` is no number; a transient replica (`3/1`) counts among the first number's.
        let factor = |(name, value): (String, String)| Some((name, value.split('/').next()?.parse().ok()?));
        Ok(map.into_iter().filter_map(factor).collect())
    }
}
