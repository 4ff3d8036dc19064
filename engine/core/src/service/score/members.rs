//! Which users are in the room, each over one connection or several.

use fanfare_protocol::RoomName;
use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::id::Address;
use crate::service::Member;

/// See the module's own text. There are as many as the room has members, which its type bounds.
#[derive(Debug, Default)]
pub(super) struct Members {
    users: HashMap<Address, RoomName, FixedState>,
    connections: HashMap<RoomName, u32, FixedState>,
}

impl Members {
    /// A connection is in the room; that may be known already.
    pub(super) fn enter(&mut self, member: &Member) {
        let (Some(address), Some(user)) = (member.who.address, &member.who.user) else { return };
        if self.users.insert(address, user.clone()).is_none() {
            *self.connections.entry(user.clone()).or_default() += 1;
        }
    }

    /// A connection is not in the room any more. The user, if that was its last one.
    pub(super) fn leave(&mut self, address: Address) -> Option<RoomName> {
        let user = self.users.remove(&address)?;
        let count =
            self.connections.get_mut(&user).expect("invariant: a user is counted with its connections");
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.connections.remove(&user);
        Some(user)
    }

    pub(super) fn has(&self, user: &RoomName) -> bool {
        self.connections.contains_key(user)
    }
}
