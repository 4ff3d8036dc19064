//! Joining a room that one is in already.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Body, RoomName};

use crate::id::{Address, Epoch};
use crate::service::Member;

/// A join of a room that the connection is in already.
#[derive(Debug)]
pub struct Rejoin {
    /// The room.
    pub room: RoomName,
    /// Who asks.
    pub from: Address,
    /// What is answered.
    pub command: Option<CommandId>,
    /// Who asks, for services.
    pub member: Member,
}

/// The answer to a [`Rejoin`]: as to any join, without anything of the past.
#[derive(Debug)]
pub struct Rejoined {
    /// The room.
    pub room: RoomName,
    /// What is answered.
    pub command: Option<CommandId>,
    /// Where it stands.
    pub epoch: Epoch,
    /// Where it stands.
    pub offset: u64,
    /// How many members there are.
    pub members: u32,
    /// What its services have to tell: a JSON object.
    pub state: Option<Body>,
}
