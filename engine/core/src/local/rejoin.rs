//! A member that joins its room once more is told where the room stands.

use std::collections::VecDeque;

use fanfare_protocol::wire::{Join, Position};
use fanfare_protocol::{Command, Reply, Request};

use crate::id::ConnectionId;
use crate::local::connection::State;
use crate::local::shard::Local;
use crate::rejoin::Rejoined;

impl Local {
    /// The home has told where the room stands.
    pub(crate) fn rejoined(&mut self, id: ConnectionId, rejoined: Rejoined) {
        let Rejoined { room, command, epoch, offset, members, state } = rejoined;
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        connection.joins_pending -= 1;
        let number = self.rooms.find(&room).filter(|number| connection.place_in(*number).is_some());
        let Some(number) = number else {
            // It was sent away meanwhile: now it is a join like any other, and before all that came after it.
            let join = Join { room, recover: None, last: None };
            let request = Request { id: command, command: Command::Join(join) };
            match connection.extra.as_mut().and_then(|extra| extra.chain.as_mut()) {
                Some(chain) => {
                    chain.goes_on_with(request);
                    self.chained.push(id);
                }
                None => {
                    connection.held.get_or_insert_default().requests.push_front((request, VecDeque::new()));
                }
            }
            return;
        };
        self.hand_over_due(id, number);
        let position = Position { epoch: epoch.to_string().into(), offset };
        let joined = Reply::Joined {
            room: room.as_str(),
            position: &position,
            recovered: false,
            members: Some(u64::from(members)),
            state: state.as_ref(),
        };
        self.reply(id, command.as_ref(), &joined);
    }

    /// What a room has laid in for a member goes out before anything else that the member is told from now on.
    fn hand_over_due(&mut self, id: ConnectionId, number: u32) {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let at = connection.place_in(number).expect("invariant: it is a member");
        let (class, role) = (connection.class_in(number), connection.role);
        let group = self.rooms.get_mut(number).expect("invariant: it has a member").group(class, role);
        if !group.is_on_its_way() {
            return;
        }
        let mut owed = Vec::new();
        let keep = |_: &mut _, bytes: &[u8]| owed.extend_from_slice(bytes);
        group.leave_out(at, id.slot, number, &mut self.connections, keep, &mut self.spare);
        group.take_back();
        if !owed.is_empty() {
            self.write(id.slot, |bytes| bytes.extend_from_slice(&owed));
        }
    }
}
