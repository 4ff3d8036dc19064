//! Presence by connection: each is told of under its client id, and at once when it comes or goes, without any grace. In large
//! rooms changes are gathered for a second.
//!
//! A user may give two of its connections the same client id: what others know under it is there until the last of them has
//! gone.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::person::say;
use super::{GATHER_MS, KNOWN_MAX, LARGE, TOLD_AT_ONCE, TOLD_MAX};
use crate::id::{Address, ConnectionId, ShardId};
use crate::service::{Args, Context, Member, told_time};

/// Before every other one.
const FIRST: Address = Address { shard: ShardId(0), connection: ConnectionId { slot: 0, generation: 0 } };
/// After every other one.
const LAST: Address =
    Address { shard: ShardId(u8::MAX), connection: ConnectionId { slot: u32::MAX, generation: u32::MAX } };
/// What one message does not tell comes with the next, so soon after it: 5,000 changes a second are told.
const REST_MS: u64 = 100;

/// The connections of one room.
#[derive(Debug, Default)]
pub(super) struct Roll {
    rows: BTreeMap<(Box<str>, Address), Row>,
    /// The client id of each connection.
    here: BTreeMap<Address, Box<str>>,
    /// What is to be told, by client id; at most [`KNOWN_MAX`].
    waiting: BTreeMap<Box<str>, Change>,
    /// When that is told; 0: nothing is to be told.
    tell_ms: u64,
}

/// One connection.
#[derive(Debug)]
struct Row {
    user_id: Box<str>,
    role: Box<str>,
    since_unix_ms: u64,
    said: Map<String, Value>,
}

/// Something to be told of a client.
#[derive(Debug)]
enum Change {
    /// This connection of it came.
    Joined(Address),
    /// It went, and was this.
    Left(Value),
    /// This connection of it says something else, or is the one that is still there.
    Changed(Address),
}

impl Roll {
    pub(super) fn joined(&mut self, member: &Member, address: Address, context: &mut Context<'_>) {
        if self.rows.len() >= KNOWN_MAX {
            return;
        }
        let row = Row {
            user_id: member.who.user_id().into(),
            role: member.who.role.clone(),
            since_unix_ms: context.now.unix_ms,
            said: Map::new(),
        };
        let client_id = member.client_id.clone();
        self.rows.insert((client_id.clone(), address), row);
        self.here.insert(address, client_id.clone());
        self.note(client_id, Change::Joined(address), context);
        // Who has just come is told all of it in the answer to its join, and this goes out before that.
        self.tell_soon(context);
    }

    pub(super) fn left(&mut self, from: Address, context: &mut Context<'_>) {
        let Some(client_id) = self.here.remove(&from) else { return };
        let key = (client_id, from);
        let row = self.rows.remove(&key).expect("invariant: who is here is known");
        let (client_id, _) = key;
        let change = match self.connection_of(&client_id) {
            Some(address) => Change::Changed(address),
            None => Change::Left(row.told(&client_id)),
        };
        self.note(client_id, change, context);
        self.tell_soon(context);
    }

    /// Who asks says something of itself. False: it is not known here.
    pub(super) fn set(&mut self, args: &Args, context: &mut Context<'_>) -> bool {
        let addresses: Vec<Address> = match context.caller.and_then(|caller| caller.address) {
            Some(address) => vec![address],
            // Over HTTP all of a user is meant.
            None => {
                let of_user = |(_, row): &(&(Box<str>, Address), &Row)| *row.user_id == *context.user_id();
                self.rows.iter().filter(of_user).map(|((_, address), _)| *address).collect()
            }
        };
        let mut is_known = false;
        for address in addresses {
            let Some(client_id) = self.here.get(&address).cloned() else { continue };
            is_known = true;
            let key = (client_id, address);
            let row = self.rows.get_mut(&key).expect("invariant: who is here is known");
            if say(&mut row.said, args) {
                self.note(key.0, Change::Changed(address), context);
            }
        }
        if !self.waiting.is_empty() {
            self.tell_soon(context);
        }
        is_known
    }

    pub(super) fn state(&self, context: &Context<'_>) -> Value {
        json!({ "count": context.members, "members": self.told(TOLD_MAX, "") })
    }

    pub(super) fn list(&self, limit: usize, after: &str, context: &Context<'_>) -> Value {
        let members = self.told(limit, after);
        let last = members.last().and_then(|row| row["client_id"].as_str());
        let more = last.is_some_and(|last| self.after(last).next().is_some());
        json!({
            "room": context.room.as_str(),
            "count": context.members,
            "connections": context.members,
            "members": members,
            "more": more,
            "kept": true,
        })
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        (self.tell_ms > 0).then_some(self.tell_ms)
    }

    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.tell_ms > 0 && self.tell_ms <= context.now.mono_ms() {
            self.tell(context);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of so many connections whose client ids come after this one, and those of the last one's client id: what is
    /// asked for next comes after that.
    fn told(&self, limit: usize, after: &str) -> Vec<Value> {
        let mut last = None;
        let mut told = Vec::new();
        for (at, ((client_id, _), row)) in self.after(after).enumerate() {
            if at >= limit && last != Some(&**client_id) {
                break;
            }
            told.push(row.told(client_id));
            last = Some(&**client_id);
        }
        told
    }

    /// The rows whose client ids come after this one.
    fn after(&self, client_id: &str) -> impl Iterator<Item = (&(Box<str>, Address), &Row)> {
        self.rows.range((Bound::Excluded((client_id.into(), LAST)), Bound::Unbounded))
    }

    /// A connection of this client's.
    fn connection_of(&self, client_id: &str) -> Option<Address> {
        let ((found, address), _) = self.rows.range((client_id.into(), FIRST)..).next()?;
        (**found == *client_id).then_some(*address)
    }

    /// What waits of a client is what was last; but who is not known yet to others has come.
    fn note(&mut self, client_id: Box<str>, change: Change, context: &mut Context<'_>) {
        let change = match (change, self.waiting.get(&client_id)) {
            (Change::Changed(address), Some(Change::Joined(_))) => Change::Joined(address),
            (_, None) if self.waiting.len() >= KNOWN_MAX => {
                context.dropped += 1;
                return;
            }
            (change, _) => change,
        };
        self.waiting.insert(client_id, change);
    }

    /// Tells what waits: at once, or in large rooms with what else comes within a second.
    fn tell_soon(&mut self, context: &mut Context<'_>) {
        if self.rows.len() <= LARGE {
            self.tell(context);
        } else if self.tell_ms == 0 {
            self.tell_ms = context.now.mono_ms() + GATHER_MS;
        }
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let (mut joined, mut left, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        while joined.len() + left.len() + changed.len() < TOLD_AT_ONCE {
            let Some((client_id, change)) = self.waiting.pop_first() else { break };
            let (list, address) = match change {
                Change::Left(row) => {
                    left.push(row);
                    continue;
                }
                Change::Joined(address) => (&mut joined, address),
                Change::Changed(address) => (&mut changed, address),
            };
            let key = (client_id, address);
            let row = self.rows.get(&key).expect("invariant: what goes is noted");
            list.push(row.told(&key.0));
        }
        // One message of all of them might be more than a socket takes. The rest comes with the next.
        self.tell_ms = if self.waiting.is_empty() { 0 } else { context.now.mono_ms() + REST_MS };
        let data = json!({ "joined": joined, "left": left, "changed": changed, "count": context.members });
        context.signal("$presence", data);
    }
}

impl Row {
    /// As others are told.
    fn told(&self, client_id: &str) -> Value {
        let mut told = json!({
            "client_id": client_id,
            "user_id": self.user_id,
            "role": self.role,
            "since": told_time(self.since_unix_ms),
        });
        told.as_object_mut().expect("invariant: just made").extend(self.said.clone());
        told
    }
}
