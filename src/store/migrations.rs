//! The numbered migrations inside the binary, and what is still to be done to a store. Pure: the
//! stores say what has been applied, and apply what is missing.

use sha2::{Digest, Sha256};

use super::{MigrationStep, StoreError};

/// One numbered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    pub version: u32,
    pub name: &'static str,
    pub text: &'static str,
}

/// A migration as the store has it on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub version: u32,
    pub name: String,
    pub checksum: String,
}

/// In order, numbered from 1 without gaps.
pub const CASSANDRA: &[Migration] = &[
    Migration { version: 1, name: "0001_tables.cql", text: include_str!("../../migrations/0001_tables.cql") },
    Migration { version: 2, name: "0002_partial.cql", text: include_str!("../../migrations/0002_partial.cql") },
];

/// Roles and what they may do, where the server checks permissions. Run every time, since they are not the
/// keyspace's but the cluster's; `{keyspace}` stands for its name.
pub const ROLES: &[Migration] = &[Migration {
    version: 1,
    name: "roles/0001_roles.cql",
    text: include_str!("../../migrations/roles/0001_roles.cql"),
}];

/// In order, numbered from 1 without gaps.
pub const SQLITE: &[Migration] = &[
    Migration { version: 1, name: "0001_tables.sql", text: include_str!("../../migrations/sqlite/0001_tables.sql") },
    Migration {
        version: 2,
        name: "0002_final_stamp.sql",
        text: include_str!("../../migrations/sqlite/0002_final_stamp.sql"),
    },
    Migration { version: 3, name: "0003_partial.sql", text: include_str!("../../migrations/sqlite/0003_partial.sql") },
];

impl Migration {
    /// SHA-256 of the file, in hexadecimal.
    pub fn checksum(&self) -> String {
        Sha256::digest(self.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn step(&self, applied: bool) -> MigrationStep {
        MigrationStep { version: self.version, name: self.name.to_owned(), applied }
    }
}

/// Every known migration, and whether the store has it. Refuses a store that is newer than this
/// binary, or whose history is another one.
pub fn plan(known: &[Migration], applied: &[Applied]) -> Result<Vec<MigrationStep>, StoreError> {
    for found in applied {
        let migration = known.iter().find(|known| known.version == found.version);
        recognise(found, migration, known.len())?;
    }
    let steps: Vec<MigrationStep> =
        known.iter().map(|known| known.step(applied.iter().any(|found| found.version == known.version))).collect();
    match steps.windows(2).find(|pair| !pair[0].applied && pair[1].applied) {
        None => Ok(steps),
        Some(pair) => Err(StoreError::Refused(format!(
            "the store has migration {} but not {}: its table schema_migrations was edited; restore it from a backup",
            pair[1].version, pair[0].version
        ))),
    }
}

fn recognise(found: &Applied, migration: Option<&Migration>, newest: usize) -> Result<(), StoreError> {
    match migration {
        None => Err(StoreError::Refused(format!(
            "the store's schema is version {}, and this etiage knows versions up to {newest}: use a newer etiage",
            found.version
        ))),
        Some(migration) if migration.checksum() != found.checksum => Err(StoreError::Refused(format!(
            "migration {} was applied to the store as {} with checksum {}, but this etiage has {} with checksum {}: \
             use the release that made the store, or a later one",
            found.version,
            found.name,
            found.checksum,
            migration.name,
            migration.checksum()
        ))),
        Some(_) => Ok(()),
    }
}

/// Refuses unless the store's schema is exactly the known one.
pub fn require(known: &[Migration], applied: &[Applied]) -> Result<(), StoreError> {
    let missing = plan(known, applied)?.into_iter().find(|step| !step.applied);
    missing.map_or(Ok(()), |step| {
        Err(StoreError::Refused(format!(
            "the store's schema is version {}, and this etiage needs version {}: run `etiage migrate`",
            step.version - 1,
            known.len()
        )))
    })
}

/// The statements of a CQL file, without its comments: what stands between semicolons that are
/// in neither a comment nor a quotation.
pub fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = comment_length(rest);
        if skipped > 0 {
            rest = &rest[skipped..];
            continue;
        }
        let taken = quotation_length(rest).unwrap_or(next.len_utf8());
        match next {
            ';' => found.push(std::mem::take(&mut current)),
            _ => current.push_str(&rest[..taken]),
        }
        rest = &rest[taken..];
    }
    found.push(current);
    found.into_iter().map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

/// The table and the column that a statement adds to it. CQL has no portable way to say that it may be there already.
pub fn added_column(statement: &str) -> Option<(&str, &str)> {
    match statement.split_whitespace().collect::<Vec<&str>>()[..] {
        ["ALTER", "TABLE", table, "ADD", column, _] => Some((table, column)),
        _ => None,
    }
}

/// Bytes of the comment that the text begins with; 0 where it begins with none.
fn comment_length(text: &str) -> usize {
    if text.starts_with("--") || text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        text.find("*/").map_or(text.len(), |end| end + 2)
    } else {
        0
    }
}

/// Bytes of the quotation that the text begins with. A doubled quote inside is two quotations
/// side by side, which comes to the same.
fn quotation_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    Some(text[1..].find(quote).map_or(text.len(), |end| end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[Migration] =
        &[Migration { version: 1, name: "one", text: "a" }, Migration { version: 2, name: "two", text: "b" }];

    fn applied(migration: &Migration) -> Applied {
        Applied { version: migration.version, name: migration.name.into(), checksum: migration.checksum() }
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
        match result.unwrap_err() {
            StoreError::Refused(text) => text,
            other => panic!("not a refusal: {other}"),
        }
    }

    #[test]
    fn the_checksum_is_that_of_sha256sum() {
        // printf a | sha256sum
        assert_eq!(TWO[0].checksum(), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    }

    #[test]
    fn what_is_missing_is_planned_and_what_is_there_is_not() {
        let done =
            |applied: &[Applied]| plan(TWO, applied).unwrap().iter().map(|step| step.applied).collect::<Vec<_>>();
        assert_eq!(done(&[]), [false, false]);
        assert_eq!(done(&[applied(&TWO[0])]), [true, false]);
        assert_eq!(done(&[applied(&TWO[1]), applied(&TWO[0])]), [true, true]);
    }

    #[test]
    fn another_history_is_refused() {
        let newer = Applied { version: 3, name: "three".into(), checksum: "?".into() };
        let edited = Applied { checksum: "00".into(), ..applied(&TWO[0]) };
        assert!(
            refusal(plan(TWO, std::slice::from_ref(&newer)))
                .contains("version 3, and this etiage knows versions up to 2: use a newer etiage")
        );
        assert!(refusal(require(TWO, &[newer])).contains("use a newer etiage"));
        assert!(refusal(plan(TWO, &[edited])).contains("checksum 00"));
        assert!(refusal(plan(TWO, &[applied(&TWO[1])])).contains("migration 2 but not 1"));
    }

    #[test]
    fn an_old_schema_names_the_remedy() {
        assert!(require(TWO, &[applied(&TWO[0]), applied(&TWO[1])]).is_ok());
        let text = refusal(require(TWO, &[applied(&TWO[0])]));
        assert_eq!(text, "the store's schema is version 1, and this etiage needs version 2: run `etiage migrate`");
    }

    #[test]
    fn statements_end_at_semicolons_outside_comments_and_quotations() {
        let text = "-- a; b\nCREATE 'x;--''y' \"v;\" // c;\n, é /* d; */ z;;\n  DROP t ; tail /* open";
        assert_eq!(statements(text), ["CREATE 'x;--''y' \"v;\" \n, é  z", "DROP t", "tail"]);
        assert_eq!(statements("'open; \n"), ["'open;"]);
        assert!(statements("").is_empty());
    }

    /// A migration that dies half way is run again from its beginning.
    #[test]
    fn every_statement_can_be_repeated() {
        assert_eq!(added_column("ALTER TABLE t\n  ADD c  text"), Some(("t", "c")));
        assert_eq!(added_column("ALTER TABLE t DROP c"), None);
        for statement in CASSANDRA.iter().flat_map(|migration| statements(migration.text)) {
            let looks = statement.starts_with("CREATE TABLE IF NOT EXISTS ") || added_column(&statement).is_some();
            assert!(looks, "{statement}");
        }
    }

    /// They are made again and again, and by people who must not learn a password from them.
    #[test]
    fn roles_may_be_made_again_and_have_no_login() {
        for statement in ROLES.iter().flat_map(|migration| statements(migration.text)) {
            let made = statement.starts_with("CREATE ROLE IF NOT EXISTS {keyspace}_");
            assert!(made || statement.starts_with("GRANT "), "{statement}");
            assert!(!made || statement.ends_with("WITH LOGIN = false"), "{statement}");
            assert!(!statement.contains("PASSWORD"), "{statement}");
        }
    }

    #[test]
    fn the_shipped_migrations_are_numbered_and_name_no_time_to_live() {
        for known in [CASSANDRA, SQLITE] {
            for (index, migration) in known.iter().enumerate() {
                assert_eq!(migration.version as usize, index + 1);
                assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
            }
        }
        for (index, migration) in ROLES.iter().enumerate() {
            assert!(migration.name.starts_with(&format!("roles/{:04}_", index + 1)), "{}", migration.name);
        }
        let tables = statements(CASSANDRA[0].text);
        assert_eq!(tables.len(), 6);
        assert!(
            tables
                .iter()
                .all(|table| table.starts_with("CREATE TABLE IF NOT EXISTS")
                    && table.contains("default_time_to_live = 0"))
        );
    }
}
