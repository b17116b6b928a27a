//! The coordinator's side: instances come and go, partitions change hands, and what is read is fed
//! to who reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etiage::reading::{Offset, RawBatch, TopicPartition};
use etiage::source::{Assignment, SourceEvent};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::doors::Doors;
use crate::world::{REPLAY, SERVING, State, World, stream_of};

/// Bytes that an instance has read and not folded, at most.
const QUEUE: usize = 4_000;

/// Who takes a partition from whom.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// In which of the groups.
    pub side: usize,
    pub partition: usize,
    pub from: Option<u64>,
    pub to: u64,
}

impl State {
    /// Those of a group that may get partitions.
    pub fn takers(&self, side: usize) -> Vec<u64> {
        let takes = |member: &&u64| {
            let member = &self.members[*member];
            member.side == side
                && member.alive
                && !member.leaving
                && !member.zombie
                && member.paused_until <= self.now()
        };
        self.members.keys().filter(takes).copied().collect()
    }

    /// Partitions without an owner find one.
    pub fn spread(&mut self) -> Vec<Move> {
        let moves = [SERVING, REPLAY].into_iter().flat_map(|side| self.spread_in(side)).collect();
        self.take(moves)
    }

    fn spread_in(&mut self, side: usize) -> Vec<Move> {
        let takers = self.takers(side);
        let holds = |id: u64, state: &State| {
            state.members.get(&id).is_some_and(|member| member.alive && !member.leaving && !member.zombie)
        };
        let mut moves = Vec::new();
        for number in 0..self.partitions.len() {
            let partition = &self.partitions[number];
            let of = &partition.sides[side];
            let orphan = of.owner.is_none_or(|owner| !holds(owner, self));
            if !partition.is_read_in(side) || of.moving || !orphan || takers.is_empty() {
                continue;
            }
            let to = takers[self.random.below(takers.len())];
            moves.push(Move { side, partition: number, from: None, to });
        }
        moves
    }

    /// Some partitions go to others.
    pub fn shuffle(&mut self) -> Vec<Move> {
        let moves = [SERVING, REPLAY].into_iter().flat_map(|side| self.shuffle_in(side)).collect();
        self.take(moves)
    }

    fn shuffle_in(&mut self, side: usize) -> Vec<Move> {
        let takers = self.takers(side);
        let mut moves = Vec::new();
        for number in 0..self.partitions.len() {
            let of = &self.partitions[number].sides[side];
            let (Some(owner), false, false) = (of.owner, of.moving, takers.is_empty()) else { continue };
            let to = takers[self.random.below(takers.len())];
            if to != owner && self.random.chance(0.5) {
                moves.push(Move { side, partition: number, from: Some(owner), to });
            }
        }
        moves
    }

    fn take(&mut self, moves: Vec<Move>) -> Vec<Move> {
        moves.iter().for_each(|one| self.partitions[one.partition].sides[one.side].moving = true);
        moves
    }

    fn assignment(&self, side: usize, number: usize) -> Assignment {
        let partition = &self.partitions[number];
        Assignment {
            partition: partition.name.clone(),
            source: partition.source,
            stream: stream_of(partition),
            log_start: Offset(partition.log_start),
            log_end: Offset(partition.log_end()),
            committed: partition.sides[side].committed.clone(),
        }
    }
}

/// Carries moves out, in the background: each owner is asked to let go (unless it is told nothing),
/// then the new ones are told.
pub fn carry_out(world: &Arc<World>, moves: Vec<Move>, told: bool) {
    if !moves.is_empty() {
        tokio::spawn(hand_over(world.clone(), moves, told));
    }
}

async fn hand_over(world: Arc<World>, moves: Vec<Move>, told: bool) {
    let mut from: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut to: BTreeMap<(usize, u64), Vec<usize>> = BTreeMap::new();
    for one in &moves {
        if let Some(owner) = one.from.filter(|_| told) {
            from.entry(owner).or_default().push(one.partition);
        }
        to.entry((one.side, one.to)).or_default().push(one.partition);
    }
    let leaving = from.into_iter().map(|(owner, partitions)| revoke(&world, owner, partitions));
    futures::future::join_all(leaving).await;
    {
        let mut state = world.lock();
        moves.iter().for_each(|one| state.partitions[one.partition].sides[one.side].owner = None);
    }
    for ((side, taker), partitions) in to {
        assign(&world, (side, taker), &partitions).await;
        let mut state = world.lock();
        partitions.iter().for_each(|partition| state.partitions[*partition].sides[side].moving = false);
    }
}

async fn revoke(world: &Arc<World>, owner: u64, partitions: Vec<usize>) {
    let (events, names, patience) = {
        let mut state = world.lock();
        let names = names(&state, &partitions);
        state.tell(|| format!("{owner} must give up {}", show(&names)));
        let Some(member) = state.members.get_mut(&owner) else { return };
        partitions.iter().for_each(|partition| {
            member.reading.remove(partition);
        });
        (member.events.clone(), names, state.plan.stop_deadline_ms + 100)
    };
    let Some(events) = events else { return };
    let (reply, answer) = oneshot::channel();
    let event = SourceEvent::Revoked { partitions: names, lost: false, reply };
    let ask = async {
        if events.send(event).await.is_ok() {
            let _ = answer.await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(patience), ask).await;
}

/// Tells an instance that partitions have gone already. When it has heard, those that nobody has taken meanwhile are
/// given out again.
pub async fn tell_lost(world: &Arc<World>, owner: u64) {
    let (events, side, gone) = {
        let mut state = world.lock();
        let Some(member) = state.members.get_mut(&owner) else { return };
        let gone: Vec<usize> = std::mem::take(&mut member.reading).into_keys().collect();
        (member.events.clone(), member.side, gone)
    };
    let Some(events) = events else { return };
    let names = names(&world.lock(), &gone);
    world.lock().tell(|| format!("{owner} hears that it has lost {}", show(&names)));
    let (reply, answer) = oneshot::channel();
    if events.send(SourceEvent::Revoked { partitions: names, lost: true, reply }).await.is_ok() {
        let _ = answer.await;
    }
    let mut state = world.lock();
    for partition in gone {
        let of = &mut state.partitions[partition].sides[side];
        of.owner = of.owner.filter(|still| *still != owner || of.moving);
    }
}

/// Gives partitions to an instance that has none of them, and feeds it.
async fn assign(world: &Arc<World>, (side, taker): (usize, u64), partitions: &[usize]) {
    let (events, assignments) = {
        let mut state = world.lock();
        let alive = state.members.get(&taker).filter(|member| member.alive && !member.leaving);
        let Some(events) = alive.and_then(|member| member.events.clone()) else { return };
        partitions.iter().for_each(|partition| state.partitions[*partition].sides[side].owner = Some(taker));
        let assignments: Vec<Assignment> =
            partitions.iter().map(|partition| state.assignment(side, *partition)).collect();
        let names = names(&state, partitions);
        state.tell(|| format!("{taker} gets {}", show(&names)));
        (events, assignments)
    };
    let (reply, answer) = oneshot::channel();
    if events.send(SourceEvent::Assigned { partitions: assignments, reply }).await.is_err() {
        return;
    }
    // Whoever never answers is found out by its end, or by standing still.
    let Ok(Ok(starts)) = tokio::time::timeout(Duration::from_secs(20), answer).await else { return };
    for start in starts {
        let mut state = world.lock();
        let Some(number) = state.partition(&start.partition) else { continue };
        let serial = state.next_serial();
        if let Some(member) = state.members.get_mut(&taker) {
            member.reading.insert(number, serial);
        }
        drop(state);
        tokio::spawn(feed(world.clone(), taker, number, serial, start.offset.0));
    }
}

fn names(state: &State, partitions: &[usize]) -> Vec<TopicPartition> {
    partitions.iter().map(|partition| state.partitions[*partition].name.clone()).collect()
}

fn show(names: &[TopicPartition]) -> String {
    names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

enum Next {
    Batch(RawBatch, i64),
    End(i64),
    Nothing,
    Over,
}

impl State {
    fn next_serial(&mut self) -> u64 {
        self.born += 1;
        self.born
    }

    fn reads(&self, id: u64, partition: usize, serial: u64) -> bool {
        self.members.get(&id).is_some_and(|member| member.alive && member.reading.get(&partition) == Some(&serial))
    }

    fn next(&mut self, id: u64, number: usize, serial: u64, position: i64, told_end: Option<i64>) -> Next {
        if !self.reads(id, number, serial) {
            return Next::Over;
        }
        let most = 1 + self.random.below(self.plan.batch);
        let partition = &self.partitions[number];
        let shown = &partition.records[..partition.shown];
        let first = shown.partition_point(|record| record.offset < position);
        if first == shown.len() {
            let end = partition.log_end().max(position);
            return if told_end == Some(end) { Next::Nothing } else { Next::End(end) };
        }
        let mut raw = RawBatch { leader_epoch: 4, ..RawBatch::default() };
        for record in shown[first..].iter().take(most) {
            raw.push(
                Offset(record.offset),
                Some(record.timestamp_ms),
                Some(record.key.as_bytes()),
                record.payload.as_deref(),
            );
        }
        let after = raw.records.last().map_or(position, |record| record.offset.0 + 1);
        Next::Batch(raw, after)
    }
}

/// Reads a partition for an instance until it loses it, or ends.
async fn feed(world: Arc<World>, id: u64, number: usize, serial: u64, mut position: i64) {
    let doors = Doors::new(&world, id);
    let queue = Arc::new(Semaphore::new(QUEUE));
    let mut told_end = None;
    loop {
        let pause = {
            let mut state = world.lock();
            1 + state.random.below(25) as u64
        };
        tokio::time::sleep(Duration::from_millis(if told_end.is_some() { 40 } else { pause })).await;
        doors.gate().await;
        let next = world.lock().next(id, number, serial, position, told_end);
        let (events, name) = {
            let state = world.lock();
            let events: Option<mpsc::Sender<SourceEvent>> =
                state.members.get(&id).and_then(|member| member.events.clone());
            (events, state.partitions[number].name.clone())
        };
        let Some(events) = events else { return };
        match next {
            Next::Over => return,
            Next::Nothing => {}
            Next::End(end) => {
                told_end = Some(end);
                let _ = events.send(SourceEvent::End { partition: name, position: Offset(end) }).await;
            }
            Next::Batch(raw, after) => {
                told_end = None;
                let weight = raw.bytes.len().clamp(1, QUEUE) as u32;
                let Ok(permit) = queue.clone().acquire_many_owned(weight).await else { return };
                if !world.lock().reads(id, number, serial) {
                    return;
                }
                if events.send(SourceEvent::Batch { partition: name, raw, permit }).await.is_err() {
                    return;
                }
                position = after;
            }
        }
    }
}
