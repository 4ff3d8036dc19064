//! What is to survive the process: changes for the store, in order, and what a store gives back at a start.
//!
//! Times are milliseconds of the steady clock. It begins each life of the process at the wall clock's time, so what one
//! life has noted means about the same to the next.

use fanfare_protocol::RoomName;

use crate::entry::Entry;
use crate::id::Epoch;

/// Who reads a room and acknowledges what it has read: a user, or one device of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscriber {
    /// The user, by the name of its own room.
    pub user: RoomName,
    /// The client id, where each device reads for itself.
    pub device: Option<Box<str>>,
}

/// How far a subscriber has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here is settled: acknowledged, given up, or not for it.
    pub offset: u64,
    /// When it was there last; [`Cursor::HERE`] while it is.
    pub seen_ms: u64,
}

impl Cursor {
    /// Not away: its time runs from the start of the next life.
    pub const HERE: u64 = u64::MAX;
}

/// A message that a subscriber did not acknowledge in time.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Names it among the user's own.
    pub id: u64,
    /// Whose it is, by the name of the user's own room.
    pub user: RoomName,
    /// Where it was published.
    pub room: RoomName,
    /// The epoch of its place there.
    pub epoch: Epoch,
    /// The message.
    pub entry: Entry,
    /// When it was given up.
    pub died_ms: u64,
    /// How often it was sent.
    pub deliveries: u32,
}

/// One change. A store does them in order, all of one call or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A message got its place, which becomes the room's last.
    Append {
        /// The room.
        room: RoomName,
        /// Its epoch. Another one than before means that the count began anew: what was kept is gone.
        epoch: Epoch,
        /// The message.
        entry: Box<Entry>,
    },
    /// Messages up to this place, itself included, are kept no longer. The room's last place stays what it is.
    Trim {
        /// The room.
        room: RoomName,
        /// The last one to go.
        to: u64,
    },
    /// Messages after this place never were: it becomes the room's last, and publishers' ids of later places go.
    Undo {
        /// The room.
        room: RoomName,
        /// The last one to stay.
        after: u64,
    },
    /// A subscriber came, or came further. The room may have had no message yet.
    Cursor {
        /// The room.
        room: RoomName,
        /// Who.
        subscriber: Subscriber,
        /// How far.
        cursor: Cursor,
    },
    /// A subscriber reads the room no more.
    Unsubscribe {
        /// The room.
        room: RoomName,
        /// Who.
        subscriber: Subscriber,
    },
    /// A message was given up.
    Bury(Box<DeadLetter>),
    /// A dead letter was sent again or dropped.
    Exhume {
        /// Whose it was.
        user: RoomName,
        /// Which.
        id: u64,
    },
    /// Everything of a room goes: its messages, its cursors, its count. What services have of it stays.
    Forget {
        /// The room.
        room: RoomName,
    },
    /// A kept message says something else from now on, or nothing. If it is kept no longer, nothing happens.
    Redact {
        /// The room.
        room: RoomName,
        /// The message as it is now.
        entry: Box<Entry>,
    },
    /// What a service has of a room, whole; nothing: it has nothing any more.
    State {
        /// The room.
        room: RoomName,
        /// The service.
        service: &'static str,
        /// What it gave to be kept.
        bytes: Option<Box<[u8]>>,
    },
}

/// What a service had of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// The room.
    pub room: RoomName,
    /// The service.
    pub service: Box<str>,
    /// What it gave to be kept.
    pub bytes: Box<[u8]>,
}

/// A room as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRoom {
    /// Its name.
    pub room: RoomName,
    /// Its epoch; 0 where only cursors were stored, since nothing was ever published there.
    pub epoch: Epoch,
    /// The last offset given out.
    pub offset: u64,
    /// What it kept, oldest first.
    pub entries: Vec<Entry>,
    /// Its subscribers.
    pub cursors: Vec<(Subscriber, Cursor)>,
}

/// A publisher's own id of late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredId {
    /// Where it was used.
    pub room: RoomName,
    /// By whom, by the name of the user's own room.
    pub user: Option<RoomName>,
    /// The id.
    pub message_id: Box<str>,
    /// The place that the message got.
    pub epoch: Epoch,
    /// The place that the message got.
    pub offset: u64,
    /// When.
    pub at_ms: u64,
}
