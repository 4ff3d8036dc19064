//! One room at its home: the count of its messages, who listens, and what is kept.

use std::collections::VecDeque;

use fanfare_protocol::RoomName;

use crate::durable::DeadLetter;
use crate::home::audience::Audience;
use crate::home::compressors::Compressors;
use crate::home::context::Context;
use crate::home::log::Log;
use crate::home::publish::Draft;
use crate::home::services::Services;
use crate::home::sessions::{Comer, Session};
use crate::home::subscribers::Subscribers;
use crate::id::Epoch;
use crate::names::Named;
use crate::options::Rules;

#[derive(Debug)]
pub(crate) struct HomeRoom {
    pub(crate) name: RoomName,
    pub(crate) audience: Audience,
    /// The last offset that anybody was told.
    pub(crate) offset: u64,
    /// Of the only user who may join, as a keyed hash; 0 in rooms for everybody.
    pub(crate) owner: u64,
    pub(crate) epoch: Epoch,
    pub(crate) rules: Rules,
    /// Seconds of the steady clock at the last join, leave, message or command that does something.
    pub(crate) used_s: u32,
    /// Kept messages; nothing until there are some, since most rooms are the engine's own and keep none.
    pub(crate) log: Option<Box<Log>>,
    /// What only some rooms have.
    pub(crate) more: Option<Box<More>>,
}

/// What few rooms need, so that the others stay small.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// Those whose progress the room remembers.
    pub(crate) subscribers: Subscribers,
    /// Messages that wait for the store. Their offsets follow the room's, and nobody knows of them yet.
    pub(crate) drafts: VecDeque<Draft>,
    /// In rooms of one user: what came after this place was handed to nobody, since nobody was there.
    pub(crate) waits_after: Option<u64>,
    /// In rooms of one user: messages that were given up.
    pub(crate) dead: VecDeque<DeadLetter>,
    /// In rooms of one client: what it goes on with when it comes back.
    pub(crate) session: Option<Session>,
    /// In rooms of one client: who waits for its former connections to go.
    pub(crate) comers: Vec<Comer>,
    /// What its messages are compressed with.
    pub(crate) context: Option<Box<Context>>,
    /// What services have of it.
    pub(crate) services: Services,
}

impl More {
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
            && self.drafts.is_empty()
            && self.dead.is_empty()
            && self.session.is_none()
            && self.comers.is_empty()
            && self.waits_after.is_none()
            && self.context.is_none()
            && self.services.is_empty()
    }
}

impl HomeRoom {
    pub(crate) fn new(name: RoomName, epoch: Epoch, rules: Rules, used_s: u32) -> Self {
        Self {
            rules,
            name,
            audience: Audience::default(),
            offset: 0,
            owner: 0,
            epoch,
            used_s,
            log: None,
            more: None,
        }
    }

    /// The next message's place: one more than the last, always.
    pub(crate) fn next_offset(&self) -> u64 {
        let drafts = self.more.as_ref().map_or(0, |more| more.drafts.len());
        self.offset + drafts as u64 + 1
    }

    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// In rooms of one user: everything up to here was handed out.
    pub(crate) fn settled(&self) -> u64 {
        self.more.as_ref().and_then(|more| more.waits_after).unwrap_or(self.offset)
    }

    /// In rooms of one user: everything is handed out.
    pub(crate) fn settle(&mut self) {
        if let Some(more) = &mut self.more {
            more.waits_after = None;
            if more.is_empty() {
                self.more = None;
            }
        }
    }

    /// Its context, if it has one, ends; members are told otherwise.
    pub(crate) fn end_context(&mut self, compressors: &mut Compressors) {
        if let Some(More { context: Some(context), .. }) = self.more.as_deref_mut() {
            context.end(compressors);
        }
    }

    pub(crate) fn subscribers(&mut self) -> Option<&mut Subscribers> {
        self.more.as_mut().map(|more| &mut more.subscribers)
    }

    /// Whether it may be forgotten without anybody missing anything.
    pub(crate) fn is_idle(&self) -> bool {
        let needed = |more: &More| {
            // Who reads its own room is known again when it connects.
            let readers = !more.subscribers.is_empty() && !self.name.is_inbox();
            readers
                || !more.services.is_empty()
                || !more.drafts.is_empty()
                || !more.dead.is_empty()
                || more.session.is_some()
        };
        self.audience.is_empty() && self.log.is_none() && !self.more.as_deref().is_some_and(needed)
    }
}

impl Named for HomeRoom {
    fn name(&self) -> &RoomName {
        &self.name
    }
}
