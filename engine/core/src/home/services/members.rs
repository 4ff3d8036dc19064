//! Who is in a room: what services are told of it, what they tell, and whether they let somebody in.

use fanfare_protocol::{Body, Code, Refusal, RoomName};
use serde_json::{Map, Value};

use super::{Instance, Occasion, json, value_of};
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::id::Address;
use crate::mesh::{Mesh, Roll, ToLocal};
use crate::rejoin::{Rejoin, Rejoined};
use crate::service::room::{unheard, uninvited};
use crate::service::{Caller, Context, Kind, Member, SERVICES, Service};
use crate::time::Now;

impl HomeRooms {
    /// A connection has become a member: what services have to tell it.
    pub(in crate::home) fn attend(
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

    /// A shard tells who of it is in a room, because a service has asked.
    pub(in crate::home) fn present(&mut self, now: Now, roll: &Roll, out: &mut Effects) {
        for member in &roll.members {
            // A service may let go of its room meanwhile.
            if let Some(number) = self.rooms.find(&roll.room) {
                self.with_services(now, number, None, &Occasion::Present(member), out);
            }
        }
    }

    /// A member asks again where its room stands.
    pub(in crate::home) fn rejoin(&mut self, now: Now, rejoin: Rejoin, out: &mut Effects) {
        let Rejoin { room, from, command, member } = rejoin;
        let number = self.rooms.find(&room).expect("invariant: what it leaves it tells after this");
        let found = self.rooms.get(number).expect("invariant: just found");
        let (epoch, offset, members) = (found.epoch, found.offset, found.audience.members());
        let state = self.state_of(now, number, Some(&member));
        let rejoined = Box::new(Rejoined { room, command, epoch, offset, members, state });
        out.send(from.shard, Mesh::Local(ToLocal::Rejoined(from.connection, rejoined)));
    }

    /// A connection of this user's has just been let in: what services have to tell it follows the welcome.
    pub(in crate::home) fn greet(
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
    pub(in crate::home) fn unattend(&mut self, now: Now, number: u32, from: Address, out: &mut Effects) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if room.more.as_ref().is_some_and(|more| !more.services.is_empty()) {
            self.with_services(now, number, None, &Occasion::Left(from), out);
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

    /// Whether somebody may be in a room, as far as its services have a say.
    pub(in crate::home) fn admits(
        &self,
        now: Now,
        room: &RoomName,
        caller: Option<&Caller>,
    ) -> Result<(), Refusal> {
        let is_guest = caller.is_some_and(Caller::is_guest);
        self.ask_services(room, is_guest.then(uninvited), |service| service.admits(caller, now))
    }

    /// Whether a room takes a message of this user, as far as its services have a say.
    pub(in crate::home) fn takes(
        &self,
        now: Now,
        room: &RoomName,
        user: Option<&RoomName>,
    ) -> Result<(), Refusal> {
        self.ask_services(room, user.map(|_| unheard()), |service| service.takes(user, now))
    }

    /// Asks each service of a room, which must be there if its type says so. Where all rooms of a type are private, one that is not there
    /// refuses as one does that is: whether there is one is nobody's business who was not invited.
    fn ask_services(
        &self,
        room: &RoomName,
        as_if_there: Option<Refusal>,
        ask: impl Fn(&dyn Service) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let found = self.rooms.find(room).and_then(|number| self.rooms.get(number));
        let services = found.and_then(|room| room.more.as_ref()).map_or(&[][..], |more| &more.services.has);
        let is_created = || services.iter().any(|of| of.service.is_creation());
        let must_be = !room.is_engine_room() && self.options.type_of(room).must_be_created();
        if must_be && !is_created() {
            if let Some(refusal) = as_if_there.filter(|_| self.options.type_of(room).private) {
                return Err(refusal);
            }
            return Err(Refusal::new(Code::RoomNotFound, "there is no such `room`").at("room"));
        }
        services.iter().try_for_each(|of| ask(&*of.service))
    }

    /// How many members a room may have, where a service has a say in that.
    pub(in crate::home) fn members_max_by_service(&self, number: u32) -> Option<u32> {
        let more = self.rooms.get(number)?.more.as_ref()?;
        more.services.has.iter().filter_map(|of| of.service.members_max()).min()
    }
}
