//! Giving a message its place, and handing it out: at once, or in durable rooms when the store has it.

use std::sync::Arc;

use fanfare_protocol::{Refusal, RoomName};
use smallvec::{SmallVec, smallvec};

use crate::durable::Write;
use crate::effect::Effects;
use crate::entry::Entry;
use crate::fact::{Fact, FactKind, Label, Told};
use crate::home::HomeRooms;
use crate::home::log::Kept;
use crate::home::recent::Place;
use crate::home::rooms::seconds;
use crate::id::Address;
use crate::mesh::{Mesh, Origin, ToLocal};
use crate::prepared::Prepared;
use crate::publication::{Placed, Publication};
use crate::room_type::Memory;
use crate::time::Now;

/// A message that has its place and is about to be handed out.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) entry: Entry,
    exclude: Option<Address>,
    exclude_client: Option<RoomName>,
    receipts: Option<Address>,
    /// What stands for its key where rooms conflate; 0: it has none.
    conflates: u64,
    /// What stands for the publisher's own id.
    pub(crate) id: Option<u128>,
    /// Who is told of the place: the publisher, and whoever tried again meanwhile.
    pub(crate) origins: SmallVec<[Origin; 1]>,
    received_us: u64,
}

/// How a message goes to members.
#[derive(Debug)]
pub(super) struct Way {
    /// Who does not get it.
    pub(super) exclude: Option<Address>,
    /// The room of a client that does not get it.
    pub(super) exclude_client: Option<RoomName>,
    /// Messages with the same number may take each other's place; 0: none may.
    pub(super) conflates: u64,
    /// When its publish was read, in microseconds of the steady clock.
    pub(super) received_us: u64,
}

impl HomeRooms {
    pub(super) fn publish(&mut self, now: Now, publication: Publication, out: &mut Effects) {
        let id = publication.message_id.as_deref().filter(|_| !publication.is_new);
        let id = id.map(|id| self.recent.key(&publication.room, publication.user.as_ref(), id));
        if let Some(place) = id.and_then(|id| self.recent.find(now, id)) {
            self.repeated += 1;
            self.answer_again(publication, place, out);
            return;
        }
        let durable = self.is_durable(&publication.room);
        let ready = if durable { self.store.accepts(&self.options) } else { Ok(()) };
        // What the engine itself says it may say in any room.
        let ready = match publication.is_new {
            true => ready,
            false => ready.and_then(|()| self.takes(now, &publication.room, publication.user.as_ref())),
        };
        let number = match ready.and_then(|()| self.find_or_create(now, &publication.room)) {
            Ok(number) => number,
            Err(refusal) => {
                tell(publication.origin, Err(refusal), out);
                return;
            }
        };
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        room.used_s = seconds(now);
        let (epoch, offset) = (room.epoch, room.next_offset());
        if let Some(id) = id {
            self.recent.note(now, id, Place { epoch, offset });
        }
        let draft = self.draft(now, publication, offset, id);
        if durable {
            self.await_store(number, draft);
        } else {
            self.hand_out(now, number, draft, out);
        }
    }

    fn draft(&mut self, now: Now, publication: Publication, offset: u64, id: Option<u128>) -> Draft {
        let Publication {
            room,
            event,
            body,
            user,
            roles,
            exclude,
            exclude_client,
            message_id,
            key,
            ttl,
            priority,
            receipts,
            is_new: _,
            origin,
            received_us,
        } = publication;
        let at_ms = now.mono_ms();
        let entry = Entry {
            offset,
            at_ms,
            expires_ms: ttl.map_or(u64::MAX, |seconds| at_ms + u64::from(seconds) * 1_000),
            timestamp_unix_ms: now.unix_ms,
            event,
            user,
            body,
            is_publishers_id: id.is_some(),
            message_id: message_id.unwrap_or_else(|| self.random.message_id(now.unix_ms).into()),
            roles,
            not_for_publisher: exclude.is_some(),
            priority,
        };
        let conflates = key.map_or(0, |key| self.recent.key(&room, None, &key) as u64 | 1);
        Draft {
            entry,
            exclude,
            exclude_client,
            receipts,
            conflates,
            id,
            origins: smallvec![origin],
            received_us,
        }
    }

    /// The same was published before: the first answer again, or once the first one is known.
    fn answer_again(&mut self, publication: Publication, place: Place, out: &mut Effects) {
        let Publication { room, message_id, origin, .. } = publication;
        let number = self.rooms.find(&room);
        let found = number.and_then(|number| self.rooms.get_mut(number));
        if let Some(found) = found.filter(|found| found.epoch == place.epoch && place.offset > found.offset) {
            let drafts = &mut found.more().drafts;
            let draft = drafts.iter_mut().find(|draft| draft.entry.offset == place.offset);
            draft.expect("invariant: what has a later place waits").origins.push(origin);
            return;
        }
        let message_id = message_id.expect("invariant: it is how the publish was recognised");
        let Place { epoch, offset } = place;
        // Who was there is not known any more, and who is there now did not get it.
        tell(origin, Ok(Placed { room, epoch, offset, message_id, members: None }), out);
    }

    /// The place becomes final: members get the message, the room keeps it, the publisher is told.
    pub(super) fn hand_out(&mut self, now: Now, number: u32, draft: Draft, out: &mut Effects) {
        let Draft { entry, exclude, exclude_client, receipts, conflates, origins, received_us, .. } = draft;
        let room = self.rooms.get_mut(number).expect("invariant: a room with drafts is kept");
        assert_eq!(entry.offset, room.offset + 1, "a place was left out");
        room.offset = entry.offset;
        self.published += 1;
        let (name, epoch, rules) = (room.name.clone(), room.epoch, room.rules);
        let way = Way { exclude, exclude_client, conflates, received_us };
        self.deliver(now, number, &entry, way, out);
        if self.options.watch.messages {
            self.note_message(FactKind::Published, number, &entry, out);
        }
        for origin in origins {
            if let Origin::Letter(id) = origin {
                self.exhume(&name, Some(id));
            } else if origin != Origin::Silent {
                let members = self.rooms.get(number).map(|room| room.audience.members());
                let (room, message_id) = (name.clone(), entry.message_id.clone());
                tell(origin, Ok(Placed { room, epoch, offset: entry.offset, message_id, members }), out);
            }
        }
        if rules.keeps {
            self.keep(number, now, Kept::new(entry, receipts));
        } else if self.options.store {
            self.keep_no_more(number);
        }
        match rules.memory {
            Memory::Nobody => {}
            Memory::Owner => self.settle_inbox(number),
            Memory::Readers => self.expect_acks(number, now),
        }
    }

    /// Sends a message to every shard where the room has members.
    pub(super) fn deliver(&mut self, now: Now, number: u32, entry: &Entry, way: Way, out: &mut Effects) {
        let Way { exclude, exclude_client, conflates, received_us } = way;
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.audience.is_empty() {
            return;
        }
        let (name, epoch, rules) = (room.name.clone(), room.epoch, room.rules);
        // Where acknowledgements are cumulative, messages keep the order of their offsets.
        let overtakes = if rules.in_order { 0 } else { entry.priority };
        let is_excluding = exclude.is_some() || exclude_client.is_some();
        let (frames, turn) = self.encode(now, out, number, entry, is_excluding, overtakes);
        let prepared = Arc::new(Prepared {
            room: name,
            epoch,
            offset: entry.offset,
            roles: entry.roles.clone(),
            withheld: self.options.withholds(&entry.event).then(|| entry.event.clone()),
            exclude,
            exclude_client,
            received_us,
            key: conflates,
            overtakes,
            kind: rules.kind,
            turn,
            frames,
        });
        let room = self.rooms.get(number).expect("invariant: just seen");
        for shard in room.audience.shards() {
            out.send(shard, Mesh::Local(ToLocal::Deliver(Arc::clone(&prepared))));
        }
    }

    /// Tells whoever watches of a message.
    #[cold]
    pub(super) fn note_message(&self, kind: FactKind, number: u32, entry: &Entry, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: the caller has just seen it");
        let (members, entry) = (room.audience.members(), entry.clone());
        out.facts.push(Fact {
            kind,
            connection: None,
            client_id: Label::Nothing,
            user_id: entry.user.clone().map_or(Label::Nothing, Label::Owner),
            role: Label::Nothing,
            subject: room.name.clone().into(),
            code: None,
            reason: "".into(),
            opened_unix_ms: None,
            duration_ms: None,
            message: Some(Box::new(Told { room: room.name.clone(), epoch: room.epoch, entry, members })),
        });
    }

    /// Puts a message behind those that wait for the store.
    fn await_store(&mut self, number: u32, draft: Draft) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let append = Write::Append {
            room: room.name.clone(),
            epoch: room.epoch,
            entry: Box::new(draft.entry.clone()),
        };
        room.more().drafts.push_back(draft);
        self.store.pledge(append, number);
    }
}

/// Tells a publisher what became of its message.
pub(super) fn tell(origin: Origin, outcome: Result<Placed, Refusal>, out: &mut Effects) {
    let shard = match &origin {
        Origin::Silent | Origin::Letter(_) => return,
        Origin::Connection(address, _) | Origin::Roster(address, _) => address.shard,
        Origin::Http(shard, _, _) => *shard,
    };
    let outcome = outcome.map(Box::new).map_err(Box::new);
    out.send(shard, Mesh::Local(ToLocal::Published(origin, outcome)));
}
