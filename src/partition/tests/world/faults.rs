//! What goes wrong, and what goes astray on the way to the store.

use super::World;
use super::instance::Message;
use super::store::{REPLICAS, Write};

impl World {
    /// A new owner of some partitions. The old one dies, or goes on without knowing.
    pub(super) fn rebalance(&mut self) {
        let all = (0..self.logs.len()).collect::<Vec<usize>>();
        let some: Vec<usize> = all.into_iter().filter(|_| self.random.chance(0.7)).collect();
        if self.instances.len() > 2 || self.random.chance(0.6) {
            let gone = self.random.below(self.instances.len());
            if gone < self.instances.len() {
                self.instances.remove(gone);
            }
        }
        self.assign(some);
    }

    /// The power fails, for some copies or all of them, now and then just after a commit.
    pub(super) fn cut(&mut self, chance: f64) {
        let Some(sync) = self.weather.cuts else { return };
        if self.now > self.last_cut + 3 * self.weather.lag + 1 && self.random.chance(chance) {
            self.last_cut = self.now;
            let one = self.random.below(2 * REPLICAS);
            for replica in (0..REPLICAS).filter(|replica| one >= REPLICAS || *replica == one) {
                self.store.cut(replica, self.now - sync);
            }
            self.assert_committed_is_present();
        }
    }

    /// A copy is lost for good: from then on both others must answer.
    pub(super) fn lose(&mut self) {
        if self.store.lost.is_none() && self.random.chance(self.weather.loss) {
            self.store.lost = Some(self.random.below(REPLICAS));
            self.assert_committed_is_present();
        }
        let quorums = self.store.quorums();
        self.store.left_out.set(quorums.start + self.random.below(quorums.len()));
    }

    pub(super) fn send(&mut self, instance: u64, flush: u64, writes: Vec<Write>) {
        for (statement, write) in writes.into_iter().enumerate() {
            for replica in 0..REPLICAS {
                let statement = statement as u64;
                let message = Message { write: write.clone(), statement, replica, instance, flush };
                if self.random.chance(self.weather.repeat) {
                    // A repetition that nobody waits for.
                    self.limbo.push(Message { instance: 0, ..message.clone() });
                }
                if !self.random.chance(self.weather.drop) {
                    self.limbo.push(message);
                }
            }
        }
    }

    /// Some statement reaches a copy, and mostly its acknowledgement comes back.
    pub(super) fn deliver(&mut self) {
        for _ in 0..1 + self.random.below(24) {
            if self.limbo.is_empty() {
                return;
            }
            let message = self.limbo.swap_remove(self.random.below(self.limbo.len()));
            let applied = self.store.apply(message.write, message.replica, self.now);
            let heard = applied && !self.random.chance(self.weather.drop);
            if let Some(instance) = self.instances.iter_mut().find(|one| one.number == message.instance && heard) {
                instance.acked(message.flush, message.statement);
            }
        }
    }
}
