//! What the rooms of one type have in common.

use std::sync::Arc;

/// The name of the type of users' own rooms.
const INBOX: &str = "@user";

/// The options that rooms of one type share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomType {
    /// What stands before the `:` in the room's name.
    pub name: Arc<str>,
    /// Roles that may join; `*` is every role.
    pub join: Vec<String>,
    /// Roles that may publish; `*` is every role.
    pub publish: Vec<String>,
    /// Members of one room; 0: no limit.
    pub max_members: u32,
    /// What a room keeps of its messages.
    pub history: HistoryRule,
    /// What becomes of members that read too slowly.
    pub slow: Slow,
    /// Whether members acknowledge what they have got.
    pub delivery: Delivery,
    /// What waits for a member who is away.
    pub queue: QueueRule,
    /// Who counts as one reader.
    pub devices: Devices,
    /// Whether an answered publish is on disk.
    pub durable: bool,
    /// What becomes of characters that can hide or forge text.
    pub sanitize: Sanitize,
    /// How its messages are compressed.
    pub compression: Compression,
    /// Whether members are told who comes and goes.
    pub presence: Presence,
    /// Whether each of its rooms belongs to one user.
    pub owner: Owner,
    /// Whether only its creator and who was invited may be in it.
    pub private: bool,
    /// Roles that may create one of its rooms; `*` is every role. None: its rooms need no creation and have no creator.
    pub create: Vec<String>,
    /// Whether a room must be created before it can be joined or published to.
    pub created_only: bool,
    /// Whether a room that was created goes when its last member leaves.
    pub cleanup: bool,
}

/// What becomes of a message that a member did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is handed out once.
    AtMostOnce,
    /// It is sent again until it is acknowledged, or given up.
    AtLeastOnce {
        /// Milliseconds that a member has to acknowledge.
        ack_wait_ms: u64,
        /// How often it is sent before it becomes a dead letter.
        max_deliver: u32,
    },
}

impl Delivery {
    /// At least once, with what is usual.
    pub const ACKNOWLEDGED: Self = Self::AtLeastOnce { ack_wait_ms: 30_000, max_deliver: 3 };
}

/// How much waits for a member who is away, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRule {
    /// Messages at most, of each member; 0: nothing waits.
    pub size: u32,
    /// Milliseconds after which a message, and a member who does not come back, is let go.
    pub ttl_ms: u64,
}

impl QueueRule {
    /// Nothing waits.
    pub const NONE: Self = Self { size: 0, ttl_ms: 0 };
    /// What is usual.
    pub const USUAL: Self = Self { size: 1_000, ttl_ms: 3_600_000 };
}

/// Who has read what a user's device has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// The user: what one device has got needs no other.
    #[default]
    Any,
    /// That device alone: each (told apart by its client id) gets everything.
    Each,
}

/// To whom a room belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// To nobody but its creator, where it has one.
    #[default]
    Nobody,
    /// To the user whose id stands after the first `:` of its name. Nobody else comes in but operators and backends.
    Id,
}

/// Whether members are told who comes and goes, and what counts as somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// They are not.
    #[default]
    Off,
    /// A user, who comes with its first connection and leaves some time after its last.
    Users,
    /// Each connection.
    Connections,
}

/// What becomes of characters in published `data` that can hide or forge text: see [`fanfare_protocol::sanitize`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sanitize {
    /// They pass, like everything.
    #[default]
    Off,
    /// They are taken out.
    Strip,
    /// The publish is refused.
    Refuse,
}

/// What becomes of a member for whom more waits than may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// Its connection is ended with [`fanfare_protocol::Code::SlowConsumer`]; it can come back and recover.
    #[default]
    Disconnect,
    /// The oldest of the room's messages that wait for it are dropped, and it is told which.
    DropOldest,
    /// Of messages with the same key only the newest waits for it; then as above.
    Conflate,
}

/// How much a room keeps of its messages, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRule {
    /// Messages at most; 0: none are kept, and nothing can be recovered.
    pub size: u32,
    /// Milliseconds after which a message is let go.
    pub ttl_ms: u64,
}

impl Default for HistoryRule {
    fn default() -> Self {
        Self { size: 1_000, ttl_ms: 300_000 }
    }
}
/// Outgoing permessage-deflate of rooms of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// What a message may refer to.
    pub mode: CompressionMode,
    /// 1 (fast) to 9 (small).
    pub level: u32,
    /// A payload of fewer bytes is sent as it is to those for whom it would be compressed alone.
    pub threshold_bytes: usize,
    /// A payload of fewer bytes is sent as it is to everybody.
    pub shared_threshold_bytes: usize,
    /// Messages after which a shared context begins anew, so that who has come since can follow it.
    pub reset_every: u32,
}

/// How messages of a room are compressed for those who agreed to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionMode {
    /// With one context for all members, where that pays and they can follow it; otherwise alone.
    #[default]
    Shared,
    /// Each on its own.
    Alone,
    /// Not at all.
    Off,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            mode: CompressionMode::Shared,
            level: 6,
            threshold_bytes: 1_024,
            shared_threshold_bytes: 64,
            reset_every: 64,
        }
    }
}

/// Whose progress rooms of a type remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nobody's: members recover by the places they know themselves.
    Nobody,
    /// That of the only user there is, in whose room nothing is acknowledged: one number will do.
    Owner,
    /// Each reader's.
    Readers,
}

impl RoomType {
    /// A type that everybody may join and publish to.
    pub fn open(name: &str) -> Self {
        Self {
            name: name.into(),
            join: vec!["*".into()],
            publish: vec!["*".into()],
            max_members: 0,
            history: HistoryRule::default(),
            slow: Slow::default(),
            delivery: Delivery::AtMostOnce,
            queue: QueueRule::NONE,
            devices: Devices::default(),
            durable: false,
            sanitize: Sanitize::Off,
            compression: Compression::default(),
            presence: Presence::Off,
            owner: Owner::Nobody,
            private: false,
            create: Vec::new(),
            created_only: false,
            cleanup: false,
        }
    }

    /// Whether its rooms can be created, and so have a creator.
    pub fn is_managed(&self) -> bool {
        !self.create.is_empty()
    }

    /// Whether a room must have been created before it is used.
    pub(crate) fn must_be_created(&self) -> bool {
        self.is_managed() && (self.created_only || self.private)
    }

    /// The type of users' own rooms: what is sent while a user is away waits.
    pub fn inbox() -> Self {
        let history = HistoryRule { size: 0, ttl_ms: 0 };
        Self { queue: QueueRule::USUAL, history, ..Self::open(INBOX) }
    }

    /// Whose progress its rooms remember.
    pub(crate) fn memory(&self) -> Memory {
        if self.queue.size == 0 && !self.is_acknowledged() {
            Memory::Nobody
        } else if *self.name == *INBOX && !self.is_acknowledged() && self.devices == Devices::Any {
            Memory::Owner
        } else {
            Memory::Readers
        }
    }

    /// Whether readers acknowledge.
    pub fn is_acknowledged(&self) -> bool {
        self.delivery != Delivery::AtMostOnce
    }

    /// What its rooms keep of their messages: enough for its history and for whoever is away.
    pub fn kept(&self) -> HistoryRule {
        let HistoryRule { size, ttl_ms } = self.history;
        HistoryRule { size: size.max(self.queue.size), ttl_ms: ttl_ms.max(self.queue.ttl_ms) }
    }
}
