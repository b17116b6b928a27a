//! The embedded store's schema: applied in one transaction, which is the lock as well.

use rusqlite::{Connection, Transaction, params};

use crate::store::migrations::{self, Applied, SQLITE};
use crate::store::{MigrationStep, StoreError};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at TEXT NOT NULL
)";

pub fn migrate(transaction: &Transaction<'_>, dry_run: bool) -> Result<Vec<MigrationStep>, StoreError> {
    let steps = migrations::plan(SQLITE, &applied(transaction)?)?;
    if dry_run {
        return Ok(steps);
    }
    transaction.execute_batch(TABLE)?;
    for (migration, _) in SQLITE.iter().zip(&steps).filter(|(_, step)| !step.applied) {
        transaction.execute_batch(migration.text)?;
        transaction.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            params![migration.version, migration.name, migration.checksum()],
        )?;
    }
    Ok(steps)
}

pub fn check(connection: &Connection) -> Result<(), StoreError> {
    migrations::require(SQLITE, &applied(connection)?)
}

fn applied(connection: &Connection) -> Result<Vec<Applied>, StoreError> {
    if !connection.table_exists(None, "schema_migrations")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT version, name, checksum FROM schema_migrations")?;
    let found = statement
        .query_map([], |row| Ok(Applied { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)? }))?;
    Ok(found.collect::<Result<_, _>>()?)
}
