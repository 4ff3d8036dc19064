//! The members of a room who get the very same bytes: one class and one role.
//!
//! ```text
//! members  [ flushed | pending ]     everybody here is sent the whole tick buffer, in one go
//! aside    [ (slot, from) … ]        who is owed only a part of it, or has a backlog: taken care of one by one
//! ```
//! The fast path touches `members` only, as one slice, with no look at any connection.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::class::Class;
use crate::local::connection::Membership;
use crate::local::connections::Connections;
use crate::local::due::{Due, Mark, Notes};
use crate::local::roles::RoleId;

/// See the module's own text.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) class: Class,
    pub(crate) role: RoleId,
    members: SmallVec<[u32; 4]>,
    /// Present while something is on its way.
    tick: Option<Box<Tick>>,
}

/// A member who is not sent the whole buffer with the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aside {
    pub(crate) slot: u32,
    /// Where in the filling buffer its part begins.
    from: u32,
}

/// What one tick is to bring the group. Kept and used again, not made for each tick.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    filling: Vec<u8>,
    flushing: Vec<u8>,
    /// `flushing` for those who keep it longer than the flush: made when the first of them appears.
    shared: Option<Bytes>,
    /// Members before this index have been sent `flushing`.
    flushed: usize,
    aside: Vec<Aside>,
    filling_frames: u32,
    flushing_frames: u32,
    /// What slow readers' backlogs must know of the frames.
    filling_notes: Notes,
    flushing_notes: Notes,
    /// When the oldest message in `filling` and in `flushing` was read.
    filling_since_us: u64,
    flushing_since_us: u64,
}

/// Larger buffers are not kept for the next tick.
const KEPT_BYTES_MAX: usize = 256 * 1_024;

impl Group {
    pub(crate) fn new(class: Class, role: RoleId) -> Self {
        Self { class, role, members: SmallVec::new(), tick: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.tick.as_ref().is_none_or(|tick| tick.aside.is_empty())
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let aside = self.tick.iter().flat_map(|tick| tick.aside.iter().map(|aside| aside.slot));
        self.members.iter().copied().chain(aside)
    }

    /// How many get what is appended.
    pub(crate) fn len(&self) -> usize {
        self.members.len() + self.tick.as_ref().map_or(0, |tick| tick.aside.len())
    }

    /// Bytes that wait for the next flush.
    pub(crate) fn filling_bytes(&self) -> usize {
        self.tick.as_ref().map_or(0, |tick| tick.filling.len())
    }

    /// Whether something was laid in that somebody has not been sent yet.
    pub(crate) fn is_on_its_way(&self) -> bool {
        self.tick.as_ref().is_some_and(|tick| !tick.filling.is_empty() || !tick.flushing.is_empty())
    }

    /// Lays a frame behind the others of this tick. True when it is the first.
    pub(crate) fn append(
        &mut self,
        frame: &[u8],
        mark: Option<Mark>,
        priority: u8,
        received_us: u64,
        spare: &mut Vec<Box<Tick>>,
    ) -> bool {
        let tick = self.tick.get_or_insert_with(|| spare.pop().unwrap_or_default());
        let begin = tick.filling.len();
        let first = begin == 0;
        if first {
            tick.filling_since_us = received_us;
        }
        tick.filling.extend_from_slice(frame);
        tick.filling_frames += 1;
        tick.filling_notes.add(begin, tick.filling.len(), mark, priority);
        first
    }

    /// Takes a connection in. It is owed what comes from now on and nothing before. Gives its place.
    pub(crate) fn add(
        &mut self,
        slot: u32,
        room: u32,
        connections: &mut Connections,
        spare: &mut Vec<Box<Tick>>,
    ) -> u32 {
        let blocked = connections.in_slot(slot).is_some_and(|connection| connection.is_blocked());
        if blocked || self.filling_bytes() > 0 {
            let tick = self.tick.get_or_insert_with(|| spare.pop().unwrap_or_default());
            tick.aside.push(Aside { slot, from: tick.filling.len() as u32 });
            return (tick.aside.len() - 1) as u32 | Membership::ASIDE;
        }
        if self.tick.as_ref().is_some_and(|tick| !tick.flushing.is_empty()) {
            return self.add_flushed(slot, room, connections);
        }
        self.members.push(slot);
        (self.members.len() - 1) as u32
    }

    /// Adds among those who need nothing of the buffer that is being flushed.
    fn add_flushed(&mut self, slot: u32, room: u32, connections: &mut Connections) -> u32 {
        let tick = self.tick.as_mut().expect("invariant: only called while flushing");
        let at = tick.flushed;
        tick.flushed += 1;
        self.members.push(slot);
        let last = self.members.len() - 1;
        if at != last {
            self.members.swap(at, last);
            moved(connections, self.members[last], room, last as u32);
        }
        at as u32
    }

    /// Takes a connection out and hands what it is still owed to `owed`, oldest first.
    pub(crate) fn remove(
        &mut self,
        at: u32,
        room: u32,
        connections: &mut Connections,
        mut owed: impl FnMut(&mut Connections, &[u8]),
    ) {
        if at & Membership::ASIDE != 0 {
            let tick = self.tick.as_mut().expect("invariant: somebody is aside");
            let index = (at & !Membership::ASIDE) as usize;
            let aside = tick.aside.swap_remove(index);
            owed(connections, &tick.filling[aside.from as usize..]);
            if let Some(other) = tick.aside.get(index) {
                moved(connections, other.slot, room, at);
            }
            return;
        }
        let was_pending = self.take_member(at, room, connections);
        if let Some(tick) = &self.tick {
            if was_pending {
                owed(connections, &tick.flushing);
            }
            owed(connections, &tick.filling);
        }
    }

    /// Removes from `members`, keeping flushed and pending apart. True when it was still to be flushed.
    fn take_member(&mut self, at: u32, room: u32, connections: &mut Connections) -> bool {
        let mut at = at as usize;
        let mut pending = false;
        if let Some(tick) = self.tick.as_mut().filter(|tick| !tick.flushing.is_empty()) {
            pending = at >= tick.flushed;
            if !pending {
                tick.flushed -= 1;
                let last_flushed = tick.flushed;
                if at != last_flushed {
                    self.members.swap(at, last_flushed);
                    moved(connections, self.members[at], room, at as u32);
                    at = last_flushed;
                }
            }
        }
        self.members.swap_remove(at);
        if let Some(&other) = self.members.get(at) {
            moved(connections, other, room, at as u32);
        }
        pending
    }

    /// Sets a member aside that cannot take the whole buffer: its socket is full. What it is owed of the
    /// flush that is on is given to `owed`, to be kept.
    pub(crate) fn set_aside(
        &mut self,
        at: u32,
        slot: u32,
        room: u32,
        connections: &mut Connections,
        owed: impl FnOnce(Due),
        spare: &mut Vec<Box<Tick>>,
    ) {
        if at & Membership::ASIDE != 0 {
            return;
        }
        let pending = self.take_member(at, room, connections);
        let tick = self.tick.get_or_insert_with(|| spare.pop().unwrap_or_default());
        tick.aside.push(Aside { slot, from: 0 });
        let place = (tick.aside.len() - 1) as u32 | Membership::ASIDE;
        if pending {
            owed(tick.due(0));
        }
        moved(connections, slot, room, place);
    }

    /// Leaves a member out of what is appended next; [`Group::take_back`] ends it. Its due goes to `owed`.
    pub(crate) fn leave_out(
        &mut self,
        at: u32,
        slot: u32,
        room: u32,
        connections: &mut Connections,
        owed: impl FnMut(&mut Connections, &[u8]),
        spare: &mut Vec<Box<Tick>>,
    ) {
        self.remove(at, room, connections, owed);
        let tick = self.tick.get_or_insert_with(|| spare.pop().unwrap_or_default());
        tick.aside.push(Aside { slot, from: tick.filling.len() as u32 });
        moved(connections, slot, room, (tick.aside.len() - 1) as u32 | Membership::ASIDE);
    }

    /// Ends the last [`Group::leave_out`]: the member is owed what comes from now on.
    pub(crate) fn take_back(&mut self) {
        let tick = self.tick.as_mut().expect("invariant: the member was left out a moment ago");
        let from = tick.filling.len() as u32;
        let last = tick.aside.last_mut().expect("invariant: it was put at the end");
        last.from = from;
    }

    /// Ends one of several [`Group::leave_out`], by the member's place.
    pub(crate) fn take_back_at(&mut self, at: u32) {
        let tick = self.tick.as_mut().expect("invariant: the member was left out a moment ago");
        let from = tick.filling.len() as u32;
        let index = (at & !Membership::ASIDE) as usize;
        tick.aside.get_mut(index).expect("invariant: it was set aside").from = from;
    }

    /// Begins to flush what was appended; false when nothing was. Afterwards those aside are served one by
    /// one with [`Group::serve_aside`].
    pub(crate) fn begin_flush(&mut self) -> bool {
        let Some(tick) = self.tick.as_mut().filter(|tick| !tick.filling.is_empty()) else { return false };
        assert!(tick.flushing.is_empty(), "the last flush has not ended");
        std::mem::swap(&mut tick.filling, &mut tick.flushing);
        tick.flushing_since_us = tick.filling_since_us;
        tick.flushing_frames = std::mem::take(&mut tick.filling_frames);
        std::mem::swap(&mut tick.filling_notes, &mut tick.flushing_notes);
        tick.flushed = 0;
        true
    }

    /// Serves everybody aside: `serve` gets the bytes each is owed (and a way to keep them) and says whether
    /// that member can go back to the others.
    pub(crate) fn serve_aside(
        &mut self,
        room: u32,
        connections: &mut Connections,
        mut serve: impl FnMut(&mut Connections, u32, &mut Owed<'_>) -> bool,
    ) {
        let mut index = 0;
        while let Some(tick) = self.tick.as_mut() {
            let Some(aside) = tick.aside.get_mut(index).copied() else { break };
            let mut owed = Owed { tick, from: aside.from as usize };
            if serve(connections, aside.slot, &mut owed) {
                tick.aside.swap_remove(index);
                if let Some(other) = tick.aside.get(index) {
                    moved(connections, other.slot, room, index as u32 | Membership::ASIDE);
                }
                let at = self.add_flushed(aside.slot, room, connections);
                moved(connections, aside.slot, room, at);
            } else {
                tick.aside[index].from = 0;
                index += 1;
            }
        }
    }

    /// The bytes being flushed, how many frames they are, and the next members to send them to, at most `max`.
    pub(crate) fn next_batch(&mut self, max: usize) -> Option<(&[u8], u32, &[u32])> {
        let tick = self.tick.as_mut().filter(|tick| !tick.flushing.is_empty())?;
        let begin = tick.flushed;
        let end = self.members.len().min(begin + max);
        if begin == end {
            return None;
        }
        tick.flushed = end;
        Some((&tick.flushing, tick.flushing_frames, &self.members[begin..end]))
    }

    /// Whether somebody is still to be sent what is being flushed.
    pub(crate) fn has_pending(&self) -> bool {
        let on = self.tick.as_ref().filter(|tick| !tick.flushing.is_empty());
        on.is_some_and(|tick| tick.flushed < self.members.len())
    }

    /// All that is being flushed, to be kept.
    pub(crate) fn flushing(&mut self) -> Due {
        self.tick.as_mut().expect("invariant: a flush is on").due(0)
    }

    /// Ends the flush; gives when the oldest of its messages was read.
    pub(crate) fn finish_flush(&mut self, spare: &mut Vec<Box<Tick>>, spare_max: usize) -> u64 {
        let tick = self.tick.as_mut().expect("invariant: a flush is on");
        assert_eq!(tick.flushed, self.members.len(), "a flush ended before everybody was served");
        let since_us = tick.flushing_since_us;
        tick.flushing.clear();
        tick.flushing_notes.clear();
        tick.shared = None;
        tick.flushed = 0;
        if tick.flushing.capacity() > KEPT_BYTES_MAX {
            tick.flushing = Vec::new();
        }
        if tick.filling.is_empty() && tick.aside.is_empty() {
            let tick = self.tick.take().expect("invariant: just seen");
            if spare.len() < spare_max {
                spare.push(tick);
            }
        }
        since_us
    }
}

impl Tick {
    fn shared(&mut self) -> Bytes {
        let flushing = &self.flushing;
        self.shared.get_or_insert_with(|| Bytes::copy_from_slice(flushing)).clone()
    }

    /// What is being flushed, from some frame on.
    fn due(&mut self, from: usize) -> Due {
        Due { bytes: self.shared().slice(from..), notes: self.flushing_notes.after(from) }
    }
}

/// What a member aside is owed of the buffer being flushed.
pub(crate) struct Owed<'a> {
    tick: &'a mut Tick,
    from: usize,
}

impl Owed<'_> {
    /// Frames of the whole flush: a little too many for those who joined in the middle of it.
    pub(crate) fn frames(&self) -> u32 {
        self.tick.flushing_frames
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.tick.flushing[self.from..]
    }

    /// The same, in bytes that are shared with others who keep them.
    pub(crate) fn keep(&mut self) -> Due {
        self.tick.due(self.from)
    }
}

/// Tells a connection its new place among the members of a room.
fn moved(connections: &mut Connections, slot: u32, room: u32, at: u32) {
    let connection = connections.in_slot(slot).expect("invariant: every member is a connection");
    let membership = connection.memberships.iter_mut().find(|membership| membership.room == room);
    membership.expect("invariant: every member knows its room").at = at;
}
