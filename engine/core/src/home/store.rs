//! What a store has been asked to keep, and what waits until it has.

use std::collections::{BTreeMap, VecDeque};

use fanfare_protocol::{Code, Refusal, RoomName};

use crate::durable::{Cursor, DeadLetter, Subscriber, Write};
use crate::effect::Effects;
use crate::entry::Entry;
use crate::home::HomeRooms;
use crate::home::publish::tell;
use crate::home::room::HomeRoom;
use crate::home::services::Unconfirmed;
use crate::mesh::Report;
use crate::options::Options;
use crate::room_type::Memory;
use crate::time::Now;

/// Of how many writes a message that waits is the reason: its own, and those of who acknowledges it. More than that may wait, but
/// then nothing new is taken.
const WRITES_A_MESSAGE: usize = 16;

/// What was taken away while the store fails is remembered up to so many; a reader beyond that comes back with the next start, and goes
/// as one that stays away.
const REMOVED_MAX: usize = 65_536;

/// What a store has for a subscriber or of one, and is to have no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Removed {
    /// A dead letter of a user.
    Letter(RoomName, u64),
    /// Who read a room.
    Reader(RoomName, Subscriber),
}

impl Removed {
    fn write(&self) -> Write {
        match self.clone() {
            Self::Letter(user, id) => Write::Exhume { user, id },
            Self::Reader(room, subscriber) => Write::Unsubscribe { room, subscriber },
        }
    }
}

/// This shard's side of the store.
#[derive(Debug)]
pub(crate) struct Store {
    writes: Vec<Write>,
    /// Writes since the start.
    written: u64,
    /// How many of them are on disk, or lost.
    settled: u64,
    /// Rooms whose first draft is on disk after so many writes, in order.
    pledged: VecDeque<(u64, u32)>,
    /// Dead letters that are on disk after so many writes, in order: until then nobody else can write them again.
    buried: VecDeque<(u64, Box<DeadLetter>)>,
    /// Kept messages whose new words are on disk after so many writes, in order: until then the store has the former.
    redacted: VecDeque<(u64, RoomName, Box<Entry>)>,
    /// What was taken away, and the store may have until it has so many writes.
    removed: BTreeMap<Removed, u64>,
    /// Answers of services that may be given after so many writes, in order.
    answers: VecDeque<(u64, Unconfirmed)>,
    healthy: bool,
    /// How often the store failed.
    pub(crate) failures: u32,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            writes: Vec::new(),
            written: 0,
            settled: 0,
            pledged: VecDeque::new(),
            buried: VecDeque::new(),
            redacted: VecDeque::new(),
            removed: BTreeMap::new(),
            answers: VecDeque::new(),
            healthy: true,
            failures: 0,
        }
    }

    /// Whether a publish may wait for the store.
    pub(super) fn accepts(&self, options: &Options) -> Result<(), Refusal> {
        if !self.healthy {
            return Err(failed());
        }
        let max = options.limits.store_queue;
        if self.pledged.len() >= max || self.behind() >= max.saturating_mul(WRITES_A_MESSAGE) as u64 {
            let message = "more messages wait for the store than may; try again";
            return Err(Refusal::new(Code::ServerError, message));
        }
        Ok(())
    }

    /// Something to keep. While the store fails nothing is noted: it is told how all stands when it is well again.
    pub(super) fn write(&mut self, write: Write) {
        if self.healthy {
            self.written += 1;
            self.writes.push(write);
        }
    }

    /// A draft of a room, to be handed out once it is kept.
    pub(super) fn pledge(&mut self, append: Write, room: u32) {
        self.write(append);
        self.pledged.push_back((self.written, room));
    }

    /// A message of a room of this shard was given up. To be called before its reader's place goes past it.
    pub(super) fn bury(&mut self, letter: Box<DeadLetter>) {
        self.write(Write::Bury(letter.clone()));
        self.buried.push_back((self.written, letter));
    }

    /// A kept message says something else now. What fails is written again when the store is well: words that were taken back
    /// must not come back with the next start.
    pub(super) fn redact(&mut self, room: RoomName, entry: Box<Entry>) {
        self.write(Write::Redact { room: room.clone(), entry: entry.clone() });
        self.redacted.push_back((self.written, room, entry));
    }

    /// Something is no more. What fails is written again when the store is well: it must not come back with the next start.
    pub(super) fn remove(&mut self, removed: Removed) {
        self.write(removed.write());
        if self.healthy || self.removed.len() < REMOVED_MAX {
            self.removed.insert(removed, self.written);
        }
    }

    /// Writes that are on disk, or lost.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// Writes that are on their way to the disk.
    pub(crate) fn behind(&self) -> u64 {
        self.written - self.settled
    }

    /// Whether there are any.
    pub(super) fn is_behind(&self) -> bool {
        self.behind() > 0
    }

    /// What a service answers waits for all that was written before.
    pub(super) fn await_answer(&mut self, answer: Unconfirmed) {
        self.answers.push_back((self.written, answer));
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// Publishes and answers that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pledged.len() + self.answers.len()
    }

    /// Writes since the start: what [`Report::Stored`] counts.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Moves what is new to where the shell finds it.
    pub(super) fn hand_over(&mut self, out: &mut Effects) {
        out.writes.append(&mut self.writes);
    }
}

pub(super) fn failed() -> Refusal {
    let message = "the store cannot write now, so what must last is not taken; try again later";
    Refusal::new(Code::ServerError, message)
}

impl HomeRooms {
    /// Whether messages of a room are handed out only when they are on disk.
    pub(super) fn is_durable(&self, room: &RoomName) -> bool {
        self.options.store
            && self.options.type_of(room).durable
            && (!room.is_engine_room() || room.is_inbox())
    }

    /// The store says how far it is.
    pub(crate) fn report(&mut self, now: Now, report: Report, out: &mut Effects) {
        match report {
            Report::Stored(writes) => {
                self.store.settled = self.store.settled.max(writes);
                while let Some((_, answer)) = self.store.answers.pop_front_if(|(at, _)| *at <= writes) {
                    answer.give(out);
                }
                while self.store.buried.pop_front_if(|(at, _)| *at <= writes).is_some() {}
                self.store.removed.retain(|_, at| *at > writes);
                self.settle_states(writes);
                while self.store.redacted.pop_front_if(|(at, ..)| *at <= writes).is_some() {}
                while let Some((_, number)) = self.store.pledged.pop_front_if(|(at, _)| *at <= writes) {
                    let room = self.rooms.get_mut(number).expect("invariant: a room with drafts is kept");
                    let draft = room.more().drafts.pop_front().expect("invariant: pledged");
                    self.hand_out(now, number, draft, out);
                }
            }
            Report::Failed => self.give_up(out),
            Report::Healed => {
                self.store.healthy = true;
                self.tell_store_all();
                self.tell_store_redacted();
                self.tell_store_states();
            }
        }
        self.store.hand_over(out);
    }

    /// Nothing that waits will be kept: its publishers are told, and its places are free again.
    fn give_up(&mut self, out: &mut Effects) {
        self.store.healthy = false;
        self.store.settled = self.store.written;
        self.store.failures += 1;
        self.store.writes.clear();
        // What was decided in this turn already, and is not with the store yet, is of the time before as well.
        out.writes.clear();
        std::mem::take(&mut self.store.answers).into_iter().for_each(|(_, answer)| answer.fail(out));
        self.give_up_states(out);
        for (_, number) in std::mem::take(&mut self.store.pledged) {
            let room = self.rooms.get_mut(number).expect("invariant: a room with drafts is kept");
            let draft = room.more().drafts.pop_front().expect("invariant: pledged");
            if let Some(id) = draft.id {
                self.recent.forget_id(id);
            }
            for origin in draft.origins {
                tell(origin, Err(failed()), out);
            }
        }
    }

    /// What waits for the store in a room that begins anew is not handed out; its publishers are told.
    pub(super) fn take_back_drafts(&mut self, number: u32, out: &mut Effects) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        let drafts = room.more.as_mut().map(|more| std::mem::take(&mut more.drafts)).unwrap_or_default();
        if drafts.is_empty() {
            return;
        }
        self.store.pledged.retain(|(_, of)| *of != number);
        for draft in drafts {
            if let Some(id) = draft.id {
                self.recent.forget_id(id);
            }
            for origin in draft.origins {
                let refused =
                    Refusal::new(Code::RoomNotFound, "the `room` was purged before it had the message");
                tell(origin, Err(refused), out);
            }
        }
    }

    /// After a failure the store may have what messages said before.
    fn tell_store_redacted(&mut self) {
        for (_, room, entry) in std::mem::take(&mut self.store.redacted) {
            let found = self.rooms.find(&room).and_then(|number| self.rooms.get(number)?.log.as_ref());
            let kept = found.and_then(|log| log.after(entry.offset - 1).next());
            // Its place may be another message's since, if the count began anew.
            if let Some(kept) = kept.filter(|kept| kept.entry.message_id == entry.message_id) {
                let entry = Box::new(kept.entry.clone());
                self.store.redact(room, entry);
            }
        }
    }

    /// After a failure the store may have more of a room, or less of what is known of it, than there is.
    fn tell_store_all(&mut self) {
        // Before any cursor that has gone past them: the shard that holds them writes apart from this one.
        for (_, letter) in std::mem::take(&mut self.store.buried) {
            self.store.bury(letter);
        }
        // Before the cursors of who has come back since.
        for (removed, _) in std::mem::take(&mut self.store.removed) {
            self.store.remove(removed);
        }
        for number in 0..self.rooms.numbers() {
            let Some(room) = self.rooms.get(number).filter(|room| self.is_durable(&room.name)) else {
                continue;
            };
            let name = &room.name;
            let mut writes = Vec::new();
            if room.offset == 0 {
                // What the store has is of an earlier count, which must not go on from a place it has given out.
                writes.push(Write::Forget { room: name.clone() });
            } else {
                writes.push(Write::Undo { room: name.clone(), after: room.offset });
                let first = room.log.as_ref().and_then(|log| log.first_offset());
                let to = first.map_or(room.offset, |first| first - 1);
                writes.push(Write::Trim { room: name.clone(), to });
            }
            if room.rules.memory == Memory::Owner && room.offset > 0 {
                writes.push(owners_cursor(room));
            }
            writes.extend(readers_cursors(room));
            writes.into_iter().for_each(|write| self.store.write(write));
        }
    }
}

/// How far each reader of a room has come.
pub(super) fn readers_cursors(room: &HomeRoom) -> impl Iterator<Item = Write> {
    let readers = room.more.iter().flat_map(|more| more.subscribers.iter());
    readers.map(|(subscriber, subscription)| Write::Cursor {
        room: room.name.clone(),
        subscriber: subscriber.clone(),
        cursor: subscription.as_stored(),
    })
}

/// How far the owner of an inbox has come, where it is all that is known.
pub(super) fn owners_cursor(room: &HomeRoom) -> Write {
    let subscriber = Subscriber { user: room.name.clone(), device: None };
    let cursor = Cursor { offset: room.settled(), seen_ms: u64::from(room.used_s) * 1_000 };
    Write::Cursor { room: room.name.clone(), subscriber, cursor }
}
