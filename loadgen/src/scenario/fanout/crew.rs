//! Further threads that receive, each a share of the members; the first thread publishes and tells them when
//! things begin and end.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::Duration;

use super::members::{Members, NAP};
use crate::clock::Clock;
use crate::failure::Failures;
use crate::interrupt;
use crate::plan::Plan;
use crate::scenario::RunError;
use crate::scenario::tally::Tally;
use crate::sys;

/// What one thread tells the first about itself, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Seat {
    deliveries: AtomicU64,
    received_bytes: AtomicU64,
    members: AtomicU64,
    failures: AtomicU64,
}

/// All counts of the further threads together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) deliveries: u64,
    pub(super) received_bytes: u64,
    pub(super) members: u64,
    pub(super) failures: u64,
}

/// What the threads of a run share.
#[derive(Debug)]
pub(super) struct Board {
    seats: Vec<Seat>,
    /// Passed twice: when all have opened their connections, and when all know the window.
    together: Barrier,
    window: OnceLock<(u64, u64)>,
    /// Nothing more is published.
    ended: AtomicBool,
    /// Where each room stands in the end.
    last_offset: Vec<AtomicU64>,
}

/// What a thread brings home.
pub(super) struct Share {
    pub(super) tally: Tally,
    pub(super) failures: Failures,
    pub(super) fates: Failures,
}

impl Board {
    /// For so many threads beside the first.
    pub(super) fn new(further: u32, rooms: u32) -> Self {
        Self {
            seats: (0..further).map(|_| Seat::default()).collect(),
            together: Barrier::new(further as usize + 1),
            window: OnceLock::new(),
            ended: AtomicBool::new(false),
            last_offset: (0..rooms).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Waits until all threads have opened their connections.
    pub(super) fn opened(&self) {
        self.together.wait();
    }

    /// Tells all threads when the measurement is.
    pub(super) fn begin(&self, window: (u64, u64)) {
        // Set once, by the first thread alone.
        let _ = self.window.set(window);
        self.together.wait();
    }

    /// Tells all threads that nothing more comes than this.
    pub(super) fn end(&self, last_offset: &[u64]) {
        for (place, offset) in self.last_offset.iter().zip(last_offset) {
            place.store(*offset, Ordering::Relaxed);
        }
        self.ended.store(true, Ordering::Release);
    }

    /// What the further threads have counted, as of their last turns.
    pub(super) fn sums(&self) -> Sums {
        self.seats.iter().fold(Sums::default(), |sums, seat| Sums {
            deliveries: sums.deliveries + seat.deliveries.load(Ordering::Relaxed),
            received_bytes: sums.received_bytes + seat.received_bytes.load(Ordering::Relaxed),
            members: sums.members + seat.members.load(Ordering::Relaxed),
            failures: sums.failures + seat.failures.load(Ordering::Relaxed),
        })
    }

    /// The work of one further thread, from opening its connections to the end.
    ///
    /// # Errors
    /// Its sockets cannot be waited for; the other threads go on without it.
    pub(super) fn receive(
        &self,
        number: usize,
        plan: &Plan,
        clock: Clock,
        connections: Range<u32>,
        slow: u32,
        patience: Duration,
        core: Option<usize>,
    ) -> Result<Share, RunError> {
        let pinned = core.map_or(Ok(()), sys::pin_to_core);
        let members = Members::new(plan, clock, connections, slow).and_then(|mut members| {
            members.open()?;
            Ok(members)
        });
        let seat = &self.seats[number];
        if let Ok(members) = &members {
            seat.tell(members);
        }
        // The others wait for this thread even if it has failed.
        self.together.wait();
        self.together.wait();
        pinned?;
        let mut members = members?;
        if let Some(&(begin, end)) = self.window.get() {
            members.tally.set_window(begin, end).map_err(RunError::Failed)?;
        }
        while !self.ended.load(Ordering::Acquire) && !interrupt::happened() {
            members.turn(NAP)?;
            seat.tell(&members);
        }
        for (room, offset) in (0..).zip(&self.last_offset) {
            members.tally.stands_at(room, offset.load(Ordering::Relaxed));
        }
        members.drain(patience)?;
        let (failures, fates) = (members.fleet.failures().clone(), members.fleet.fates().clone());
        Ok(Share { tally: members.tally, failures, fates })
    }
}

impl Seat {
    fn tell(&self, members: &Members<'_>) {
        self.deliveries.store(members.tally.deliveries, Ordering::Relaxed);
        self.received_bytes.store(members.fleet.received_bytes(), Ordering::Relaxed);
        self.members.store(members.tally.members(), Ordering::Relaxed);
        self.failures.store(members.fleet.failures().total(), Ordering::Relaxed);
    }
}
