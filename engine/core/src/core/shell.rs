//! What the shell does with a shard beside giving it inputs: restores what was kept, sends what is owed, looks.

use fanfare_protocol::wire::CommandId;

use super::Core;
use crate::command;
use crate::durable::{DeadLetter, StoredId, StoredRoom, StoredState};
use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::latency::Latency;
use crate::local::{Batch, Rest, State};
use crate::stats::Stats;
use crate::time::Now;

impl Core {
    /// Whether every connection was told that the server restarts.
    pub fn is_drained(&self) -> bool {
        self.drained >= self.local.connections.slots()
    }

    /// Connections that it holds, those that are closing included.
    pub fn connections(&self) -> usize {
        self.local.connections.len()
    }

    /// Puts back a room that outlived the process, on its home shard, before anything else happens there.
    pub fn restore_room(&mut self, now: Now, room: StoredRoom) {
        self.home.restore(now, room);
    }

    /// Puts back a publisher's id, on its room's home shard. All rooms must be there, and ids come in the order of their times.
    pub fn restore_id(&mut self, now: Now, id: &StoredId) {
        self.home.restore_id(now, id);
    }

    /// Puts back a dead letter, on the home shard of its user's own room.
    pub fn restore_letter(&mut self, now: Now, letter: DeadLetter) {
        self.home.restore_letter(now, letter);
    }

    /// Puts back what a service had of a room, on the room's home shard, after all rooms.
    ///
    /// # Errors
    /// Why it could not be put back: it stays in the store, and the room begins without it.
    pub fn restore_state(&mut self, now: Now, state: &StoredState) -> Result<(), &'static str> {
        self.home.restore_state(now, state)
    }

    /// Whether nothing waits for the store.
    pub fn awaits_no_store(&self) -> bool {
        self.home.waiting_for_store() == 0
    }

    /// Writes this shard has made so far: what [`crate::Report::Stored`] counts.
    pub fn written(&self) -> u64 {
        self.home.store.written()
    }

    /// How often this shard was told that the store failed. Writes from before do not count any more.
    pub fn store_failures(&self) -> u32 {
        self.home.store.failures
    }

    /// Whether a flush would send anything.
    pub fn has_output(&self) -> bool {
        self.local.has_output()
    }

    /// The largest tick buffer, in bytes: the shell flushes before it grows beyond what sockets take.
    pub fn tick_bytes(&self) -> u64 {
        self.local.stats.tick_bytes
    }

    /// Freezes what is to be sent; see [`Batch`].
    pub fn begin_flush(&mut self, now: Now, out: &mut Effects) {
        self.local.begin_flush(now, out);
        self.settle(now, out);
    }

    /// What single connections get: a number for [`Core::direct_rest`], the slot, the bytes.
    pub fn direct(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        self.local.direct()
    }

    /// One of [`Core::direct`] was not taken whole.
    pub fn direct_rest(&mut self, now: Now, number: u32, rest: Rest, out: &mut Effects) {
        self.local.direct_rest(now, number, rest, out);
        self.settle(now, out);
    }

    /// The next slice of members, at most `max`, and the bytes they all get; nothing when all are served.
    pub fn next_batch(&mut self, max: usize) -> Option<Batch<'_>> {
        self.local.next_batch(max)
    }

    /// A connection of the last batch did not take it whole.
    pub fn batch_rest(&mut self, now: Now, slot: u32, rest: Rest, out: &mut Effects) {
        self.local.batch_rest(now, slot, rest, out);
        self.settle(now, out);
    }

    /// Ends the flush.
    pub fn finish_flush(&mut self, now: Now, out: &mut Effects) {
        self.local.finish_flush(now, out);
        self.settle(now, out);
    }

    /// There is room to write to a connection again: `send` hands bytes over and says how many were taken.
    pub fn writable(
        &mut self,
        now: Now,
        id: ConnectionId,
        send: impl FnMut(&[u8]) -> Rest,
        out: &mut Effects,
    ) {
        self.local.drain_backlog(now, id, send, out);
        self.settle(now, out);
    }

    /// Whether bytes wait for this connection because it does not read.
    pub fn is_blocked(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some_and(|connection| connection.is_blocked())
    }

    /// Whether the core still holds this connection and has not closed it.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some_and(|connection| connection.state != State::Closing)
    }

    /// Whether the core still holds this connection at all.
    pub fn holds(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some()
    }

    /// Counts and gauges of this shard.
    pub fn stats(&self) -> Stats {
        let mut stats = self.local.stats.clone();
        stats.connections = self.local.connections.len() as u64;
        stats.rate_users = self.local.rate_users() as u64;
        stats.local_rooms = self.local.rooms.len() as u64;
        stats.home_rooms = self.home.len() as u64;
        stats.inquiries_waiting = self.local.inquiries.len() as u64;
        stats.published = self.home.published;
        stats.repeated = self.home.repeated;
        stats.recovered = self.home.recovered;
        stats.unrecovered = self.home.unrecovered;
        stats.kept_messages = self.home.ledger.messages() as u64;
        stats.kept_bytes = self.home.ledger.bytes() as u64;
        stats.evicted = self.home.ledger.evicted;
        stats.message_ids = self.home.recent.len() as u64;
        let readers = &self.home.readers;
        stats.subscribers = readers.subscribers as u64;
        stats.acknowledged = readers.acknowledged;
        stats.redelivered = readers.redelivered;
        stats.buried = readers.buried;
        stats.overflowed = readers.overflowed;
        stats.expired_subscribers = readers.expired;
        stats.dead_letters = readers.dead_letters as u64;
        stats.dead_letters_dropped = readers.dead_letters_dropped;
        stats.store_waiting = self.home.waiting_for_store() as u64;
        stats.store_behind = self.home.store.behind();
        stats.sessions = self.home.sessions.len() as u64;
        stats.resumed = self.home.sessions.resumed;
        stats.services = self.home.services.counts().to_vec();
        stats.services_dropped = self.home.services.dropped().to_vec();
        stats.encoded = self.home.encoder.encoded;
        stats.compressed = self.home.encoder.compressions;
        stats.contexts = self.home.compressors.used() as u64;
        stats.context_resets = self.home.compressors.resets;
        stats
    }

    /// How long messages took from being read to being flushed.
    pub fn latency(&self) -> &Latency {
        self.local.latency()
    }

    /// Counts a token that a connection shows against its rate, before anybody looks at it. False: it was refused, or the
    /// connection has ended. A connection's first token is what it is let in with.
    pub fn may_show_token(&mut self, now: Now, id: ConnectionId, command: Option<&CommandId>) -> bool {
        command::may_show_token(&mut self.local, now, id, command)
    }
}
