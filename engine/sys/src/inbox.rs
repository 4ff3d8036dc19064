//! A shard's inbox: a bounded lock-free queue that many shards push to and one drains.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crossbeam_queue::ArrayQueue;

use crate::wake::Sleeper;

/// Bounded, first in first out for each pusher, woken by an `eventfd` at most once per sleep.
pub struct Inbox<T> {
    queue: ArrayQueue<T>,
    sleeper: Sleeper,
    event: OwnedFd,
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("len", &self.queue.len())
            .field("capacity", &self.queue.capacity())
            .finish()
    }
}

impl<T> Inbox<T> {
    /// An inbox for `capacity` items.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: a plain system call; a negative number is an error return.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh and nobody else owns it.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { queue: ArrayQueue::new(capacity), sleeper: Sleeper::new(), event })
    }

    /// Puts an item in; [`Inbox::wake`] must follow before the pusher rests.
    ///
    /// # Errors
    /// The queue is full: the item comes back.
    pub fn push(&self, item: T) -> Result<(), T> {
        self.queue.push(item)
    }

    /// Wakes the owner if it sleeps: one system call per sleep, however many items were pushed.
    pub fn wake(&self) {
        if self.sleeper.must_wake() {
            self.signal();
        }
    }

    /// Wakes the owner whether it sleeps or not: for a change of shared state beside the queue.
    pub fn signal(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight readable bytes, as an eventfd wants. A full counter (EAGAIN) is awake enough.
        unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Takes the oldest item.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Items waiting.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many items fit.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// For the owner: announces sleep; true when nothing waits and sleeping is safe.
    pub fn prepare_sleep(&self) -> bool {
        self.sleeper.prepare(|| self.queue.is_empty())
    }

    /// For the owner, once awake: takes the flag and the event down.
    pub fn awake(&self) {
        self.sleeper.awake();
    }

    /// For the owner: takes the event down after it was seen readable.
    pub fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes, as an eventfd wants. EAGAIN means that it was down already.
        unsafe { libc::read(self.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl<T> AsRawFd for Inbox<T> {
    /// The event to wait on.
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

impl<T> Inbox<T> {
    /// A second handle to the event, for the runtime to wait on.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.event.try_clone()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn readable(fd: RawFd, timeout: Duration) -> bool {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap();
        // SAFETY: one live pollfd.
        unsafe { libc::poll(&raw mut poll, 1, timeout_ms) == 1 }
    }

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let inbox = Inbox::new(4).unwrap();
        inbox.push(1).unwrap();
        inbox.wake();
        assert!(!readable(inbox.as_raw_fd(), Duration::ZERO), "an awake owner needs no event");
        assert!(!inbox.prepare_sleep(), "an item waits: no sleep");
        assert_eq!(inbox.pop(), Some(1));
        assert!(inbox.prepare_sleep());
        inbox.push(2).unwrap();
        inbox.wake();
        assert!(readable(inbox.as_raw_fd(), Duration::ZERO));
        inbox.clear();
        inbox.push(3).unwrap();
        inbox.wake();
        assert!(!readable(inbox.as_raw_fd(), Duration::ZERO), "one wake-up for one sleep");
    }

    #[test]
    fn a_full_inbox_gives_the_item_back() {
        let inbox = Inbox::new(1).unwrap();
        inbox.push(1).unwrap();
        assert_eq!(inbox.push(2), Err(2));
    }

    #[test]
    fn items_of_four_pushers_arrive_in_each_ones_order_and_no_wake_up_is_lost() {
        const ITEMS: u32 = 20_000;
        let inbox = Arc::new(Inbox::new(64).unwrap());
        let pushers: Vec<_> = (0..4_u32)
            .map(|pusher| {
                let inbox = Arc::clone(&inbox);
                std::thread::spawn(move || {
                    for n in 0..ITEMS {
                        let mut item = (pusher, n);
                        while let Err(back) = inbox.push(item) {
                            item = back;
                            inbox.wake();
                            std::thread::yield_now();
                        }
                        inbox.wake();
                    }
                })
            })
            .collect();
        let mut next = [0; 4];
        while next.iter().sum::<u32>() < 4 * ITEMS {
            while let Some((pusher, n)) = inbox.pop() {
                assert_eq!(next[pusher as usize], n);
                next[pusher as usize] += 1;
            }
            if inbox.prepare_sleep() && next.iter().sum::<u32>() < 4 * ITEMS {
                assert!(readable(inbox.as_raw_fd(), Duration::from_secs(10)), "a wake-up was lost");
                inbox.clear();
            }
            inbox.awake();
        }
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
    }
}
