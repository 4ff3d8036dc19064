//! Which room's shared context a connection's window follows, and whether it is in step with it.
//!
//! A window follows one room at a time, the one whose context saves most. It is moved only when that room's context begins
//! anew, and it falls out of step whenever the connection is not sent what the other members are, or is sent something else
//! that enters its window. A connection's form ([`Connection::class_in`]) says in which of a room's groups it is, so none of
//! this is asked when a message is laid in.

use smallvec::SmallVec;

use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::connection::{Connection, Membership, RoomNumber};
use crate::local::shard::Local;
use crate::mesh::{Mesh, ToHome};
use crate::prepared::{Prepared, Turn};
use crate::room_type::Slow;

impl Local {
    /// What a message does to the windows of a room's members, before it is laid in.
    pub(super) fn turn(&mut self, number: u32, prepared: &Prepared, out: &mut Effects) {
        match prepared.turn {
            Turn::Same => {}
            Turn::Anew(gain) => {
                let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
                room.gain = u16::try_from(gain / 64).unwrap_or(u16::MAX).max(1);
                self.take_in(number);
                self.tell_steps(number, out);
            }
            Turn::End => {
                let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
                room.gain = 0;
                for slot in self.slots(number, |connection| connection.class_in(number).is_in_step()) {
                    self.follow(slot, None, false);
                }
                self.tell_steps(number, out);
            }
        }
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.groups.iter().any(|group| group.class.is_elsewhere() && prepared.is_big(group.class)) {
            for slot in self.slots(number, |connection| connection.class_in(number).is_elsewhere()) {
                self.follow(slot, None, false);
            }
            self.tell_steps(number, out);
        }
    }

    /// A context begins anew: whoever it pays follows it from here on.
    fn take_in(&mut self, number: u32) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let (gain, may_drop) = (room.gain, room.slow != Slow::Disconnect);
        let wants = |connection: &Connection| {
            let class = connection.class_in(number);
            // What may be dropped from a backlog cannot be referred to.
            let can = class.may_follow() && !class.is_in_step() && !(may_drop && connection.is_blocked());
            let pays = || match connection.follows.map(RoomNumber::get) {
                Some(other) if other != number => {
                    let of_other = self.rooms.get(other).map_or(0, |room| room.gain);
                    // A little more is not worth the change.
                    gain > of_other.saturating_add(of_other / 4)
                }
                _ => true,
            };
            can && pays()
        };
        for slot in self.slots(number, wants) {
            self.follow(slot, Some(RoomNumber::new(number)), true);
        }
    }

    /// The members of a room, in forms of those who may follow, of which this is true.
    fn slots(&self, number: u32, is_wanted: impl Fn(&Connection) -> bool) -> Vec<u32> {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let groups = room.groups.iter().filter(|group| group.class.may_follow());
        let slots = groups.flat_map(|group| group.slots());
        slots.filter(|slot| self.connections.get_slot(*slot).is_some_and(&is_wanted)).collect()
    }

    /// Something that other members of the room it follows are not sent, or that enters its window, goes to a connection:
    /// until the context begins anew it reads the room as one who has just joined.
    pub(super) fn fall_out(&mut self, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id).filter(|connection| connection.in_step) else {
            return;
        };
        let follows = connection.follows;
        self.follow(id.slot, follows, false);
        if let Some(room) = follows {
            self.tell_steps(room.get(), out);
        }
    }

    /// A connection is no member any more of the room it follows.
    pub(super) fn follow_none(&mut self, id: ConnectionId, number: u32) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.follows == Some(RoomNumber::new(number)) {
            self.follow(id.slot, None, false);
        }
    }

    /// Changes what a connection's window follows. What it is owed in the form it leaves goes to it first.
    fn follow(&mut self, slot: u32, follows: Option<RoomNumber>, in_step: bool) {
        let connection = self.connections.in_slot(slot).expect("invariant: the caller holds it");
        let role = connection.role;
        let memberships: SmallVec<[Membership; 8]> = connection.memberships.iter().copied().collect();
        let before: SmallVec<[_; 8]> =
            memberships.iter().map(|membership| connection.class_in(membership.room)).collect();
        (connection.follows, connection.in_step) = (follows, in_step);
        let after: SmallVec<[_; 8]> =
            memberships.iter().map(|membership| connection.class_in(membership.room)).collect();
        for (Membership { room, at }, (before, after)) in
            memberships.into_iter().zip(before.into_iter().zip(after))
        {
            if before == after {
                continue;
            }
            let mut owed = Vec::new();
            let local = self.rooms.get_mut(room).expect("invariant: a room with members is kept");
            let keep = |_: &mut _, bytes: &[u8]| owed.extend_from_slice(bytes);
            local.group(before, role).remove(at, room, &mut self.connections, keep);
            let at = local.group(after, role).add(slot, room, &mut self.connections, &mut self.spare);
            let connection = self.connections.in_slot(slot).expect("invariant: just seen");
            let membership = connection.memberships.iter_mut().find(|membership| membership.room == room);
            membership.expect("invariant: just seen").at = at;
            if !owed.is_empty() {
                self.write(slot, |bytes| bytes.extend_from_slice(&owed));
            }
        }
    }

    /// Tells a room's home when all who could follow its context do, or not all any more: whether it must compress messages
    /// alone as well.
    pub(super) fn tell_steps(&mut self, number: u32, out: &mut Effects) {
        let Some(room) = self.rooms.get_mut(number) else { return };
        let waits = room.groups.iter().any(|group| group.class.is_waiting() && !group.is_empty());
        let all = room.gain > 0 && !waits;
        if room.told_in_step != all {
            room.told_in_step = all;
            let name = room.name.clone();
            out.send(self.home_of(&name), Mesh::Home(ToHome::InStep(name, self.shard, all)));
        }
    }
}
