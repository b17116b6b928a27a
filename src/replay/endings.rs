//! How a generation ends that nothing takes the place of: its replay is given up, or its view is retired. Pure.

use crate::store::{GenerationChange, GenerationRecord, GenerationState};

use super::plan::Refusal;

/// The steps that give up a view's replay; none where there is none.
pub fn abortion(view: &str, known: &[GenerationRecord]) -> Result<Vec<GenerationChange>, Refusal> {
    let of_view = || known.iter().filter(|record| record.view == view);
    if let Some(promoting) = of_view().find(|record| record.state == GenerationState::Promoting) {
        return Err(Refusal::TakenOver { view: view.to_owned(), generation: promoting.generation });
    }
    let Some(replayed) = of_view().find(|record| record.state == GenerationState::Replaying) else {
        return Ok(Vec::new());
    };
    let draining = of_view().filter(|record| matches!(record.state, GenerationState::Draining { .. }));
    let mut steps = vec![replayed.step(GenerationState::Superseded)];
    steps.extend(draining.map(|record| record.step(GenerationState::Live)));
    Ok(steps)
}

/// The generation that serves a view which is to be retired, or served it when it was. None where its rows have gone, too.
pub fn last<'a>(view: &str, known: &'a [GenerationRecord]) -> Result<Option<&'a GenerationRecord>, Refusal> {
    let of_view = || known.iter().filter(|record| record.view == view);
    if of_view().next().is_none() {
        let mut views: Vec<&str> = known.iter().map(|record| record.view.as_str()).collect();
        views.sort_unstable();
        views.dedup();
        let known = if views.is_empty() { "none".to_owned() } else { views.join(", ") };
        return Err(Refusal::Unknown { view: view.to_owned(), known });
    }
    let is_of_replay =
        |state| !matches!(state, GenerationState::Live | GenerationState::Superseded | GenerationState::Retired);
    if let Some(record) = of_view().filter(|record| is_of_replay(record.state)).max_by_key(|record| record.generation) {
        return Err(Refusal::NotAlone { view: view.to_owned(), generation: record.generation });
    }
    let has_rows =
        |record: &&GenerationRecord| matches!(record.state, GenerationState::Live | GenerationState::Retired);
    Ok(of_view().filter(has_rows).max_by_key(|record| record.generation))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn live(view: &str, generation: u32) -> GenerationRecord {
        GenerationRecord {
            view: view.to_owned(),
            generation,
            epoch_us: i64::from(generation),
            state: GenerationState::Live,
            fingerprint: String::new(),
            meaning: String::new(),
            group: "etiage".to_owned(),
            starts: BTreeMap::new(),
        }
    }

    #[test]
    fn a_replay_is_given_up_until_it_has_taken_over() {
        let replayed = GenerationRecord { state: GenerationState::Replaying, ..live("v", 2) };
        let draining = GenerationRecord { state: GenerationState::Draining { until_ms: 5 }, ..live("v", 1) };
        let steps = |known: &[GenerationRecord]| {
            abortion("v", known).map(|steps| steps.iter().map(|step| (step.generation, step.to)).collect::<Vec<_>>())
        };
        let (superseded, back) = ((2, GenerationState::Superseded), (1, GenerationState::Live));
        assert_eq!(steps(&[live("v", 1), replayed.clone()]), Ok(vec![superseded]));
        assert_eq!(steps(&[draining, replayed.clone()]), Ok(vec![superseded, back]));
        assert_eq!(steps(&[live("v", 1), live("w", 2)]), Ok(vec![]));
        let promoting = GenerationRecord { state: GenerationState::Promoting, ..replayed };
        assert!(matches!(steps(&[promoting]), Err(Refusal::TakenOver { generation: 2, .. })));
    }

    #[test]
    fn a_view_is_retired_when_nothing_is_under_way() {
        use GenerationState::{Draining, Promoting, Replaying, Retired, Superseded};
        let known = [GenerationRecord { state: Superseded, ..live("v", 1) }, live("v", 2), live("w", 5)];
        assert_eq!(last("v", &known), Ok(Some(&known[1])));
        assert_eq!(last("v", &known[..1]), Ok(None), "its rows were removed before");
        let retired = [GenerationRecord { state: Retired, ..live("v", 1) }, live("w", 5)];
        assert_eq!(last("v", &retired), Ok(Some(&retired[0])));
        for state in [Replaying, Promoting, Draining { until_ms: 5 }] {
            let known = [live("v", 2), GenerationRecord { state, ..live("v", 3) }];
            let refused = last("v", &known);
            assert_eq!(refused, Err(Refusal::NotAlone { view: "v".to_owned(), generation: 3 }));
            assert!(last("w", &[&known[..], &[live("w", 1)]].concat()).is_ok(), "another view does not matter");
        }
        let unknown = |known: &[GenerationRecord]| last("x", known).unwrap_err().to_string();
        assert_eq!(unknown(&known), "the store knows no view x; it knows v, w");
        assert_eq!(unknown(&[]), "the store knows no view x; it knows none");
    }
}
