//! A command of a service, at the home of its room, and its answer.

use fanfare_protocol::{Body, Code, Refusal};
use serde_json::Value;

use super::{Occasion, json};
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::rooms::seconds;
use crate::home::store::failed;
use crate::id::{RequestId, ShardId};
use crate::mesh::{Called, Mesh, Origin, ToHome, ToLocal};
use crate::permission::Permission;
use crate::service::{Access, Lasts, Method, SERVICES, Spec};
use crate::time::Now;
use crate::view::Rows;

/// What who asks is told of what could not wait for the store.
const UNKEPT: &str = "it is done, but the store cannot write now: if the process ends before it can again, it is as if it had not been";

/// What waits for the store.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// An answer, and what of it lasts.
    Answer(Origin, Result<Body, Box<Refusal>>, Lasts),
    /// A command about several rooms goes on at another shard.
    Further(ShardId, Box<Called>),
    /// What an operator asked for.
    Rows(ShardId, RequestId, Rows),
}

impl HomeRooms {
    /// A command of a service: done in as many of its rooms as this shard orders in a row.
    pub(in crate::home) fn call(&mut self, now: Now, mut called: Box<Called>, out: &mut Effects) {
        let here = self.home_of(&called.room);
        let lasts = self.lasts(&called);
        if lasts == Lasts::Always
            && let Err(refusal) = self.store.accepts(&self.options)
        {
            Unconfirmed::Answer(called.origin, Err(Box::new(refusal)), lasts).give(out);
            return;
        }
        self.services.lasting.is_unkept = false;
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
            break Unconfirmed::Answer(called.origin, outcome.map(json).map_err(Box::new), lasts);
        };
        if lasts == Lasts::IfItCan && self.services.lasting.is_unkept {
            return next.fail(out);
        }
        let waits = lasts != Lasts::Never && !matches!(next, Unconfirmed::Answer(_, Err(_), _));
        self.give_or_keep(waits, next, out);
    }

    /// Whether what a command does outlives the process.
    fn lasts(&self, called: &Called) -> Lasts {
        if !self.options.store || called.spec.method == Method::Get {
            return Lasts::Never;
        }
        match (SERVICES[called.service].lasts)(called.spec) {
            Lasts::AsItsRoom if self.is_durable(&called.room) => Lasts::Always,
            lasts => lasts,
        }
    }

    /// What was asked for is known to last before anybody is told that it is done, also where somebody has just done it before.
    pub(in crate::home) fn give_or_keep(&mut self, waits: bool, answer: Unconfirmed, out: &mut Effects) {
        if waits && self.store.is_behind() {
            self.answer_when_kept(answer);
        } else {
            answer.give(out);
        }
    }

    fn call_in_room(&mut self, now: Now, called: &Called, out: &mut Effects) -> Result<Value, Refusal> {
        let is_known = self.rooms.find(&called.room).is_some();
        let admitted = match SERVICES[called.service].guards {
            true => Ok(()),
            false => self.admits(now, &called.room, Some(&called.caller)),
        };
        // What says something in a room needs a room that takes messages.
        let admitted = admitted.and_then(|()| match called.spec.access {
            Access::Write => self.takes(now, &called.room, called.caller.user.as_ref()),
            _ => Ok(()),
        });
        let found = admitted.and_then(|()| self.find_or_create(now, &called.room));
        let outcome = found.and_then(|number| {
            let is_new = !self.has_service(number, called.service);
            let is_full = self.services.total() >= self.options.limits.services as u64;
            // Who steers any room does so also where everything is used up by others.
            let has = |permission| called.caller.permissions.has(permission);
            let steers = called.spec.steers() && (has(Permission::Control) || has(Permission::Admin));
            let may_keep = !is_new || !is_full || steers;
            if is_use(called.spec) {
                self.rooms.get_mut(number).expect("invariant: just found").used_s = seconds(now);
            }
            // What it may refer to is there still.
            self.expire(number, now);
            if is_new {
                self.add_service(number, (SERVICES[called.service].new)(&self.options), called.service);
            }
            let occasion = Occasion::Call(called, may_keep);
            let outcome = self.with_services(now, number, Some(called.service), &occasion, out);
            outcome.expect("invariant: one command has one answer")
        });
        // Nobody has heard of it yet: asking is not using.
        if !is_known && let Some(number) = self.rooms.find(&called.room) {
            self.forget_unused(number);
        }
        outcome
    }
}

/// Whether a command counts as something that happened in its room: neither asking does, nor who is there and what it does.
fn is_use(spec: &Spec) -> bool {
    spec.method != Method::Get && spec.access != Access::Presence
}

/// A room cannot have one more service.
pub(super) fn full() -> Refusal {
    Refusal::new(Code::ServerError, "the server keeps as much for services as it may; try again later")
}

impl Unconfirmed {
    /// Tells who asked, or the shard where it goes on.
    pub(in crate::home) fn give(self, out: &mut Effects) {
        let (origin, outcome) = match self {
            Self::Answer(origin, outcome, _) => (origin, outcome),
            Self::Further(to, called) => return out.send(to, Mesh::Home(ToHome::Call(called))),
            Self::Rows(to, request, rows) => {
                return out.send(to, Mesh::Local(ToLocal::Answer(request, rows)));
            }
        };
        let shard = match &origin {
            Origin::Silent | Origin::Letter(_) => return,
            Origin::Connection(address, _) | Origin::Roster(address, _) => address.shard,
            Origin::Http(shard, _, _) => *shard,
        };
        out.send(shard, Mesh::Local(ToLocal::Answered(origin, outcome)));
    }

    /// The store failed: what was done here may be undone by a restart, and who was to be told that it lasts is told so.
    pub(in crate::home) fn fail(self, out: &mut Effects) {
        let refused = |origin, refusal| Self::Answer(origin, Err(Box::new(refusal)), Lasts::Never);
        let told = match self {
            Self::Answer(origin, Ok(_), Lasts::Always) => refused(origin, failed()),
            Self::Answer(origin, Ok(_), Lasts::IfItCan) => {
                refused(origin, Refusal::new(Code::ServerError, UNKEPT))
            }
            told @ Self::Answer(..) => told,
            Self::Further(_, called) => refused(called.origin, failed()),
            Self::Rows(to, request, _) => Self::Rows(to, request, Rows::Refused(Box::new(failed()))),
        };
        told.give(out);
    }
}
