//! Going on with an earlier connection's rooms.

use std::hash::BuildHasher as _;

use fanfare_protocol::wire::Join;
use fanfare_protocol::{Code, RoomName};

use crate::close::Close;
use crate::effect::Effects;
use crate::id::{self, ConnectionId};
use crate::local::connection::State;
use crate::local::shard::Local;
use crate::mesh::{Mesh, ToHome};
use crate::time::Now;

impl Local {
    /// What a client may come back with: its id and a word that only it was told. It opens nothing by itself: who comes
    /// back needs a token of the same user.
    pub(super) fn resume_token(&self, id: ConnectionId) -> String {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let word = self.hasher.hash_one(("resume", &connection.user, &connection.client));
        format!("{}.{}", connection.client_id(), id::word(word))
    }

    /// The session that a client came back for: its rooms are joined again.
    pub(super) fn go_on(&mut self, id: ConnectionId, rooms: Vec<RoomName>) {
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        let held = connection.held.get_or_insert_default();
        held.resumed = true;
        for room in rooms {
            // Where the client says how far it has come, it is joined from there.
            if held.rooms.iter().all(|join| join.room != room) {
                held.join(Join { room, recover: None, last: None });
            }
        }
    }

    /// Lets a client's own room know what it goes on with if it comes back. Before it leaves that.
    pub(super) fn park(&mut self, id: ConnectionId, out: &mut Effects) {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let rooms = connection.memberships.iter().filter_map(|of| self.rooms.get(of.room));
        let names = rooms.map(|room| &room.name).filter(|name| !name.is_engine_room());
        let names: Vec<RoomName> = names.cloned().collect();
        if connection.state == State::Open && !names.is_empty() {
            let client = connection.client.clone();
            out.send(self.home_of(&client), Mesh::Home(ToHome::Park(client, names)));
        }
    }

    /// Somebody has come back as this client: whoever was it until now has lost its network, or is another tab.
    pub(crate) fn make_way(&mut self, now: Now, client: &RoomName, out: &mut Effects) {
        let number = self.rooms.find(client);
        let room = number.and_then(|number| self.rooms.get(number));
        let groups = room.into_iter().flat_map(|room| &room.groups);
        let slots: Vec<u32> = groups.flat_map(|group| group.slots()).collect();
        for slot in slots {
            let id = self.connections.id_of(slot);
            self.park(id, out);
            let close = Close::code(Code::ConnectionLimit, "this session goes on in another connection");
            self.close(now, id, close, out);
        }
    }
}
