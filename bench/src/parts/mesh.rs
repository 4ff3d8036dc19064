//! The queue between two shards.

use std::hint::black_box;
use std::os::fd::AsRawFd;

use fanfare_sys::{Inbox, Interest, Readiness};

use super::{Make, Part};

pub(super) const PARTS: &[Make] = &[push_and_pop_awake, push_and_wake];

/// One type for both parts: with two users none of the queue's functions is inlined, so that no count hangs on what
/// else the compiler put into the same unit.
fn inbox() -> Inbox<u64> {
    Inbox::new(1_024).expect("an eventfd can be made")
}

fn push_and_pop_awake() -> Part {
    let inbox = inbox();
    Part::new("mesh/push_and_pop_awake", None, move || {
        assert!(inbox.push(black_box(7)).is_ok());
        black_box(inbox.pop());
    })
}

/// Both sides of one wake-up: the pusher's write to the eventfd, the owner's wait, read and drain, and its way back
/// to sleep. Owner and pusher are one thread here, so what the scheduler takes to bring a sleeping thread back is
/// left out: it is the machine's, and no two runs agree on it.
fn push_and_wake() -> Part {
    let inbox = inbox();
    let mut readiness = Readiness::new(1).expect("an epoll set can be made");
    readiness.add(inbox.as_raw_fd(), 0, Interest::READ).expect("an eventfd can be waited on");
    let mut ready = Vec::with_capacity(1);
    assert!(inbox.prepare_sleep(), "nothing waits: the owner may sleep");
    Part::new("mesh/push_and_wake", None, move || {
        assert!(inbox.push(black_box(7)).is_ok());
        inbox.wake();
        readiness.poll(&mut ready);
        assert_eq!(ready.len(), 1, "the owner was woken");
        ready.clear();
        inbox.clear();
        inbox.awake();
        while let Some(item) = inbox.pop() {
            black_box(item);
        }
        assert!(inbox.prepare_sleep());
    })
}
