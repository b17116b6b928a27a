//! Every row is sent, as it is or as an object, with its key and in its time.

use std::path::PathBuf;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

async fn run(arguments: &[&str]) -> Result<Replayed, SimulateError> {
    let (_keep, stop) = watch::channel(false);
    replay(Cli::parse_from(std::iter::once(&"replay").chain(arguments)).args, stop).await
}

/// What lies in `part-0.*` after `text` was replayed as a file of this name.
async fn sent(name: &str, text: &str, arguments: &[&str]) -> (Replayed, String) {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join(name), dir.path().join("out"));
    std::fs::write(&from, text).unwrap();
    let fixed = [from.to_str().unwrap(), "--partitions", "1", "--files", to.to_str().unwrap()];
    let replayed = run(&[&fixed[..], arguments].concat()).await.unwrap();
    let files: Vec<PathBuf> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    (replayed, std::fs::read_to_string(&files[0]).unwrap())
}

#[tokio::test]
async fn lines_of_json_are_sent_as_they_are() {
    let text = "{\"s\":1,\"v\":2}\r\n\n{\"s\":\"b\"}\nnot json";
    let (replayed, out) = sent("in.ndjson", text, &["--key", "s"]).await;
    assert_eq!((replayed.records, replayed.timeless), (3, 0));
    assert_eq!(out, "{\"s\":1,\"v\":2}\n{\"s\":\"b\"}\nnot json\n");
}

#[tokio::test]
async fn rows_of_csv_keep_their_bytes_and_their_line_ends_within_quotes() {
    let text = "\u{feff}id;t;note;\r\n07005;1;\"two\nlines; \"\"quoted\"\"\";\r\n\n07015;;5\" pipe;\n";
    let (replayed, out) = sent("in.csv", text, &["--key", "id"]).await;
    assert_eq!(replayed.records, 2);
    assert_eq!(out, "id;t;note;\n07005;1;\"two\nlines; \"\"quoted\"\"\";\n07015;;5\" pipe;\n");
}

#[tokio::test]
async fn rows_become_objects() {
    let text = "id;t;flag;note;\n07005;-1.50;true;a \"b\";\n7;1e5;;null;\n8;+1;NaN;true ly;\n9;1\n10;1;false;x;y;z\n";
    let (_, out) = sent("in.csv", text, &["--format", "json"]).await;
    let wanted = [
        r#"{"id":"07005","t":-1.50,"flag":true,"note":"a \"b\""}"#,
        r#"{"id":7,"t":1e5,"flag":"","note":null}"#,
        r#"{"id":8,"t":"+1","flag":"NaN","note":"true ly"}"#,
        r#"{"id":9,"t":1}"#,
        r#"{"id":10,"t":1,"flag":false,"note":"x"}"#,
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn rows_are_sent_in_their_time() {
    let text =
        "at,v\n2026-03-01 00:00:00,1\n2026-03-01 00:00:20,2\nsoon,3\n2026-03-01 00:00:10,4\n2026-03-01 00:00:40,5\n";
    let (replayed, out) = sent("in.csv", text, &["--time", "at", "--speed", "100"]).await;
    assert_eq!((replayed.records, replayed.timeless), (5, 1));
    assert!((0.39..3.0).contains(&replayed.seconds), "40 s, a hundred times faster: {replayed}");
    assert_eq!(out.lines().count(), 6);
    let (fast, _) = sent("in.csv", text, &["--time", "at"]).await;
    assert!(fast.seconds < 0.3, "{fast}");
}

#[tokio::test]
async fn a_wish_to_stop_ends_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("in.csv");
    std::fs::write(&from, "at,v\n1000000000,1\n2000000000,2\n").unwrap();
    let to = dir.path().join("out");
    let arguments = ["replay", from.to_str().unwrap(), "--files", to.to_str().unwrap(), "--time", "at", "--speed", "1"];
    let (tell, stop) = watch::channel(false);
    let running = tokio::spawn(replay(Cli::parse_from(arguments).args, stop));
    tokio::time::sleep(Duration::from_millis(100)).await;
    tell.send(true).unwrap();
    let replayed = tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
    assert_eq!(replayed.records, 1);
}

#[tokio::test]
async fn wrong_arguments_are_answered_with_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.csv");
    std::fs::write(&file, "id;t\n07005;1\n").unwrap();
    let path = file.to_str().unwrap();
    for (arguments, wanted) in [
        (&[path, "--key", "nr"][..], "--key \"nr\": no such column in "),
        (&[path, "--time", "at", "--speed", "1"], "; it has id, t"),
        (&[path, "--speed", "1"], "--time names their column"),
        (&["/no/such.csv"], "/no/such.csv: No such file"),
    ] {
        let message = run(arguments).await.unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    }
    let json = dir.path().join("in.ndjson");
    std::fs::write(&json, "{}\n").unwrap();
    let message = run(&[json.to_str().unwrap(), "--format", "csv"]).await.unwrap_err().to_string();
    assert!(message.contains("is no .csv file"), "{message}");
}

#[test]
fn an_open_quote_is_seen() {
    for (row, open) in [
        ("a;b", false),
        ("a;\"b", true),
        ("a;\"b\"", false),
        ("a;\"b\"\"", true),
        ("a;5\" pipe", false),
        ("\"a;b\nc", true),
        ("\"a\";\"", true),
        ("", false),
    ] {
        assert_eq!(is_open(row.as_bytes(), b';'), open, "{row:?}");
    }
}

#[test]
fn written_times_are_read() {
    let wanted = Some(1_550_584_930_000);
    for text in [
        "2019-02-19T14:02:10Z",
        "2019-02-19T15:02:10+01:00",
        "2019-02-19 14:02:10",
        "2019-02-19 14:02:10 UTC",
        "2019-02-19T14:02:10",
        "20190219140210",
        "1550584930",
        "1550584930000",
        "1550584930000000",
        "1550584930000000000",
    ] {
        assert_eq!(written_time(text), wanted, "{text}");
    }
    assert_eq!(written_time("2019-02-19 14:02:10.5"), Some(1_550_584_930_500));
    for text in ["", "yesterday", "7", "20190230140210", "2019-02-30 00:00:00", "99999999999999999999"] {
        assert_eq!(written_time(text), None, "{text}");
    }
}

#[test]
fn the_separator_is_the_header_s() {
    assert_eq!(likely_separator(b"id;date;t,u;"), b';');
    assert_eq!(likely_separator(b"id\tdate\tt"), b'\t');
    assert_eq!(likely_separator(b"id,date"), b',');
    assert_eq!(likely_separator(b"id"), b',');
}
