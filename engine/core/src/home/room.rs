//! One room at its home: the count of its messages and who listens.

use fanfare_protocol::RoomName;

use crate::home::audience::Audience;
use crate::home::log::Log;
use crate::id::Epoch;
use crate::names::Named;

#[derive(Debug)]
pub(crate) struct HomeRoom {
    pub(crate) name: RoomName,
    pub(crate) audience: Audience,
    /// The last offset given out.
    pub(crate) offset: u64,
    /// Of the only user who may join, as a keyed hash; 0 in rooms for everybody.
    pub(crate) owner: u64,
    pub(crate) epoch: Epoch,
    /// Seconds of the steady clock at the last join, leave or message.
    pub(crate) used_s: u32,
    /// Kept messages; nothing until there are some, since most rooms are the engine's own and keep none.
    pub(crate) log: Option<Box<Log>>,
}

impl HomeRoom {
    /// The next message's place: one more than the last, always.
    pub(crate) fn place(&mut self) -> u64 {
        self.offset += 1;
        self.offset
    }
}

impl Named for HomeRoom {
    fn name(&self) -> &RoomName {
        &self.name
    }
}
