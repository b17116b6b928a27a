//! What cannot be made good: whoever comes must stop, and name it.

use std::time::Duration;

use etiage::run::RunError;
use etiage::start::Refusal;
use tokio::task::JoinHandle;

use crate::group::carry_out;
use crate::instance::Ended;
use crate::plan::Calamity;
use crate::run::{History, PATIENCE};
use crate::world::{Role, SERVING};

impl History {
    /// Something that cannot be made good: whoever comes must stop, and name it.
    pub async fn disaster(&mut self, calamity: Calamity) {
        self.clear_up();
        let all: Vec<u64> = self.ends.keys().copied().collect();
        all.into_iter().for_each(|id| self.crash(id));
        if !self.spoil(calamity) {
            return self.rest().await;
        }
        let id = self.start(Role::UntilEnd);
        let begun = self.world.now();
        while self.ends.get(&id).is_some_and(|end| !end.is_finished())
            && self.world.now() < begun + PATIENCE.as_millis() as u64
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let moves = self.world.lock().spread();
            carry_out(&self.world, moves, false);
        }
        let end = self.ends.remove(&id).filter(JoinHandle::is_finished);
        let how = match end {
            Some(end) => end.await.ok(),
            None => None,
        };
        let noticed = matches!(
            (calamity, &how),
            (Calamity::Retention, Some(Ended::Run(RunError::Refused(Refusal::LogBegins { .. }))))
                | (Calamity::Truncation, Some(Ended::Run(RunError::Refused(Refusal::LogEnds { .. }))))
                | (Calamity::Recreation, Some(Ended::Run(RunError::Refused(Refusal::Recreated { .. }))))
                | (Calamity::ForeignOffset, Some(Ended::Run(RunError::Refused(Refusal::ForeignCommit { .. }))))
                | (
                    Calamity::StoreForgot,
                    Some(Ended::Run(RunError::Refused(Refusal::StoreForgot { .. } | Refusal::SpillMissing { .. })))
                )
        );
        if !noticed {
            self.world.lock().fail(format!("{calamity:?} was not noticed: {how:?}"));
        }
    }

    /// False where there is nothing to spoil yet.
    fn spoil(&mut self, calamity: Calamity) -> bool {
        let mut state = self.world.lock();
        state.deliver_all();
        let started = |partition: &crate::world::Partition| partition.committed_offset(SERVING) > partition.log_start;
        let Some(number) = state
            .partitions
            .iter()
            .position(|one| one.exists && one.sides[SERVING].committed.is_some() && started(one))
        else {
            return false;
        };
        state.tell(|| format!("-- {calamity:?}"));
        let partition = &mut state.partitions[number];
        let committed = partition.committed_offset(SERVING);
        match calamity {
            Calamity::Retention => {
                partition.log_start = committed + 1;
                partition.shown = partition.records.len();
                return partition.log_end() > committed;
            }
            Calamity::Truncation => {
                partition.shown = partition.records.iter().take_while(|record| record.offset + 1 < committed).count();
                return partition.log_end() < committed;
            }
            Calamity::Recreation => partition.source.topic.0[0] = 99,
            Calamity::ForeignOffset => {
                let committed = partition.sides[SERVING].committed.as_mut().expect("it is there");
                committed.offset.0 -= 1;
            }
            Calamity::StoreForgot => state.replicas.iter_mut().for_each(|replica| replica.forget_positions()),
        }
        true
    }
}
