//! `history`: kept messages, a page at a time.

use bytes::Bytes;
use fanfare_protocol::wire::{History, Position};
use fanfare_protocol::{Encoding, Reply, RoomName, json};

use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::log::Kept;
use crate::id::Address;
use crate::mesh::{Asker, Lookup, Mesh, Origin, ToLocal};
use crate::time::Now;

/// Messages of an answer when the question names no limit, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;

impl HomeRooms {
    /// Answers a question for kept messages. A page ends early where it would grow beyond what a join may bring.
    pub(super) fn look_up(&mut self, now: Now, lookup: Lookup, out: &mut Effects) {
        let Lookup { history, role, caller, asker } = lookup;
        let encoding = match &asker {
            Asker::Connection(_, encoding, _) => *encoding,
            Asker::Http(..) => Encoding::Json,
        };
        if let Some(caller) = &caller
            && let Err(refusal) = self.admits(now, &history.room, Some(caller))
        {
            let (to, refused) = match asker {
                Asker::Connection(Address { shard, connection }, _, command) => {
                    (shard, ToLocal::Refused(connection, command, Box::new(refusal)))
                }
                Asker::Http(shard, request) => {
                    let origin = Origin::Http(shard, request, 0);
                    (shard, ToLocal::Answered(origin, Err(Box::new(refusal))))
                }
            };
            out.send(to, Mesh::Local(refused));
            return;
        }
        let page = self.page(now, &history, role.as_deref(), encoding);
        let messages: Vec<&[u8]> = page.messages.iter().map(Vec::as_slice).collect();
        let position = Position { epoch: page.epoch.into(), offset: page.offset };
        let reply = Reply::History { room: history.room.as_str(), position: &position, messages: &messages };
        let mut payload =
            Vec::with_capacity(128 + messages.iter().map(|message| message.len() + 1).sum::<usize>());
        let (to, message) = match asker {
            Asker::Connection(address, encoding, command) => {
                encoding.encode_reply(&reply, command.as_ref(), &mut payload);
                (address.shard, ToLocal::Reply(address.connection, Bytes::from(payload)))
            }
            Asker::Http(shard, request) => {
                json::encode_reply(&reply, None, &mut payload);
                (shard, ToLocal::Kept(request, Bytes::from(payload)))
            }
        };
        out.send(to, Mesh::Local(message));
    }

    fn page(&mut self, now: Now, history: &History, role: Option<&str>, encoding: Encoding) -> Page {
        let Some(number) = self.rooms.find(&history.room) else { return Page::default() };
        let room = self.rooms.get(number).expect("invariant: just found");
        let (epoch, offset) = (room.epoch.to_string(), room.offset);
        // A place of another epoch says nothing about this one: the page begins with the oldest.
        let same_epoch =
            history.since.as_ref().filter(|since| *since.epoch == *epoch || since.epoch.is_empty());
        let since = same_epoch.map_or(0, |since| since.offset);
        let limit = history.limit.unwrap_or(LIMIT).min(LIMIT_MAX) as usize;
        let bytes_max = self.options.limits.replay_bytes;
        let messages = self.with_log(number, now, |rooms, log| {
            let is_for = |kept: &Kept| role.is_none_or(|role| kept.entry.is_for(role, &rooms.options));
            let for_role = |kept: &&Kept| kept.is_fresh(now) && is_for(kept);
            let write = |kept: &Kept| encode(kept, &history.room, &epoch, encoding);
            let mut bytes = 0;
            let fits = |message: &Vec<u8>| {
                bytes += message.len();
                bytes <= bytes_max || bytes == message.len()
            };
            let fresh = log.after(since).filter(for_role);
            if history.reverse {
                fresh.rev().take(limit).map(write).take_while(fits).collect()
            } else {
                fresh.take(limit).map(write).take_while(fits).collect()
            }
        });
        Page { messages: messages.unwrap_or_default(), epoch, offset }
    }
}

/// What a question found.
#[derive(Default)]
struct Page {
    messages: Vec<Vec<u8>>,
    epoch: String,
    offset: u64,
}

fn encode(kept: &Kept, room: &RoomName, epoch: &str, encoding: Encoding) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kept.entry.body.len() + 256);
    let message = kept.entry.message(room, epoch);
    encoding.encode_message(&message, &mut bytes);
    bytes
}
