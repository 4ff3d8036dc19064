//! Presence by user: somebody with two tabs comes once and leaves when both have gone. Who leaves and is back within [`GRACE_MS`]
//! has not left, and is told of and counted as there until then. Changes are told together, at once in small rooms and once a second in large ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::{Value, json};

use super::person::Person;
use super::{GATHER_MS, GRACE_MS, KNOWN_MAX, LARGE, TOLD_AT_ONCE, TOLD_MAX};
use crate::id::Address;
use crate::service::{Args, Context, Member};
use crate::time::Now;

/// The users of one room.
#[derive(Debug, Default)]
pub(super) struct Roster {
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

impl Roster {
    pub(super) fn joined(&mut self, member: &Member, address: Address, context: &mut Context<'_>) {
        let user_id = member.who.user_id();
        if self.people.len() >= KNOWN_MAX && !self.people.contains_key(user_id) {
            return;
        }
        self.here.insert(address, user_id.to_owned());
        let person = self
            .people
            .entry(user_id.to_owned())
            .or_insert_with(|| Person::new(&member.who.role, context.now));
        let is_other = person.enter(address, &member.client_id, &member.who.role, context.now);
        if is_other || !self.told.contains(user_id) {
            self.note(user_id.to_owned(), context.now);
        }
    }

    pub(super) fn left(&mut self, from: Address, context: &mut Context<'_>) {
        let Some(user_id) = self.here.remove(&from) else { return };
        let person = self.people.get_mut(&user_id).expect("invariant: who is here is known");
        person.exit(from, context.now);
        if !person.is_here() {
            let gone_ms = person.gone_ms();
            self.changed.insert(user_id);
            self.tell_at(gone_ms + GRACE_MS + self.pause_ms());
        }
    }

    pub(super) fn state(&self) -> Value {
        let people = self.people.iter().take(TOLD_MAX);
        let members: Vec<Value> = people.map(|(user_id, person)| person.told(user_id)).collect();
        json!({ "count": self.people.len(), "members": members })
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        (self.tell_ms > 0).then_some(self.tell_ms)
    }

    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
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
            let count = self.people.len();
            let data = json!({ "joined": joined, "left": left, "changed": changed, "count": count });
            context.signal("$presence", data);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty()
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

    pub(super) fn list(&self, limit: usize, after: &str, context: &Context<'_>) -> Value {
        let later = self.people.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let mut members: Vec<Value> =
            later.take(limit + 1).map(|(user_id, person)| person.told(user_id)).collect();
        let more = members.len() > limit;
        members.truncate(limit);
        // Where a type keeps no presence, who they are is not known here.
        let is_kept = !self.people.is_empty() || context.members == 0;
        let count = if is_kept { self.people.len() as u64 } else { u64::from(context.members) };
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

    /// Who asks says something of itself. False: it is not known here.
    pub(super) fn set(&mut self, args: &Args, context: &mut Context<'_>) -> bool {
        let address = context.caller.and_then(|caller| caller.address);
        // Over HTTP all of a user is meant.
        let user_id = match address {
            Some(address) => self.here.get(&address).cloned(),
            None => Some(context.user_id().to_owned()),
        };
        let Some((user_id, person)) =
            user_id.and_then(|user_id| self.people.get_mut(&user_id).map(|person| (user_id, person)))
        else {
            return false;
        };
        if person.set(args, context.now) && self.told.contains(&user_id) {
            self.note(user_id, context.now);
        }
        true
    }
}
