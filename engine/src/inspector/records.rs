//! Everything that is remembered: three rings, counts for each room, and sums since the start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::record::{Kind, Record};
use super::ring::Ring;
use super::rooms::Rooms;
use crate::config;

/// What the inspector holds, behind its lock.
#[derive(Debug)]
pub(crate) struct Records {
    messages: Ring,
    events: Ring,
    errors: Ring,
    rooms: Rooms,
    written: u64,
    /// How many had come when tails were last woken.
    told: u64,
    message_bytes: u64,
    deliveries: u64,
    by_event: BTreeMap<Box<str>, u64>,
    by_error: BTreeMap<Box<str>, u64>,
}

impl Records {
    pub(super) fn new(config: &config::Inspector) -> Self {
        Self {
            messages: Ring::new(config.messages),
            events: Ring::new(config.events),
            errors: Ring::new(config.errors),
            rooms: Rooms::new(config.rooms),
            written: 0,
            told: 0,
            message_bytes: 0,
            deliveries: 0,
            by_event: BTreeMap::new(),
            by_error: BTreeMap::new(),
        }
    }

    /// Takes one in.
    pub(super) fn add(&mut self, record: Record) {
        self.rooms.count(&record);
        self.written += 1;
        // Events and errors have names of fixed sets, so these counts are bounded.
        let (ring, sums) = match record.kind {
            Kind::Message => (&mut self.messages, None),
            Kind::Event => (&mut self.events, Some(&mut self.by_event)),
            Kind::Error => (&mut self.errors, Some(&mut self.by_error)),
        };
        if let Some(sums) = sums {
            match sums.get_mut(&*record.what) {
                Some(sum) => *sum += 1,
                None => drop(sums.insert(record.what.as_ref().into(), 1)),
            }
        }
        if let Some(header) = &record.header {
            self.message_bytes += header.bytes as u64;
            self.deliveries += u64::from(header.members);
        }
        ring.push(record);
    }

    /// All records since the start.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether so many came since this was last true that a tail which is not woken might miss some.
    pub(super) fn is_half_new(&mut self) -> bool {
        let smallest = Kind::ALL.map(|kind| self.ring(kind).max()).into_iter().min().unwrap_or(0);
        let is = self.written - self.told > smallest as u64 / 2;
        if is {
            self.told = self.written;
        }
        is
    }

    pub(crate) const fn ring(&self, kind: Kind) -> &Ring {
        match kind {
            Kind::Message => &self.messages,
            Kind::Event => &self.events,
            Kind::Error => &self.errors,
        }
    }

    pub(crate) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// How much was seen since the start and how much of it is held.
    pub(crate) fn summary(&self) -> Value {
        let of = |kind: Kind| {
            let ring = self.ring(kind);
            json!({ "seen": ring.written(), "held": ring.len(), "max": ring.max() })
        };
        let rooms = &self.rooms;
        let mut summary = json!({
            "messages": of(Kind::Message),
            "events": of(Kind::Event),
            "errors": of(Kind::Error),
            "rooms": { "held": rooms.len(), "max": rooms.max(), "evicted": rooms.evicted() },
        });
        summary["messages"]["bytes"] = self.message_bytes.into();
        summary["messages"]["outgoing"] = self.deliveries.into();
        summary["events"]["by_type"] = json!(self.by_event);
        summary["errors"]["by_type"] = json!(self.by_error);
        summary
    }
}
