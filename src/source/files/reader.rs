//! The thread that reads files: a batch of each in turn, until all have ended; then it waits to be stopped.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::lines::Lines;
use super::{Shared, Site};
use crate::reading::{Offset, RawBatch, RawRecord};
use crate::source::outlet::{Flow, Outlet};
use crate::source::{Assignment, ReadFrom, SourceError, SourceEvent};
use crate::store::Whole;

/// A batch's bytes and records, about.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 16 << 10;
/// Between looks whether there is an answer, or room.
const WAIT: Duration = Duration::from_millis(2);

/// A file that is being read.
struct Open {
    site: Arc<Site>,
    lines: Lines,
    next: Offset,
}

pub struct Reader {
    pub sites: Vec<Arc<Site>>,
    pub shared: Arc<Shared>,
    pub outlet: Outlet,
    pub revoke_deadline: Duration,
}

impl Reader {
    pub fn run(mut self, assignments: Vec<Assignment>) {
        if let Some(answer) = self.assign(assignments) {
            match self.open(&answer) {
                Ok(open) => self.read(open),
                Err(text) => self.fail(text),
            }
        }
        while self.pump() && !self.shared.stop_asked() {
            thread::sleep(WAIT * 5);
        }
        self.let_go();
    }

    /// `None`: the engine is stopping.
    fn assign(&mut self, partitions: Vec<Assignment>) -> Option<Vec<ReadFrom>> {
        let (sender, reply) = oneshot::channel();
        self.outlet.control(SourceEvent::Assigned { partitions, reply: sender });
        self.answer(reply, None)
    }

    /// Waits for an answer; `None` if there will be none, or none in time.
    fn answer<T>(&mut self, mut reply: oneshot::Receiver<T>, deadline: Option<Instant>) -> Option<T> {
        loop {
            self.pump();
            match reply.try_recv() {
                Ok(answer) => return Some(answer),
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) => {}
            }
            let in_time = deadline.map_or(!self.shared.stop_asked(), |deadline| now() < deadline);
            if !in_time {
                return None;
            }
            thread::sleep(WAIT);
        }
    }

    /// Opens the files that the engine named, each at its position.
    fn open(&self, answer: &[ReadFrom]) -> Result<Vec<Open>, String> {
        let mut all = Vec::new();
        for site in &self.sites {
            if let Some(from) = answer.iter().find(|from| from.partition == site.partition) {
                all.push(open_at(site, from)?);
            }
        }
        Ok(all)
    }

    /// A batch of each file in turn.
    fn read(&mut self, mut open: Vec<Open>) {
        while !open.is_empty() {
            let mut still = Vec::new();
            for mut file in open {
                if !self.wait_for_room() {
                    return;
                }
                match self.read_batch(&mut file) {
                    Ok(true) => match file.site.must_be_whole(Whole { lines: file.next, mark: file.lines.mark() }) {
                        Ok(()) => self.end(file),
                        // What has been folded cannot be told from what was to be folded.
                        Err(what) => {
                            return self.fail(format!(
                                "{what}, and some of it has been folded: give the replay up with `etiage replay --abort`, \
                                 and begin again"
                            ));
                        }
                    },
                    Ok(false) => still.push(file),
                    Err(error) => return self.fail(failed(&file.site.path, &error)),
                }
            }
            open = still;
        }
    }

    /// True at the end of the file.
    fn read_batch(&mut self, file: &mut Open) -> io::Result<bool> {
        let mut raw = RawBatch { bytes: Vec::with_capacity(BATCH_BYTES), records: Vec::new(), leader_epoch: -1 };
        let mut ended = false;
        while raw.bytes.len() < BATCH_BYTES && raw.records.len() < BATCH_RECORDS {
            let Some(line) = file.lines.next(&mut raw.bytes)? else {
                ended = true;
                break;
            };
            let payload = Some(line.start as u32..line.end as u32);
            raw.records.push(RawRecord { offset: file.next, timestamp_ms: None, key: None, header: None, payload });
            file.next = file.next.after();
        }
        if !raw.records.is_empty() {
            raw.bytes.shrink_to_fit();
            raw.leader_epoch = file.lines.mark();
            self.outlet.batch(file.site.partition.clone(), raw);
        }
        Ok(ended)
    }

    fn end(&mut self, file: Open) {
        file.site.saw_end(file.next);
        self.outlet.end(file.site.partition.clone(), file.next);
    }

    /// False if the engine has gone or stops.
    fn wait_for_room(&mut self) -> bool {
        loop {
            if self.shared.stop_asked() {
                return false;
            }
            match self.outlet.pump() {
                Flow::Open => return true,
                Flow::Full => thread::sleep(WAIT),
                Flow::Gone => return false,
            }
        }
    }

    fn pump(&mut self) -> bool {
        self.outlet.pump() != Flow::Gone
    }

    fn fail(&mut self, text: String) {
        self.outlet.forget_all();
        self.outlet.control(SourceEvent::Failed(SourceError::Fatal(text)));
    }

    fn let_go(&mut self) {
        self.outlet.forget_all();
        let (sender, reply) = oneshot::channel();
        let partitions = self.sites.iter().map(|site| site.partition.clone()).collect();
        self.outlet.control(SourceEvent::Revoked { partitions, lost: false, reply: sender });
        let deadline = now() + self.revoke_deadline;
        self.answer(reply, Some(deadline));
        self.shared.give_up();
    }
}

/// Reads past what is done already, and makes sure that it is what it was.
fn open_at(site: &Arc<Site>, from: &ReadFrom) -> Result<Open, String> {
    let path = &site.path;
    let mut lines = Lines::open(path, site.has_header, site.longest).map_err(|error| failed(path, &error))?;
    let mut scratch = Vec::new();
    for line in 0..from.offset.0 {
        scratch.clear();
        if lines.next(&mut scratch).map_err(|error| failed(path, &error))?.is_none() {
            return Err(changed(path, from.offset, &format!("it has {line} lines now")));
        }
    }
    if from.offset.0 > 0 && from.leader_epoch >= 0 && from.leader_epoch != lines.mark() {
        return Err(changed(path, from.offset, "their checksum is another"));
    }
    Ok(Open { site: site.clone(), lines, next: from.offset })
}

fn changed(path: &Path, offset: Offset, how: &str) -> String {
    format!(
        "file {}: the {offset} lines that have been read are not what they were ({how}): put the file back as it was, \
         or compute anew with `etiage replay --from earliest` (where that is under way: `--abort` first; where readings are \
         gone: `--forget-history`)",
        path.display()
    )
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("file {}: {error}", path.display())
}

/// The edge's clock.
#[expect(clippy::disallowed_methods, reason = "the pace of polls alone: no result depends on it")]
fn now() -> Instant {
    Instant::now()
}
