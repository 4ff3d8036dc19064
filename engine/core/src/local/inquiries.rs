//! What waits for a backend's answer. A connection's later commands wait with it, like behind a join.

use std::collections::BTreeMap;

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Request, RoomName};

use crate::effect::Effects;
use crate::hook::{About, Inquirer, Inquiry, Verdict};
use crate::id::ConnectionId;
use crate::identity::Identity;
use crate::local::connection::State;
use crate::local::shard::Local;
use crate::mesh::Mesh;
use crate::time::Now;

/// What is done once it is allowed.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The bearer of a good token is admitted.
    Admission(Identity),
    /// A newer token takes the place of the former.
    Refresh(Option<CommandId>, Identity),
    /// A command.
    Request(Request),
}

#[derive(Debug)]
struct Waiting {
    connection: ConnectionId,
    until_ms: u64,
    pending: Pending,
}

/// Questions without an answer. Numbers rise, and so do the times until which an answer is waited for.
#[derive(Debug, Default)]
pub(crate) struct Inquiries {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

impl Inquiries {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Local {
    /// Whether somebody is asked about connections.
    pub(crate) fn asks_connect(&self) -> bool {
        self.options.hooks.as_ref().is_some_and(|hooks| hooks.connect)
    }

    /// Whether somebody is asked, as about a join, when a connection uses a room that it is not in.
    pub(crate) fn asks_outsider(&self, id: ConnectionId, room: &RoomName) -> bool {
        if !self.options.hooks.as_ref().is_some_and(|hooks| hooks.asks_join(room)) || room.is_engine_room() {
            return false;
        }
        !self.is_in(id, room)
    }

    /// Whether a connection is in a room.
    pub(crate) fn is_in(&self, id: ConnectionId, room: &RoomName) -> bool {
        let number = self.rooms.find(room);
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        connection.memberships.iter().any(|of| Some(of.room) == number)
    }

    /// A good token came: admits its bearer, if need be after asking.
    pub(crate) fn ask_to_admit(&mut self, now: Now, id: ConnectionId, identity: Identity, out: &mut Effects) {
        if !self.asks_connect() {
            self.admit(now, id, identity, out);
            return;
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        // Commands wait from here on, and a refusal can be told whose it is.
        connection.state = State::Admitting;
        connection.user = RoomName::of_user(&identity.user_id);
        connection.key = identity.key;
        // Its token came in time: how long the backend takes is not counted against it.
        connection.until_ms = identity.expires_ms(now);
        self.reschedule(now, id);
        let role = identity.role.to_string();
        let about = About::Connect { is_refresh: false };
        self.inquire(now, id, role, about, Pending::Admission(identity), out);
    }

    /// Asks about a newer token: what a backend said of the former would be gone with it otherwise.
    pub(crate) fn inquire_refresh(
        &mut self,
        now: Now,
        id: ConnectionId,
        command: Option<CommandId>,
        identity: Identity,
        out: &mut Effects,
    ) {
        let role = identity.role.to_string();
        let about = About::Connect { is_refresh: true };
        self.inquire(now, id, role, about, Pending::Refresh(command, identity), out);
    }

    /// Asks about a command. Later ones of the same connection wait.
    pub(crate) fn inquire_command(
        &mut self,
        now: Now,
        id: ConnectionId,
        about: About,
        request: Request,
        out: &mut Effects,
    ) {
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        connection.joins_pending += 1;
        let role = self.roles.name(connection.role).to_owned();
        self.inquire(now, id, role, about, Pending::Request(request), out);
    }

    fn inquire(
        &mut self,
        now: Now,
        id: ConnectionId,
        role: String,
        about: About,
        pending: Pending,
        out: &mut Effects,
    ) {
        let hooks = self.options.hooks.as_ref().expect("invariant: only asked where there are hooks");
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let may_ask = self.inquiries.waiting.len() < hooks.waiting_max;
        let until_ms = now.mono_ms().saturating_add(hooks.timeout_ms);
        self.inquiries.last += 1;
        let number = self.inquiries.last;
        self.inquiries.waiting.insert(number, Waiting { connection: id, until_ms, pending });
        let inquirer = Inquirer::Connection(number);
        if may_ask {
            self.stats.inquiries += 1;
            let (client_id, user_id) = (connection.client_id().to_owned(), connection.user_id().to_owned());
            out.inquiries.push(Inquiry { inquirer, client_id, user_id, role, about });
        } else {
            out.send(self.shard, Mesh::Verdict(inquirer, Verdict::Unanswered));
        }
    }

    /// What a question was about, unless it was answered or given up before.
    pub(crate) fn answered(&mut self, number: u64) -> Option<(ConnectionId, Pending)> {
        let Waiting { connection: id, pending, .. } = self.inquiries.waiting.remove(&number)?;
        if matches!(pending, Pending::Request(_))
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.joins_pending -= 1;
        }
        Some((id, pending))
    }

    /// Gives up what was asked too long ago: whatever became of the question, no connection waits for ever.
    pub(crate) fn give_up_inquiries(&self, now: Now, out: &mut Effects) {
        let late = self.inquiries.waiting.iter().take_while(|(_, of)| of.until_ms <= now.mono_ms());
        for (number, _) in late {
            out.send(self.shard, Mesh::Verdict(Inquirer::Connection(*number), Verdict::Unanswered));
        }
    }
}
