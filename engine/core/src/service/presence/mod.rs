//! Presence: who is in a room, what each is doing, and who comes and goes. A room's type says whether users are told of
//! ([`roster`]) or connections ([`roll`]).

mod commands;
mod messages;
mod person;
mod roll;
mod roster;
#[cfg(test)]
mod tests;

use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

use self::roll::Roll;
use self::roster::Roster;
use super::{Args, Caller, Context, Kind, Lasts, Member, Service, Spec};
use crate::id::Address;
use crate::options::Options;
use crate::permission::Permission;
use crate::room_type::Presence;

/// Who comes back so soon after leaving has not left: a page that is loaded again, a phone that changes its network.
const GRACE_MS: u64 = 2_000;
/// In rooms with more of them changes are gathered for so long before they are told.
const LARGE: usize = 50;
const GATHER_MS: u64 = 1_000;
/// Users or connections that one message tells of: with all that they may say of themselves it is less than a backlog takes.
const TOLD_AT_ONCE: usize = 500;
/// As many that who joins is told of; more are asked for with `presence`.
const TOLD_MAX: usize = 100;
/// As many in an answer when the question names no limit, and at most.
const LIMIT: u64 = 1_000;
/// As many of one room that are known by name; more are counted only.
const KNOWN_MAX: usize = 100_000;

pub(crate) static KIND: Kind = Kind {
    name: "presence",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Attendance>::default(),
    restore: |_, _| None,
    guards: false,
    lasts: |_| Lasts::Never,
    attends: |room_type| room_type.presence != Presence::Off,
};

/// Who is in one room: its users, or its connections.
#[derive(Debug, Default)]
struct Attendance {
    users: Roster,
    connections: Roll,
}

impl Service for Attendance {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "presence.list" => {
                let limit = args.whole("limit").unwrap_or(LIMIT) as usize;
                let after = args.text("after").unwrap_or_default();
                Ok(match is_by_connection(context) {
                    true => self.connections.list(limit, after, context),
                    false => self.users.list(limit, after, context),
                })
            }
            "presence.set" => {
                if context.options.type_of(context.room).presence == Presence::Off {
                    return Err(refusal(Code::Conflict, "rooms of this `room`'s type keep no presence"));
                }
                let is_known = match is_by_connection(context) {
                    true => self.connections.set(args, context),
                    false => self.users.set(args, context),
                };
                match is_known {
                    true => Ok(json!({})),
                    false if context.caller.is_some_and(|caller| caller.is_member) => {
                        let message = "as many are known by name in this `room` as may be";
                        Err(refusal(Code::RateLimitExceeded, message))
                    }
                    false => {
                        Err(refusal(Code::Forbidden, "only who is in the `room` is doing something there"))
                    }
                }
            }
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn joined(&mut self, member: &Member, context: &mut Context<'_>) {
        let Some(address) = member.who.address else { return };
        match is_by_connection(context) {
            true => self.connections.joined(member, address, context),
            false => self.users.joined(member, address, context),
        }
    }

    fn left(&mut self, from: Address, context: &mut Context<'_>) {
        match is_by_connection(context) {
            true => self.connections.left(from, context),
            false => self.users.left(from, context),
        }
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        let may_see = |caller: &Caller| caller.permissions.has(Permission::Presence);
        if !context.caller.is_some_and(may_see) {
            return None;
        }
        Some(match is_by_connection(context) {
            true => self.connections.state(context),
            false => self.users.state(),
        })
    }

    fn due_ms(&self) -> Option<u64> {
        self.users.due_ms().or(self.connections.due_ms())
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.users.tick(context);
        self.connections.tick(context);
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.connections.is_empty()
    }
}

fn refusal(code: Code, message: &str) -> Refusal {
    Refusal::new(code, message).at("room")
}

/// Whether the room's type wants connections told of.
fn is_by_connection(context: &Context<'_>) -> bool {
    context.options.type_of(context.room).presence == Presence::Connections
}
