//! The schema in Cassandra: made once, under a lock that one row holds by lightweight
//! transactions. The lock is a lease, so that a migration that died does not hold it for ever; and
//! every statement may be repeated, so that one which outlives its lease does no harm.

use std::time::Duration;

use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, Statement};
use scylla::value::CqlTimestamp;

use super::error::Verdict;
use super::flight::{applied, rows_of};
use super::{Cassandra, SCHEMA_TIMEOUT, SETTLE_POLL, SETTLE_POLLS};
use crate::store::migrations::{self, Applied, CASSANDRA, Migration};
use crate::store::{MigrationStep, StoreError};

/// One partition: version 0 is the lock and what else is true of the keyspace, the others are the
/// migrations. Written by lightweight transactions alone.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    scope text,
    version int,
    name text,
    checksum text,
    applied_at timestamp,
    lock_owner text,
    lock_until timestamp,
    local_datacenter text,
    PRIMARY KEY ((scope), version)
) WITH default_time_to_live = 0 AND comment = 'internal: the applied migrations, and the lock of the next'";

/// The lock's lease, renewed before every statement: longer than a statement may take.
const LEASE_MS: i64 = 3 * 60_000;

/// How often, and how long, a second migration asks for the lock.
const LOCK_POLL: Duration = Duration::from_millis(500);
const LOCK_POLLS: usize = 120;

const MIGRATING: &str = "migrating";

impl Cassandra {
    /// What `migrated` would do.
    pub(super) async fn planned(&self) -> Result<Vec<MigrationStep>, StoreError> {
        migrations::plan(CASSANDRA, &self.applied().await?)
    }

    pub(super) async fn migrated(&self) -> Result<Vec<MigrationStep>, StoreError> {
        // A newer schema is refused before anything is touched.
        let steps = self.planned().await?;
        // Nothing to do, and nobody needs the right to change a schema for it.
        if steps.iter().all(|step| step.applied) {
            self.check_datacenter().await?;
            return Ok(steps);
        }
        self.make_keyspace().await?;
        self.enter().await?;
        // Even where it exists: whoever else is making it just now, this waits until every node has it.
        self.alter(TABLE.to_owned()).await?;
        let owner = format!("{} since {}", std::process::id(), now_ms());
        self.lock(&owner).await?;
        let outcome = self.apply(&owner).await;
        let unlocked = self.unlock(&owner).await;
        let steps = outcome?;
        unlocked?;
        Ok(steps)
    }

    async fn make_keyspace(&self) -> Result<(), StoreError> {
        if self.keyspace_exists().await? {
            return Ok(());
        }
        let (keyspace, replication) = (&self.keyspace, &self.replication);
        self.alter(format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")).await
    }

    async fn apply(&self, owner: &str) -> Result<Vec<MigrationStep>, StoreError> {
        self.record_datacenter().await?;
        let steps = self.planned().await?;
        for (migration, _) in CASSANDRA.iter().zip(&steps).filter(|(_, step)| !step.applied) {
            for statement in migrations::statements(migration.text) {
                self.renew(owner).await?;
                if let Some((table, column)) = migrations::added_column(&statement)
                    && self.column_exists(table, column).await?
                {
                    continue;
                }
                self.alter(statement).await?;
            }
            self.record(migration).await?;
        }
        Ok(steps)
    }

    /// Runs a change of the schema and waits until every node has it.
    pub(super) async fn alter(&self, text: String) -> Result<(), StoreError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
        statement.set_is_idempotent(true);
        self.session.query_unpaged(statement, ()).await.map_err(|error| error.told(MIGRATING))?;
        let agreed = self.session.await_schema_agreement().await;
        agreed
            .map(drop)
            .map_err(|error| StoreError::Unavailable(format!("cassandra, {MIGRATING}: {error}: are all nodes up?")))
    }

    async fn record(&self, migration: &Migration) -> Result<(), StoreError> {
        let version = i32::try_from(migration.version).unwrap_or(i32::MAX);
        let values = (version, migration.name, migration.checksum(), CqlTimestamp(now_ms()));
        let text = "INSERT INTO schema_migrations (scope, version, name, checksum, applied_at) VALUES ('etiage', ?, ?, ?, ?) IF NOT EXISTS";
        self.transact(text, values).await.map(drop)
    }

    pub(super) async fn check_schema(&self) -> Result<(), StoreError> {
        migrations::require(CASSANDRA, &self.applied().await?)
    }

    /// The applied migrations; none where there is no keyspace or no table yet.
    async fn applied(&self) -> Result<Vec<Applied>, StoreError> {
        if !self.table_exists("schema_migrations").await? {
            return Ok(Vec::new());
        }
        for _ in 0..SETTLE_POLLS {
            match self.recorded().await {
                Err(StoreError::Refused(_)) => tokio::time::sleep(SETTLE_POLL).await,
                answer => return answer,
            }
        }
        self.recorded().await
    }

    async fn recorded(&self) -> Result<Vec<Applied>, StoreError> {
        let keyspace = &self.keyspace;
        let text = format!(
            "SELECT version, name, checksum FROM {keyspace}.schema_migrations WHERE scope = 'etiage' AND version > 0"
        );
        let found: Vec<(i32, String, String)> = self.ask(&text, (), Consistency::LocalSerial).await?;
        let named =
            |(version, name, checksum)| Applied { version: u32::try_from(version).unwrap_or(0), name, checksum };
        Ok(found.into_iter().map(named).collect())
    }

    /// The data centre whose quorum counts is recorded once: the quorum of another one does not
    /// hold what this one has acknowledged.
    async fn record_datacenter(&self) -> Result<(), StoreError> {
        let text = "UPDATE schema_migrations SET local_datacenter = ? WHERE scope = 'etiage' AND version = 0 IF local_datacenter = null";
        self.transact(text, (&self.local_datacenter,)).await?;
        self.check_datacenter().await
    }

    pub(super) async fn check_datacenter(&self) -> Result<(), StoreError> {
        let text = format!(
            "SELECT local_datacenter FROM {}.schema_migrations WHERE scope = 'etiage' AND version = 0",
            self.keyspace
        );
        let found: Vec<(Option<String>,)> = self.ask(&text, (), Consistency::LocalSerial).await?;
        match found.into_iter().next() {
            Some((Some(recorded),)) if recorded == self.local_datacenter => Ok(()),
            Some((Some(recorded),)) => Err(StoreError::Refused(format!(
                "this keyspace is written with the quorum of data centre {recorded:?}, not of {:?}: set store.local_datacenter to {recorded:?}",
                self.local_datacenter
            ))),
            _ => Err(StoreError::Refused(
                "the store has no record of its local data centre: run `etiage migrate`".into(),
            )),
        }
    }

    async fn lock(&self, owner: &str) -> Result<(), StoreError> {
        for _ in 0..LOCK_POLLS {
            // An unknown outcome is settled by looking who has the lock now.
            let taken = self.take_lock(owner).await;
            match (taken, self.lock_holder().await?) {
                (Err(refused @ StoreError::Refused(_)), _) => return Err(refused),
                (_, Some(holder)) if holder == owner => return Ok(()),
                _ => tokio::time::sleep(LOCK_POLL).await,
            }
        }
        let holder = self.lock_holder().await?.unwrap_or_default();
        Err(StoreError::Unavailable(format!(
            "another `etiage migrate` (process {holder}) holds the lock: wait for it; if it died, {} s",
            LEASE_MS / 1000
        )))
    }

    async fn take_lock(&self, owner: &str) -> Result<(), StoreError> {
        let until = CqlTimestamp(now_ms() + LEASE_MS);
        let first = "INSERT INTO schema_migrations (scope, version, name, lock_owner, lock_until) VALUES ('etiage', 0, 'lock', ?, ?) IF NOT EXISTS";
        if self.transact(first, (owner, until)).await? {
            return Ok(());
        }
        let next = "UPDATE schema_migrations SET lock_owner = ?, lock_until = ? WHERE scope = 'etiage' AND version = 0 IF lock_until < ?";
        self.transact(next, (owner, until, CqlTimestamp(now_ms()))).await.map(drop)
    }

    async fn lock_holder(&self) -> Result<Option<String>, StoreError> {
        let text = "SELECT lock_owner FROM schema_migrations WHERE scope = 'etiage' AND version = 0";
        let found: Vec<(Option<String>,)> = self.ask(text, (), Consistency::LocalSerial).await?;
        Ok(found.into_iter().next().and_then(|(owner,)| owner))
    }

    async fn renew(&self, owner: &str) -> Result<(), StoreError> {
        if self.hold_until(owner, now_ms() + LEASE_MS).await? {
            return Ok(());
        }
        Err(StoreError::Unavailable(
            "this migration took too long and lost its lock to another one: run it again".into(),
        ))
    }

    async fn unlock(&self, owner: &str) -> Result<(), StoreError> {
        self.hold_until(owner, 0).await.map(drop)
    }

    async fn hold_until(&self, owner: &str, until_ms: i64) -> Result<bool, StoreError> {
        let text =
            "UPDATE schema_migrations SET lock_until = ? WHERE scope = 'etiage' AND version = 0 IF lock_owner = ?";
        self.transact(text, (CqlTimestamp(until_ms), owner)).await
    }

    /// A lightweight transaction; true where it was applied.
    async fn transact(&self, text: &str, values: impl SerializeRow) -> Result<bool, StoreError> {
        let result = self.session.query_unpaged(text, values).await.map_err(|error| error.told(MIGRATING))?;
        applied(result, MIGRATING)
    }

    /// A question about the schema.
    pub(super) async fn ask<R>(
        &self,
        text: &str,
        values: impl SerializeRow,
        consistency: Consistency,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
    {
        let mut statement = Statement::new(text);
        statement.set_is_idempotent(true);
        statement.set_consistency(consistency);
        let doing = "reading the schema";
        rows_of(self.session.query_unpaged(statement, values).await.map_err(|error| error.told(doing))?, doing)
    }

    pub(super) async fn keyspace_exists(&self) -> Result<bool, StoreError> {
        let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        let found: Vec<(String,)> = self.ask(text, (&self.keyspace,), Consistency::LocalOne).await?;
        Ok(!found.is_empty())
    }

    async fn column_exists(&self, table: &str, column: &str) -> Result<bool, StoreError> {
        let text = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND column_name = ?";
        let found: Vec<(String,)> = self.ask(text, (&self.keyspace, table, column), Consistency::LocalOne).await?;
        Ok(!found.is_empty())
    }

    async fn table_exists(&self, table: &str) -> Result<bool, StoreError> {
        let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        let found: Vec<(String,)> = self.ask(text, (&self.keyspace, table), Consistency::LocalOne).await?;
        Ok(!found.is_empty())
    }
}

/// The lock's lease is the one thing here that needs a clock.
fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
