//! HTTP connections that are open, by address. When there are as many as may be, the address that has most gives up the one that has
//! waited longest for a request: nobody keeps others out by holding connections that ask for nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_sys::socket;

use crate::addresses;

/// Somebody of the very address that has most takes the place only of what has waited so long.
const IDLE_MS: u64 = 1_000;
/// Instead of the time since when a connection waits: a request is being answered.
const BUSY: u64 = u64::MAX;
/// The same: it was given up.
const GONE: u64 = u64::MAX - 1;

/// See the module's own text.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    guests: HashMap<u64, Guest>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    fd: RawFd,
    waits_since: Arc<AtomicU64>,
}

/// A connection's place. To be dropped before its descriptor is closed: until then the descriptor may be shut down.
#[derive(Debug)]
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    waits_since: Arc<AtomicU64>,
}

/// What came of one more connection.
#[derive(Debug)]
pub(crate) enum Entered {
    /// There was a place.
    Free(Seat),
    /// Another connection was given up for it.
    Instead(Seat),
    /// There was none.
    Full,
}

impl Crowd {
    /// One more connection, which waits for its first request.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, fd: RawFd, max: usize, now_ms: u64) -> Entered {
        let address = addresses::of(address);
        let mut table = self.lock();
        let is_full = table.guests.len() >= max;
        if is_full && !table.make_room(address, now_ms) {
            return Entered::Full;
        }
        let number = table.next;
        let waits_since = Arc::new(AtomicU64::new(now_ms));
        table.next += 1;
        table.guests.insert(number, Guest { address, fd, waits_since: Arc::clone(&waits_since) });
        *table.by_address.entry(address).or_default() += 1;
        let seat = Seat { crowd: Arc::clone(self), number, waits_since };
        if is_full { Entered::Instead(seat) } else { Entered::Free(seat) }
    }

    /// Connections now.
    pub(crate) fn len(&self) -> usize {
        self.lock().guests.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Ends what can best be spared, if anything can.
    fn make_room(&mut self, newcomer: IpAddr, now_ms: u64) -> bool {
        let own = self.by_address.get(&newcomer).copied().unwrap_or(0);
        let Some((&most, &count)) = self.by_address.iter().max_by_key(|(_, count)| **count) else {
            return false;
        };
        let (address, patience_ms) = if own >= count { (newcomer, IDLE_MS) } else { (most, 0) };
        let waiting = self.guests.iter().filter(|(_, guest)| guest.address == address);
        let waiting = waiting.map(|(number, guest)| (guest.waits_since.load(Ordering::Relaxed), *number));
        let found = waiting.filter(|(since, _)| since.saturating_add(patience_ms) <= now_ms).min();
        let Some((since, number)) = found else { return false };
        let guest = &self.guests[&number];
        // Its request may have come just now.
        let given_up = guest.waits_since.compare_exchange(since, GONE, Ordering::AcqRel, Ordering::Relaxed);
        if given_up.is_ok() {
            socket::cut(guest.fd);
            self.leave(number);
        }
        given_up.is_ok()
    }

    fn leave(&mut self, number: u64) {
        let Some(guest) = self.guests.remove(&number) else { return };
        if let Some(count) = self.by_address.get_mut(&guest.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&guest.address);
            }
        }
    }
}

impl Seat {
    /// A request was answered: the connection waits for another.
    pub(crate) fn waits(&self, now_ms: u64) {
        self.waits_since.store(now_ms, Ordering::Release);
    }

    /// A request has come. False when the connection was given up.
    pub(crate) fn is_asked(&self) -> bool {
        self.waits_since.swap(BUSY, Ordering::AcqRel) != GONE
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No descriptor: the kernel refuses it.
    const NONE: RawFd = -1;

    fn come(crowd: &Arc<Crowd>, address: &str, now_ms: u64) -> Entered {
        crowd.enter(address.parse().unwrap(), NONE, 3, now_ms)
    }

    fn seat(entered: Entered) -> Seat {
        match entered {
            Entered::Free(seat) | Entered::Instead(seat) => seat,
            Entered::Full => panic!("there was no place"),
        }
    }

    #[test]
    fn the_address_that_has_most_gives_up_what_waited_longest() {
        let crowd = Arc::default();
        let one = seat(come(&crowd, "1.1.1.1", 10));
        let two = seat(come(&crowd, "1.1.1.1", 5));
        let three = seat(come(&crowd, "2.2.2.2", 1));
        let Entered::Instead(four) = come(&crowd, "3.3.3.3", 20) else { panic!() };
        assert!(one.is_asked() && three.is_asked() && four.is_asked());
        assert!(!two.is_asked(), "it was given up");
        assert_eq!(crowd.len(), 3);
        drop((one, two, three, four));
        assert_eq!(crowd.len(), 0);
        assert!(crowd.lock().by_address.is_empty());
    }

    #[test]
    fn who_is_being_answered_stays_and_who_has_most_waits_a_little() {
        let crowd = Arc::default();
        let held: Vec<Seat> = (0..3).map(|at| seat(come(&crowd, "1.1.1.1", at))).collect();
        assert!(matches!(come(&crowd, "1.1.1.1", 999), Entered::Full));
        assert!(held.iter().all(Seat::is_asked));
        assert!(matches!(come(&crowd, "2.2.2.2", 9_000), Entered::Full));
        held[1].waits(9_000);
        assert!(matches!(come(&crowd, "1.1.1.1", 9_999), Entered::Full));
        let own = come(&crowd, "1.1.1.1", 10_000);
        assert!(matches!(own, Entered::Instead(_)) && !held[1].is_asked());
    }
}
