//! The mesh in this process: an inbox for each shard, and each shard's way to the others' inboxes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fanfare_core::{Mesh, ShardId};
use fanfare_sys::Inbox;

/// Messages that fit into one inbox.
const INBOX_MESSAGES: usize = 8_192;
/// Bytes of message bodies that one inbox keeps alive.
const INBOX_BYTES: usize = 64 << 20;
/// Messages in the outboxes of one shard from which on nobody may publish any more until they are out.
const OUTBOX_MESSAGES: usize = 8_192;

struct Place {
    inbox: Inbox<Mesh>,
    queued_bytes: AtomicUsize,
    /// This shard's outboxes are full: every shard stops reading from publishers.
    congested: AtomicBool,
    /// This shard has ended and takes nothing any more.
    closed: AtomicBool,
}

/// All inboxes, shared by all shards.
pub(crate) struct Exchange {
    places: Vec<Place>,
}

impl Exchange {
    pub(crate) fn new(shards: u8) -> io::Result<Self> {
        let place = |_| {
            let inbox = Inbox::new(INBOX_MESSAGES)?;
            let flag = || AtomicBool::new(false);
            Ok(Place { inbox, queued_bytes: AtomicUsize::new(0), congested: flag(), closed: flag() })
        };
        Ok(Self { places: (0..shards).map(place).collect::<io::Result<_>>()? })
    }

    /// Wakes every shard: for a change of shared state.
    pub(crate) fn signal_all(&self) {
        self.places.iter().for_each(|place| place.inbox.signal());
    }

    /// For threads that are no shards: puts a message into a shard's inbox, waiting while it is full, and wakes it.
    pub(crate) fn deliver(&self, to: ShardId, message: Mesh) {
        let mut message = message;
        while let Err(back) = self.push(to, message) {
            message = back;
            self.place(to).inbox.wake();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.place(to).inbox.wake();
    }

    fn place(&self, shard: ShardId) -> &Place {
        &self.places[shard.index()]
    }

    fn push(&self, to: ShardId, message: Mesh) -> Result<(), Mesh> {
        let place = self.place(to);
        if place.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let weight = message.weight();
        let queued = place.queued_bytes.fetch_add(weight, Ordering::Relaxed);
        let pushed = if queued > INBOX_BYTES { Err(message) } else { place.inbox.push(message) };
        if pushed.is_err() {
            place.queued_bytes.fetch_sub(weight, Ordering::Relaxed);
        }
        pushed
    }
}

/// One shard's end of the mesh. A full inbox never makes it wait (two shards could wait for each other): the
/// message stays in the outbox, in order, and publishers are not read from until it is out.
pub(crate) struct Port {
    exchange: Arc<Exchange>,
    shard: ShardId,
    outboxes: Vec<VecDeque<Mesh>>,
    touched: Vec<bool>,
    held: usize,
    /// Whether this shard has told itself to take another turn since it last woke.
    roused: bool,
}

impl Port {
    pub(crate) fn new(exchange: Arc<Exchange>, shard: ShardId) -> Self {
        let shards = exchange.places.len();
        Self {
            exchange,
            shard,
            outboxes: (0..shards).map(|_| VecDeque::new()).collect(),
            touched: vec![false; shards],
            held: 0,
            roused: false,
        }
    }

    pub(crate) fn inbox(&self) -> &Inbox<Mesh> {
        &self.exchange.place(self.shard).inbox
    }

    /// For tasks of the shard's own thread: another turn has to follow. One system call for all of them.
    pub(crate) fn rouse(&mut self) {
        if !std::mem::replace(&mut self.roused, true) {
            self.inbox().signal();
        }
    }

    /// The shard ends: nobody waits for room in its inbox any more.
    pub(crate) fn close(&self) {
        self.exchange.place(self.shard).closed.store(true, Ordering::Release);
    }

    /// The shard is awake: takes the event down.
    pub(crate) fn clear(&mut self) {
        self.roused = false;
        self.inbox().clear();
    }

    /// Takes the oldest message for this shard.
    pub(crate) fn pop(&self) -> Option<Mesh> {
        let message = self.inbox().pop()?;
        self.exchange.place(self.shard).queued_bytes.fetch_sub(message.weight(), Ordering::Relaxed);
        Some(message)
    }

    /// Sends behind everything sent to that shard before; [`Port::finish`] must follow.
    pub(crate) fn send(&mut self, to: ShardId, message: Mesh) {
        assert_ne!(to, self.shard, "a shard talks to itself inside its core");
        self.touched[to.index()] = true;
        let outbox = &mut self.outboxes[to.index()];
        if outbox.is_empty() {
            let Err(message) = self.exchange.push(to, message) else { return };
            outbox.push_back(message);
        } else {
            outbox.push_back(message);
        }
        self.held += 1;
    }

    /// Ends a tick: pushes what was held, wakes each shard that was sent something, once.
    pub(crate) fn finish(&mut self) {
        for (index, outbox) in self.outboxes.iter_mut().enumerate() {
            let to = ShardId(index as u8);
            while let Some(message) = outbox.pop_front() {
                self.touched[index] = true;
                if let Err(message) = self.exchange.push(to, message) {
                    outbox.push_front(message);
                    break;
                }
                self.held -= 1;
            }
            if std::mem::take(&mut self.touched[index]) {
                self.exchange.place(to).inbox.wake();
            }
        }
        let congested = self.held >= OUTBOX_MESSAGES;
        let flag = &self.exchange.place(self.shard).congested;
        if congested != flag.load(Ordering::Relaxed) {
            flag.store(congested, Ordering::Relaxed);
            if !congested {
                self.exchange.signal_all();
            }
        }
    }

    /// Whether publishers must wait: something of ours is not out, or a shard is congested.
    pub(crate) fn must_pause(&self) -> bool {
        self.held > 0 || self.exchange.places.iter().any(|place| place.congested.load(Ordering::Relaxed))
    }

    /// Messages that wait to get into other shards' inboxes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}
