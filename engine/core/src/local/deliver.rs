//! Membership on this shard, and laying messages into the tick buffers of their room's groups.

use fanfare_protocol::wire::Position;
use fanfare_protocol::{Code, Refusal, Reply, RoomName};

use crate::class::Class;
use crate::close::Close;
use crate::effect::Effects;
use crate::fact::FactKind;
use crate::id::{Address, ConnectionId, Epoch};
use crate::local::connection::{Membership, State};
use crate::local::due::Mark;
use crate::local::group::Group;
use crate::local::roles::RoleId;
use crate::local::room::LocalRoom;
use crate::local::shard::Local;
use crate::mesh::{JoinKind, Mesh, Receipt, Replay, ToHome};
use crate::prepared::{Prepared, is_compressed};
use crate::room_type::Slow;
use crate::time::Now;

impl Local {
    /// A home has decided a join.
    pub(crate) fn joined(
        &mut self,
        now: Now,
        id: ConnectionId,
        room: RoomName,
        class: Class,
        kind: JoinKind,
        outcome: Result<(Epoch, u64, u32), Box<Refusal>>,
        replay: Option<Box<Replay>>,
        out: &mut Effects,
    ) {
        let gone = self.connections.get(id).is_none_or(|connection| connection.state == State::Closing);
        if gone {
            // It left before it was in: the home must not count it.
            if outcome.is_ok() {
                self.tell_left(room, id, class, false, out);
            }
            return;
        }
        let connection = self.connections.get_mut(id).expect("invariant: just seen");
        connection.joins_pending -= 1;
        match (outcome, kind) {
            (Ok((epoch, offset, members)), kind) => {
                let (is_own, is_client) = (room.is_inbox(), room.is_client());
                let number = self.enter(id, room, (epoch, offset), out);
                if kind == JoinKind::Admission && is_own {
                    // The last of the engine's rooms: everything that was sent to the user comes after the welcome.
                    self.welcome(now, id, out);
                    if let Some(replay) = replay {
                        self.replay(id, &replay, out);
                    }
                } else if kind == JoinKind::Admission && is_client {
                    if let Some(rooms) = replay.and_then(|replay| replay.session) {
                        self.go_on(id, rooms);
                    }
                } else if kind == JoinKind::Admission {
                    if let Some(state) = replay.and_then(|replay| replay.state) {
                        let connection = self.connections.get_mut(id).expect("invariant: just seen");
                        connection.held.get_or_insert_default().brought.push(state);
                    }
                } else if let JoinKind::Command(command) = kind {
                    let room = self.rooms.get(number).expect("invariant: just entered").name.clone();
                    let position = Position { epoch: epoch.to_string().into(), offset };
                    let joined = Reply::Joined {
                        room: room.as_str(),
                        position: &position,
                        recovered: replay.as_ref().is_some_and(|replay| replay.recovered),
                        members: Some(u64::from(members)),
                        state: replay.as_ref().and_then(|replay| replay.state.as_ref()),
                    };
                    self.reply(id, command.as_ref(), &joined);
                    if let Some(replay) = replay {
                        self.replay(id, &replay, out);
                    }
                    self.note(id, FactKind::Joined, room.clone(), out);
                }
            }
            (Err(refusal), JoinKind::Admission) => {
                let reason = match refusal.code {
                    Code::Forbidden => "`client_id` is in use by another user",
                    Code::ConnectionLimit => "this user has as many connections as it may",
                    _ => "the server cannot take this connection now",
                };
                self.close(now, id, Close::code(refusal.code, reason), out);
                return;
            }
            (Err(refusal), JoinKind::Command(command)) => {
                let refusal = (*refusal).of(command);
                self.deny_join(now, id, room, refusal, out);
                if self.connections.get(id).is_none_or(|connection| connection.state == State::Closing) {
                    return;
                }
            }
        }
        let connection = self.connections.get(id).expect("invariant: still held");
        if connection.state == State::Admitting && connection.joins_pending == 0 {
            self.open_inbox(id, out);
        }
    }

    /// Messages of a room that this member has not acknowledged. Who is behind anyway has them waiting.
    pub(crate) fn again(&mut self, id: ConnectionId, room: &RoomName, replay: &Replay, out: &mut Effects) {
        let number = self.rooms.find(room);
        let Some(connection) = self.connections.get(id) else { return };
        let is_member = connection.memberships.iter().any(|of| Some(of.room) == number);
        if is_member && !connection.is_blocked() {
            self.replay(id, replay, out);
        }
    }

    /// What a new member has missed, before anything live.
    fn replay(&mut self, id: ConnectionId, replay: &Replay, out: &mut Effects) {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let role = self.roles.name(connection.role).to_owned();
        for (frame, roles) in replay.frames.iter().filter(|(frame, _)| !frame.is_empty()) {
            if roles.is_empty() || roles.iter().any(|of| **of == *role) {
                self.stats.delivered += 1;
                self.stats.delivered_bytes += frame.len() as u64;
                if is_compressed(frame) {
                    self.fall_out(id, out);
                }
                self.write(id.slot, |bytes| bytes.extend_from_slice(frame));
            }
        }
    }

    /// A reader acknowledged a message of this connection's.
    pub(crate) fn receipt(&mut self, id: ConnectionId, receipt: &Receipt) {
        let Receipt { room, epoch, offset, message_id, reader } = receipt;
        let position = Position { epoch: epoch.to_string().into(), offset: *offset };
        let user_id = reader.user.as_str().strip_prefix("@user:").unwrap_or_default();
        let client_id = reader.device.as_deref();
        let room = room.as_str();
        self.reply(id, None, &Reply::Receipt { room, position: &position, message_id, user_id, client_id });
    }

    /// Makes a connection a member here; it is owed what comes from now on.
    fn enter(
        &mut self,
        id: ConnectionId,
        room: RoomName,
        (epoch, offset): (Epoch, u64),
        out: &mut Effects,
    ) -> u32 {
        let number = match self.rooms.find(&room) {
            Some(number) => {
                // Everybody may have left it, so that it did not hear of what was published since.
                let found = self.rooms.get_mut(number).expect("invariant: just found");
                (found.epoch, found.offset) = (epoch, offset);
                number
            }
            None => {
                self.stats.member_rooms += u64::from(!room.is_engine_room());
                let rules = self.options.rules(&room);
                // The engine's own rooms bring what must not be dropped without a word.
                let may_drop = !room.is_engine_room();
                let slow = if may_drop { self.options.by(rules).slow } else { Slow::Disconnect };
                self.rooms.insert(LocalRoom::new(room, epoch, offset, slow))
            }
        };
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let (class, role) = (connection.class_in(number), connection.role);
        assert!(
            connection.memberships.iter().all(|membership| membership.room != number),
            "a member cannot join again"
        );
        let local = self.rooms.get_mut(number).expect("invariant: just found");
        let at = local.group(class, role).add(id.slot, number, &mut self.connections, &mut self.spare);
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        if connection.memberships.capacity() == 0 {
            connection.memberships.reserve_exact(5);
        }
        connection.memberships.push(Membership { room: number, at });
        if class.may_follow() {
            self.tell_steps(number, out);
        }
        number
    }

    /// Ends one membership (for good: it was asked for); what the connection is still owed goes to it first.
    pub(crate) fn leave(&mut self, id: ConnectionId, room: u32, for_good: bool, out: &mut Effects) {
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        let index = connection.memberships.iter().position(|membership| membership.room == room);
        let index = index.expect("invariant: the caller looked it up");
        let at = connection.memberships.swap_remove(index).at;
        let (class, role, form) = (connection.class, connection.role, connection.class_in(room));
        let mut owed = Vec::new();
        let local = self.rooms.get_mut(room).expect("invariant: a room with members is kept");
        let name = local.name.clone();
        local
            .group(form, role)
            .remove(at, room, &mut self.connections, |_, bytes| owed.extend_from_slice(bytes));
        if local.is_empty() {
            self.vacated.push(room);
        }
        if !owed.is_empty() {
            self.write(id.slot, |bytes| bytes.extend_from_slice(&owed));
        }
        // Who leaves all its rooms need not read the others in another form before.
        if for_good {
            self.follow_none(id, room, out);
            if class.may_follow() {
                self.tell_steps(room, out);
            }
        }
        self.tell_left(name, id, class, for_good, out);
    }

    /// Ends every membership.
    pub(super) fn leave_all(&mut self, id: ConnectionId, out: &mut Effects) {
        while let Some(membership) =
            self.connections.get(id).and_then(|connection| connection.memberships.last())
        {
            let room = membership.room;
            self.leave(id, room, false, out);
        }
    }

    fn tell_left(&self, room: RoomName, id: ConnectionId, class: Class, for_good: bool, out: &mut Effects) {
        let to = self.home_of(&room);
        let from = Address { shard: self.shard, connection: id };
        out.send(to, Mesh::Home(ToHome::Leave { room, from, class, for_good }));
    }

    /// Lays a message into the buffers of those who get it: once for each group, never for each member.
    pub(crate) fn deliver(&mut self, prepared: &Prepared, out: &mut Effects) {
        // Everybody may have left while the message was on its way.
        let Some(number) = self.rooms.find(&prepared.room) else { return };
        if prepared.concerns_windows() {
            self.turn(number, prepared, out);
        }
        let clients = self.leave_client_out(number, prepared, out);
        let left_out = prepared.exclude.filter(|address| address.shard == self.shard);
        let left_out = left_out.and_then(|address| self.leave_out(address.connection, number, prepared, out));
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        if prepared.offset > 0 {
            room.epoch = prepared.epoch;
            room.offset = prepared.offset;
        }
        for (index, group) in room.groups.iter_mut().enumerate() {
            let wanted = prepared.roles.is_empty()
                || prepared.roles.iter().any(|role| **role == *self.roles.name(group.role));
            let may = |event| self.options.may_receive(self.roles.name(group.role), event);
            if !wanted || group.is_empty() || !prepared.withheld.as_ref().is_none_or(may) {
                continue;
            }
            let Some(frame) = prepared.frame(group.class) else {
                unreachable!("invariant: a home encodes for every class that has a member");
            };
            if frame.is_empty() {
                // Its dialect has no such message.
                continue;
            }
            if group.class.window_bits().is_some() {
                let is_here = |class: Class, role: RoleId| (class, role) == (group.class, group.role);
                let left_out_here = usize::from(left_out.is_some_and(|(class, role)| is_here(class, role)))
                    + clients.iter().filter(|(_, class, role)| is_here(*class, *role)).count();
                let wire = &mut self.stats.wire[usize::from(prepared.kind)];
                wire.count((group.len() - left_out_here) as u64, prepared, group.class, frame);
            }
            let mark = Mark { end: 0, offset: prepared.offset, key: prepared.key };
            let mark = (room.slow != Slow::Disconnect || mark.is_replaceable()).then_some(mark);
            if group.append(frame, mark, prepared.overtakes, prepared.received_us, &mut self.spare) {
                self.flush.dirty(number, index as u16);
            }
            self.stats.tick_bytes = self.stats.tick_bytes.max(group.filling_bytes() as u64);
        }
        if let Some((class, role)) = left_out {
            room.group(class, role).take_back();
        }
        for (id, class, role) in clients {
            let connection = self.connections.get(id).expect("invariant: it was left out a moment ago");
            if let Some(at) = connection.place_in(number) {
                room.group(class, role).take_back_at(at);
            }
        }
    }

    /// Takes the connections of a client aside while a message that is not for it is laid in.
    fn leave_client_out(
        &mut self,
        number: u32,
        prepared: &Prepared,
        out: &mut Effects,
    ) -> Vec<(ConnectionId, Class, RoleId)> {
        // Whoever is here under that name is in its room.
        let own = prepared.exclude_client.as_ref().and_then(|client| self.rooms.find(client));
        let Some(own) = own.and_then(|own| self.rooms.get(own)) else { return Vec::new() };
        let slots = own.groups.iter().flat_map(Group::slots);
        let ids: Vec<ConnectionId> = slots.map(|slot| self.connections.id_of(slot)).collect();
        let publisher = prepared.exclude.filter(|address| address.shard == self.shard);
        let ids = ids.into_iter().filter(|id| publisher.is_none_or(|publisher| publisher.connection != *id));
        ids.filter_map(|id| {
            let (class, role) = self.leave_out(id, number, prepared, out)?;
            Some((id, class, role))
        })
        .collect()
    }

    /// Takes a connection aside while a message that is not for it is laid in. Nothing, when it is no member.
    fn leave_out(
        &mut self,
        id: ConnectionId,
        number: u32,
        prepared: &Prepared,
        out: &mut Effects,
    ) -> Option<(Class, RoleId)> {
        if prepared.is_shared(self.connections.get(id)?.class_in(number)) {
            self.fall_out(id, out);
        }
        let connection = self.connections.get(id)?;
        let at = connection.place_in(number)?;
        let (class, role) = (connection.class_in(number), connection.role);
        let mut owed = Vec::new();
        let room = self.rooms.get_mut(number).expect("invariant: the caller found it");
        let keep = |_: &mut _, bytes: &[u8]| owed.extend_from_slice(bytes);
        room.group(class, role).leave_out(at, id.slot, number, &mut self.connections, keep, &mut self.spare);
        if !owed.is_empty() {
            self.write(id.slot, |bytes| bytes.extend_from_slice(&owed));
        }
        Some((class, role))
    }
}
