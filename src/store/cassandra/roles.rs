//! The two roles of a keyspace: a writer, which runs the engine, and a reader of rows only. They are group roles
//! without a login, so that no migration holds a password; servers that check no permissions have none.

use std::collections::BTreeSet;

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::statement::Statement;
use scylla::value::Row;

use super::error::Verdict;
use super::flight::rows_of;
use super::{Cassandra, SCHEMA_TIMEOUT};
use crate::store::migrations::{self, ROLES};
use crate::store::{Roles, StoreError};

const DOING: &str = "roles";

/// What the engine reads of the server itself, where the server has it.
pub const SETTINGS: &str = "system_views.settings";

impl Cassandra {
    /// Makes the roles, or says why there are none: what a server refuses here stops no migration.
    pub(super) async fn made_roles(&self, dry_run: bool) -> Result<Roles, StoreError> {
        if let Some(why) = self.no_roles().await? {
            return Ok(Roles::None(why));
        }
        let names = ["writer", "reader"].map(|role| format!("{}_{role}", self.keyspace));
        let known = self.known_roles().await?;
        let there = names.iter().all(|name| known.contains(name));
        if !dry_run {
            for statement in ROLES.iter().flat_map(|file| migrations::statements(file.text)) {
                let text = statement.replace("{keyspace}", &self.keyspace);
                match self.granted(&text).await {
                    Ok(()) => {}
                    Err(StoreError::Refused(_)) if text.contains(SETTINGS) => {}
                    Err(StoreError::Refused(why)) => return Ok(Roles::None(may_not(&why))),
                    Err(unavailable) => return Err(unavailable),
                }
            }
        }
        Ok(Roles::Of { names, there })
    }

    async fn granted(&self, text: &str) -> Result<(), StoreError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
        statement.set_is_idempotent(true);
        let answer = self.session.query_unpaged(statement, ()).await;
        answer.map(drop).map_err(|error| match &error {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(_, words)) if error.refused() => {
                StoreError::Refused(words.clone())
            }
            other => other.told(DOING),
        })
    }

    /// Why this server has no roles to make, if so: the question is one that every user may ask about itself.
    async fn no_roles(&self) -> Result<Option<String>, StoreError> {
        let of = self.username.as_ref().map(|name| format!(" OF '{}'", name.replace('\'', "''")));
        let text = format!("LIST ALL PERMISSIONS{}", of.unwrap_or_default());
        match self.granted(&text).await {
            Ok(()) => Ok(None),
            Err(StoreError::Refused(why)) if why.contains("not supported by") => {
                Ok(Some("the server checks no permissions, its authorizer allows all".into()))
            }
            Err(StoreError::Refused(why)) if why.contains("anonymous") => {
                Ok(Some("the server knows no users, its authenticator allows all".into()))
            }
            // Of a user that has come without a name: the statements themselves will tell.
            Err(StoreError::Refused(_)) => Ok(None),
            Err(unavailable) => Err(unavailable),
        }
    }

    /// Those that this user may see.
    async fn known_roles(&self) -> Result<BTreeSet<String>, StoreError> {
        let answer = match self.session.query_unpaged("LIST ROLES", ()).await {
            Ok(answer) => answer,
            Err(error) if error.refused() => return Ok(BTreeSet::new()),
            Err(error) => return Err(error.told(DOING)),
        };
        let rows: Vec<Row> = rows_of(answer, DOING)?;
        let name = |row: &Row| row.columns.first()?.as_ref()?.as_text().cloned();
        Ok(rows.iter().filter_map(name).collect())
    }

    /// Whether this user may read a table: false only where the server says that it may not.
    pub(super) async fn may_read(&self, table: &str) -> Result<bool, StoreError> {
        match self.session.query_unpaged(format!("SELECT * FROM {table} LIMIT 1"), ()).await {
            Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, _))) => Ok(false),
            Err(error) if !error.refused() => Err(error.told("reading the schema")),
            _ => Ok(true),
        }
    }
}

fn may_not(why: &str) -> String {
    format!(
        "this user may not make them ({why}): let a superuser run `etiage migrate`, or one with CREATE ON ALL ROLES \
         and AUTHORIZE on the keyspace"
    )
}
