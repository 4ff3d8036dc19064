//! From a good token to the welcome: the engine's own rooms are joined, the user's last of all.

use std::hash::BuildHasher as _;

use fanfare_protocol::{Code, Reply, RoomName};

use crate::close::Close;
use crate::durable::Subscriber;
use crate::effect::Effects;
use crate::fact::{FactKind, Label};
use crate::id::{Address, ConnectionId};
use crate::identity::Identity;
use crate::local::connection::State;
use crate::local::say::dialect_of;
use crate::local::shard::Local;
use crate::mesh::{CatchUp, JoinKind, Mesh, Reader, ToHome};
use crate::room_type::{Devices, Memory};
use crate::service::{Caller, Member};
use crate::time::Now;

impl Local {
    /// The token was good: asks the homes of the engine's own rooms.
    pub(crate) fn admit(&mut self, now: Now, id: ConnectionId, identity: Identity, out: &mut Effects) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        assert_eq!(connection.state, State::AwaitingToken, "a connection is admitted once");
        let Some(role) = self.roles.enter(&identity.role, self.options.limits.roles) else {
            let close = Close::code(Code::ConnectionLimit, "too many different roles are connected");
            self.close(now, id, close, out);
            return;
        };
        self.roles.exit(std::mem::replace(&mut connection.role, role));
        connection.state = State::Admitting;
        connection.user = RoomName::of_user(&identity.user_id);
        connection.key = identity.key;
        connection.until_ms = identity.expires_ms(now);
        connection.patterns = identity.rooms;
        connection.joins_pending = 3;
        let (client, class) = (connection.client.clone(), connection.class);
        let owner = self.hasher.hash_one(&connection.user).max(1);
        let from = Address { shard: self.shard, connection: id };
        let brought = self.connections.get(id).and_then(|of| of.held.as_ref()?.resume.as_deref());
        let resumes = brought.is_some_and(|brought| *brought == *self.resume_token(id));
        let resume = resumes.then(|| Box::new(CatchUp { resumes, ..CatchUp::default() }));
        let (role, all) = (RoomName::of_role(&identity.role), RoomName::of_all());
        for (room, owner, catch_up) in [(client, owner, resume), (role, 0, None), (all, 0, None)] {
            let to = self.home_of(&room);
            let join = ToHome::Join { room, from, class, owner, catch_up, kind: JoinKind::Admission };
            out.send(to, Mesh::Home(join));
        }
        self.reschedule(now, id);
    }

    /// The other engine rooms have answered: the user's own is the last, since what waits there comes after the welcome.
    pub(super) fn open_inbox(&mut self, id: ConnectionId, out: &mut Effects) {
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        connection.joins_pending = 1;
        let (room, class) = (connection.user.clone(), connection.class);
        let reader = self.reader_of(id, &room);
        let role = self.filtered_role(id);
        let held = self.connections.get_mut(id).and_then(|of| of.held.as_mut());
        let (recover, brought) =
            held.map(|held| (held.inbox.take(), std::mem::take(&mut held.brought))).unwrap_or_default();
        let says_more = reader.is_some() || recover.is_some() || !brought.is_empty() || role.is_some();
        let catch_up =
            says_more.then(|| Box::new(CatchUp { reader, recover, brought, role, ..CatchUp::default() }));
        let from = Address { shard: self.shard, connection: id };
        let to = self.home_of(&room);
        let join = ToHome::Join { room, from, class, owner: 0, catch_up, kind: JoinKind::Admission };
        out.send(to, Mesh::Home(join));
    }

    /// Who a connection is to a room that remembers its readers.
    pub(crate) fn reader_of(&self, id: ConnectionId, room: &RoomName) -> Option<Reader> {
        let room_type = self.options.type_of(room);
        if room_type.memory() != Memory::Readers {
            return None;
        }
        let connection = self.connections.get(id)?;
        let device = (room_type.devices == Devices::Each).then(|| connection.client_id().into());
        let subscriber = Subscriber { user: connection.user.clone(), device };
        Some(Reader { subscriber, role: self.roles.name(connection.role).into() })
    }

    /// A connection's role, where roles do not get everything.
    pub(crate) fn filtered_role(&self, id: ConnectionId) -> Option<Box<str>> {
        let connection = self.connections.get(id).filter(|_| self.options.filters())?;
        Some(self.roles.name(connection.role).into())
    }

    /// Who a connection is to the services of a room. Whatever its type: somebody may have been kept out of it.
    pub(crate) fn member_of(&self, id: ConnectionId) -> Member {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        Member { who: self.caller(id), client_id: connection.client_id().into() }
    }

    /// Who a connection is to services.
    pub(crate) fn caller(&self, id: ConnectionId) -> Caller {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let role = self.roles.name(connection.role);
        Caller {
            user: Some(connection.user.clone()),
            role: role.into(),
            is_backend: false,
            permissions: self.options.permissions_of(role),
            address: Some(Address { shard: self.shard, connection: id }),
            is_member: false,
            key: None,
        }
    }

    /// All of the engine's own rooms have answered.
    pub(super) fn welcome(&mut self, now: Now, id: ConnectionId, out: &mut Effects) {
        let connection = self.connections.get_mut(id).expect("invariant: the caller holds it");
        connection.state = State::Open;
        let (client, user) = (connection.client.clone(), connection.user.clone());
        let role = self.roles.name(connection.role).to_owned();
        let resumed = connection.held.as_ref().is_some_and(|held| held.resumed);
        let resume = self.resume_token(id);
        let connection = self.connections.get(id).expect("invariant: just seen");
        let heartbeat_interval_ms = self.heartbeat_of(connection).interval_ms;
        let own =
            dialect_of(&self.options, connection.class).and_then(|dialect| dialect.pace().message_bytes);
        let max_message_size = own.unwrap_or(self.options.limits.message_bytes);
        let welcome = Reply::Welcome {
            client_id: client.as_str().strip_prefix("@client:").unwrap_or_default(),
            user_id: user.as_str().strip_prefix("@user:").unwrap_or_default(),
            role: &role,
            server_time_unix_ms: now.unix_ms,
            heartbeat_interval_ms,
            max_message_size,
            resumed,
            resume: &resume,
        };
        self.stats.welcomed += 1;
        self.reply(id, None, &welcome);
        self.note(id, FactKind::Connected, Label::Nothing, out);
        self.ping(now, id);
    }
}
