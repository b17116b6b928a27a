//! Generations are created once, cursors only move forward, positions are kept in order.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::{EPOCH, HOUR_14, must, source};
use crate::reading::{Offset, SourceId};
use crate::store::{
    Closing, GenerationChange, GenerationRecord, GenerationState, PositionKind, Start, Store, StoredPosition,
};
use crate::window::Width;

pub async fn run(store: &dyn Store) {
    generations_are_created_once(store).await;
    one_of_many_creators_wins(store).await;
    generations_change_together_or_not_at_all(store).await;
    cursors_only_move_forward(store).await;
    positions_are_kept_newest_first(store).await;
    trimmed_positions_may_be_written_again(store).await;
    the_newest_heartbeat_is_the_one_that_is_read(store).await;
}

fn generation(view: &str, generation: u32) -> GenerationRecord {
    GenerationRecord {
        view: view.into(),
        generation,
        epoch_us: EPOCH + i64::from(generation),
        state: GenerationState::Live,
        fingerprint: "5f".repeat(32),
        meaning: r#"{"unit":-9,"zone":"Europe/Paris","é":"'"}"#.into(),
        group: "étiage 'one'".into(),
        starts: BTreeMap::from([
            (source(1, 0), Start::at(Offset(0))),
            (source(1, 1), Start { max_ms: Some(-1), ..Start::at(Offset(i64::MAX)) }),
            (source(200, 0), Start { max_ms: Some(HOUR_14), gone_ms: Some(5), ..Start::at(Offset(7)) }),
        ]),
    }
}

async fn recorded(store: &dyn Store, view: &str) -> Vec<GenerationRecord> {
    let mut records = must(store.generations().await);
    records.retain(|record| record.view == view);
    records.sort_by_key(|record| record.generation);
    records
}

async fn generations_are_created_once(store: &dyn Store) {
    assert!(recorded(store, "generations").await.is_empty());
    let first = generation("generations", 1);
    let next =
        GenerationRecord { state: GenerationState::Replaying, starts: BTreeMap::new(), ..generation("generations", 2) };
    assert!(must(store.create_generation(&first).await));
    assert!(must(store.create_generation(&next).await));
    let other = GenerationRecord { fingerprint: "another".into(), ..first.clone() };
    assert!(!must(store.create_generation(&other).await));
    assert!(!must(store.create_generation(&first).await), "a repetition finds its own record");
    assert_eq!(recorded(store, "generations").await, [first, next]);
}

async fn one_of_many_creators_wins(store: &dyn Store) {
    let creator = async |index: i64| {
        let record = GenerationRecord { epoch_us: index, ..generation("generations-race", 1) };
        store.create_generation(&record).await
    };
    let outcomes = join_all((0..6).map(creator)).await;
    let created: Vec<i64> =
        (0..6).zip(&outcomes).filter(|(_, outcome)| matches!(outcome, Ok(true))).map(|(index, _)| index).collect();
    let found = recorded(store, "generations-race").await;
    assert_eq!(found.len(), 1, "{outcomes:?}");
    // A contended transaction may end with an unknown outcome: then nobody need know that he won.
    assert!(created.len() <= 1, "{outcomes:?}");
    assert!(created.is_empty() || found[0].epoch_us == created[0], "{outcomes:?}");
}

async fn generations_change_together_or_not_at_all(store: &dyn Store) {
    use GenerationState::{Draining, Live, Promoting, Replaying, Superseded};
    let drains = Draining { until_ms: HOUR_14 + 7 };
    let of = |generation, from, to| GenerationChange { view: "generations-change".into(), generation, from, to };
    let states = async || -> Vec<GenerationState> {
        recorded(store, "generations-change").await.iter().map(|record| record.state).collect()
    };
    for (number, state) in [(1, Live), (2, Replaying)] {
        let record = GenerationRecord { state, ..generation("generations-change", number) };
        assert!(must(store.create_generation(&record).await));
    }
    assert!(must(store.change_generations(&[]).await));
    assert!(must(store.change_generations(&[of(1, Live, drains)]).await));
    assert!(!must(store.change_generations(&[of(1, Live, drains)]).await), "it is no longer live");
    let later = Draining { until_ms: HOUR_14 + 8 };
    assert!(!must(store.change_generations(&[of(1, later, Live)]).await), "it is another draining");
    let promotion = [of(1, drains, Superseded), of(2, Promoting, Live)];
    assert!(!must(store.change_generations(&promotion).await));
    assert_eq!(states().await, [drains, Replaying], "one of two steps is none");
    let promotion = [of(1, drains, Superseded), of(2, Replaying, Promoting)];
    assert!(must(store.change_generations(&promotion).await));
    assert_eq!(states().await, [Superseded, Promoting]);
    assert!(!must(store.change_generations(&[of(3, Live, Superseded)]).await), "there is none");
    assert_eq!(states().await.len(), 2);
}

async fn cursors_only_move_forward(store: &dyn Store) {
    let hour = Width::HOUR;
    assert_eq!(must(store.closing("closing", 1, hour).await), Closing::default());
    let (mut cursor, mut closed) = (None, None);
    for to in
        [-62_135_596_800_000, -7_200_001, -7_200_000, -7_200_001, 0, -1, HOUR_14, HOUR_14 - 1, 253_402_300_799_999, 5]
    {
        must(store.write_closing_cursor("closing", 1, hour, to).await);
        cursor = cursor.max(Some(to));
        assert_eq!(
            must(store.closing("closing", 1, hour).await),
            Closing { cursor_ms: cursor, closed_ms: closed },
            "to {to}"
        );
        must(store.write_closed("closing", 1, hour, to - to.signum()).await);
        closed = closed.max(Some(to - to.signum()));
        assert_eq!(
            must(store.closing("closing", 1, hour).await),
            Closing { cursor_ms: cursor, closed_ms: closed },
            "to {to}"
        );
    }
    for (view, number, width) in [("closing", 2, "1h"), ("closing-2", 1, "1h"), ("closing", 1, "15m")] {
        let width: Width = width.parse().unwrap_or(hour);
        assert_eq!(must(store.closing(view, number, width).await), Closing::default());
    }
}

fn position(group: &str, source: SourceId, kind: PositionKind, offset: i64) -> StoredPosition {
    let metadata = format!("{kind:?} at {offset}").into_bytes();
    StoredPosition {
        group: group.into(),
        source,
        kind,
        offset: Offset(offset),
        metadata,
        written_at_ms: HOUR_14 + offset,
    }
}

async fn positions_are_kept_newest_first(store: &dyn Store) {
    use PositionKind::{Commit, Kept, Spill};
    let [mine, other] = [source(1, 0), source(1, 1)];
    assert!(must(store.positions("positions", mine, Kept, 10).await).is_empty());
    let kept: Vec<StoredPosition> = [9, 100, 0, 20, 3].map(|offset| position("positions", mine, Kept, offset)).into();
    must(store.write_positions(&kept).await);
    let large = StoredPosition { metadata: vec![0xa5; 100_000], ..position("positions", mine, Spill, 5) };
    must(
        store
            .write_positions(&[
                large.clone(),
                position("positions", other, Kept, 55),
                position("other", mine, Kept, 66),
            ])
            .await,
    );

    let offsets = async |kind, limit| -> Vec<i64> {
        must(store.positions("positions", mine, kind, limit).await).iter().map(|found| found.offset.0).collect()
    };
    assert_eq!(offsets(Kept, 10).await, [100, 20, 9, 3, 0]);
    assert_eq!(offsets(Kept, 2).await, [100, 20]);
    assert_eq!(must(store.positions("positions", mine, Kept, 1).await), [kept[1].clone()]);
    assert_eq!(must(store.positions("positions", mine, Spill, usize::MAX).await), [large]);
    let from = async |offset: i64| {
        must(store.position_from("positions", mine, Kept, Offset(offset)).await).map(|found| found.offset.0)
    };
    assert_eq!([from(-1).await, from(4).await, from(100).await], [Some(0), Some(9), Some(100)]);
    assert_eq!(from(101).await, None);
    assert!(offsets(Commit, 10).await.is_empty() && offsets(Kept, 0).await.is_empty());
    must(store.trim_positions("positions", mine, Kept, Offset(9)).await);
    assert_eq!(offsets(Kept, 10).await, [100, 20, 9]);
    must(store.trim_positions("positions", mine, Kept, Offset(-1)).await);
    assert_eq!((offsets(Kept, 10).await.len(), offsets(Spill, 10).await.len()), (3, 1));
    assert_eq!(must(store.positions("positions", other, Kept, 10).await).len(), 1);
}

async fn trimmed_positions_may_be_written_again(store: &dyn Store) {
    let written = |offset, age: i64| StoredPosition {
        written_at_ms: HOUR_14 + age,
        metadata: age.to_be_bytes().to_vec(),
        ..position("positions-again", source(1, 0), PositionKind::Commit, offset)
    };
    let newest = async || must(store.positions("positions-again", source(1, 0), PositionKind::Commit, 1).await);
    for age in [2, 3, 1] {
        must(store.write_positions(&[written(10, age)]).await);
    }
    assert_eq!(newest().await, [written(10, 3)], "of one offset the later write wins");
    must(store.write_positions(&[written(20, 4)]).await);
    must(store.trim_positions("positions-again", source(1, 0), PositionKind::Commit, Offset(21)).await);
    assert!(newest().await.is_empty());
    must(store.write_positions(&[written(10, 5)]).await);
    assert_eq!(newest().await, [written(10, 5)], "what was trimmed does not hide what comes later");
    must(store.write_positions(&[written(15, 1)]).await);
    assert_eq!(newest().await, [written(15, 1)], "nor other offsets");
}

async fn the_newest_heartbeat_is_the_one_that_is_read(store: &dyn Store) {
    let beat = |partition, age: i64| StoredPosition {
        written_at_ms: HOUR_14 + age,
        metadata: format!("beat {:03}", 500 - age).into_bytes(),
        ..position("heartbeats", source(1, partition), PositionKind::Heartbeat, 0)
    };
    let read =
        async |partition| must(store.positions("heartbeats", source(1, partition), PositionKind::Heartbeat, 2).await);
    // Of two owners, one of them slow to notice that it has lost the partition.
    for age in [1, 5, 3] {
        must(store.write_positions(&[beat(0, age), beat(1, 2 * age)]).await);
    }
    assert_eq!((read(0).await, read(1).await), (vec![beat(0, 5)], vec![beat(1, 10)]));
    let commits = store.positions("heartbeats", source(1, 0), PositionKind::Commit, 2).await;
    assert!(must(commits).is_empty(), "a heartbeat is no position of any other kind");
}
