//! Connections by address, where that is limited. An address is a whole IPv4 address, or the first half of an IPv6 address: that is
//! what one subscriber of a network gets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Addresses of which it is remembered how fast they open connections. Those of which nothing needs to be remembered make place; if
/// none does, a new one is let pass and counted.
const RATES_MAX: usize = 65_536;
const MINUTE_MS: u64 = 60_000;
/// How often such are looked for while there is no place: a look goes through all of them, and everybody waits for it.
const SWEEP_MS: u64 = 1_000;

/// What stands for an address while a connection from it is open, in the place of the address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(NonZeroU32);

/// See the module's own text. Looked at when a connection opens or closes, and only where there is a limit.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_address: HashMap<IpAddr, u32>,
    rates: HashMap<IpAddr, Rate>,
    /// When those of which nothing needs to be remembered were last looked for.
    swept_ms: u64,
    unwatched: u64,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    connections: u32,
}

/// A bucket that holds a minute's worth.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// In units of one connection a minute and millisecond.
    debt: u64,
    at_ms: u64,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fullness {
    /// Addresses with a connection.
    pub(crate) addresses: usize,
    /// Connections of the one that has most.
    pub(crate) most: u32,
    /// Addresses whose rate is remembered.
    pub(crate) rates: usize,
    /// Connections let pass because no more addresses can be remembered.
    pub(crate) unwatched: u64,
}

impl Addresses {
    /// One more connection from an address; nothing when it has as many as it may.
    pub(crate) fn enter(&self, address: IpAddr, max: u32) -> Option<Place> {
        let address = of(address);
        let mut table = self.lock();
        let Table { entries, free, by_address, .. } = &mut *table;
        let at = *by_address.entry(address).or_insert_with(|| {
            let entry = Entry { address, connections: 0 };
            match free.pop() {
                Some(at) => {
                    entries[at as usize] = entry;
                    at
                }
                None => {
                    entries.push(entry);
                    u32::try_from(entries.len() - 1)
                        .expect("invariant: connections are bounded far below 2^31")
                }
            }
        });
        let entry = &mut entries[at as usize];
        if entry.connections >= max {
            return None;
        }
        entry.connections += 1;
        NonZeroU32::new(at + 1).map(Place)
    }

    /// One connection less.
    pub(crate) fn leave(&self, place: Place) {
        let mut table = self.lock();
        let at = place.0.get() - 1;
        let entry = &mut table.entries[at as usize];
        entry.connections -= 1;
        if entry.connections == 0 {
            let address = entry.address;
            table.by_address.remove(&address);
            table.free.push(at);
        }
    }

    /// Whether an address may open one more connection now.
    pub(crate) fn may_open(&self, address: IpAddr, per_minute: u32, now_ms: u64) -> bool {
        let (address, cost) = (of(address), MINUTE_MS);
        let max = u64::from(per_minute) * cost;
        let left = |rate: &Rate| {
            rate.debt.saturating_sub(now_ms.saturating_sub(rate.at_ms).saturating_mul(u64::from(per_minute)))
        };
        let mut table = self.lock();
        if table.rates.len() >= RATES_MAX && !table.rates.contains_key(&address) {
            if now_ms >= table.swept_ms + SWEEP_MS {
                table.swept_ms = now_ms;
                table.rates.retain(|_, rate| left(rate) > 0);
            }
            if table.rates.len() >= RATES_MAX {
                table.unwatched += 1;
                return true;
            }
        }
        let rate = table.rates.entry(address).or_insert(Rate { debt: 0, at_ms: now_ms });
        let debt = left(rate);
        let may = debt + cost <= max;
        *rate = Rate { debt: if may { debt + cost } else { debt }, at_ms: now_ms };
        may
    }

    pub(crate) fn fullness(&self) -> Fullness {
        let table = self.lock();
        let of_addresses = table.by_address.values().map(|at| table.entries[*at as usize].connections);
        Fullness {
            addresses: table.by_address.len(),
            most: of_addresses.max().unwrap_or(0),
            rates: table.rates.len(),
            unwatched: table.unwatched,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands for all addresses of one subscriber.
pub(crate) fn of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_bound_and_gets_back_what_it_left() {
        let addresses = Addresses::default();
        let first = addresses.enter(address("1.1.1.1"), 2).unwrap();
        assert_eq!(addresses.enter(address("::ffff:1.1.1.1"), 2), Some(first));
        assert_eq!(addresses.enter(address("1.1.1.1"), 2), None);
        let second = addresses.enter(address("2001:db8::1"), 1).unwrap();
        assert_eq!(addresses.enter(address("2001:db8::2"), 1), None, "one subscriber");
        assert!(addresses.enter(address("2001:db8:0:1::2"), 1).is_some());
        assert_eq!((addresses.fullness().addresses, addresses.fullness().most), (3, 2));
        addresses.leave(first);
        assert!(addresses.enter(address("1.1.1.1"), 2).is_some());
        addresses.leave(second);
        assert_eq!(addresses.enter(address("9.9.9.9"), 1), Some(second), "its place is used again");
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_its_share() {
        let addresses = Addresses::default();
        let may = |now_ms| addresses.may_open(address("1.1.1.1"), 6, now_ms);
        assert_eq!((0..10).filter(|_| may(1_000)).count(), 6);
        assert!(!may(10_999) && may(11_000) && !may(11_000));
        assert!(addresses.may_open(address("1.1.1.2"), 6, 11_000));
        assert_eq!((0..10).filter(|_| may(900_000)).count(), 6);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let addresses = Addresses::default();
        for number in 0..RATES_MAX as u32 + 10 {
            assert!(addresses.may_open(IpAddr::V4(number.into()), 1, 5));
        }
        assert_eq!((addresses.fullness().rates, addresses.fullness().unwatched), (RATES_MAX, 10));
        assert!(addresses.may_open(address("9.9.9.9"), 1, 60_005));
        assert_eq!(addresses.fullness().rates, 1, "those of a minute ago need not be remembered");
    }
}
