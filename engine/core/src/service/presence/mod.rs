//! Presence: who is in a room, what each is doing, and who comes and goes.
//!
//! Users are told of, not connections: somebody with two tabs comes once and leaves when both have gone. Who leaves and is
//! back within [`GRACE_MS`] has not left. Changes are told together, at once in small rooms and once a second in large ones.

mod commands;
mod messages;
mod person;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use fanfare_protocol::Refusal;
use serde_json::{Value, json};

use self::person::Person;
use super::{Args, Caller, Context, Kind, Member, Service, Spec};
use crate::id::Address;
use crate::options::Options;
use crate::permission::Permission;
use crate::time::Now;

/// Who comes back so soon after leaving has not left: a page that is loaded again, a phone that changes its network.
const GRACE_MS: u64 = 2_000;
/// In rooms with more users changes are gathered for so long before they are told.
const LARGE: usize = 50;
const GATHER_MS: u64 = 1_000;
/// Users that one message tells of: with all that users may say of themselves it is less than a backlog takes.
const TOLD_AT_ONCE: usize = 500;
/// Users that who joins is told of; more are asked for with `presence`.
const TOLD_MAX: usize = 100;
/// Users of an answer when the question names no limit, and at most.
const LIMIT: u64 = 1_000;
/// Users of one room that are known by name; more are counted only.
const KNOWN_MAX: usize = 100_000;

pub(crate) static KIND: Kind = Kind {
    name: "presence",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Roster>::default(),
    restore: |_, _| None,
    guards: false,
    attends: |room_type| room_type.presence,
};

/// Who is in one room.
#[derive(Debug, Default)]
struct Roster {
    people: BTreeMap<String, Person>,
    /// Whose connection that is.
    here: BTreeMap<Address, String>,
    /// Users whom others know to be there.
    told: BTreeSet<String>,
    /// Users of whom something is to be told.
    changed: BTreeSet<String>,
    /// When that is told; 0: nothing is to be told.
    tell_ms: u64,
}

impl Service for Roster {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "presence.list" => {
                let limit = args.whole("limit").unwrap_or(LIMIT) as usize;
                let after = args.text("after").unwrap_or_default();
                Ok(self.list(limit, after, context))
            }
            "presence.set" => {
                self.set(args, context);
                Ok(json!({}))
            }
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn joined(&mut self, member: &Member, context: &mut Context<'_>) {
        let user_id = member.who.user_id();
        let Some(address) = member.who.address else { return };
        if self.people.len() >= KNOWN_MAX && !self.people.contains_key(user_id) {
            return;
        }
        self.here.insert(address, user_id.to_owned());
        let person = self
            .people
            .entry(user_id.to_owned())
            .or_insert_with(|| Person::new(&member.who.role, context.now));
        person.enter(address, &member.client_id, context.now);
        if !self.told.contains(user_id) {
            self.note(user_id.to_owned(), context.now);
        }
    }

    fn left(&mut self, from: Address, context: &mut Context<'_>) {
        let Some(user_id) = self.here.remove(&from) else { return };
        let person = self.people.get_mut(&user_id).expect("invariant: who is here is known");
        person.exit(from, context.now);
        if !person.is_here() {
            let gone_ms = person.gone_ms();
            self.changed.insert(user_id);
            self.tell_at(gone_ms + GRACE_MS + self.pause_ms());
        }
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        let may_see = |caller: &Caller| caller.permissions.has(Permission::Presence);
        if !context.caller.is_some_and(may_see) {
            return None;
        }
        // Who may yet come back counts as there, as it does for all others: later changes go on from there.
        let people = self.people.iter().take(TOLD_MAX);
        let members: Vec<Value> = people.map(|(user_id, person)| person.told(user_id)).collect();
        Some(json!({ "count": self.people.len(), "members": members }))
    }

    fn due_ms(&self) -> Option<u64> {
        (self.tell_ms > 0).then_some(self.tell_ms)
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        if self.tell_ms == 0 || self.tell_ms > context.now.mono_ms() {
            return;
        }
        self.tell_ms = 0;
        let (mut joined, mut left, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        let mut waiting = std::mem::take(&mut self.changed);
        while let Some(user_id) = waiting.pop_first() {
            if joined.len() + left.len() + changed.len() >= TOLD_AT_ONCE {
                // One message of all of them might be more than a socket takes. The rest comes with the next.
                waiting.insert(user_id);
                self.tell_at(context.now.mono_ms() + GATHER_MS);
                break;
            }
            let Some(person) = self.people.get(&user_id) else { continue };
            if person.is_here() {
                let told = person.told(&user_id);
                if self.told.insert(user_id) { joined.push(told) } else { changed.push(told) }
            } else if context.now.mono_ms() >= person.gone_ms() + GRACE_MS {
                // Who has just joined may have been told of it even if nobody else was.
                self.told.remove(&user_id);
                left.push(person.told(&user_id));
                self.people.remove(&user_id);
            } else {
                let gone_ms = person.gone_ms();
                self.tell_at(gone_ms + GRACE_MS + self.pause_ms());
                self.changed.insert(user_id);
            }
        }
        self.changed.append(&mut waiting);
        if joined.len() + left.len() + changed.len() > 0 {
            let count = self.count();
            let data = json!({ "joined": joined, "left": left, "changed": changed, "count": count });
            context.signal("$presence", data);
        }
    }

    fn is_empty(&self) -> bool {
        self.people.is_empty()
    }
}

impl Roster {
    /// Users who are there.
    fn count(&self) -> usize {
        self.people.values().filter(|person| person.is_here()).count()
    }

    /// Something of a user is to be told: at once, or in large rooms with what else comes within a second.
    fn note(&mut self, user_id: String, now: Now) {
        self.changed.insert(user_id);
        self.tell_at(now.mono_ms() + self.pause_ms());
    }

    /// For how long changes are gathered.
    fn pause_ms(&self) -> u64 {
        if self.people.len() > LARGE { GATHER_MS } else { 0 }
    }

    /// Tells what is to be told at this time, unless there is something before.
    fn tell_at(&mut self, at_ms: u64) {
        self.tell_ms = if self.tell_ms == 0 { at_ms } else { self.tell_ms.min(at_ms) };
    }

    fn list(&self, limit: usize, after: &str, context: &Context<'_>) -> Value {
        let here =
            self.people.iter().filter(|(user_id, person)| person.is_here() && user_id.as_str() > after);
        let mut members: Vec<Value> =
            here.take(limit + 1).map(|(user_id, person)| person.told(user_id)).collect();
        let more = members.len() > limit;
        members.truncate(limit);
        // Where a type keeps no presence, who they are is not known here.
        let is_kept = !self.people.is_empty() || context.members == 0;
        let count = if is_kept { self.count() as u64 } else { u64::from(context.members) };
        let connections = context.members;
        json!({
            "room": context.room.as_str(),
            "count": count,
            "connections": connections,
            "members": members,
            "more": more,
            "kept": is_kept,
        })
    }

    fn set(&mut self, args: &Args, context: &mut Context<'_>) {
        let address = context.caller.and_then(|caller| caller.address);
        // Over HTTP all of a user is meant.
        let user_id = match address {
            Some(address) => self.here.get(&address).cloned(),
            None => Some(context.user_id().to_owned()),
        };
        let Some((user_id, person)) =
            user_id.and_then(|user_id| self.people.get_mut(&user_id).map(|person| (user_id, person)))
        else {
            return;
        };
        if person.set(args, context.now) && self.told.contains(&user_id) {
            self.note(user_id, context.now);
        }
    }
}
