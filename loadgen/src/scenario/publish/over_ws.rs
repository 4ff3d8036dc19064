//! The `publish` command of a WebSocket.

use std::io;
use std::time::Duration;

use super::{Carrier, Fate, Sink};
use crate::client::Event;
use crate::clock::Clock;
use crate::failure::Failures;
use crate::fleet::Fleet;
use crate::plan::Plan;

/// WebSockets that are members of nothing.
pub(super) struct OverWs<'p> {
    fleet: Fleet<'p>,
    /// Connections with something to send.
    queued: Vec<u32>,
}

impl<'p> OverWs<'p> {
    /// Opens all.
    ///
    /// # Errors
    /// Waiting failed; connections that fail are counted.
    pub(super) fn open(plan: &'p Plan, clock: Clock) -> io::Result<Self> {
        let mut fleet = Fleet::new(plan, clock)?;
        fleet.open(0..plan.connections(), &mut |_, _, _| {})?;
        Ok(Self { fleet, queued: Vec::new() })
    }
}

impl Carrier for OverWs<'_> {
    fn is_live(&self, connection: u32) -> bool {
        self.fleet.is_live(connection)
    }

    fn send(&mut self, connection: u32, _number: u32, command: &[u8]) {
        self.fleet.send(connection, command);
        if self.queued.last() != Some(&connection) {
            self.queued.push(connection);
        }
    }

    fn turn(&mut self, timeout: Duration, sink: Sink<'_>) -> io::Result<()> {
        let mut on = |connection: u32, now: u64, event: Event<'_>| match event {
            Event::Published { number, .. } => sink(connection, now, number, Fate::Accepted),
            Event::Refused { number, name } => sink(connection, now, number, Fate::Refused(name)),
            _ => {}
        };
        for connection in self.queued.drain(..) {
            self.fleet.flush(connection, &mut on);
        }
        self.fleet.turn(timeout, &mut on)
    }

    fn failures(&self) -> &Failures {
        self.fleet.failures()
    }
}
