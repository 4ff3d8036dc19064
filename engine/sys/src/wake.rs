//! The agreement between those who push into a queue and the one who sleeps on it.
//!
//! The sleeper says that it sleeps, *then* looks at the queue once more; a pusher puts its item in, *then*
//! looks whether the other sleeps. With a full fence between each pair at least one of them sees the other
//! (Dekker), so no wake-up is lost, and only the pusher that takes the flag down pays for a system call.
//! `tests/loom_wake.rs` walks every interleaving.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether the queue's owner sleeps.
#[derive(Debug)]
pub(crate) struct Sleeper {
    sleeping: AtomicBool,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        Self { sleeping: AtomicBool::new(false) }
    }

    /// For the owner: announces sleep; true when the queue is still empty and sleeping is safe.
    pub(crate) fn prepare(&self, is_empty: impl FnOnce() -> bool) -> bool {
        // A swap, where a store would do, costs nothing next to the fence and puts this announcement after
        // any pusher's swap in the eyes of the model checker too, which orders stores by happens-before only.
        self.sleeping.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if is_empty() {
            return true;
        }
        self.sleeping.store(false, Ordering::Relaxed);
        false
    }

    /// For the owner: it is awake, pushers need not wake it.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// For a pusher, after its push: true when this pusher has to wake the owner.
    pub(crate) fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel)
    }
}
