//! The machine is shared by tests that run at the same time; one of them wants it for itself: it would
//! keep the others from meeting their deadlines, and they it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy)]
struct Use {
    sharing: usize,
    alone: bool,
}

static USE: Mutex<Use> = Mutex::new(Use { sharing: 0, alone: false });
static CHANGED: Condvar = Condvar::new();

fn now() -> MutexGuard<'static, Use> {
    USE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(while_: impl Fn(Use) -> bool) -> MutexGuard<'static, Use> {
    CHANGED.wait_while(now(), |used| while_(*used)).unwrap_or_else(PoisonError::into_inner)
}

/// Somebody who shares the machine until this is dropped; may be taken more than once by one test.
pub struct Shared(());

pub fn share() -> Shared {
    wait(|used| used.alone).sharing += 1;
    Shared(())
}

impl Drop for Shared {
    fn drop(&mut self) {
        now().sharing -= 1;
        CHANGED.notify_all();
    }
}

/// Somebody who has it alone.
pub struct Alone(());

pub fn alone() -> Alone {
    wait(|used| used.alone || used.sharing > 0).alone = true;
    Alone(())
}

impl Drop for Alone {
    fn drop(&mut self) {
        now().alone = false;
        CHANGED.notify_all();
    }
}
