//! What services have of the rooms of this shard: commands and members come to them here, and what they say goes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use fanfare_protocol::{Body, Code, EventName, Refusal, RoomName};
use serde_json::{Map, Value};

use crate::durable::{StoredState, Write};
use crate::effect::Effects;
use crate::entry::Entry;
use crate::home::HomeRooms;
use crate::home::rooms::refusal;
use crate::id::{Address, ShardId};
use crate::mesh::{Called, Mesh, Origin, Publication, ToHome, ToLocal, Whisper};
use crate::prepared::Prepared;
use crate::service::{Caller, Context, Deed, Kind, Member, Method, SERVICES, Saying, Service, To};
use crate::time::Now;

/// What one room has of services.
#[derive(Debug, Default)]
pub(crate) struct Services {
    has: Vec<Instance>,
    /// When the earliest of them wants to be looked at; 0: never.
    due_ms: u64,
}

/// What waits for the store.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// An answer.
    Answer(Origin, Result<Body, Box<Refusal>>),
    /// A command about several rooms goes on at another shard.
    Further(ShardId, Box<Called>),
}

#[derive(Debug)]
struct Instance {
    /// Its place in [`SERVICES`].
    kind: usize,
    service: Box<dyn Service>,
}

impl Services {
    pub(crate) fn is_empty(&self) -> bool {
        self.has.is_empty()
    }
}

/// Rooms with services, by when they want to be looked at, and how many there are of each.
#[derive(Debug)]
pub(crate) struct Attendance {
    checks: BTreeSet<(u64, u32)>,
    /// What ended while the store failed, and so may be there still.
    gone: BTreeSet<(RoomName, usize)>,
    counts: [u64; SERVICES.len()],
    /// What each service has let go of because a bound was reached.
    dropped: [u64; SERVICES.len()],
}

impl Default for Attendance {
    fn default() -> Self {
        Self {
            checks: BTreeSet::new(),
            gone: BTreeSet::new(),
            counts: [0; SERVICES.len()],
            dropped: [0; SERVICES.len()],
        }
    }
}

impl Attendance {
    /// Rooms that have something of each service.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What each service has let go of because a bound was reached.
    pub(crate) fn dropped(&self) -> &[u64] {
        &self.dropped
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What a service is given to do.
enum Occasion<'o> {
    Call(&'o Called),
    Joined(&'o Member),
    Left(Address),
    Greet(Address, &'o [Value]),
    Time,
}

impl HomeRooms {
    /// A command of a service: done in as many of its rooms as this shard orders in a row.
    pub(super) fn call(&mut self, now: Now, mut called: Box<Called>, out: &mut Effects) {
        let (here, changes) = (self.home_of(&called.room), called.spec.method != Method::Get);
        if self.options.store
            && changes
            && let Err(refusal) = self.store.accepts(&self.options)
        {
            Unconfirmed::Answer(called.origin, Err(Box::new(refusal))).give(out);
            return;
        }
        let next = loop {
            let outcome = self.call_in_room(now, &called, out);
            let outcome = match (outcome, called.rooms.pop_front()) {
                (Ok(so_far), Some(room)) => {
                    called.args.go_on(so_far);
                    called.room = room;
                    let to = self.home_of(&called.room);
                    if to == here {
                        continue;
                    }
                    break Unconfirmed::Further(to, called);
                }
                (outcome, _) => outcome,
            };
            break Unconfirmed::Answer(called.origin, outcome.map(json).map_err(Box::new));
        };
        // What was asked for is known to last before anybody is told that it is done, also where somebody has just done it before.
        if changes && self.store.is_behind() && !matches!(next, Unconfirmed::Answer(_, Err(_))) {
            self.store.await_answer(next);
        } else {
            next.give(out);
        }
    }

    fn call_in_room(&mut self, now: Now, called: &Called, out: &mut Effects) -> Result<Value, Refusal> {
        let is_known = self.rooms.find(&called.room).is_some();
        let admitted = match SERVICES[called.service].guards {
            true => Ok(()),
            false => self.admits(now, &called.room, Some(&called.caller)),
        };
        let found = admitted.and_then(|()| self.find_or_create(now, &called.room));
        let outcome = found.and_then(|number| {
            let is_new = !self.has_service(number, called.service);
            if is_new && self.services.total() >= self.options.limits.services as u64 {
                let message = "the server keeps as much for services as it may; try again later";
                return Err(refusal(Code::ServerError, message));
            }
            let room = self.rooms.get_mut(number).expect("invariant: just found");
            room.used_s = crate::home::rooms::seconds(now);
            // What it may refer to is there still.
            self.expire(number, now);
            if is_new {
                self.add_service(number, (SERVICES[called.service].new)(&self.options), called.service);
            }
            let outcome = self.with_services(now, number, Some(called.service), &Occasion::Call(called), out);
            outcome.expect("invariant: one command has one answer")
        });
        // Nobody has heard of it yet: asking is not using.
        if !is_known && let Some(number) = self.rooms.find(&called.room) {
            self.forget_unused(number);
        }
        outcome
    }

    /// Puts back what a service had of a room.
    pub(crate) fn restore_state(&mut self, now: Now, state: &StoredState) {
        let Some(kind) = SERVICES.iter().position(|kind| *kind.name == *state.service) else { return };
        let Some(service) = (SERVICES[kind].restore)(&state.bytes, &self.options) else { return };
        let Ok(number) = self.find_or_create(now, &state.room) else { return };
        if !self.has_service(number, kind) {
            self.add_service(number, service, kind);
            // Its time may have come meanwhile.
            self.look_again(number);
        }
    }

    /// After a failure the store may have something else than what there is.
    pub(super) fn tell_store_states(&mut self) {
        for number in 0..self.rooms.numbers() {
            let Some(room) = self.rooms.get(number) else { continue };
            let Some(more) = &room.more else { continue };
            let states = more.services.has.iter().filter_map(|of| Some((of.kind, of.service.save()?)));
            for (kind, bytes) in states {
                let (room, service) = (room.name.clone(), SERVICES[kind].name);
                self.store.write(Write::State { room, service, bytes: Some(bytes.into()) });
            }
        }
        for (room, service) in std::mem::take(&mut self.services.gone) {
            if !self.rooms.find(&room).is_some_and(|number| self.has_service(number, service)) {
                let service = SERVICES[service].name;
                self.store.write(Write::State { room, service, bytes: None });
            }
        }
    }

    /// A connection has become a member: what services have to tell it.
    pub(super) fn attend(
        &mut self,
        now: Now,
        number: u32,
        member: Option<&Member>,
        out: &mut Effects,
    ) -> Option<Body> {
        let room = self.rooms.get(number).expect("invariant: just entered");
        let has = room.more.as_ref().is_some_and(|more| !more.services.is_empty());
        if member.is_none() && !has {
            return None;
        }
        if let Some(member) = member {
            let room_type = self.options.by(room.rules);
            let wanted = |kind: &&Kind| (kind.attends)(room_type);
            let missing: Vec<usize> = (0..SERVICES.len())
                .filter(|at| wanted(&SERVICES[*at]) && !self.has_service(number, *at))
                .collect();
            for kind in missing {
                if self.services.total() < self.options.limits.services as u64 {
                    self.add_service(number, (SERVICES[kind].new)(&self.options), kind);
                }
            }
            self.with_services(now, number, None, &Occasion::Joined(member), out);
        }
        self.state_of(now, number, member)
    }

    /// A connection of this user's has just been let in: what services have to tell it follows the welcome.
    pub(super) fn greet(
        &mut self,
        now: Now,
        number: u32,
        connection: Address,
        brought: &[Body],
        out: &mut Effects,
    ) {
        let room = self.rooms.get(number).expect("invariant: just entered");
        let has = room.more.as_ref().is_some_and(|more| !more.services.is_empty());
        if !has && brought.is_empty() {
            return;
        }
        let brought: Vec<Value> = brought.iter().filter_map(value_of).collect();
        for (kind, of) in SERVICES.iter().enumerate() {
            let told: Vec<Value> = brought.iter().filter_map(|state| state.get(of.name)).cloned().collect();
            if !told.is_empty() && !self.has_service(number, kind) {
                self.add_service(number, (of.new)(&self.options), kind);
            }
            if self.has_service(number, kind) {
                self.with_services(now, number, Some(kind), &Occasion::Greet(connection, &told), out);
            }
        }
    }

    /// A connection is no member any more.
    pub(super) fn unattend(&mut self, now: Now, number: u32, from: Address, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.more.as_ref().is_some_and(|more| !more.services.is_empty()) {
            self.with_services(now, number, None, &Occasion::Left(from), out);
        }
    }

    /// Lets services do what their time has come for.
    pub(crate) fn look_after_services(&mut self, now: Now, out: &mut Effects) {
        while let Some(&(due_ms, number)) = self.services.checks.first() {
            if due_ms > now.mono_ms() {
                break;
            }
            self.services.checks.pop_first();
            self.with_services(now, number, None, &Occasion::Time, out);
        }
        self.store.hand_over(out);
    }

    fn has_service(&self, number: u32, kind: usize) -> bool {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        room.more.as_ref().is_some_and(|more| more.services.has.iter().any(|of| of.kind == kind))
    }

    fn add_service(&mut self, number: u32, service: Box<dyn Service>, kind: usize) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        self.services.counts[kind] += 1;
        room.more().services.has.push(Instance { kind, service });
    }

    /// Notes when a room's services want to be looked at.
    fn look_again(&mut self, number: u32) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        let Some(more) = &mut room.more else { return };
        let due_ms = more.services.has.iter().filter_map(|of| of.service.due_ms()).min().unwrap_or(0);
        let before = std::mem::replace(&mut more.services.due_ms, due_ms);
        self.services.checks.remove(&(before, number));
        if due_ms > 0 {
            self.services.checks.insert((due_ms, number));
        }
    }

    /// What who joins is told: an object with a member for each service that has something to tell.
    fn state_of(&mut self, now: Now, number: u32, member: Option<&Member>) -> Option<Body> {
        let Self { rooms, options, random, .. } = self;
        let room = rooms.get(number).expect("invariant: the caller has just found it");
        let (mut says, mut deeds) = (Vec::new(), Vec::new());
        let context = Context {
            now,
            room: &room.name,
            epoch: room.epoch,
            offset: room.offset,
            next_offset: room.next_offset(),
            members: room.audience.members(),
            log: room.log.as_deref(),
            drafts: room.more.as_ref().map(|more| &more.drafts),
            caller: member.map(|member| &member.who),
            options,
            random,
            used_s: room.used_s,
            says: &mut says,
            deeds: &mut deeds,
            changed: false,
            dropped: 0,
        };
        let has = &room.more.as_ref()?.services.has;
        let of = |instance: &Instance| {
            let name = SERVICES[instance.kind].name.to_owned();
            instance.service.state(&context).map(|state| (name, state))
        };
        let states: Map<String, Value> = has.iter().filter_map(of).collect();
        (!states.is_empty()).then(|| json(Value::Object(states)))
    }

    /// Lets the services of a room (or one of them) do something, says what they want said, and lets go of those that are empty.
    fn with_services(
        &mut self,
        now: Now,
        number: u32,
        only: Option<usize>,
        occasion: &Occasion<'_>,
        out: &mut Effects,
    ) -> Option<Result<Value, Refusal>> {
        let room = self.rooms.get_mut(number)?;
        let next_offset = room.next_offset();
        let Some(more) = &mut room.more else { return None };
        let mut services = std::mem::take(&mut more.services);
        let (mut says, mut deeds) = (Vec::new(), Vec::new());
        let (mut answer, mut changed) = (None, Vec::new());
        for instance in services.has.iter_mut().filter(|of| only.is_none_or(|only| of.kind == only)) {
            let mut context = Context {
                now,
                room: &room.name,
                epoch: room.epoch,
                offset: room.offset,
                next_offset,
                members: room.audience.members(),
                log: room.log.as_deref(),
                drafts: Some(&more.drafts),
                caller: match occasion {
                    Occasion::Call(called) => Some(&called.caller),
                    Occasion::Joined(member) => Some(&member.who),
                    Occasion::Left(_) | Occasion::Greet(..) | Occasion::Time => None,
                },
                options: &self.options,
                random: &mut self.random,
                used_s: room.used_s,
                says: &mut says,
                deeds: &mut deeds,
                changed: false,
                dropped: 0,
            };
            match occasion {
                Occasion::Call(called) => {
                    answer = Some(instance.service.call(called.spec, &called.args, &mut context));
                }
                Occasion::Joined(member) => instance.service.joined(member, &mut context),
                Occasion::Greet(to, brought) => instance.service.greet(*to, brought, &mut context),
                Occasion::Left(from) => instance.service.left(*from, &mut context),
                Occasion::Time => instance.service.tick(&mut context),
            }
            self.services.dropped[instance.kind] += context.dropped;
            if context.changed && self.options.store {
                let is_empty = instance.service.is_empty();
                let bytes = if is_empty { None } else { instance.service.save().map(Into::into) };
                changed.push((instance.kind, is_empty, bytes));
            }
        }
        let name = room.name.clone();
        for (kind, is_empty, bytes) in changed {
            if is_empty && !self.store.is_healthy() {
                self.services.gone.insert((name.clone(), kind));
            }
            if is_empty || bytes.is_some() {
                let service = SERVICES[kind].name;
                self.store.write(Write::State { room: name.clone(), service, bytes });
            }
        }
        let counts = &mut self.services.counts;
        services.has.retain(|of| {
            let is_empty = of.service.is_empty();
            counts[of.kind] -= u64::from(is_empty);
            !is_empty
        });
        let room = self.rooms.get_mut(number).expect("invariant: just seen");
        room.more().services = services;
        self.look_again(number);
        let room = self.rooms.get_mut(number).expect("invariant: just seen");
        if room.more.as_ref().is_some_and(|more| more.is_empty()) {
            room.more = None;
        }
        for saying in says {
            self.say(now, number, saying, out);
        }
        for deed in deeds {
            self.perform(number, deed, out);
        }
        answer
    }

    fn say(&mut self, now: Now, number: u32, saying: Saying, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: a room whose service speaks is kept");
        let name = room.name.clone();
        let Saying { to, event, data, user, key, priority, ttl_s, exclude, roles } = saying;
        let (event, body) = (EventName::of_engine(&event), json(data));
        let publication = |room| Publication {
            room,
            event: event.clone(),
            body: body.clone(),
            user: user.clone(),
            roles: roles.clone(),
            exclude,
            message_id: None,
            key: key.clone(),
            ttl: ttl_s,
            priority,
            receipts: None,
            is_new: true,
            origin: Origin::Silent,
            received_us: now.mono_us,
        };
        match to {
            To::Room => self.publish(now, publication(name), out),
            To::Other(room) => {
                let to = self.home_of(&room);
                out.send(to, Mesh::Home(ToHome::Publish(Box::new(publication(room)))));
            }
            To::One(address) => {
                let whisper = Box::new(Whisper { room: name, event, body, user });
                out.send(address.shard, Mesh::Local(ToLocal::Whisper(address.connection, whisper)));
            }
            To::Here => self.signal(now, number, publication(name), out),
            To::Kept(offset) => self.replace(number, offset, event, body),
        }
    }

    fn perform(&mut self, number: u32, deed: Deed, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: a room whose service acts is kept");
        match deed {
            Deed::Purge => self.purge(number, out),
            Deed::Expel { user, reason } => {
                for shard in room.audience.shards() {
                    let expel = ToLocal::Expel(room.name.clone(), user.clone(), reason.clone().into());
                    out.send(shard, Mesh::Local(expel));
                }
            }
        }
    }

    /// Whether somebody may be in a room, as far as its services have a say.
    pub(super) fn admits(&self, now: Now, room: &RoomName, caller: Option<&Caller>) -> Result<(), Refusal> {
        self.ask_services(room, |service| service.admits(caller, now))
    }

    /// Whether a room takes a message of this user, as far as its services have a say.
    pub(super) fn takes(&self, now: Now, room: &RoomName, user: Option<&RoomName>) -> Result<(), Refusal> {
        self.ask_services(room, |service| service.takes(user, now))
    }

    /// Asks each service of a room, which must be there if its type says so.
    fn ask_services(
        &self,
        room: &RoomName,
        ask: impl Fn(&dyn Service) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let found = self.rooms.find(room).and_then(|number| self.rooms.get(number));
        let services = found.and_then(|room| room.more.as_ref()).map_or(&[][..], |more| &more.services.has);
        let is_created = || services.iter().any(|of| of.service.is_creation());
        let must_be = !room.is_engine_room() && self.options.type_of(room).must_be_created();
        if must_be && !is_created() {
            return Err(Refusal {
                field: Some("room"),
                ..refusal(Code::RoomNotFound, "there is no such `room`")
            });
        }
        services.iter().try_for_each(|of| ask(&*of.service))
    }

    /// How many members a room may have, where a service has a say in that.
    pub(super) fn members_max_by_service(&self, number: u32) -> Option<u32> {
        let more = self.rooms.get(number)?.more.as_ref()?;
        more.services.has.iter().filter_map(|of| of.service.members_max()).min()
    }

    /// Hands a message out that has no place: it is for who is there now.
    fn signal(&mut self, now: Now, number: u32, signal: Publication, out: &mut Effects) {
        let Publication { room: name, event, body, user, roles, exclude, key, priority, .. } = signal;
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.audience.is_empty() {
            return;
        }
        let (epoch, rules) = (room.epoch, room.rules);
        let conflates = key.map_or(0, |key| self.recent.key(&name, None, &key) as u64 | 1);
        let entry = Entry {
            offset: 0,
            at_ms: now.mono_ms(),
            expires_ms: u64::MAX,
            timestamp_unix_ms: now.unix_ms,
            event,
            user,
            body,
            is_publishers_id: false,
            message_id: "".into(),
            roles,
            not_for_publisher: exclude.is_some(),
            priority,
        };
        let overtakes = if rules.in_order { 0 } else { priority };
        let (frames, turn) = self.encode(now, out, number, &entry, exclude.is_some(), overtakes);
        let prepared = Arc::new(Prepared {
            room: name,
            epoch,
            offset: 0,
            roles: entry.roles,
            withheld: self.options.withholds(&entry.event).then_some(entry.event),
            exclude,
            received_us: now.mono_us,
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
}

impl Unconfirmed {
    /// Tells who asked, or the shard where it goes on.
    pub(super) fn give(self, out: &mut Effects) {
        let (origin, outcome) = match self {
            Self::Answer(origin, outcome) => (origin, outcome),
            Self::Further(to, called) => return out.send(to, Mesh::Home(ToHome::Call(called))),
        };
        let shard = match &origin {
            Origin::Silent => return,
            Origin::Connection(address, _) | Origin::Roster(address, _) => address.shard,
            Origin::Http(shard, _, _) => *shard,
        };
        out.send(shard, Mesh::Local(ToLocal::Answered(origin, outcome)));
    }

    /// The store failed: what was done here may be undone by a restart.
    pub(super) fn fail(self, out: &mut Effects) {
        let origin = match self {
            Self::Answer(origin, _) => origin,
            Self::Further(_, called) => called.origin,
        };
        Self::Answer(origin, Err(Box::new(crate::home::store::failed()))).give(out);
    }
}

/// What [`json`] has made.
fn value_of(body: &Body) -> Option<Value> {
    let Body::Json(bytes) = body else { return None };
    serde_json::from_slice(bytes).ok()
}

fn json(value: Value) -> Body {
    Body::Json(value.to_string().into())
}
