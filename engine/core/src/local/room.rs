//! A room as one shard sees it: the members it holds, in groups that get the same bytes.

use fanfare_protocol::RoomName;
use smallvec::SmallVec;

use crate::class::Class;
use crate::id::Epoch;
use crate::local::group::Group;
use crate::local::roles::RoleId;
use crate::names::Named;
use crate::room_type::Slow;

#[derive(Debug)]
pub(crate) struct LocalRoom {
    pub(crate) name: RoomName,
    pub(crate) groups: SmallVec<[Group; 1]>,
    /// The place of the last message that came, for those who ask.
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
    /// What becomes of members that read too slowly.
    pub(crate) slow: Slow,
    /// Whether the room's home was told that everybody who could follow its context does.
    pub(crate) told_in_step: bool,
    /// What its shared context saves each member who follows it, in 64 bytes a second; 0: there is none. So small that all
    /// this fits beside the epoch: most connections are alone in two rooms of their own.
    pub(crate) gain: u16,
}

impl LocalRoom {
    pub(crate) fn new(name: RoomName, epoch: Epoch, offset: u64, slow: Slow) -> Self {
        let groups = SmallVec::new();
        Self { name, groups, epoch, offset, slow, told_in_step: false, gain: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.iter().all(Group::is_empty)
    }

    /// The group of a class and role, made when it is not there yet.
    pub(crate) fn group(&mut self, class: Class, role: RoleId) -> &mut Group {
        let found = self.groups.iter().position(|group| (group.class, group.role) == (class, role));
        let at = found.unwrap_or_else(|| {
            self.groups.push(Group::new(class, role));
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}

impl Named for LocalRoom {
    fn name(&self) -> &RoomName {
        &self.name
    }
}
