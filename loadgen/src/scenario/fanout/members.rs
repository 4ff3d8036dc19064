//! A share of the members on one thread: their sockets and the account of what they get.

use std::ops::Range;
use std::time::Duration;

use crate::client::Event;
use crate::clock::{Clock, nanos};
use crate::fleet::Fleet;
use crate::plan::Plan;
use crate::scenario::RunError;
use crate::scenario::tally::Tally;

/// Longest wait for the sockets.
pub(super) const NAP: Duration = Duration::from_millis(20);
/// How long slow members may take at the end to read what they left.
const AWAKE: Duration = Duration::from_secs(5);

/// Connections of one thread.
pub(super) struct Members<'p> {
    clock: Clock,
    pub(super) fleet: Fleet<'p>,
    pub(super) tally: Tally,
    connections: Range<u32>,
    /// Those of them that never read.
    slow: Range<u32>,
}

impl<'p> Members<'p> {
    /// The given connections of the plan, of which those below `slow` never read.
    ///
    /// # Errors
    /// No epoll instance is to be had.
    pub(super) fn new(
        plan: &'p Plan,
        clock: Clock,
        connections: Range<u32>,
        slow: u32,
    ) -> Result<Self, RunError> {
        let slow = connections.start..connections.end.min(slow).max(connections.start);
        let tally = Tally::new(plan.memberships).map_err(RunError::Failed)?;
        Ok(Self { clock, fleet: Fleet::new(plan, clock)?, tally, connections, slow })
    }

    /// Opens all of them; the slow ones stop reading once they are members, and nothing is expected of them.
    ///
    /// # Errors
    /// Waiting itself failed.
    pub(super) fn open(&mut self) -> Result<(), RunError> {
        let tally = &mut self.tally;
        let on = &mut |connection, now, event: Event<'_>| tally.on(connection, now, event);
        self.fleet.open(self.connections.clone(), on)?;
        for index in self.slow.clone() {
            self.fleet.stop_reading(index)?;
            self.tally.on(index, self.clock.now(), Event::Gone);
        }
        Ok(())
    }

    /// Waits for at most `wait` and takes what comes.
    ///
    /// # Errors
    /// Waiting itself failed.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<(), RunError> {
        let tally = &mut self.tally;
        self.fleet.turn(wait, &mut |connection, now, event| tally.on(connection, now, event))?;
        Ok(())
    }

    /// Waits for the answers to what was published.
    ///
    /// # Errors
    /// Waiting itself failed.
    pub(super) fn await_answers(&mut self, patience: Duration) -> Result<(), RunError> {
        let deadline = self.clock.now() + nanos(patience);
        while self.tally.unanswered() > 0 && self.clock.now() < deadline && self.fleet.live() > 0 {
            self.turn(NAP)?;
        }
        Ok(())
    }

    /// Waits for what is under way, then lets the slow ones read at last, to see what became of them.
    ///
    /// # Errors
    /// Waiting itself failed.
    pub(super) fn drain(&mut self, patience: Duration) -> Result<(), RunError> {
        let deadline = self.clock.now() + nanos(patience);
        while self.tally.missing() > 0 {
            if self.clock.now() >= deadline || self.fleet.live() == 0 {
                break;
            }
            self.turn(NAP)?;
        }
        let missing = self.tally.missing();
        self.tally.verifier.give_up(missing);
        self.wake_slow()
    }

    fn wake_slow(&mut self) -> Result<(), RunError> {
        if self.slow.is_empty() {
            return Ok(());
        }
        for index in self.slow.clone() {
            self.fleet.read_again(index)?;
        }
        let deadline = self.clock.now() + nanos(AWAKE);
        let (mut seen, mut quiet_since) = (self.fleet.received_bytes(), self.clock.now());
        // Until they have read all there is, or are gone.
        while self.clock.now() < deadline && self.clock.now() - quiet_since < nanos(NAP * 10) {
            self.fleet.turn(NAP, &mut |_, _, _| {})?;
            if self.fleet.received_bytes() != seen {
                (seen, quiet_since) = (self.fleet.received_bytes(), self.clock.now());
            }
        }
        Ok(())
    }
}
