//! All rooms of this shard's own: joins, leaves and publishes in the order they arrive.

use std::collections::BTreeSet;
use std::sync::Arc;

use fanfare_protocol::{Code, Refusal, RoomName};
use foldhash::quality::FixedState;

use crate::class::Class;
use crate::durable::Write;
use crate::effect::Effects;
use crate::encoder::Encoder;
use crate::home::compressors::Compressors;
use crate::home::ledger::Ledger;
use crate::home::receipts::Readers;
use crate::home::recent::Recent;
use crate::home::room::{HomeRoom, More};
use crate::home::services::{Attendance, Unconfirmed};
use crate::home::sessions::{Comer, Sessions};
use crate::home::store::Store;
use crate::id::{Address, Random, ShardId};
use crate::mesh::{CatchUp, JoinKind, Mesh, ToHome, ToLocal};
use crate::names::Names;
use crate::options::Options;
use crate::room_type::Memory;
use crate::time::Now;
use crate::view::{RoomRow, Rows};

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
    pub(crate) store: Store,
    pub(crate) encoder: Encoder,
    pub(crate) compressors: Compressors,
    pub(super) random: Random,
    hasher: FixedState,
    /// Rooms whose readers may owe an acknowledgement, by when to look.
    pub(super) checks: BTreeSet<(u64, u32)>,
    swept: u32,
    /// Rooms that are not the engine's own.
    named: usize,
    pub(crate) published: u64,
    /// Publishes that had been done before.
    pub(crate) repeated: u64,
    /// Joins that got all they had missed, and those that could not.
    pub(crate) recovered: u64,
    pub(crate) unrecovered: u64,
    /// What became of messages for readers that are remembered.
    pub(crate) readers: Readers,
    pub(crate) sessions: Sessions,
    /// Services of rooms, by when they want to be looked at, and how many there are of each.
    pub(crate) services: Attendance,
}

impl HomeRooms {
    pub(crate) fn new(options: Arc<Options>, hasher: FixedState, random: Random) -> Self {
        let compressors = Compressors::new(options.limits.compressors);
        let limits = &options.limits;
        let mut keys = Random::new(options.seeds.hashes);
        let seeds = [keys.next_u64(), keys.next_u64()];
        let recent = Recent::new(limits.message_ids, limits.message_id_window_ms, seeds);
        Self {
            encoder: Encoder::new(Arc::clone(&options.dialects), random.apart()),
            options,
            rooms: Names::new(hasher.clone()),
            ledger: Ledger::default(),
            recent,
            store: Store::new(),
            compressors,
            random,
            hasher,
            checks: BTreeSet::new(),
            swept: 0,
            named: 0,
            published: 0,
            repeated: 0,
            recovered: 0,
            unrecovered: 0,
            readers: Readers::default(),
            sessions: Sessions::default(),
            services: Attendance::default(),
        }
    }

    /// Other options count from now on.
    pub(crate) fn set_options(&mut self, options: Arc<Options>) {
        self.options = options;
    }

    /// The shard that orders a room.
    pub(super) fn home_of(&self, room: &RoomName) -> ShardId {
        ShardId::home_of(&self.hasher, self.options.shards, room)
    }

    /// How many rooms there are, the engine's own left out.
    pub(crate) fn len(&self) -> usize {
        self.named
    }

    fn forget(&mut self, number: u32) {
        let mut room = self.rooms.remove(number);
        self.forget_context(number, &mut room);
        debug_assert!(room.log.is_none(), "a room with kept messages is kept");
        self.named -= usize::from(!room.name.is_engine_room());
        if let Some(more) = &room.more {
            self.checks.remove(&(more.subscribers.check_ms, number));
            self.readers.subscribers -= more.subscribers.len();
        }
        if self.is_durable(&room.name) {
            self.store.write(Write::Forget { room: room.name });
        }
    }

    /// A room that has nothing more than its name and its place takes no more than these.
    pub(super) fn tidy(&mut self, number: u32) {
        let Some(room) = self.rooms.get_mut(number) else { return };
        let Some(more) = room.more.as_ref().filter(|more| more.is_empty()) else { return };
        self.checks.remove(&(more.subscribers.check_ms, number));
        room.more = None;
    }

    /// Forgets a room that has just been made and was not needed.
    pub(super) fn forget_unused(&mut self, number: u32) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.offset == 0 && room.is_idle() && self.may_forget(room) {
            self.forget(number);
        }
    }

    /// Decides one message and appends what other shards must hear.
    pub(crate) fn handle(&mut self, now: Now, message: ToHome, out: &mut Effects) {
        match message {
            ToHome::Join { room, from, class, owner, catch_up, kind } => {
                let comer = Comer { from, class, owner, kind };
                let resumes = catch_up.as_ref().is_some_and(|catch_up| catch_up.resumes);
                let waits = if resumes { self.must_wait(&room, comer, out) } else { Err(comer) };
                if let Err(Comer { kind, .. }) = waits {
                    self.decide_join(now, room, from, class, owner, catch_up, kind, out);
                }
            }
            ToHome::Rejoin(rejoin) => self.rejoin(now, *rejoin, out),
            ToHome::Leave { room, from, class, for_good } => {
                self.leave(now, &room, from, class, for_good, out);
            }
            ToHome::Park(client, rooms) => self.park(now, &client, rooms),
            ToHome::Publish(publication) => self.publish(now, *publication, out),
            ToHome::Signal(signal) => self.signal_in(now, *signal, out),
            ToHome::History(lookup) => self.look_up(now, *lookup, out),
            ToHome::InStep(room, shard, all) => self.in_step(&room, shard, all),
            ToHome::Spent { room, from, rules } => self.spent(&room, from, rules, out),
            ToHome::Ack(ack) => self.acknowledge(now, *ack, out),
            ToHome::Bury(letter) => self.bury(now, *letter),
            ToHome::Call(called) => self.call(now, called, out),
            ToHome::Present(roll) => self.present(now, &roll, out),
            ToHome::Ask(from, request, question) => {
                let rows = self.answer(now, *question, out);
                let changes = matches!(rows, Rows::Exhumed(_));
                self.give_or_keep(changes, Unconfirmed::Rows(from, request, rows), out);
            }
        }
        self.store.hand_over(out);
    }

    /// A user's command was counted on one shard: the others that hold its connections count it too.
    fn spent(&self, room: &RoomName, from: ShardId, rules: u32, out: &mut Effects) {
        let Some(found) = self.rooms.find(room).and_then(|number| self.rooms.get(number)) else { return };
        for shard in found.audience.shards().filter(|shard| *shard != from) {
            out.send(shard, Mesh::Local(ToLocal::Spent(room.clone(), rules)));
        }
    }

    pub(super) fn decide_join(
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
        let (mut replay, mut entered) = (None, None);
        let member = catch_up.as_ref().and_then(|catch_up| catch_up.member.as_ref());
        let admitted = member.map_or(Ok(()), |member| self.admits(now, &room, Some(&member.who)));
        let outcome = admitted.and_then(|()| self.enter(now, &room, from, class, owner)).and_then(|number| {
            let found = self.rooms.get(number).expect("invariant: just entered");
            let stands = (found.epoch, found.offset, found.audience.members());
            let wants_past = catch_up.as_deref().filter(|catch_up| catch_up.wants_past());
            replay = match found.rules.memory {
                Memory::Nobody if room.is_client() => wants_past.map(|_| self.take_session(number)),
                Memory::Nobody => wants_past.map(|wanted| self.catch_up(now, number, wanted, class)),
                Memory::Owner => self.open_inbox(now, number, catch_up.as_deref(), class),
                Memory::Readers => {
                    let catch_up = catch_up.clone().expect("invariant: who joins such a room says who it is");
                    let replay = self.subscribe(now, number, *catch_up, from, class);
                    Some(replay.inspect_err(|_| self.exit(now, number, from, class, false, out))?)
                }
            };
            let member = catch_up.as_ref().and_then(|catch_up| catch_up.member.as_ref());
            let state = self.attend(now, number, member, out);
            if state.is_some() {
                replay.get_or_insert_default().state = state;
            }
            entered = Some(number);
            Ok(stands)
        });
        let is_own = room.is_inbox();
        let (outcome, replay) = (outcome.map_err(Box::new), replay.map(Box::new));
        let answer = ToLocal::Joined { connection: from.connection, room, class, kind, outcome, replay };
        out.send(from.shard, Mesh::Local(answer));
        if let Some(number) = entered.filter(|_| is_own) {
            let brought = catch_up.map(|catch_up| catch_up.brought).unwrap_or_default();
            self.greet(now, number, from, &brought, out);
        }
    }

    /// Takes a member in if there is room for one more.
    fn enter(
        &mut self,
        now: Now,
        room: &RoomName,
        from: Address,
        class: Class,
        owner: u64,
    ) -> Result<u32, Refusal> {
        let number = self.find_or_create(now, room)?;
        let mut limit = self.members_max(room);
        if let Some(max) = self.members_max_by_service(number) {
            limit.0 = if limit.0 == 0 { max } else { limit.0.min(max) };
        }
        let options = &self.options;
        let found = self.rooms.get_mut(number).expect("invariant: just found");
        let members = found.audience.members();
        if limit.0 > 0 && members >= limit.0 || class.dialect() > 0 && is_crowded(options, found, class) {
            let refused = Refusal::new(limit.1, limit.2);
            return Err(if limit.1 == Code::RoomFull { refused.at("room") } else { refused });
        }
        if owner != 0 && found.owner != owner {
            if found.owner != 0 && !found.audience.is_empty() {
                return Err(Refusal::new(Code::Forbidden, "`client_id` is in use by another user"));
            }
            found.owner = owner;
            // What the client's former user left behind is not for this one.
            let former = found.more.as_mut().and_then(|more| more.session.take());
            self.sessions.forgotten(former.is_some());
        }
        found.audience.add(from.shard, class);
        found.used_s = seconds(now);
        Ok(number)
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

    fn leave(
        &mut self,
        now: Now,
        room: &RoomName,
        from: Address,
        class: Class,
        for_good: bool,
        out: &mut Effects,
    ) {
        let number = self.rooms.find(room).expect("invariant: a room with members is kept");
        self.exit(now, number, from, class, for_good, out);
    }

    fn exit(
        &mut self,
        now: Now,
        number: u32,
        from: Address,
        class: Class,
        for_good: bool,
        out: &mut Effects,
    ) {
        let found = self.rooms.get_mut(number).expect("invariant: just found");
        found.audience.remove(from.shard, class);
        found.used_s = seconds(now);
        // Where messages are kept, who comes back may name the place before the first one: the epoch must last.
        let can_go = found.offset == 0 && (!found.rules.keeps || found.name.is_engine_room());
        if found.more.is_some() {
            self.unattend(now, number, from, out);
            self.forget_steps(number);
            self.unsubscribe(now, number, from, for_good);
            self.let_comers_in(now, number, out);
        }
        if can_go && self.rooms.get(number).is_some_and(|room| room.is_idle() && self.may_forget(room)) {
            self.forget(number);
        }
    }

    /// What there is of a room beside its count, if there is.
    pub(super) fn more_of(&self, room: &RoomName) -> Option<&More> {
        self.rooms.find(room).and_then(|number| self.rooms.get(number)?.more.as_deref())
    }

    pub(super) fn find_or_create(&mut self, now: Now, room: &RoomName) -> Result<u32, Refusal> {
        if let Some(number) = self.rooms.find(room) {
            return Ok(number);
        }
        if self.rooms.len() >= self.options.limits.rooms_per_shard as usize {
            let message = "the server holds as many rooms as it may; try again later";
            return Err(Refusal::new(Code::ServerError, message));
        }
        self.named += usize::from(!room.is_engine_room());
        let epoch = self.random.epoch();
        let rules = self.options.rules(room);
        Ok(self.rooms.insert(HomeRoom::new(room.clone(), epoch, rules, seconds(now))))
    }

    /// While the store fails it could not be told that a room is gone.
    fn may_forget(&self, room: &HomeRoom) -> bool {
        self.store.is_healthy() || !self.is_durable(&room.name)
    }

    /// Puts back a room that outlived an earlier life.
    pub(super) fn insert(&mut self, room: HomeRoom) -> u32 {
        self.named += usize::from(!room.name.is_engine_room());
        self.rooms.insert(room)
    }

    /// Forgets rooms that nobody is in and nobody used for a while. Called now and then.
    pub(crate) fn sweep(&mut self, now: Now, out: &mut Effects) {
        let numbers = self.rooms.numbers();
        for _ in 0..SWEPT_AT_ONCE.min(numbers) {
            self.swept = if self.swept + 1 < numbers { self.swept + 1 } else { 0 };
            self.expire(self.swept, now);
            self.expire_readers(self.swept, now);
            self.expire_dead(self.swept, now);
            let Some(room) = self.rooms.get(self.swept) else { continue };
            if room.is_idle()
                && self.may_forget(room)
                && seconds(now).saturating_sub(room.used_s) >= KEPT_EMPTY_S
            {
                self.forget(self.swept);
            }
        }
        self.expire_sessions(now);
        self.give_back_idle(now, out);
        self.store.hand_over(out);
    }

    /// The rooms with members or messages, the engine's own left out.
    pub(crate) fn rows(&self, now: Now, limit: usize) -> Vec<RoomRow> {
        let named = self.rooms.iter().filter(|room| !room.name.is_engine_room());
        let row = |room: &HomeRoom| RoomRow {
            room: room.name.to_string(),
            members: room.audience.members(),
            epoch: room.epoch.to_string(),
            offset: room.offset,
            last_activity_unix_ms: used_unix_ms(now, room.used_s),
        };
        named.take(limit).map(row).collect()
    }
}

/// A second of the steady clock, as milliseconds since 1970.
pub(crate) fn used_unix_ms(now: Now, used_s: u32) -> u64 {
    now.unix_ms.saturating_sub(now.mono_ms().saturating_sub(u64::from(used_s) * 1_000))
}

/// Seconds of the steady clock.
pub(super) fn seconds(now: Now) -> u32 {
    (now.mono_us / 1_000_000) as u32
}

/// Whether a user has as many connections in this family of dialects as it may.
#[cold]
fn is_crowded(options: &Options, room: &HomeRoom, class: Class) -> bool {
    let of = |class: Class| usize::from(class.dialect()).checked_sub(1).map(|at| &options.dialects[at]);
    let Some(dialect) = of(class).filter(|_| room.name.is_inbox()) else { return false };
    let max = dialect.connections_per_user();
    let is_family = |class: Class| of(class).is_some_and(|of| of.family() == dialect.family());
    max > 0 && room.audience.members_of(is_family) >= max
}
