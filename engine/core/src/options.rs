//! What the core may do and how much of it: every bound of a shard in one place.

use fanfare_protocol::{Dialects, RoomName};
use foldhash::quality::FixedState;

use crate::fact::Watch;
use crate::hook::Hooks;
use crate::id::ShardId;
use crate::mode::Mode;
use crate::permission::{Permission, Permissions, RoleRule, permissions_of};
use crate::rate::RateRule;
use crate::room_type::{CompressionMode, Memory, RoomType};
use crate::service::ServiceOptions;

/// Shared by all shards. The shell may give them others while they run ([`crate::ToLocal::Options`]), but for what the layout of rooms
/// depends on: shards, seeds, the list of room types and what they keep, and sizes of what is made once.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many shards there are (1 to 64).
    pub shards: u8,
    /// What differs from run to run.
    pub seeds: Seeds,
    /// Wires of other systems.
    pub dialects: Dialects,
    /// Bounds.
    pub limits: Limits,
    /// Liveness of connections.
    pub heartbeat: Heartbeat,
    /// The types rooms may follow; a room without a type of its own follows [`Options::default_type`].
    pub room_types: Vec<RoomType>,
    /// What every other room follows.
    pub default_type: RoomType,
    /// What the rooms of single users follow: where messages to a user go.
    pub inbox: RoomType,
    /// Whether there is a store, so that rooms can be durable.
    pub store: bool,
    /// Roles that may publish to users, roles, clients and all.
    pub broadcast_roles: Vec<String>,
    /// What roles may; a role that none names may what is usual.
    pub roles: Vec<RoleRule>,
    /// What can be set about services.
    pub services: ServiceOptions,
    /// How fast commands of some types may come; at most [`crate::RATE_RULES_MAX`].
    pub rates: Vec<RateRule>,
    /// What somebody wants to hear of.
    pub watch: Watch,
    /// When a backend is asked, if ever.
    pub hooks: Option<Hooks>,
    /// What an operator has set for an emergency.
    pub mode: Mode,
}

/// Two numbers that have nothing to do with each other, the same on all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeds {
    /// Keys hashes of names and what a client comes back with: nobody may learn it.
    pub hashes: u64,
    /// Begins ids and epochs. Whoever is told an id can work it out.
    pub ids: u64,
}

/// Bounds. Where 0 means "no limit", the field says so.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of one user over all shards; 0: no limit.
    pub connections_per_user: u32,
    /// Members of one room; 0: no limit. A room type's own bound counts as well.
    pub members_per_room: u32,
    /// Rooms that one connection may be in, the engine's own not counted.
    pub rooms_per_connection: u32,
    /// Rooms of one shard that have something of a service, counted once for each.
    pub services: usize,
    /// Rooms that one shard orders; an empty room that nobody used for five minutes makes place.
    pub rooms_per_shard: u32,
    /// Commands a minute and connection; 0: no limit.
    pub commands_per_minute: u32,
    /// Commands that may come at once.
    pub burst: u32,
    /// A connection whose command is refused by one of [`Options::rates`] for the so-many-times-its-burst-th time within a
    /// minute is closed; 0: none is.
    pub rate_violations: u32,
    /// Users of one shard whose use of [`Options::rates`] is remembered; beyond it their commands are not counted together.
    pub rate_users: usize,
    /// Bytes of the largest message a client may send (told in `welcome`).
    pub message_bytes: usize,
    /// Bytes that may wait for one connection that reads too slowly.
    pub backlog_bytes: usize,
    /// Bytes that the rooms which one shard orders may keep of their messages; the oldest of all make room.
    pub history_bytes: usize,
    /// Bytes that one room may keep of its messages.
    pub room_history_bytes: usize,
    /// Bytes of missed messages that a join may bring; who missed more is told that they cannot be recovered.
    pub replay_bytes: usize,
    /// Publishers' own message ids that one shard remembers, so that a retry is answered and not done twice.
    pub message_ids: usize,
    /// Milliseconds for which it does.
    pub message_id_window_ms: u64,
    /// Subscribers that the rooms of one shard remember; beyond it, rooms that remember theirs cannot be joined.
    pub subscribers: usize,
    /// Dead letters of one user; the oldest makes room.
    pub dead_letters: usize,
    /// Publishes of one shard that may wait for the store; beyond it they are refused.
    pub store_queue: usize,
    /// Ended connections that one shard remembers, so that they can be resumed; the oldest makes room.
    pub sessions: usize,
    /// Milliseconds for which it does.
    pub reconnection_window_ms: u64,
    /// Shared compressors of one shard, of some 270 KiB each; rooms beyond it compress each message alone.
    pub compressors: usize,
    /// Different roles that may be connected to one shard at a time (1 to 65,535).
    pub roles: u16,
}

/// Liveness of connections, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// A connection that was silent for so long is pinged.
    pub interval_ms: u64,
    /// It has so long to answer.
    pub grace_ms: u64,
    /// A connection that sent no command for so long is closed.
    pub idle_ms: u64,
    /// A connection has so long to send its token.
    pub auth_ms: u64,
    /// Who is sent numbered pings, which the program behind the connection answers.
    pub application: Application,
    /// A round trip that takes so long is told as [`crate::FactKind::Slow`].
    pub slow_ms: u64,
}

/// Who is sent numbered pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Application {
    /// Nobody.
    Off,
    /// Connections that asked for it.
    #[default]
    Asked,
    /// All.
    All,
}

/// What a room has to know of its type at every message, so that the type need not be looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Which type it is, for [`Options::by`].
    pub(crate) kind: u16,
    /// Whose progress it remembers.
    pub(crate) memory: Memory,
    /// Whether acknowledgements are for everything before a place, so that nothing may overtake.
    pub(crate) in_order: bool,
    /// Whether it keeps messages.
    pub(crate) keeps: bool,
    /// Whether members may share a context; not in rooms of one user or client, which few messages come to.
    pub(crate) shares: bool,
}

/// Stands for the type of users' own rooms; 0 for the default one, greater numbers for those with a name.
const INBOX_KIND: u16 = 1;

impl Options {
    /// The shard that orders a room.
    pub fn home_of(&self, room: &RoomName) -> ShardId {
        ShardId::home_of(&FixedState::with_seed(self.seeds.hashes), self.shards, room)
    }

    /// What every message of a room asks about its type.
    pub(crate) fn rules(&self, room: &RoomName) -> Rules {
        let named = room.room_type().and_then(|kind| self.room_types.iter().position(|t| *t.name == *kind));
        let kind = match named {
            _ if room.is_inbox() => INBOX_KIND,
            Some(at) if !room.is_engine_room() => at as u16 + INBOX_KIND + 1,
            _ => 0,
        };
        let of = self.of_kind(kind);
        let keeps = of.kept().size > 0 && (!room.is_engine_room() || room.is_inbox());
        let is_of_one = room.is_inbox() || room.is_client();
        let shares = of.compression.mode == CompressionMode::Shared && !is_of_one;
        Rules { kind, memory: of.memory(), in_order: of.is_acknowledged(), keeps, shares }
    }

    /// The type that these rules are of.
    pub(crate) fn by(&self, rules: Rules) -> &RoomType {
        self.of_kind(rules.kind)
    }

    fn of_kind(&self, kind: u16) -> &RoomType {
        match kind {
            0 => &self.default_type,
            INBOX_KIND => &self.inbox,
            named => &self.room_types[usize::from(named - INBOX_KIND - 1)],
        }
    }

    /// Whether rooms of any type share contexts.
    pub(crate) fn shares(&self) -> bool {
        let mut types = self.room_types.iter().chain([&self.default_type]);
        types.any(|of| of.compression.mode == CompressionMode::Shared)
    }

    /// What a role may.
    pub fn permissions_of(&self, role: &str) -> Permissions {
        permissions_of(&self.roles, role)
    }

    /// Whether a role may one thing; quick where no role has a rule.
    pub(crate) fn permits(&self, role: &str, permission: Permission) -> bool {
        (self.roles.is_empty() && Permissions::USUAL.has(permission))
            || self.permissions_of(role).has(permission)
    }

    /// The type that a room follows.
    pub fn type_of(&self, room: &RoomName) -> &RoomType {
        if room.is_inbox() {
            return &self.inbox;
        }
        let named = room.room_type().and_then(|kind| self.room_types.iter().find(|t| *t.name == *kind));
        named.unwrap_or(&self.default_type)
    }
}

/// Whether a list of roles lets this one: the first entry that fits it decides, `*` fits everybody, and what begins with `!`
/// keeps out.
pub(crate) fn lists(roles: &[String], role: &str) -> bool {
    let verdict = |entry: &String| {
        let name = entry.strip_prefix('!').unwrap_or(entry);
        (name == "*" || name == role).then_some(name.len() == entry.len())
    };
    roles.iter().find_map(verdict).unwrap_or(false)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: 1,
            seeds: Seeds::default(),
            dialects: Dialects::default(),
            limits: Limits {
                connections_per_user: 0,
                members_per_room: 0,
                rooms_per_connection: 128,
                services: 100_000,
                rooms_per_shard: 1_000_000,
                commands_per_minute: 600,
                burst: 100,
                rate_violations: 10,
                rate_users: 100_000,
                message_bytes: 65_536,
                backlog_bytes: 1 << 20,
                history_bytes: 256 << 20,
                room_history_bytes: 16 << 20,
                replay_bytes: 512 << 10,
                message_ids: 100_000,
                message_id_window_ms: 300_000,
                subscribers: 1_000_000,
                dead_letters: 1_000,
                store_queue: 65_536,
                sessions: 100_000,
                reconnection_window_ms: 300_000,
                compressors: 64,
                roles: 64,
            },
            heartbeat: Heartbeat {
                interval_ms: 30_000,
                grace_ms: 10_000,
                idle_ms: 3_600_000,
                auth_ms: 5_000,
                application: Application::Asked,
                slow_ms: 1_000,
            },
            room_types: Vec::new(),
            default_type: RoomType::open("default"),
            inbox: RoomType::inbox(),
            store: false,
            broadcast_roles: vec!["admin".into(), "service".into()],
            roles: Vec::new(),
            services: ServiceOptions::default(),
            rates: Vec::new(),
            watch: Watch::default(),
            hooks: None,
            mode: Mode::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list_of_roles_the_first_entry_that_fits_decides() {
        for (list, [nurse, anonymous]) in [
            (&["*"][..], [true, true]),
            (&[], [false, false]),
            (&["nurse"], [true, false]),
            (&["!anonymous", "*"], [true, false]),
            (&["*", "!anonymous"], [true, true]),
            (&["anonymous", "!*"], [false, true]),
            (&["!anonymous"], [false, false]),
            (&["!nurse", "nurse", "anonymous"], [false, true]),
        ] {
            let list: Vec<String> = list.iter().map(|entry| (*entry).to_owned()).collect();
            assert_eq!([lists(&list, "nurse"), lists(&list, "anonymous")], [nurse, anonymous], "{list:?}");
        }
    }
}
