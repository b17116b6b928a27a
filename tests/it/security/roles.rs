//! What the two roles of a keyspace may do: the writer runs the engine, the reader reads rows and nothing else.

use std::time::Duration;

use etiage::config::{CassandraConfig, TlsConfig};
use etiage::store::cassandra::{Cassandra, connect};
use etiage::store::migrations::{CASSANDRA, statements};
use etiage::store::{Store, StoreError};

use super::{ROWS, refusal, refused, rows, scenario, servers, simulate, with_cassandra};
use crate::store::config;
use crate::support::{Scenario, Servers, succeed, unique};

/// A role that logs in.
struct Login {
    name: String,
    password: &'static str,
}

impl Login {
    fn new(scenario: &Scenario, what: &str) -> Login {
        Login { name: format!("{}_{what}_login", scenario.name), password: "S3cr3t-of-a-login" }
    }

    async fn session(&self, servers: &Servers, keyspace: &str) -> Cassandra {
        session(servers, keyspace, &self.name, self.password).await
    }
}

async fn session(servers: &Servers, keyspace: &str, username: &str, password: &str) -> Cassandra {
    let ca = servers.certificate("cassandra", "ca.pem").into();
    let config = CassandraConfig {
        nodes: vec![servers.cassandra.clone()],
        keyspace: keyspace.to_owned(),
        username: Some(username.to_owned()),
        password: Some(password.to_owned()),
        tls: Some(TlsConfig { ca: Some(ca), ..TlsConfig::default() }),
        ..config("unused")
    };
    connect(&config).await.expect("a session")
}

/// The tables of the migrations, and the one that records them.
fn tables() -> Vec<String> {
    let made = CASSANDRA.iter().flat_map(|migration| statements(migration.text));
    let named = made.filter_map(|text| {
        Some(text.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.split_whitespace().next()?.to_owned())
    });
    named.chain(["schema_migrations".to_owned()]).collect()
}

async fn may_not(store: &Cassandra, statement: &str) {
    match store.execute_raw(statement).await {
        Err(StoreError::Refused(text)) => assert!(text.contains("permission") || text.contains("privileges"), "{text}"),
        other => panic!("{statement} is not refused: {other:?}"),
    }
}

/// A superuser migrates, twice, and grants the roles to two that log in.
async fn prepare(servers: &Servers, scenario: &Scenario, writer: &Login, reader: &Login) {
    let root = with_cassandra(scenario.clone(), servers, "cassandra", "cassandra");
    let roles = format!("roles {0}_writer, {0}_reader: ", scenario.name);
    for state in ["made", "are there"] {
        let told = succeed(&mut root.etiage("migrate", &[]));
        assert!(told.contains(&format!("{roles}{state}")), "{told}");
    }
    let root = session(servers, &scenario.name, "cassandra", "cassandra").await;
    for (login, role) in [(writer, "writer"), (reader, "reader")] {
        let Login { name, password } = login;
        let made = format!("CREATE ROLE {name} WITH LOGIN = true AND PASSWORD = '{password}'");
        root.execute_raw(&made).await.expect("a role that logs in");
        root.execute_raw(&format!("GRANT {}_{role} TO {name}", scenario.name)).await.expect("granted");
    }
}

async fn the_reader_sees_rows_only(store: &Cassandra) {
    for table in tables() {
        let select = format!("SELECT * FROM {table} LIMIT 1");
        match table.starts_with("rows_by_") {
            true => store.execute_raw(&select).await.expect("rows are for the reader"),
            false => may_not(store, &select).await,
        }
        may_not(store, &format!("TRUNCATE {table}")).await;
    }
    may_not(store, "UPDATE rows_by_key SET count = 1 WHERE \"view\" = 'v' AND width = '1h' AND metric = 'm' AND tenant = '' AND key = 'k' AND year = 2019 AND window_start = 0").await;
    may_not(store, "SELECT role FROM system_auth.roles LIMIT 1").await;
    store.check_reader().await.expect("what a reader may see is in order");
}

async fn the_writer_changes_no_schema(store: &Cassandra) {
    for table in tables() {
        store.execute_raw(&format!("SELECT * FROM {table} LIMIT 1")).await.expect("the writer reads all of it");
        may_not(store, &format!("DROP TABLE {table}")).await;
        may_not(store, &format!("ALTER TABLE {table} WITH default_time_to_live = 60")).await;
    }
    may_not(store, "CREATE ROLE intruder").await;
    store
        .execute_raw("SELECT value FROM system_views.settings WHERE name = 'x'")
        .await
        .expect("guardrails can be checked");
    store.check().await.expect("what the engine needs is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_cassandra_roles_may_do_what_they_are_for() {
    let servers = servers();
    let scenario = scenario(&servers);
    let (writer, reader) = (Login::new(&scenario, "writer"), Login::new(&scenario, "reader"));
    prepare(&servers, &scenario, &writer, &reader).await;

    let engine = with_cassandra(scenario.clone(), &servers, &writer.name, writer.password);
    simulate(&engine, 5_000);
    engine.run_until_end(Duration::from_secs(60));
    let seen = with_cassandra(scenario.clone(), &servers, &reader.name, reader.password);
    let (written, read) = (rows(&engine), rows(&seen));
    assert!(written.lines().count() > 50 && written == read, "{written}\n\n{read}");
    for command in ["status", "run"] {
        refused(&seen, command, &[], &["no SELECT permission", "schema_migrations"]);
    }
    let told = succeed(&mut engine.etiage("migrate", &[]));
    assert!(told.contains("roles: none, this user may not make them") && told.contains("superuser"), "{told}");

    let told = refusal(&engine.clone().with("STORE__KEYSPACE", &unique("another")), "migrate", &[]);
    assert!(told.contains("no CREATE permission") && told.contains("may change the schema"), "{told}");

    the_reader_sees_rows_only(&reader.session(&servers, &scenario.name).await).await;
    the_writer_changes_no_schema(&writer.session(&servers, &scenario.name).await).await;
    let stranger = Login::new(&scenario, "stranger");
    let root = session(&servers, &scenario.name, "cassandra", "cassandra").await;
    let made = format!("CREATE ROLE {} WITH LOGIN = true AND PASSWORD = '{}'", stranger.name, stranger.password);
    root.execute_raw(&made).await.expect("a role that logs in");
    let stranger = with_cassandra(scenario, &servers, &stranger.name, stranger.password);
    refused(&stranger, "rows", &ROWS, &["no SELECT permission", "_reader"]);
}

/// Makes a superuser with this password.
pub fn superuser(servers: &Servers, name: &str, password: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let root = session(servers, "system", "cassandra", "cassandra").await;
        let made = format!("CREATE ROLE {name} WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = '{password}'");
        root.execute_raw(&made).await.expect("a role that logs in");
    });
}

/// Where nobody logs in there is nobody to grant anything to.
#[test]
fn kafka_cassandra_without_users_there_are_no_roles() {
    let told = succeed(&mut scenario(&Servers::shared()).etiage("migrate", &[]));
    assert!(told.contains("roles: none, the server knows no users"), "{told}");
}
