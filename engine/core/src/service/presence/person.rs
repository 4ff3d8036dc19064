//! One user in a room: its connections, and what it says that it is doing.

use fanfare_protocol::timestamp::rfc3339_text;
use serde_json::{Map, Value, json};

use crate::id::Address;
use crate::service::Args;
use crate::time::Now;

/// What a user may say of itself.
const SAID: [&str; 3] = ["status", "page", "info"];

#[derive(Debug)]
pub(super) struct Person {
    role: Box<str>,
    connections: Vec<(Address, Box<str>)>,
    since_unix_ms: u64,
    active_unix_ms: u64,
    /// When its last connection went, by the steady clock.
    gone_ms: u64,
    said: Map<String, Value>,
}

impl Person {
    pub(super) fn new(role: &str, now: Now) -> Self {
        Self {
            role: role.into(),
            connections: Vec::new(),
            since_unix_ms: now.unix_ms,
            active_unix_ms: now.unix_ms,
            gone_ms: 0,
            said: Map::new(),
        }
    }

    /// One more connection of it comes. Whether it has another role than before: the last one counts.
    pub(super) fn enter(&mut self, address: Address, client_id: &str, role: &str, now: Now) -> bool {
        self.active_unix_ms = now.unix_ms;
        self.connections.push((address, client_id.into()));
        let is_other = *self.role != *role;
        if is_other {
            self.role = role.into();
        }
        is_other
    }

    pub(super) fn exit(&mut self, address: Address, now: Now) {
        self.gone_ms = now.mono_ms();
        self.connections.retain(|(other, _)| *other != address);
    }

    pub(super) fn is_here(&self) -> bool {
        !self.connections.is_empty()
    }

    /// When its last connection went, in milliseconds of the steady clock.
    pub(super) fn gone_ms(&self) -> u64 {
        self.gone_ms
    }

    /// It says something of itself. Whether that is another thing than before.
    pub(super) fn set(&mut self, args: &Args, now: Now) -> bool {
        self.active_unix_ms = now.unix_ms;
        say(&mut self.said, args)
    }

    /// As others are told.
    pub(super) fn told(&self, user_id: &str) -> Value {
        let clients: Vec<&str> = self.connections.iter().map(|(_, client_id)| &**client_id).collect();
        let mut told = json!({
            "user_id": user_id,
            "role": self.role,
            "clients": clients,
            "since": rfc3339_text(self.since_unix_ms),
            "last_activity": rfc3339_text(self.active_unix_ms),
        });
        told.as_object_mut().expect("invariant: just made").extend(self.said.clone());
        told
    }
}

/// Notes what somebody says of itself. Whether that is another thing than before.
pub(super) fn say(said: &mut Map<String, Value>, args: &Args) -> bool {
    let mut changed = false;
    for name in SAID {
        let Some(value) = args.value(name) else { continue };
        if said.get(name) != Some(value) {
            said.insert(name.to_owned(), value.clone());
            changed = true;
        }
    }
    changed
}
