//! Who reads a room that remembers its readers, and how far each of them has come.

use std::collections::BTreeMap;

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::class::Class;
use crate::durable::{Cursor, Subscriber};
use crate::home::log::Kept;
use crate::id::Address;
use crate::options::Options;
use crate::time::Now;

/// One subscriber of one room.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Everything up to here is settled: acknowledged, given up, or handed out where that is enough.
    pub(crate) cursor: u64,
    /// When it was here last, while it is away.
    pub(crate) seen_ms: u64,
    /// When what it has not acknowledged was sent last, if later than it was published.
    pub(crate) sent_ms: u64,
    pub(crate) role: Box<str>,
    pub(crate) connections: SmallVec<[(Address, Class); 1]>,
    /// How far redeliveries went, in rising order.
    rounds: SmallVec<[u64; 2]>,
}

impl Subscription {
    pub(crate) fn new(cursor: u64, role: Box<str>, now: Now) -> Self {
        Self {
            cursor,
            seen_ms: now.mono_ms(),
            sent_ms: now.mono_ms(),
            role,
            connections: SmallVec::new(),
            rounds: SmallVec::new(),
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Whether a kept message must get to it.
    pub(crate) fn is_owed(&self, who: &Subscriber, kept: &Kept, now: Now, options: &Options) -> bool {
        kept.entry.is_owed_to(&who.user, &self.role, options) && kept.is_fresh(now)
    }

    /// Everything up to `offset` is settled. False when it was already.
    pub(crate) fn settle(&mut self, offset: u64) -> bool {
        let further = offset > self.cursor;
        self.cursor = offset.max(self.cursor);
        self.rounds.retain(|round| *round > offset);
        further
    }

    /// What lies up to here has been sent as often as it may.
    pub(crate) fn spent(&self, max_deliver: u32) -> u64 {
        let again = max_deliver.saturating_sub(1) as usize;
        match self.rounds.len().checked_sub(again) {
            // Sent once, and that is all.
            Some(_) if again == 0 => u64::MAX,
            Some(at) => self.rounds[at],
            None => 0,
        }
    }

    /// Everything up to `offset` was sent once more.
    pub(crate) fn sent_again(&mut self, offset: u64, max_deliver: u32, now: Now) {
        self.sent_ms = now.mono_ms();
        self.rounds.push(offset);
        self.rounds.sort_unstable();
        // Of more than that only the furthest count.
        if self.rounds.len() >= max_deliver as usize {
            self.rounds.remove(0);
        }
    }

    pub(crate) fn as_stored(&self) -> Cursor {
        // Who is here when the process dies was there until then, whenever it acknowledged last.
        let seen_ms = if self.is_here() { Cursor::HERE } else { self.seen_ms };
        Cursor { offset: self.cursor, seen_ms }
    }
}

/// All subscribers of one room.
#[derive(Debug)]
pub(crate) struct Subscribers {
    all: BTreeMap<Subscriber, Subscription>,
    /// Whose connection that is.
    here: HashMap<Address, Subscriber, FixedState>,
    /// When somebody may have left something unacknowledged for too long; [`u64::MAX`]: nothing was sent.
    pub(crate) check_ms: u64,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self { all: BTreeMap::new(), here: HashMap::default(), check_ms: u64::MAX }
    }
}

impl Subscribers {
    /// The room's count begins anew: nobody owes anything.
    pub(crate) fn begin_anew(&mut self) {
        for subscription in self.all.values_mut() {
            subscription.cursor = 0;
            subscription.rounds.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn get_mut(&mut self, subscriber: &Subscriber) -> Option<&mut Subscription> {
        self.all.get_mut(subscriber)
    }

    pub(crate) fn insert(&mut self, subscriber: Subscriber, subscription: Subscription) {
        self.all.insert(subscriber, subscription);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Subscriber, &Subscription)> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Subscriber, &mut Subscription)> {
        self.all.iter_mut()
    }

    /// A connection of a known subscriber came.
    pub(crate) fn enter(&mut self, subscriber: &Subscriber, address: Address, class: Class) {
        let subscription = self.all.get_mut(subscriber).expect("invariant: the caller has put it in");
        subscription.connections.push((address, class));
        self.here.insert(address, subscriber.clone());
    }

    /// A connection went: whose it was.
    pub(crate) fn exit(&mut self, address: Address) -> Option<(Subscriber, &mut Subscription)> {
        let subscriber = self.here.remove(&address)?;
        let subscription = self.all.get_mut(&subscriber).expect("invariant: who is here is a subscriber");
        subscription.connections.retain(|(other, _)| *other != address);
        Some((subscriber, subscription))
    }

    /// Who has that connection.
    pub(crate) fn of(&mut self, address: Address) -> Option<(&Subscriber, &mut Subscription)> {
        let subscriber = self.here.get(&address)?;
        let subscription = self.all.get_mut(subscriber).expect("invariant: who is here is a subscriber");
        Some((subscriber, subscription))
    }

    pub(crate) fn remove(&mut self, subscriber: &Subscriber) {
        if let Some(gone) = self.all.remove(subscriber) {
            gone.connections.iter().for_each(|(address, _)| drop(self.here.remove(address)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ms: u64) -> Now {
        Now { mono_us: ms * 1_000, unix_ms: 0 }
    }

    #[test]
    fn what_was_sent_often_enough_is_spent() {
        let mut once = Subscription::new(0, "".into(), now(0));
        assert_eq!(once.spent(1), u64::MAX);
        once.sent_again(5, 1, now(1));
        assert_eq!(once.spent(1), u64::MAX);
        let mut thrice = Subscription::new(0, "".into(), now(0));
        assert_eq!(thrice.spent(3), 0);
        thrice.sent_again(5, 3, now(1));
        assert_eq!(thrice.spent(3), 0, "sent twice");
        thrice.sent_again(8, 3, now(2));
        assert_eq!(thrice.spent(3), 5, "the first five were sent three times");
        thrice.sent_again(9, 3, now(3));
        assert_eq!(thrice.spent(3), 8);
        thrice.settle(8);
        assert_eq!((thrice.spent(3), thrice.cursor), (0, 8), "the ninth was sent twice");
    }

    #[test]
    fn cursors_never_go_back() {
        let mut subscription = Subscription::new(4, "".into(), now(0));
        assert!(!subscription.settle(3) && !subscription.settle(4) && subscription.settle(9));
        assert_eq!(subscription.cursor, 9);
    }
}
