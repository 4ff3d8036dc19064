//! Which room's shared context a connection's window follows, and whether it is in step with it.
//!
//! A window follows one room at a time, the one whose context saves most. It is moved only when that room's context begins
//! anew, and it falls out of step whenever the connection is not sent what the other members are, or is sent something else
//! that enters its window. A connection's form ([`Connection::class_in`]) says in which of a room's groups it is, so none of
//! this is asked when a message is laid in.

use fanfare_protocol::RoomName;
use smallvec::SmallVec;

use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::connection::{Connection, Membership, RoomNumber};
use crate::local::group::Group;
use crate::local::shard::Local;
use crate::mesh::{Mesh, ToHome};
use crate::prepared::{Prepared, Turn};
use crate::room_type::Slow;

/// Bytes that may be copied when many change what they follow at once.
const COPIED_BYTES_MAX: usize = 16 << 20;

impl Local {
    /// What a message does to the windows of a room's members, before it is laid in.
    pub(super) fn turn(&mut self, number: u32, prepared: &Prepared, out: &mut Effects) {
        match prepared.turn {
            Turn::Same => {}
            Turn::Anew(gain) => self.take_in(number, gain, out),
            Turn::End => self.let_go(number, out),
        }
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let is_worth_it = |group: &Group| group.class.is_elsewhere() && prepared.is_big(group.class);
        if room.groups.iter().any(|group| !group.is_empty() && is_worth_it(group)) {
            let slots = self.slots(number, is_worth_it, |_| true);
            self.follow_all(slots, None, out);
        }
    }

    /// A room's context has ended without a message.
    pub(crate) fn context_ended(&mut self, room: &RoomName, out: &mut Effects) {
        if let Some(number) = self.rooms.find(room) {
            self.let_go(number, out);
        }
    }

    /// A context has ended: nobody follows it any more.
    fn let_go(&mut self, number: u32, out: &mut Effects) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        room.gain = 0;
        let followed = Some(RoomNumber::new(number));
        let may_follow = |group: &Group| group.class.is_in_step() || group.class.is_waiting();
        let slots = self.slots(number, may_follow, |connection| connection.follows == followed);
        self.follow_all(slots, None, out);
        self.tell_steps(number, out);
    }

    /// A context begins anew: whoever it pays follows it from here on.
    fn take_in(&mut self, number: u32, gain: u32, out: &mut Effects) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        room.gain = u16::try_from(gain / 64).unwrap_or(u16::MAX).max(1);
        let (gain, may_drop) = (room.gain, room.slow != Slow::Disconnect);
        let wants = |connection: &Connection| {
            // What may be dropped from a backlog cannot be referred to.
            let can = !(may_drop && connection.is_blocked());
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
        let slots = self.slots(number, |group| !group.class.is_in_step(), wants);
        self.follow_all(slots, Some(RoomNumber::new(number)), out);
        self.tell_steps(number, out);
    }

    /// The members of a room in some of its groups, of those who may follow, of which this is true.
    fn slots(
        &self,
        number: u32,
        is_group: impl Fn(&Group) -> bool,
        is_wanted: impl Fn(&Connection) -> bool,
    ) -> Vec<u32> {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        let groups = room.groups.iter().filter(|group| group.class.may_follow() && is_group(group));
        let slots = groups.flat_map(|group| group.slots());
        slots.filter(|slot| self.connections.get_slot(*slot).is_some_and(&is_wanted)).collect()
    }

    /// Changes what many follow, as far as what they are owed in their former form may be copied for each; the others are
    /// left for the next time.
    fn follow_all(&mut self, slots: Vec<u32>, follows: Option<RoomNumber>, out: &mut Effects) {
        let mut copied = 0;
        for slot in slots {
            copied += self.follow(slot, follows, follows.is_some(), out);
            if copied > COPIED_BYTES_MAX {
                break;
            }
        }
    }

    /// Something that other members of the room it follows are not sent, or that enters its window, goes to a connection:
    /// until the context begins anew it reads the room as one who has just joined.
    pub(super) fn fall_out(&mut self, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id).filter(|connection| connection.in_step) else {
            return;
        };
        let follows = connection.follows;
        self.follow(id.slot, follows, false, out);
    }

    /// A connection is no member any more of the room it follows.
    pub(super) fn follow_none(&mut self, id: ConnectionId, number: u32, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.follows == Some(RoomNumber::new(number)) {
            self.follow(id.slot, None, false, out);
        }
    }

    /// Changes what a connection's window follows. What it is owed in the form it leaves goes to it first; how many bytes
    /// that was.
    fn follow(&mut self, slot: u32, follows: Option<RoomNumber>, in_step: bool, out: &mut Effects) -> usize {
        let mut copied = 0;
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
            copied += owed.len();
            if !owed.is_empty() {
                self.write(slot, |bytes| bytes.extend_from_slice(&owed));
            }
            if after.is_waiting() {
                self.tell_steps(room, out);
            }
        }
        copied
    }

    /// Tells a room's home when all who could follow its context do, or not all any more: whether it must compress messages
    /// alone as well.
    pub(super) fn tell_steps(&mut self, number: u32, out: &mut Effects) {
        let Some(room) = self.rooms.get_mut(number) else { return };
        let mut followers = room.groups.iter().filter(|group| group.class.may_follow() && !group.is_empty());
        let all =
            room.gain > 0 && followers.clone().next().is_some() && !followers.any(|of| of.class.is_waiting());
        if room.told_in_step != all {
            room.told_in_step = all;
            let name = room.name.clone();
            out.send(self.home_of(&name), Mesh::Home(ToHome::InStep(name, self.shard, all)));
        }
    }
}
