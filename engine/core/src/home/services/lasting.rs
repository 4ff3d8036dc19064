//! What services have outlives the process, where there is a store.
//!
//! A state is written whole, and one of many votes is large. So of each state only one write is on its way at a time: what
//! changes meanwhile is written once, when that one has come to the disk, and whoever waits for it waits for that.

use std::collections::BTreeMap;

use fanfare_protocol::RoomName;

use super::call::Unconfirmed;
use super::{HomeRooms, Instance};
use crate::durable::{StoredState, Write};
use crate::effect::Effects;
use crate::service::SERVICES;
use crate::time::Now;

/// A service of a room.
type Key = (RoomName, usize);

/// What the store has of services, and what it does not have yet.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    /// States that are on their way: on disk after so many writes, and whether they have changed since.
    on_their_way: BTreeMap<Key, (u64, bool)>,
    /// What has ended, and the store may have still: until it has so many writes.
    gone: BTreeMap<Key, u64>,
    /// Whether a command has changed what the store, which fails, does not take: it is told how all stands when it is well again.
    pub(super) is_unkept: bool,
    /// After so many writes all that was put off until now is on its way.
    put_off: u64,
    /// Answers that wait for that, and then for the disk.
    answers: BTreeMap<u64, Vec<Unconfirmed>>,
}

impl HomeRooms {
    /// Lets the store have what a service has of a room, or that it has nothing: now, or when it has what it was given before.
    pub(super) fn keep_state(&mut self, room: &RoomName, instance: &Instance) {
        self.services.lasting.is_unkept |= !self.store.is_healthy();
        if instance.service.is_empty() {
            return self.end_state(room, instance.kind);
        }
        let key = (room.clone(), instance.kind);
        if let Some((at, is_changed)) = self.services.lasting.on_their_way.get_mut(&key) {
            *is_changed = true;
            self.services.lasting.put_off = self.services.lasting.put_off.max(*at);
            return;
        }
        let Some(bytes) = instance.service.save() else { return };
        let service = SERVICES[instance.kind].name;
        self.store.write(Write::State { room: room.clone(), service, bytes: Some(bytes.into()) });
        if self.store.is_behind() {
            self.services.lasting.on_their_way.insert(key, (self.store.written(), false));
        }
    }

    /// Lets the store know that a service has nothing of a room any more.
    pub(super) fn end_state(&mut self, room: &RoomName, kind: usize) {
        if !self.options.store {
            return;
        }
        let key = (room.clone(), kind);
        self.services.lasting.on_their_way.remove(&key);
        // What fails is written again when the store is well: what was taken away must not come back with a restart.
        self.services.lasting.gone.insert(key, self.store.written() + 1);
        self.store.write(Write::State { room: room.clone(), service: SERVICES[kind].name, bytes: None });
    }

    /// What a command answers is given when all that was changed until now is on disk, by whomever: it may only repeat what was asked for
    /// a moment ago, and is put off still.
    pub(super) fn answer_when_kept(&mut self, answer: Unconfirmed) {
        let lasting = &mut self.services.lasting;
        if lasting.put_off > self.store.settled() {
            lasting.answers.entry(lasting.put_off).or_default().push(answer);
        } else {
            self.store.await_answer(answer);
        }
    }

    /// Messages, answers and changes that wait for the store.
    pub(crate) fn waiting_for_store(&self) -> usize {
        let lasting = &self.services.lasting;
        let answers: usize = lasting.answers.values().map(Vec::len).sum();
        let changed = lasting.on_their_way.values().filter(|(_, is_changed)| *is_changed).count();
        self.store.waiting() + answers + changed
    }

    /// The store has so many writes: what changed meanwhile follows, and what ended before has ended there as well.
    pub(in crate::home) fn settle_states(&mut self, writes: u64) {
        let lasting = &mut self.services.lasting;
        lasting.gone.retain(|_, at| *at > writes);
        let settled = lasting.on_their_way.extract_if(.., |_, (at, _)| *at <= writes);
        let changed: Vec<Key> =
            settled.filter_map(|(key, (_, is_changed))| is_changed.then_some(key)).collect();
        for (room, kind) in changed {
            let has =
                self.more_of(&room).and_then(|more| more.services.has.iter().find(|of| of.kind == kind));
            let Some(bytes) = has.and_then(|of| of.service.save()) else { continue };
            let service = SERVICES[kind].name;
            self.store.write(Write::State { room: room.clone(), service, bytes: Some(bytes.into()) });
            let at = self.store.written();
            self.services.lasting.on_their_way.insert((room, kind), (at, false));
        }
        let later = self.services.lasting.answers.split_off(&(writes + 1));
        let ready = std::mem::replace(&mut self.services.lasting.answers, later);
        ready.into_values().flatten().for_each(|answer| self.store.await_answer(answer));
    }

    /// The store failed: nothing is on its way any more, and nobody who waits gets what was asked for.
    pub(in crate::home) fn give_up_states(&mut self, out: &mut Effects) {
        let lasting = &mut self.services.lasting;
        lasting.on_their_way.clear();
        std::mem::take(&mut lasting.answers).into_values().flatten().for_each(|answer| answer.fail(out));
    }

    /// Puts back what a service had of a room.
    pub(crate) fn restore_state(&mut self, now: Now, state: &StoredState) -> Result<(), &'static str> {
        let kind = SERVICES.iter().position(|kind| *kind.name == *state.service);
        let kind = kind.ok_or("there is no such service")?;
        let service = (SERVICES[kind].restore)(&state.bytes, &self.options).ok_or("it cannot be read")?;
        let number = self
            .find_or_create(now, &state.room)
            .map_err(|_| "there are as many rooms as limits.rooms_per_shard allows")?;
        if !self.has_service(number, kind) {
            self.add_service(number, service, kind);
            // Its time may have come meanwhile.
            self.look_again(number);
        }
        Ok(())
    }

    /// After a failure the store may have something else than what there is.
    pub(in crate::home) fn tell_store_states(&mut self) {
        for number in 0..self.rooms.numbers() {
            let Some(room) = self.rooms.get(number) else { continue };
            let Some(more) = &room.more else { continue };
            let states = more.services.has.iter().filter_map(|of| Some((of.kind, of.service.save()?)));
            for (kind, bytes) in states {
                let (room, service) = (room.name.clone(), SERVICES[kind].name);
                self.store.write(Write::State { room, service, bytes: Some(bytes.into()) });
            }
        }
        for ((room, service), _) in std::mem::take(&mut self.services.lasting.gone) {
            if !self.rooms.find(&room).is_some_and(|number| self.has_service(number, service)) {
                self.end_state(&room, service);
            }
        }
    }
}
