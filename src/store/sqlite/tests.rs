//! What is particular to the embedded store; the conformance suite covers the contract.

use super::*;
use crate::store::conformance;

fn scratch() -> (tempfile::TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&dir.path().join("rows.db")).unwrap();
    (dir, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let (_dir, store) = scratch();
    store.migrate(false).await.unwrap();
    conformance::run(&store).await;
}

#[tokio::test]
async fn migration_is_planned_done_once_and_checked() {
    let (_dir, store) = scratch();
    let text = store.check().await.unwrap_err().to_string();
    assert!(text.contains("run `etiage migrate`"), "{text}");
    let applied = async |dry| store.migrate(dry).await.unwrap().iter().map(|step| step.applied).collect::<Vec<_>>();
    assert_eq!(applied(true).await, [false; 3]);
    assert_eq!(applied(false).await, [false; 3]);
    assert_eq!(applied(false).await, [true; 3]);
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_store_from_a_newer_release_is_refused() {
    let (_dir, store) = scratch();
    store.migrate(false).await.unwrap();
    store
        .transact(|transaction| {
            Ok(transaction.execute_batch(
                "INSERT INTO schema_migrations VALUES (99, '0099_later.sql', 'x', '2030-01-01T00:00:00Z')",
            )?)
        })
        .await
        .unwrap();
    for result in [store.check().await, store.migrate(false).await.map(drop)] {
        let text = result.unwrap_err().to_string();
        assert!(text.contains("version 99") && text.contains("use a newer etiage"), "{text}");
    }
}

#[tokio::test]
async fn another_handle_on_the_file_sees_what_was_acknowledged() {
    let (dir, store) = scratch();
    store.migrate(false).await.unwrap();
    store.write_closing_cursor("v", 0, Width::HOUR, 7).await.unwrap();
    let other = Sqlite::open(&dir.path().join("rows.db")).unwrap();
    other.check().await.unwrap();
    assert_eq!(other.closing("v", 0, Width::HOUR).await.unwrap().cursor_ms, Some(7));
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_a_wrong_one_refused() {
    let (dir, store) = scratch();
    store.migrate(false).await.unwrap();
    let other = Connection::open(dir.path().join("rows.db")).unwrap();
    store.with(|connection| Ok(connection.busy_timeout(Duration::from_millis(1))?)).await.unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.write_closed("v", 0, Width::HOUR, 0).await, Err(StoreError::Unavailable(_))));
    other.execute_batch("ROLLBACK").unwrap();
    store.write_closed("v", 0, Width::HOUR, 0).await.unwrap();

    let text_file = dir.path().join("notes.txt");
    std::fs::write(&text_file, "no database, but a text that is long enough to be mistaken for one".repeat(20))
        .unwrap();
    for path in [text_file, dir.path().join("absent/rows.db")] {
        let error = Sqlite::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Refused(text) if text.contains("store.path")), "{error}");
    }
}

#[tokio::test]
async fn what_is_opened_to_be_read_is_neither_made_nor_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.db");
    let text = Sqlite::open_to_read(&path).unwrap_err().to_string();
    assert!(text.contains("rows.db") && text.contains("store.path") && !path.exists(), "{text}");
    let store = Sqlite::open(&path).unwrap();
    store.migrate(false).await.unwrap();
    let reader = Sqlite::open_to_read(&path).unwrap();
    reader.check().await.unwrap();
    assert!(reader.facts().await.unwrap().name.starts_with("SQLite 3."));
    let text = reader.write_closed("v", 1, Width::HOUR, 0).await.unwrap_err().to_string();
    assert!(text.contains("readonly") && text.contains("let this user write"), "{text}");
    let path = dir.path().join("text");
    std::fs::write(&path, "no database, and long enough to look like one ".repeat(50)).unwrap();
    assert!(Sqlite::open_to_read(&path).unwrap_err().to_string().contains("store.path"));
}
