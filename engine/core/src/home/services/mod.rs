//! What services have of the rooms of this shard: commands and members come to them, and what they say goes out.

mod call;
mod lasting;
mod members;
mod say;

use std::collections::BTreeSet;

use fanfare_protocol::{Body, Refusal};
use serde_json::Value;

pub(crate) use self::call::Unconfirmed;
use self::lasting::Lasting;
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::id::Address;
use crate::mesh::Called;
use crate::service::{Context, Member, SERVICES, Service};
use crate::time::Now;

/// Rooms whose services one tick looks after, so that no tick is long.
const LOOKED_AFTER_AT_ONCE: usize = 4_096;

/// What one room has of services.
#[derive(Debug, Default)]
pub(crate) struct Services {
    has: Vec<Instance>,
    /// When the earliest of them wants to be looked at; 0: never.
    due_ms: u64,
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
    lasting: Lasting,
    counts: [u64; SERVICES.len()],
    /// What each service has let go of because a bound was reached.
    dropped: [u64; SERVICES.len()],
}

impl Default for Attendance {
    fn default() -> Self {
        Self {
            checks: BTreeSet::new(),
            lasting: Lasting::default(),
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
    /// A command, and whether what it makes may be kept.
    Call(&'o Called, bool),
    Joined(&'o Member),
    Present(&'o Member),
    Left(Address),
    Greet(Address, &'o [Value]),
    Time,
}

impl HomeRooms {
    /// Lets services do what their time has come for.
    pub(crate) fn look_after_services(&mut self, now: Now, out: &mut Effects) {
        // Each room once: what is due again at once waits for the next tick.
        let due = self.services.checks.range(..=(now.mono_ms(), u32::MAX)).take(LOOKED_AFTER_AT_ONCE);
        for check in due.copied().collect::<Vec<_>>() {
            self.services.checks.remove(&check);
            self.with_services(now, check.1, None, &Occasion::Time, out);
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
            let said = says.len();
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
                    Occasion::Call(called, _) => Some(&called.caller),
                    Occasion::Joined(member) | Occasion::Present(member) => Some(&member.who),
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
                Occasion::Call(called, may_keep) => {
                    answer = Some(instance.service.call(called.spec, &called.args, &mut context));
                    if !may_keep && !instance.service.is_empty() {
                        // It goes as if it had never been: nothing of it is said, done or saved.
                        instance.service = (SERVICES[instance.kind].new)(&self.options);
                        context.says.clear();
                        context.deeds.clear();
                        context.changed = false;
                        answer = Some(Err(call::full()));
                    }
                }
                Occasion::Joined(member) => instance.service.joined(member, &mut context),
                Occasion::Present(member) => instance.service.present(member, &mut context),
                Occasion::Greet(to, brought) => instance.service.greet(*to, brought, &mut context),
                Occasion::Left(from) => instance.service.left(*from, &mut context),
                Occasion::Time => instance.service.tick(&mut context),
            }
            self.services.dropped[instance.kind] += context.dropped;
            let is_changed = context.changed;
            if cfg!(debug_assertions) {
                say::check(instance.kind, &says[said..], &self.options);
            }
            if is_changed && self.options.store {
                changed.push(instance.kind);
            }
        }
        let name = room.name.clone();
        for instance in services.has.iter().filter(|of| changed.contains(&of.kind)) {
            self.keep_state(&name, instance);
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
        for saying in says {
            self.say(now, number, saying, out);
        }
        for deed in deeds {
            self.perform(number, deed, out);
        }
        self.tidy(number);
        answer
    }

    /// What services have of a room goes: all but those that only watch who is there.
    fn clear_services(&mut self, number: u32) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        let (name, room_type) = (room.name.clone(), self.options.by(room.rules));
        let Some(more) = &mut room.more else { return };
        let goes = |of: &mut Instance| !(SERVICES[of.kind].attends)(room_type);
        let gone: Vec<usize> = more.services.has.extract_if(.., goes).map(|of| of.kind).collect();
        for kind in gone {
            self.services.counts[kind] -= 1;
            self.end_state(&name, kind);
        }
        self.look_again(number);
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
