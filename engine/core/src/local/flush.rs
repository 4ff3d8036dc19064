//! Handing one tick's bytes out, in slices, and what becomes of those who cannot take them.
//!
//! [`Local::begin_flush`] freezes what was appended; the shell then sends [`Local::direct`] and every
//! [`Local::next_batch`], tells what was not taken, and ends with [`Local::finish_flush`]. Between batches any
//! input may be handled: what it appends waits for the next flush.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::latency::Latency;
use crate::local::backlog::Backlog;
use crate::local::connection::{Membership, State};
use crate::local::room::LocalRoom;
use crate::local::shard::Local;
use crate::room_type::Slow;
use crate::time::Now;

/// The same bytes for many connections.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Whole frames, back to back.
    pub bytes: &'a [u8],
    /// The slots of the connections that get them.
    pub slots: &'a [u32],
}

/// A buffer that the kernel did not take whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// So many bytes were taken, then the socket was full.
    Blocked(usize),
    /// The connection is dead.
    Gone,
}

#[derive(Debug, Default)]
pub(super) struct Flush {
    /// Groups with something appended.
    dirty: Vec<(u32, u16)>,
    /// Groups of the flush that is on, and which of them is next.
    flushing: Vec<(u32, u16)>,
    next: usize,
    on: bool,
    pub(super) latency: Latency,
}

impl Flush {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn dirty(&mut self, room: u32, group: u16) {
        self.dirty.push((room, group));
    }
}

/// Tick buffers kept for later ticks.
const SPARE_TICKS_MAX: usize = 256;
/// A peer that took nothing for so long is not slow but gone.
pub(super) const STALLED_MS: u64 = 30_000;

impl Local {
    /// Whether a flush would send anything.
    pub(crate) fn has_output(&self) -> bool {
        !self.flush.dirty.is_empty() || !self.outgoing.is_empty() || !self.overflowed.is_empty()
    }

    /// Freezes what was appended so far.
    pub(crate) fn begin_flush(&mut self, now: Now, out: &mut Effects) {
        assert!(!self.flush.on, "the last flush has not ended");
        self.flush.on = true;
        self.flush.next = 0;
        self.stats.flushes += 1;
        self.stats.tick_bytes = 0;
        std::mem::swap(&mut self.flush.dirty, &mut self.flush.flushing);
        for at in 0..self.flush.flushing.len() {
            self.begin_group(self.flush.flushing[at]);
        }
        while let Some(id) = self.overflowed.pop() {
            self.relieve(now, id, out);
        }
        for slot in self.outgoing.begin() {
            if let Some(connection) = self.connections.in_slot(slot) {
                connection.outgoing = 0;
            }
        }
    }

    fn begin_group(&mut self, (room, group): (u32, u16)) {
        let Self { rooms, connections, outgoing, stats, options, overflowed, .. } = self;
        let local = rooms.get_mut(room).expect("invariant: a room with something to send is kept");
        let LocalRoom { name, groups, epoch, slow, .. } = local;
        let group = &mut groups[usize::from(group)];
        if !group.begin_flush() {
            return;
        }
        let max = options.limits.backlog_bytes;
        group.serve_aside(room, connections, |connections, slot, owed| {
            if owed.bytes().is_empty() {
                return connections.in_slot(slot).is_some_and(|connection| !connection.is_blocked());
            }
            stats.delivered += u64::from(owed.frames());
            stats.delivered_bytes += owed.bytes().len() as u64;
            let id = connections.id_of(slot);
            let connection = connections.in_slot(slot).expect("invariant: every member is a connection");
            let Some(backlog) = &mut connection.backlog else {
                outgoing.buffer(slot, &mut connection.outgoing).extend_from_slice(owed.bytes());
                return true;
            };
            let before = backlog.bytes();
            backlog.push_due(name, *epoch, *slow, owed.keep());
            let after = backlog.bytes();
            stats.backlog_bytes += (after - before) as u64;
            if before <= max && after > max {
                overflowed.push(id);
            }
            false
        });
    }

    /// What single connections get: a number to name it by, the slot, the bytes.
    pub(crate) fn direct(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        self.outgoing.each()
    }

    /// One of [`Local::direct`] was not taken whole.
    pub(crate) fn direct_rest(&mut self, now: Now, number: u32, rest: Rest, out: &mut Effects) {
        let (slot, bytes) = self.outgoing.flushed(number);
        let Rest::Blocked(taken) = rest else {
            self.release(self.connections.id_of(slot), out);
            return;
        };
        if taken < bytes.len() {
            let backlog = Backlog::starting_at(Bytes::copy_from_slice(bytes), taken, now.mono_ms());
            self.block(slot, backlog, out);
        }
    }

    /// The next slice of at most `max` connections; nothing when all are served.
    pub(crate) fn next_batch(&mut self, max: usize) -> Option<Batch<'_>> {
        while let Some(&(room, group)) = self.flush.flushing.get(self.flush.next) {
            let local = self.rooms.get(room).expect("invariant: a room that is being flushed is kept");
            if !local.groups[usize::from(group)].has_pending() {
                self.flush.next += 1;
                continue;
            }
            let local = self.rooms.get_mut(room).expect("invariant: just seen");
            let (bytes, frames, slots) =
                local.groups[usize::from(group)].next_batch(max).expect("invariant: just seen");
            let count = slots.len() as u64;
            self.stats.delivered += count * u64::from(frames);
            self.stats.delivered_bytes += count * bytes.len() as u64;
            self.stats.flushed_sends += count;
            return Some(Batch { bytes, slots });
        }
        None
    }

    /// A connection of the last batch did not take it whole.
    pub(crate) fn batch_rest(&mut self, now: Now, slot: u32, rest: Rest, out: &mut Effects) {
        let Rest::Blocked(taken) = rest else {
            self.release(self.connections.id_of(slot), out);
            return;
        };
        let (room, group) = self.flush.flushing[self.flush.next];
        let local = self.rooms.get_mut(room).expect("invariant: a room that is being flushed is kept");
        let group = &mut local.groups[usize::from(group)];
        // Those in step must get all of it.
        let must_stay = group.class.is_in_step() && local.slow != Slow::Disconnect;
        let due = group.flushing();
        let backlog = if taken > 0 || must_stay {
            Backlog::starting_at(due.bytes, taken, now.mono_ms())
        } else {
            // Nothing has begun: these wait like all that comes later.
            let mut backlog = Backlog::new(now.mono_ms());
            backlog.push_due(&local.name, local.epoch, local.slow, due);
            backlog
        };
        self.block(slot, backlog, out);
    }

    /// From here on everything for this connection waits in its backlog.
    fn block(&mut self, slot: u32, backlog: Backlog, out: &mut Effects) {
        let id = self.connections.id_of(slot);
        let connection = self.connections.in_slot(slot).expect("invariant: it was just sent to");
        assert!(connection.backlog.is_none(), "a blocked connection was sent to");
        let bytes = backlog.bytes();
        connection.backlog = Some(Box::new(backlog));
        let memberships: SmallVec<[Membership; 8]> = connection.memberships.iter().copied().collect();
        let role = connection.role;
        let written = self.outgoing.take(&mut connection.outgoing);
        let over = bytes > self.options.limits.backlog_bytes && connection.state == State::Open;
        self.stats.backlogs += 1;
        self.stats.backlog_bytes += bytes as u64;
        out.writable.push((id, true));
        if over {
            self.overflowed.push(id);
        }
        let (follows, in_step) = (connection.follows, connection.in_step);
        let forms: SmallVec<[_; 8]> =
            memberships.iter().map(|membership| connection.class_in(membership.room)).collect();
        for (Membership { room, at }, form) in memberships.into_iter().zip(forms) {
            let mut owed = None;
            let local = self.rooms.get_mut(room).expect("invariant: a room with members is kept");
            let (name, epoch, slow) = (local.name.clone(), local.epoch, local.slow);
            let keep = |due| owed = Some(due);
            local.group(form, role).set_aside(at, slot, room, &mut self.connections, keep, &mut self.spare);
            let must_stay = form.is_in_step() && slow != Slow::Disconnect;
            match owed {
                Some(due) if must_stay => self.hold_back(slot, due.bytes),
                Some(due) => self.push_backlog(slot, |backlog| backlog.push_due(&name, epoch, slow, due)),
                None => {}
            }
        }
        if let Some(written) = written {
            self.hold_back(slot, written.into());
        }
        // What comes from now on may be dropped, and what was laid in so far must not.
        let followed = follows.filter(|_| in_step).and_then(|room| self.rooms.get(room.get()));
        if followed.is_some_and(|room| room.slow != Slow::Disconnect) {
            self.fall_out(id, out);
        }
    }

    /// There is room to write again: `send` hands bytes to the socket and says how many it took.
    pub(crate) fn drain_backlog(
        &mut self,
        now: Now,
        id: ConnectionId,
        mut send: impl FnMut(&[u8]) -> Rest,
        out: &mut Effects,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(backlog) = connection.backlog.as_mut() else { return };
        while let Some(front) = backlog.front() {
            let whole = front.len();
            match send(front) {
                Rest::Gone => {
                    self.release(id, out);
                    return;
                }
                Rest::Blocked(taken) => {
                    backlog.advance(taken);
                    self.stats.backlog_bytes -= taken as u64;
                    if taken > 0 {
                        backlog.progress_ms = now.mono_ms();
                    }
                    if taken < whole {
                        return;
                    }
                }
            }
        }
        connection.backlog = None;
        self.stats.backlogs -= 1;
        let closing = connection.state == State::Closing;
        out.writable.push((id, false));
        if closing {
            self.say_farewell(id, out);
        }
    }

    /// Ends the flush: everybody was served.
    pub(crate) fn finish_flush(&mut self, now: Now, out: &mut Effects) {
        assert!(self.flush.on, "no flush is on");
        self.flush.on = false;
        self.outgoing.finish();
        for (room, group) in std::mem::take(&mut self.flush.flushing) {
            let local = self.rooms.get_mut(room).expect("invariant: a room that is being flushed is kept");
            let since_us = local.groups[usize::from(group)].finish_flush(&mut self.spare, SPARE_TICKS_MAX);
            self.flush.latency.record(now.mono_us.saturating_sub(since_us));
        }
        for id in std::mem::take(&mut self.farewells) {
            match self.connections.get(id) {
                // Written since this flush began, or held up: let go later.
                Some(connection) if connection.outgoing != 0 => self.farewells.push(id),
                Some(connection) if !connection.is_blocked() => self.say_farewell(id, out),
                _ => {}
            }
        }
        self.forget_vacated();
    }

    /// Forgets rooms that nobody here is in any more. Only between flushes: numbers are used again.
    pub(crate) fn forget_vacated(&mut self) {
        if self.flush.on {
            return;
        }
        let mut vacated = std::mem::take(&mut self.vacated);
        vacated.retain(|&room| {
            let Some(local) = self.rooms.get(room).filter(|local| local.is_empty()) else { return false };
            if local.groups.iter().any(|group| group.filling_bytes() > 0) {
                return true;
            }
            self.stats.member_rooms -= u64::from(!local.name.is_engine_room());
            self.rooms.remove(room);
            false
        });
        self.vacated = vacated;
    }

    /// How long messages took from being read to being flushed.
    pub(crate) fn latency(&self) -> &Latency {
        &self.flush.latency
    }
}
