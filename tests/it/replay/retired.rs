//! Views that a configuration has lost: removed for good, and had again.

use std::path::{Path, PathBuf};

use super::{Files, OLD, etiage, fails, generations, rows, until_end};
use crate::support::succeed;

/// The same store under a second view, by town.
pub fn with_towns(config: &Path, rollups: &str) -> PathBuf {
    let town = format!("[views.town]\ngroup_by = [\"town\"]\nrollups = [{rollups}]\n[store]");
    let text = std::fs::read_to_string(config).expect("readable").replace("[store]", &town);
    let both = config.with_file_name("both.toml");
    std::fs::write(&both, text).expect("written");
    both
}

pub const LABELLED: (u32, &str) = (OLD.0, "labels = { town = \"town\" }");

fn towns(config: &Path) -> String {
    let columns = "key,window_start,count,mean,min,max,final,revision";
    let rows = ["rows", "--view", "town", "--metric", "temperature", "--csv", "--columns", columns];
    succeed(&mut etiage(config, &rows))
}

#[test]
fn a_view_is_retired_and_comes_back_by_a_replay() {
    let files = Files::new();
    let one = files.config("rows", LABELLED);
    let both = with_towns(&one, "");
    until_end(&both);
    let (before, region) = (towns(&both), rows(&one));
    assert!(before.lines().count() > 100, "{before}");

    // Records would be committed that the view has never seen.
    fails(&mut etiage(&one, &["run", "--until-end"]), "etiage retire town");
    fails(&mut etiage(&both, &["retire", "town"]), "view town is in this configuration");
    fails(&mut etiage(&one, &["retire", "twon"]), "the store knows no view twon; it knows region, town");
    succeed(&mut etiage(&both, &["replay", "--from", "earliest", "--view", "town", "--dry-run"]));
    fails(&mut etiage(&one, &["retire", "town"]), "etiage replay --abort --view town");
    succeed(&mut etiage(&both, &["replay", "--abort", "--view", "town"]));

    let said = succeed(&mut etiage(&one, &["retire", "town"]));
    assert!(said.contains("view town is retired") && said.contains("its rows stay"), "{said}");
    assert_eq!(generations(&one), ["1 live", "1 retired", "2 superseded"]);
    until_end(&one);
    // Who has it still goes on without it.
    until_end(&both);
    assert_eq!((towns(&both), rows(&one)), (before.clone(), region.clone()));
    fails(&mut etiage(&both, &["replay", "--from", "now", "--view", "town"]), "(or now) --forget-history");
    let removed = succeed(&mut etiage(&one, &["gc"]));
    assert!(removed.contains("view town, generation 1 lost its parts of"), "{removed}");

    let said = succeed(&mut etiage(&one, &["retire", "town", "--remove-rows"]));
    assert!(said.contains("was retired before") && said.contains("its rows are removed"), "{said}");
    assert_eq!(towns(&both).lines().count(), 1, "the head is left");
    assert_eq!(rows(&one), region);
    fails(&mut etiage(&one, &["retire", "town"]), "was retired before, and its rows are removed");

    succeed(&mut etiage(&both, &["replay", "--from", "earliest", "--view", "town"]));
    assert_eq!((towns(&both), rows(&both)), (before.clone(), region));
    until_end(&both);
    assert_eq!(generations(&both), ["1 live", "1 superseded", "2 superseded", "3 live"]);

    // Rows that stayed go with what comes in their place.
    succeed(&mut etiage(&one, &["retire", "town"]));
    succeed(&mut etiage(&both, &["replay", "--from", "earliest", "--view", "town", "--forget-history"]));
    assert_eq!(generations(&both), ["1 live", "1 superseded", "2 superseded", "3 superseded", "4 live"]);
    assert_eq!(towns(&both), before);
}
