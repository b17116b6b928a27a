//! Whether a view would run, and go on where it stood. Pure.

use super::{About, Finding};
use crate::setup::meaning::{self, Meaning};
use crate::store::{GenerationRecord, GenerationState};

/// A view of the configuration. `is_read`: the group has committed in its topics.
pub fn configured(
    view: &str,
    here: &Meaning,
    records: &[GenerationRecord],
    is_read: bool,
    has_history: bool,
) -> Finding {
    let mut about = About::new(format!("view {view}"));
    match live(view, records) {
        Some(record) if record.fingerprint == here.fingerprint => {
            about.well(format!("generation {} is live and means the same", record.generation));
        }
        Some(record) => about.wrong(format!(
            "it would mean something else than what its rows hold: {}; go back to the configuration that computed them, or \
             compute them again with `etiage replay --from earliest`",
            meaning::differences(&record.meaning, &here.text)
        )),
        None if was_retired(view, records) => about.warn(format!(
            "it was retired, and its rows are there still: it waits for `etiage replay --view {view} --from earliest \
             --forget-history` (or now); the others go on"
        )),
        None if is_read => about.warn(format!(
            "it was added to a running stream and waits for `etiage replay --view {view} --from earliest`; the others go on"
        )),
        None if has_history => about.warn(format!(
            "not begun yet: it has a history in files, which only a replay folds: `etiage replay --view {view} --from earliest`"
        )),
        None => about.well("not begun yet: the first `etiage run` begins it where the log begins"),
    }
    about.findings.remove(0)
}

/// Views that are live in the store, and that the configuration does not have.
pub fn strangers<'a>(configured: impl Fn(&str) -> bool, records: &'a [GenerationRecord]) -> Vec<Finding> {
    let is_strange = |record: &&'a GenerationRecord| record.serves() && !configured(&record.view);
    let strange = records.iter().filter(is_strange).map(|record| {
        let mut about = About::new(format!("view {}", record.view));
        about.wrong(format!(
            "it is live in the store but not in this configuration: add it, or remove it for good with `etiage retire {}`",
            record.view
        ));
        about.findings.remove(0)
    });
    strange.collect()
}

/// The live generation of a view.
pub fn live<'a>(view: &str, records: &'a [GenerationRecord]) -> Option<&'a GenerationRecord> {
    records.iter().find(|record| record.view == view && record.serves())
}

fn was_retired(view: &str, records: &[GenerationRecord]) -> bool {
    records.iter().any(|record| record.view == view && record.state == GenerationState::Retired)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Level;
    use super::*;

    fn record(view: &str, state: GenerationState) -> GenerationRecord {
        GenerationRecord {
            view: view.into(),
            generation: 2,
            epoch_us: 1,
            state,
            fingerprint: "f".into(),
            meaning: r#"{"view":{"window":"1h"}}"#.into(),
            group: "g".into(),
            starts: BTreeMap::new(),
        }
    }

    fn meaning(fingerprint: &str, window: &str) -> Meaning {
        Meaning { text: format!(r#"{{"view":{{"window":"{window}"}}}}"#), fingerprint: fingerprint.into() }
    }

    #[test]
    fn a_view_runs_waits_begins_or_is_refused() {
        let there = [record("v", GenerationState::Live), record("w", GenerationState::Superseded)];
        let same = configured("v", &meaning("f", "1h"), &there, true, false);
        assert_eq!((same.level, same.text.as_str()), (Level::Well, "generation 2 is live and means the same"));
        let other = configured("v", &meaning("g", "2h"), &there, true, false);
        assert_eq!(other.level, Level::Error);
        assert!(other.text.contains(r#"view.window was "1h" and is "2h""#) && other.text.contains("etiage replay"));
        assert_eq!(configured("w", &meaning("f", "1h"), &there, true, false).level, Level::Warning);
        assert_eq!(configured("w", &meaning("f", "1h"), &there, false, false).level, Level::Well);
        let retired = configured("w", &meaning("f", "1h"), &[record("w", GenerationState::Retired)], true, false);
        assert!(retired.level == Level::Warning && retired.text.contains("--forget-history"), "{retired:?}");
        let waits = configured("w", &meaning("f", "1h"), &there, false, true);
        assert!(waits.level == Level::Warning && waits.text.contains("etiage replay --view w"), "{}", waits.text);
    }

    #[test]
    fn a_live_view_that_is_not_configured_is_an_error() {
        let there = [record("v", GenerationState::Live), record("w", GenerationState::Superseded)];
        let strange = strangers(|view| view == "other", &there);
        assert!(matches!(&strange[..], [one] if one.level == Level::Error && one.text.contains("etiage retire v")));
        assert!(strangers(|view| view == "v", &there).is_empty());
    }
}
