//! A message on its way to its room's home, and the place that it gets there.

use fanfare_protocol::{Body, EventName, Publish, RoomName};

use crate::id::{Address, Epoch};
use crate::mesh::Origin;

/// A message before it has its place.
#[derive(Debug)]
pub struct Publication {
    /// Where to.
    pub room: RoomName,
    /// Its type.
    pub event: EventName,
    /// What it says.
    pub body: Body,
    /// The publisher, if it is a user, by the name of its own room.
    pub user: Option<RoomName>,
    /// Only for these roles, when not empty.
    pub roles: Vec<Box<str>>,
    /// The publisher, when it wants no copy.
    pub exclude: Option<Address>,
    /// The room of a client that gets no copy.
    pub exclude_client: Option<RoomName>,
    /// The publisher's own id.
    pub message_id: Option<Box<str>>,
    /// What a conflating room keeps the newest of.
    pub key: Option<Box<str>>,
    /// Seconds after which it is of no use.
    pub ttl: Option<u32>,
    /// 0 (low) to 9 (urgent).
    pub priority: u8,
    /// Who is told of each reader that acknowledges it.
    pub receipts: Option<Address>,
    /// Whether it is a message of its own even if one with the same id was published before.
    pub is_new: bool,
    /// Who is told.
    pub origin: Origin,
    /// When the command was read.
    pub received_us: u64,
}

impl Publication {
    /// Takes over what a publish command says, for one room.
    pub(crate) fn new(publish: &Publish, room: RoomName, origin: Origin, received_us: u64) -> Self {
        Self {
            room,
            event: publish.event.clone(),
            body: publish.body.clone(),
            user: None,
            roles: publish.roles.clone(),
            exclude: None,
            exclude_client: publish.exclude_client.as_deref().map(RoomName::of_client),
            message_id: publish.message_id.clone(),
            key: publish.key.clone(),
            ttl: publish.ttl,
            priority: publish.priority.unwrap_or(0),
            receipts: None,
            is_new: false,
            origin,
            received_us,
        }
    }
}

/// The place that a message got.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The room.
    pub room: RoomName,
    /// The room's epoch.
    pub epoch: Epoch,
    /// The message's offset.
    pub offset: u64,
    /// The message's id.
    pub message_id: Box<str>,
    /// How many connections were in the room when the message was handed out; nothing where that was long ago.
    pub members: Option<u32>,
}
