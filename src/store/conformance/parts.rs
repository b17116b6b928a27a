//! Parts: one cell each, the highest timestamp wins, a slot's parts are read together.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{EPOCH, HOUR_14, KEYS, heard, must, orders, part, slot, source, stamp};
use crate::store::{PartWrite, Slot, Store};
use crate::window::Width;

pub async fn run(store: &dyn Store) {
    the_highest_revision_wins_in_any_order(store).await;
    equal_stamps_are_decided_by_the_bytes(store).await;
    a_slot_holds_the_parts_of_every_source(store).await;
    slots_differ_in_every_field(store).await;
    any_key_and_any_time(store).await;
    large_batches_and_large_states(store).await;
    concurrent_writers_agree(store).await;
    every_slot_of_a_generation_is_listed_once(store).await;
    parts_are_removed(store).await;
}

async fn own(store: &dyn Store, slot: &Slot) -> Option<Vec<u8>> {
    must(store.read_own_parts(source(1, 0), std::slice::from_ref(slot)).await).remove(0)
}

async fn every_slot_of_a_generation_is_listed_once(store: &dyn Store) {
    let mut wanted = Vec::new();
    for (index, key) in KEYS.iter().enumerate() {
        let width: Width = ["1h", "15m", "1d"][index % 3].parse().unwrap_or(Width::HOUR);
        let tenant = ["", "a tenant"][index % 2];
        wanted.push(Slot {
            width,
            tenant: tenant.into(),
            ..slot("parts-list", key, HOUR_14 + index as i64 * 86_400_000)
        });
    }
    // More than one piece, and of some slots several parts.
    wanted.extend((0..2_500).map(|hour| slot("parts-list", "53", HOUR_14 - hour * 3_600_000)));
    wanted.dedup();
    let mut writes: Vec<PartWrite> = wanted.iter().map(|slot| part(slot, source(1, 0), 1)).collect();
    writes.extend(wanted.iter().step_by(3).map(|slot| part(slot, source(2, 1), 1)));
    writes.push(part(&Slot { generation: 2, ..slot("parts-list", "other", HOUR_14) }, source(1, 0), 1));
    writes.push(part(&slot("parts-list-2", "other", HOUR_14), source(1, 0), 1));
    must(store.write_parts(&writes).await);

    let listed = heard(async |pieces| store.list_slots("parts-list", 1, pieces).await).await;
    let unique: BTreeSet<Slot> = listed.iter().cloned().collect();
    assert_eq!((listed.len(), unique), (wanted.iter().collect::<BTreeSet<_>>().len(), wanted.into_iter().collect()));
}

/// Every order of arrival, each write repeated at once (as after an unknown outcome) and the
/// first one again at the end (as a zombie does).
async fn the_highest_revision_wins_in_any_order(store: &dyn Store) {
    for (index, order) in orders().iter().enumerate() {
        let slot = slot("parts-order", &index.to_string(), HOUR_14);
        for revision in order.iter().chain(order.first()) {
            let write = part(&slot, source(1, 0), *revision);
            must(store.write_parts(&[write.clone(), write.clone()]).await);
            must(store.write_parts(&[write]).await);
        }
        assert_eq!(own(store, &slot).await, Some(part(&slot, source(1, 0), 4).state), "order {order:?}");
    }
}

async fn equal_stamps_are_decided_by_the_bytes(store: &dyn Store) {
    let states: [&[u8]; 3] = [&[0x7f], &[0x80, 0x00], &[0x80]];
    for (index, order) in [[0, 1, 2], [2, 1, 0], [1, 2, 0]].iter().enumerate() {
        let slot = slot("parts-tie", &index.to_string(), HOUR_14);
        for state in order {
            let state = states[*state].to_vec();
            must(
                store
                    .write_parts(&[PartWrite { slot: slot.clone(), source: source(1, 0), state, stamp: stamp(1) }])
                    .await,
            );
        }
        assert_eq!(own(store, &slot).await.as_deref(), Some(states[1]), "order {order:?}");
    }
}

async fn a_slot_holds_the_parts_of_every_source(store: &dyn Store) {
    let [full, empty] = ["full", "empty"].map(|key| slot("parts-sources", key, HOUR_14));
    let writes: Vec<PartWrite> = [(1, 0), (1, 11), (2, 0), (255, i32::MAX)]
        .into_iter()
        .map(|(topic, n)| part(&full, source(topic, n), i64::from(topic)))
        .collect();
    must(store.write_parts(&writes).await);
    let read = must(store.read_slots(&[empty.clone(), full.clone(), empty.clone()]).await);
    let mut parts = read[1].clone();
    parts.sort();
    let expected: Vec<_> = writes.iter().map(|write| (write.source, write.state.clone())).collect();
    assert_eq!((read[0].len(), &parts, read[2].len()), (0, &expected, 0));
    let own = must(store.read_own_parts(source(2, 0), &[full.clone(), empty, full]).await);
    assert_eq!(own, [Some(expected[2].1.clone()), None, Some(expected[2].1.clone())]);
    assert!(
        must(store.read_slots(&[]).await).is_empty() && must(store.read_own_parts(source(1, 0), &[]).await).is_empty()
    );
    must(store.write_parts(&[]).await);
}

async fn slots_differ_in_every_field(store: &dyn Store) {
    let base = slot("parts-fields", "53", HOUR_14);
    let quarter: Width = "15m".parse().unwrap_or(Width::HOUR);
    let slots = [
        base.clone(),
        Slot { view: "parts-fields-2".into(), ..base.clone() },
        Slot { generation: 2, ..base.clone() },
        Slot { width: quarter, ..base.clone() },
        Slot { tenant: "t".into(), ..base.clone() },
        Slot { key: "54".into(), ..base.clone() },
        Slot { start_ms: HOUR_14 + 3_600_000, ..base },
    ];
    let writes: Vec<PartWrite> =
        slots.iter().zip(1..).map(|(slot, revision)| part(slot, source(1, 0), revision)).collect();
    must(store.write_parts(&writes).await);
    let read = must(store.read_own_parts(source(1, 0), &slots).await);
    assert_eq!(read, writes.into_iter().map(|write| Some(write.state)).collect::<Vec<_>>());
}

/// Nothing but those slots, and nothing that was written above the stamp.
async fn parts_are_removed(store: &dyn Store) {
    let slots = ["53", "54", "55"].map(|key| slot("parts-remove", key, HOUR_14));
    let writes: Vec<PartWrite> =
        slots.iter().flat_map(|slot| [part(slot, source(1, 0), 3), part(slot, source(1, 1), 5)]).collect();
    must(store.write_parts(&writes).await);
    must(store.remove_parts(&slots[..2], stamp(4)).await);
    let counts: Vec<usize> = must(store.read_slots(&slots).await).iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 1, 2]);
    must(store.remove_parts(&slots, stamp(5)).await);
    must(store.remove_parts(&slots, stamp(5)).await);
    assert!(must(store.read_slots(&slots).await).iter().all(Vec::is_empty));
}

async fn any_key_and_any_time(store: &dyn Store) {
    let starts = [0, -3_600_000, HOUR_14, -62_135_596_800_000, 253_402_297_200_000];
    let slots: Vec<Slot> =
        starts.iter().flat_map(|start| KEYS.iter().map(|key| slot("parts-keys", key, *start))).collect();
    let writes: Vec<PartWrite> =
        slots.iter().zip(1..).map(|(slot, revision)| part(slot, source(1, 0), revision)).collect();
    must(store.write_parts(&writes).await);
    let read = must(store.read_own_parts(source(1, 0), &slots).await);
    for (write, state) in writes.iter().zip(read) {
        assert_eq!(state.as_ref(), Some(&write.state), "{:?}", write.slot);
    }
}

async fn large_batches_and_large_states(store: &dyn Store) {
    let slots: Vec<Slot> = (0..5_000).map(|index| slot("parts-many", &index.to_string(), HOUR_14)).collect();
    let writes: Vec<PartWrite> =
        slots.iter().zip(1..).map(|(slot, revision)| part(slot, source(1, 0), revision)).collect();
    must(store.write_parts(&writes).await);
    let read = must(store.read_slots(&slots).await);
    for (write, parts) in writes.iter().zip(read) {
        assert_eq!(parts, [(write.source, write.state.clone())], "{:?}", write.slot);
    }

    let slot = slot("parts-large", "53", HOUR_14);
    let state: Vec<u8> = (0..1_048_576_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    must(
        store
            .write_parts(&[PartWrite {
                slot: slot.clone(),
                source: source(1, 0),
                state: state.clone(),
                stamp: stamp(1),
            }])
            .await,
    );
    must(
        store
            .write_parts(&[PartWrite { slot: slot.clone(), source: source(1, 1), state: vec![], stamp: stamp(1) }])
            .await,
    );
    let mut parts = must(store.read_slots(&[slot]).await).remove(0);
    parts.sort();
    assert!(parts == [(source(1, 0), state), (source(1, 1), vec![])], "a state of 1 MiB and an empty one read back");
}

/// Eight owners of one partition, seven of them zombies, each behind the other.
async fn concurrent_writers_agree(store: &dyn Store) {
    let slot = &slot("parts-race", "53", HOUR_14);
    let writer = async |zombie: i64| {
        for revision in (zombie..=24).step_by(1 + zombie as usize) {
            must(store.write_parts(&[part(slot, source(1, 0), revision)]).await);
        }
    };
    join_all((0..8).map(writer)).await;
    assert_eq!(own(store, slot).await, Some(part(slot, source(1, 0), 24).state));
    let ahead = PartWrite { stamp: crate::store::Stamp(EPOCH - 1), ..part(slot, source(1, 0), 99) };
    must(store.write_parts(&[ahead]).await);
    assert_eq!(own(store, slot).await, Some(part(slot, source(1, 0), 24).state), "an earlier generation never wins");
}
