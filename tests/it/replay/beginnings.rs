//! Replays that begin later than the logs do: what lies before stays as it is, and what is not whole says so.

use std::path::Path;

use super::retired::{LABELLED, with_towns};
use super::{Files, NEW, OLD, etiage, fails, generations, readings, rows, until_end};
use crate::support::succeed;

/// Written and folded in three portions, so that the store keeps positions on the way.
fn folded_in_portions() -> (Files, std::path::PathBuf) {
    let files = Files::new();
    let config = files.config("rows", OLD);
    for records in [300, 800, 2_000] {
        for file in 0..3 {
            let lines: Vec<String> = readings(file).lines().take(records).map(|line| format!("{line}\n")).collect();
            std::fs::write(files.0.path().join(format!("{file}.ndjson")), lines.concat()).expect("written");
        }
        until_end(&config);
    }
    (files, config)
}

/// Replays, and says where it began in each file.
fn begun(config: &Path, from: &str) -> Vec<u64> {
    let output = etiage(config, &["replay", "--from", from]).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let assigned = said.lines().filter(|line| line.contains("assigned"));
    let position =
        |line: &str| line.split_once(" position=")?.1.split_whitespace().next()?.trim_matches('"').parse().ok();
    assigned.map(|line| position(line).unwrap_or_else(|| panic!("no position in {line}"))).collect()
}

fn divided<'a>(rows: &'a str, from: &str) -> (Vec<&'a str>, Vec<&'a str>) {
    rows.lines().skip(1).partition(|row| row.split(',').nth(1).is_some_and(|start| start < from))
}

#[test]
fn a_replay_from_a_time_leaves_what_lies_before() {
    let (files, old) = folded_in_portions();
    let before = rows(&old);
    let new = files.config("rows", NEW);
    let from = "2019-02-19T12:00:00Z";
    fails(&mut etiage(&new, &["replay", "--from", "2019-02-20T12:00:00Z"]), "from 2019-02-19T23:00:00+00:00 on");
    let places = begun(&new, from);
    assert_eq!(places.len(), 3);
    assert!(places.iter().all(|place| (1..800).contains(place)), "nothing was folded twice: {places:?}");
    assert_eq!(generations(&new), ["1 superseded", "2 live"]);

    let (after, anew) = (rows(&new), rows(&files.fresh(NEW)));
    let ((left, computed), (stays, _), (_, fresh)) =
        (divided(&after, from), divided(&before, from), divided(&anew, from));
    assert_eq!((left, computed), (stays, fresh));
    let status = succeed(&mut etiage(&new, &["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["adds_up"], true, "{status}");
    until_end(&new);
    assert_eq!(rows(&new), after);

    // What was left then is computed after all, if that is wanted.
    let again = begun(&new, "earliest");
    assert_eq!((again, rows(&new)), (vec![0, 0, 0], anew));
}

#[test]
fn a_time_that_cannot_be_found_is_refused() {
    let files = Files::new();
    let third = files.0.path().join("2.ndjson");
    std::fs::write(&third, "").expect("written");
    let old = files.config("rows", OLD);
    until_end(&old);
    let elsewhere = files.config("rows", (31, "zone = \"Europe/Paris\""));
    for from in ["now", "2019-02-19T12:00:00Z"] {
        fails(&mut etiage(&elsewhere, &["replay", "--from", from]), "or at other times");
    }
    let new = files.config("rows", NEW);
    fails(&mut etiage(&new, &["replay", "--from", "2049-01-01"]), "which has not come yet");
    // What has not been folded may belong to any window.
    std::fs::write(&third, readings(2)).expect("written");
    fails(&mut etiage(&new, &["replay", "--from", "now"]), "Let it catch up");
    until_end(&old);
    // One that has begun goes on whatever is open by now, and as it began.
    let from = ["replay", "--from", "2019-02-19T12:00:00Z"];
    succeed(&mut etiage(&new, &[&from[..], &["--dry-run"]].concat()));
    fails(&mut etiage(&new, &["replay", "--from", "2019-02-19T11:00:00Z"]), "begins elsewhere");
    fails(&mut etiage(&new, &["replay", "--from", "earliest"]), "begins elsewhere");
    succeed(&mut etiage(&new, &from));
    assert_eq!(generations(&new), ["1 superseded", "2 live"]);
}

/// Of the windows that take readings still none is left half.
#[test]
fn a_replay_from_now_computes_open_windows_whole() {
    let (files, old) = folded_in_portions();
    let before = rows(&old);
    let new = files.config("rows", NEW);
    begun(&new, "now");
    let from = "2019-02-19T23:00:00Z";
    let (after, anew) = (rows(&new), rows(&files.fresh(NEW)));
    let ((left, computed), (stays, _), (_, fresh)) =
        (divided(&after, from), divided(&before, from), divided(&anew, from));
    assert_eq!((left, computed), (stays, fresh));
}

/// A view that begins without its past marks the windows that may lack some of it, and no others.
#[test]
fn a_view_that_is_added_from_now_on_says_what_is_partial() {
    let files = Files::new();
    let stream = "labels = { town = \"town\" }";
    let config = files.config("rows", (30, stream));
    // One that belongs to no town.
    let homeless = r#"{"at":"2019-02-19T00:00:00Z","lat":48.86,"lon":2.35,"temperature":5}"#;
    let first = files.0.path().join("0.ndjson");
    std::fs::write(&first, format!("{homeless}\n{}", readings(0))).expect("written");
    until_end(&config);
    let town =
        "[views.town]\ngroup_by = [\"town\"]\nwindow = \"1s\"\nallowed_lateness = \"unlimited\"\nrollups = [\"1d\"]\n";
    let both = std::fs::read_to_string(&config).expect("readable").replace("[store]", &format!("{town}[store]"));
    std::fs::write(&config, both).expect("written");
    let unchanged = rows(&config);
    succeed(&mut etiage(&config, &["replay", "--from", "now", "--view", "town"]));
    let towns = |width: &str| {
        let columns = "key,window_start,count,partial";
        let rows =
            ["rows", "--view", "town", "--metric", "temperature", "--width", width, "--csv", "--columns", columns];
        let rows = succeed(&mut etiage(&config, &rows));
        rows.lines().skip(1).map(str::to_owned).collect::<Vec<String>>()
    };
    assert!(towns("1s").is_empty() && towns("1d").is_empty());
    let unkeyed = || {
        let rejects = std::fs::read_to_string(files.0.path().join("rejects.ndjson")).unwrap_or_default();
        rejects.lines().filter(|line| line.contains("\"unkeyed\"")).count()
    };
    assert_eq!(unkeyed(), 0, "it was left out");

    let listed = succeed(&mut etiage(&config, &["generations"]));
    assert!(listed.lines().any(|line| line.starts_with("town") && line.contains(" 2019-02-20T23:")), "{listed}");

    // Two that belong to a window of before, and one beyond all that was left out.
    let reading = |at: &str| format!(r#"{{"at":"{at}","lat":48.86,"lon":2.35,"town":"Paris","temperature":5}}"#) + "\n";
    let added: String = ["2019-02-20T20:00:00Z", "2019-02-20T20:00:00Z", "2019-02-21T05:00:00Z"].map(reading).concat();
    std::fs::write(files.0.path().join("1.ndjson"), readings(1) + &added).expect("written");
    until_end(&config);
    assert_eq!(towns("1s"), ["Paris,2019-02-20T20:00:00Z,2,true", "Paris,2019-02-21T05:00:00Z,1,false"]);
    assert_eq!(towns("1d"), ["Paris,2019-02-20T00:00:00Z,2,true", "Paris,2019-02-21T00:00:00Z,1,false"]);
    let shown = rows(&config);
    assert_eq!(shown.lines().count(), unchanged.lines().count() + 1, "the other view goes on as it was");

    // Computed from the beginning after all, all of it is whole.
    succeed(&mut etiage(&config, &["replay", "--from", "earliest", "--view", "town"]));
    let whole = towns("1s");
    assert!(whole.len() > 1_000 && whole.iter().all(|row| row.ends_with(",false")), "{} rows", whole.len());
    assert_eq!(unkeyed(), 1, "nobody had looked at it");
    // And without its past again, if that is wanted.
    succeed(&mut etiage(&config, &["replay", "--from", "now", "--forget-history", "--view", "town"]));
    assert!(towns("1s").is_empty());
}

/// A replay of which one view is refused has not begun.
#[test]
fn of_two_views_none_is_begun_before_both_may_be() {
    let files = Files::new();
    let both = with_towns(&files.config("rows", LABELLED), "\"1d\"");
    until_end(&both);
    let replay = ["replay", "--from", "2019-02-19T12:00:00Z"];
    fails(&mut etiage(&both, &replay), "--freeze-windows");
    assert_eq!(generations(&both), ["1 live", "1 live"]);
    succeed(&mut etiage(&both, &[&replay[..], &["--freeze-windows"]].concat()));
    assert_eq!(generations(&both), ["1 superseded", "2 live", "1 superseded", "2 live"]);
}

/// What throws rows away is not gone on with by who has not asked for that.
#[test]
fn a_replay_that_forgets_is_gone_on_with_as_such() {
    let files = Files::new();
    let old = files.config("rows", OLD);
    until_end(&old);
    let forgetful = ["replay", "--from", "earliest", "--forget-history"];
    succeed(&mut etiage(&old, &[&forgetful[..], &["--dry-run"]].concat()));
    fails(&mut etiage(&old, &forgetful[..3]), "with --forget-history if it was begun with that");
    succeed(&mut etiage(&old, &forgetful));
    assert_eq!(generations(&old), ["1 superseded", "2 live"]);
}
