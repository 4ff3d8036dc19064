//! All rooms of this shard's own: joins, leaves and publishes in the order they arrive.

use std::sync::Arc;

use fanfare_protocol::{Code, Message, Refusal, RoomName};
use foldhash::quality::FixedState;
use smallvec::SmallVec;

use crate::class::Class;
use crate::effect::Effects;
use crate::home::audience::Audience;
use crate::home::ledger::Ledger;
use crate::home::log::Kept;
use crate::home::recent::{Place, Recent};
use crate::home::room::HomeRoom;
use crate::id::{Address, Epoch, Random, ShardId};
use crate::mesh::{CatchUp, JoinKind, Mesh, Origin, Placed, Publication, ToHome, ToLocal};
use crate::names::Names;
use crate::options::Options;
use crate::prepared::{Encoder, Prepared};
use crate::time::Now;
use crate::view::RoomRow;

/// Seconds for which a room that nobody is in keeps its count.
const KEPT_EMPTY_S: u32 = 300;
/// Rooms that one sweep looks at, so that no tick is long.
const SWEPT_AT_ONCE: u32 = 4_096;

#[derive(Debug)]
pub(crate) struct HomeRooms {
    pub(super) options: Arc<Options>,
    pub(super) rooms: Names<HomeRoom>,
    pub(crate) ledger: Ledger,
    pub(crate) recent: Recent,
    pub(crate) encoder: Encoder,
    random: Random,
    swept: u32,
    /// Rooms that are not the engine's own.
    named: usize,
    pub(crate) published: u64,
    /// Publishes that had been done before.
    pub(crate) repeated: u64,
    /// Joins that got all they had missed, and those that could not.
    pub(crate) recovered: u64,
    pub(crate) unrecovered: u64,
}

impl HomeRooms {
    pub(crate) fn new(options: Arc<Options>, hasher: FixedState, random: Random) -> Self {
        let encoder = Encoder::new(options.compression);
        let mut random = random;
        let limits = &options.limits;
        let seeds = [random.next_u64(), random.next_u64()];
        let recent = Recent::new(limits.message_ids, limits.message_id_window_ms, seeds);
        Self {
            options,
            rooms: Names::new(hasher),
            ledger: Ledger::default(),
            recent,
            encoder,
            random,
            swept: 0,
            named: 0,
            published: 0,
            repeated: 0,
            recovered: 0,
            unrecovered: 0,
        }
    }

    /// How many rooms there are, the engine's own left out.
    pub(crate) fn len(&self) -> usize {
        self.named
    }

    fn forget(&mut self, number: u32) {
        let room = self.rooms.remove(number);
        debug_assert!(room.log.is_none(), "a room with kept messages is kept");
        self.named -= usize::from(!room.name.is_engine_room());
    }

    /// Decides one message and appends what other shards must hear.
    pub(crate) fn handle(&mut self, now: Now, message: ToHome, out: &mut Effects) {
        match message {
            ToHome::Join { room, from, class, owner, catch_up, kind } => {
                self.join(now, room, from, class, owner, catch_up, kind, out);
            }
            ToHome::Leave { room, shard, class } => self.leave(now, &room, shard, class),
            ToHome::Publish(publication) => self.publish(now, *publication, out),
            ToHome::History(lookup) => self.look_up(now, *lookup, out),
        }
    }

    fn join(
        &mut self,
        now: Now,
        room: RoomName,
        from: Address,
        class: Class,
        owner: u64,
        catch_up: Option<Box<CatchUp>>,
        kind: JoinKind,
        out: &mut Effects,
    ) {
        let mut replay = None;
        let outcome = self.find_or_create(now, &room).and_then(|number| {
            let limit = self.members_max(&room);
            let found = self.rooms.get_mut(number).expect("invariant: just found");
            let members = found.audience.members();
            if limit.0 > 0 && members >= limit.0 {
                return Err(refusal(limit.1, limit.2));
            }
            if owner != 0 && found.owner != owner {
                if found.owner != 0 && !found.audience.is_empty() {
                    return Err(refusal(Code::Forbidden, "`client_id` is in use by another user"));
                }
                found.owner = owner;
            }
            found.audience.add(from.shard, class);
            found.used_s = seconds(now);
            let stands = (found.epoch, found.offset, members + 1);
            replay = catch_up.map(|catch_up| Box::new(self.catch_up(now, number, &catch_up, class)));
            Ok(stands)
        });
        let outcome = outcome.map_err(Box::new);
        let answer = ToLocal::Joined { connection: from.connection, room, class, kind, outcome, replay };
        out.send(from.shard, Mesh::Local(answer));
    }

    /// The bound of a room, and what to say beyond it. 0: none.
    fn members_max(&self, room: &RoomName) -> (u32, Code, &'static str) {
        let limits = &self.options.limits;
        if room.is_engine_room() {
            let per_user = if room.as_str().starts_with("@user:") { limits.connections_per_user } else { 0 };
            return (per_user, Code::ConnectionLimit, "this user has as many connections as it may");
        }
        let of_type = self.options.type_of(room).max_members;
        let tightest = match (of_type, limits.members_per_room) {
            (0, limit) | (limit, 0) => limit,
            (a, b) => a.min(b),
        };
        (tightest, Code::RoomFull, "`room` has as many members as it may")
    }

    fn leave(&mut self, now: Now, room: &RoomName, shard: ShardId, class: Class) {
        let number = self.rooms.find(room).expect("invariant: a room with members is kept");
        let found = self.rooms.get_mut(number).expect("invariant: just found");
        found.audience.remove(shard, class);
        found.used_s = seconds(now);
        // Where messages are kept, who comes back may name the place before the first one: the epoch must last.
        let can_recover = !room.is_engine_room() && self.options.type_of(room).history.size > 0;
        if found.audience.is_empty() && found.offset == 0 && !can_recover {
            self.forget(number);
        }
    }

    fn publish(&mut self, now: Now, publication: Publication, out: &mut Effects) {
        let Publication {
            room,
            event,
            body,
            user,
            roles,
            exclude,
            message_id,
            key: conflates,
            ttl,
            priority,
            origin,
            received_us,
        } = publication;
        let key = message_id.as_deref().map(|id| self.recent.key(&room, user.as_ref(), id));
        if let Some(place) = key.and_then(|key| self.recent.find(now, key)) {
            self.repeated += 1;
            let message_id = message_id.expect("invariant: it made the key");
            let Place { epoch, offset } = place;
            tell(origin, Ok(Placed { room, epoch, offset, message_id }), out);
            return;
        }
        let number = match self.find_or_create(now, &room) {
            Ok(number) => number,
            Err(refusal) => {
                tell(origin, Err(refusal), out);
                return;
            }
        };
        let found = self.rooms.get_mut(number).expect("invariant: just found");
        let offset = found.place();
        found.used_s = seconds(now);
        self.published += 1;
        let message_id = message_id.unwrap_or_else(|| self.random.message_id(now.unix_ms).into());
        let epoch_of_room = found.epoch;
        if let Some(key) = key {
            self.recent.note(now, key, Place { epoch: epoch_of_room, offset });
        }
        if !found.audience.is_empty() {
            let epoch = epoch_of_room.to_string();
            let message = Message {
                event: event.as_str(),
                room: room.as_str(),
                offset,
                epoch: &epoch,
                message_id: &message_id,
                timestamp_unix_ms: now.unix_ms,
                user_id: user.as_ref().and_then(|user| user.as_str().strip_prefix("@user:")),
                priority,
                body: &body,
            };
            let frames = self.encoder.prepare(&message, found.audience.classes());
            let place = (epoch_of_room, offset);
            let key = conflates.map_or(0, |key| self.recent.key(&room, None, &key) as u64 | 1);
            // Where acks are to be cumulative, messages keep the order of their offsets: this is 0 there.
            let overtakes = priority;
            let prepared = Arc::new(Prepared::new(
                room.clone(),
                place,
                frames,
                roles.clone(),
                exclude,
                received_us,
                key,
                overtakes,
            ));
            for shard in found.audience.shards() {
                out.send(shard, Mesh::Local(ToLocal::Deliver(Arc::clone(&prepared))));
            }
        }
        self.keep(number, now, |at_ms| Kept {
            offset,
            at_ms,
            expires_ms: ttl.map_or(u64::MAX, |seconds| at_ms + u64::from(seconds) * 1_000),
            timestamp_unix_ms: now.unix_ms,
            event,
            user,
            body,
            message_id: message_id.clone(),
            roles,
            priority,
            frames: SmallVec::new(),
        });
        tell(origin, Ok(Placed { room, epoch: epoch_of_room, offset, message_id }), out);
    }

    fn find_or_create(&mut self, now: Now, room: &RoomName) -> Result<u32, Refusal> {
        if let Some(number) = self.rooms.find(room) {
            return Ok(number);
        }
        if self.rooms.len() >= self.options.limits.rooms_per_shard as usize {
            return Err(refusal(
                Code::ServerError,
                "the server holds as many rooms as it may; try again later",
            ));
        }
        self.named += usize::from(!room.is_engine_room());
        Ok(self.rooms.insert(HomeRoom {
            name: room.clone(),
            audience: Audience::default(),
            offset: 0,
            owner: 0,
            epoch: Epoch(self.random.next_u64() as u32),
            used_s: seconds(now),
            log: None,
        }))
    }

    /// Forgets rooms that nobody is in and nobody used for a while. Called now and then.
    pub(crate) fn sweep(&mut self, now: Now) {
        let numbers = self.rooms.numbers();
        for _ in 0..SWEPT_AT_ONCE.min(numbers) {
            self.swept = if self.swept + 1 < numbers { self.swept + 1 } else { 0 };
            self.expire(self.swept, now);
            let Some(room) = self.rooms.get(self.swept) else { continue };
            if room.log.is_none()
                && room.audience.is_empty()
                && seconds(now).saturating_sub(room.used_s) >= KEPT_EMPTY_S
            {
                self.forget(self.swept);
            }
        }
    }

    /// The rooms with members or messages, the engine's own left out.
    pub(crate) fn rows(&self, limit: usize) -> Vec<RoomRow> {
        let named = self.rooms.iter().filter(|room| !room.name.is_engine_room());
        let row = |room: &HomeRoom| {
            RoomRow::new(room.name.as_str(), room.audience.members(), room.epoch, room.offset)
        };
        named.take(limit).map(row).collect()
    }
}

fn seconds(now: Now) -> u32 {
    (now.mono_us / 1_000_000) as u32
}

fn refusal(code: Code, message: &str) -> Refusal {
    Refusal { id: None, code, message: message.to_owned(), field: None }
}

fn tell(origin: Origin, outcome: Result<Placed, Refusal>, out: &mut Effects) {
    let shard = match &origin {
        Origin::Silent => return,
        Origin::Connection(address, _) => address.shard,
        Origin::Http(shard, _, _) => *shard,
    };
    let outcome = outcome.map(Box::new).map_err(Box::new);
    out.send(shard, Mesh::Local(ToLocal::Published(origin, outcome)));
}
