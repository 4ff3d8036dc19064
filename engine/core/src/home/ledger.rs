//! All messages that a shard's rooms keep, in the order in which they came: so that the oldest of all goes first
//! when together they take too much.

use std::collections::VecDeque;

use crate::id::Epoch;

/// Marks of messages that are gone already, beyond twice as many as there are messages.
const SLACK: usize = 1_024;

/// Where a kept message was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The room's number, which another room may have by now,
    pub(crate) room: u32,
    /// unless it has this epoch.
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
}

/// The account of all logs of a shard.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    order: VecDeque<Mark>,
    messages: usize,
    bytes: usize,
    /// Messages that went before their time because all together took too much.
    pub(crate) evicted: u64,
}

impl Ledger {
    /// Messages kept, over all rooms.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes they count for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A log went from so many messages and bytes to so many.
    pub(crate) fn changed(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.messages = self.messages + after.0 - before.0;
        self.bytes = self.bytes + after.1 - before.1;
    }

    /// A message was put there.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.order.push_back(mark);
    }

    /// The oldest mark; its message may be gone already.
    pub(crate) fn oldest(&mut self) -> Option<Mark> {
        self.order.pop_front()
    }

    /// Whether marks of gone messages have piled up, and [`Self::keep`] is due.
    pub(crate) fn is_stale(&self) -> bool {
        self.order.len() > 2 * self.messages + SLACK
    }

    /// Forgets marks whose messages are gone.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(Mark) -> bool) {
        self.order.retain(|mark| is_kept(*mark));
    }
}
