//! Every interleaving of a sleeping shard and those that wake it:
//! `RUSTFLAGS="--cfg loom" cargo test -p fanfare-sys --release --test loom_wake`.
#![cfg(loom)]
#![allow(dead_code, missing_docs)]

#[path = "../src/wake.rs"]
mod wake;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use wake::Sleeper;

struct Model {
    sleeper: Sleeper,
    queued: AtomicUsize,
    events: AtomicUsize,
}

/// Two pushers and a sleeper: whenever the sleeper decides to sleep while an item is in the queue, an event
/// must have been raised or be on its way, so that in the end either nothing is queued or an event is up.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let model = Arc::new(Model {
            sleeper: Sleeper::new(),
            queued: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
        });
        let pushers: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.queued.fetch_add(1, Ordering::Relaxed);
                    if model.sleeper.must_wake() {
                        model.events.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let (mut sleeps, mut announced) = (false, 0);
        while !sleeps && announced < 2 {
            model.queued.swap(0, Ordering::AcqRel);
            announced += 1;
            sleeps = model.sleeper.prepare(|| model.queued.load(Ordering::Relaxed) == 0);
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        let queued = model.queued.load(Ordering::Relaxed);
        let events = model.events.load(Ordering::Relaxed);
        assert!(events <= announced, "more than one event for one announced sleep");
        if sleeps {
            assert!(queued == 0 || events > 0, "asleep with {queued} items and no event");
        }
    });
}
