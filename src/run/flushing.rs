//! When to flush: one flush at a time, each taking what is due in all partitions.

use std::sync::Arc;

use crate::reading::TopicPartition;

use super::cycle::{Share, Work, Written};
use super::owned::Owned;
use super::until_end::passes;
use super::{Engine, Flushed, RunError, progress};

impl Engine {
    /// Starts a flush of what is due, if none is under way. `force` ignores the flush intervals.
    pub(super) fn begin_flush(&mut self, force: bool) {
        let now = self.world.clock.now();
        if self.flushing.is_some() || !self.flush_backoff.over(now) {
            return;
        }
        let mut all = self.owned_partitions();
        // They take turns at the front, so that the limit starves none.
        self.flush_turn += 1;
        let first = self.flush_turn % all.len().max(1);
        all.rotate_left(first);
        let work = self.take_work(&all, force);
        if work.is_empty() {
            // Nothing was marked as on its way.
            return;
        }
        let world = Arc::clone(&self.world);
        self.flushing = Some(tokio::spawn(async move {
            let outcome = world.flush(&work).await;
            (work.shares, outcome)
        }));
    }

    /// What is due in these partitions, marked as on its way.
    pub(super) fn take_work(&mut self, partitions: &[TopicPartition], force: bool) -> Work {
        let (now, lag) = (self.world.clock.now(), self.world.settings.commit_lag_ms);
        let mut work = Work { spills_after_ms: self.spills_after_ms, ..Work::default() };
        // Second writes have a deadline: those of all partitions go before the first ones of any. But these go on, too.
        let (mut seconds, firsts) = self.flush_size.shares();
        for partition in partitions.iter().filter(|_| lag > 0) {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            work.add(partition, owned.ownership, owned.core.begin_second_writes(now, lag, &mut seconds));
        }
        let all = firsts + seconds;
        // Half is for the one whose commits are furthest behind: in turn alone, none might get far enough for a commit
        // before the next rebalance.
        let mut half = all / 2;
        let furthest = partitions.iter().max_by_key(|partition| self.owned.get(*partition).map(Owned::uncommitted));
        if let Some(furthest) = furthest {
            self.add_first_writes(furthest, force, &mut half, &mut work);
        }
        let mut limit = all - all / 2 + half;
        for partition in partitions {
            self.add_first_writes(partition, force, &mut limit, &mut work);
        }
        self.flush_size.begun(limit);
        work
    }

    fn add_first_writes(&mut self, partition: &TopicPartition, force: bool, limit: &mut usize, work: &mut Work) {
        let (now, lag) = (self.world.clock.now(), self.world.settings.commit_lag_ms);
        let Some(owned) = self.owned.get_mut(partition) else { return };
        let flush = owned.core.begin_flush(now, lag, force, limit);
        work.add(partition, owned.ownership, flush.writes);
        work.positions.extend(flush.positions);
    }

    pub(super) fn on_flushed(&mut self, (shares, outcome): Flushed) -> Result<(), RunError> {
        self.settle_flush(&shares, outcome)?;
        self.begin_commit();
        Ok(())
    }

    /// Tells the partitions what became of their writes.
    pub(super) fn settle_flush(
        &mut self,
        shares: &[Share],
        outcome: Result<Written, RunError>,
    ) -> Result<(), RunError> {
        let lag = self.world.settings.commit_lag_ms;
        let wall_ms = self.world.clock.wall_ms();
        for share in shares {
            let Some(owned) = self.owned.get_mut(&share.partition).filter(|owned| owned.ownership == share.ownership)
            else {
                continue;
            };
            match &outcome {
                Ok(written) => owned.core.finish_flush(&share.parts, written.times, lag),
                Err(_) => owned.core.fail_flush(&share.parts),
            }
            if let (Ok(_), Some(newest_ms @ 1..)) = (&outcome, owned.newest_record_ms.take()) {
                progress::append_to_row(wall_ms - newest_ms);
            }
        }
        match outcome {
            Ok(written) => self.flush_succeeded(&written),
            Err(error) => self.flush_failed(error)?,
        }
        Ok(())
    }

    fn flush_succeeded(&mut self, written: &Written) {
        let took = written.times.acked - written.times.issued;
        self.progress.flushed(written, took);
        self.flush_backoff.ended();
        self.ready_again();
        self.flush_size.ended(took, self.world.settings.commit_lag_ms);
    }

    fn flush_failed(&mut self, error: RunError) -> Result<(), RunError> {
        if !passes(&error) {
            return Err(error);
        }
        let again_in_ms = self.flush_backoff.failed(self.world.clock.now());
        tracing::warn!(%error, again_in_ms, "flush failed; all of it is written again");
        self.world.health.not_ready(&error.to_string());
        Ok(())
    }

    /// One of the two ways out works (again).
    pub(super) fn ready_again(&self) {
        if !self.flush_backoff.failing() && !self.send_backoff.failing() {
            self.world.health.ready();
        }
    }
}
