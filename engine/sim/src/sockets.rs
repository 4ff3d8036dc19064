//! Sockets: what a flush hands to them, what they take, and what has arrived at the other end.

use fanfare_core::Rest;
use fanfare_protocol::deflate::Inflater;
use serde_json::Value;

use crate::World;
use crate::frames::frames;
use crate::world::Client;

impl World {
    /// A whole flush of one shard, in small slices, with `between` called between them.
    pub fn flush(&mut self, shard: usize, mut between: impl FnMut(&mut Self)) {
        if !self.cores[shard].has_output() {
            return;
        }
        let now = self.now;
        self.cores[shard].begin_flush(now, &mut self.effects[shard]);
        let direct: Vec<(u32, u32, Vec<u8>)> =
            self.cores[shard].direct().map(|(number, slot, bytes)| (number, slot, bytes.to_vec())).collect();
        for (number, slot, bytes) in direct {
            if let Some(taken) = self.take(shard, slot, &bytes) {
                let rest = Rest::Blocked(taken);
                self.cores[shard].direct_rest(now, number, rest, &mut self.effects[shard]);
            }
        }
        loop {
            let slice = 1 + self.random.below(3);
            let Some(batch) = self.cores[shard].next_batch(slice) else { break };
            let (bytes, slots) = (batch.bytes.to_vec(), batch.slots.to_vec());
            for slot in slots {
                if let Some(taken) = self.take(shard, slot, &bytes) {
                    let rest = Rest::Blocked(taken);
                    self.cores[shard].batch_rest(now, slot, rest, &mut self.effects[shard]);
                }
            }
            between(self);
        }
        self.cores[shard].finish_flush(now, &mut self.effects[shard]);
        self.perform(shard);
    }

    /// Hands bytes to whoever lives in a slot: how many were taken, or nothing when all were.
    fn take(&mut self, shard: usize, slot: u32, bytes: &[u8]) -> Option<usize> {
        let client = self.by_slot.get(&(shard, slot)).map(|client| &mut self.clients[*client]);
        let client = client.filter(|client| !client.closed).expect("bytes for nobody");
        assert!(!client.waits_for_room, "bytes for a socket that is known to be full");
        let taken = bytes.len().min(client.room);
        client.room -= taken.min(if client.room == usize::MAX { 0 } else { taken });
        client.received.extend_from_slice(&bytes[..taken]);
        (taken < bytes.len()).then_some(taken)
    }

    /// A client reads: its socket has room again.
    pub fn reads(&mut self, client: usize, room: usize) {
        let Client { shard, id, closed, waits_for_room, .. } = self.clients[client];
        if closed || self.window == usize::MAX && room < usize::MAX && !waits_for_room {
            return;
        }
        self.clients[client].room = room;
        if !waits_for_room {
            return;
        }
        let mut received = Vec::new();
        let mut left = room;
        let send = |bytes: &[u8]| {
            assert!(!bytes.is_empty(), "a socket is written to with nothing");
            let taken = bytes.len().min(left);
            left -= taken;
            received.extend_from_slice(&bytes[..taken]);
            Rest::Blocked(taken)
        };
        self.cores[shard].writable(self.now, id, send, &mut self.effects[shard]);
        self.clients[client].room = left;
        self.clients[client].received.extend(received);
        self.perform(shard);
    }

    /// What a client has been sent, if nothing was taken yet: messages as JSON, whatever it reads, the number of a close frame as a number, `ping` and `pong`.
    ///
    /// # Panics
    /// The bytes are no such frames.
    pub fn messages(&self, client: usize) -> Vec<Value> {
        frames(&self.clients[client].received, &mut Inflater::new()).0
    }

    /// The same, once: what was taken is not told again.
    ///
    /// # Panics
    /// The bytes are no such frames.
    pub fn take_messages(&mut self, client: usize) -> Vec<Value> {
        let Client { received, inflater, .. } = &mut self.clients[client];
        let (messages, taken) = frames(received, inflater);
        received.drain(..taken);
        messages
    }
}
