//! What must be true of somebody when everything has come to rest: nothing is missing without a reason.

use std::collections::HashSet;

use fanfare_core::Slow;
use fanfare_protocol::RoomName;

use crate::ledger::Published;
use crate::person::{Hole, Kind, Membership, Person, kind};
use crate::survey::Survey;
use crate::{Acks, Ledger, World};

/// So many messages of the largest kind are never too much for one answer.
const FEW: u64 = 100;

impl Person {
    /// Checks everything that it has not got.
    ///
    /// # Panics
    /// There is no reason for it.
    pub(crate) fn check(&self, world: &World, ledger: &Ledger, acks: &Acks, survey: &Survey) {
        for hole in &self.holes {
            self.check_hole(ledger, hole);
        }
        for hole in &self.dropped {
            let number = ledger.at(&hole.room, &hole.epoch, hole.offset);
            let Some(message) = number.map(|number| ledger.message(number)) else { continue };
            let urgent = message.priority > 0 && self.is_meant(message, hole.client);
            assert!(!urgent, "{}: {hole:?}: {message:?} was dropped", self.who.user);
        }
        for (hole, told_ms) in &self.told {
            self.check_told(world, ledger, hole, *told_ms);
        }
        let Some(client) = self.client else { return };
        for (room, membership) in &self.rooms {
            assert!(membership.joined || !membership.asked, "{}: {room} was never joined", self.who.user);
        }
        for (room, membership) in self.rooms.iter().filter(|(_, of)| of.joined) {
            if let Kind::Acknowledged(_) = kind(world, room) {
                self.check_reader(world, ledger, acks, survey, room, membership, client);
                continue;
            }
            let stream = &membership.stream;
            if stream.unsure {
                continue;
            }
            for offset in stream.missing(ledger.last(room, &stream.epoch)) {
                let (room, epoch) = (room.clone(), stream.epoch.clone());
                self.check_hole(ledger, &Hole { room, epoch, offset, client });
            }
        }
        self.check_inbox(survey);
    }

    /// Where messages wait for who is away, and none is dropped for who is slow, a notice stands for nothing that was kept,
    /// unless it was too much.
    fn check_told(&self, world: &World, ledger: &Ledger, hole: &Hole, told_ms: u64) {
        let Hole { room, epoch, offset, client } = hole;
        let of = world.options.type_of(&RoomName::restore(room).expect("rooms are named well"));
        let waits = of.queue.size > 0 && of.slow == Slow::Disconnect;
        let few = ledger.is_latest(room, epoch)
            && ledger.last(room, epoch) <= u64::from(of.queue.size).min(FEW)
            && world.options.limits.replay_bytes >= 100_000;
        let Some(number) = ledger.at(room, epoch, *offset) else { return };
        let message = ledger.message(number);
        let is_kept = message.at_ms + of.kept().ttl_ms > told_ms && !message.expires;
        let is_owed = is_kept && self.is_meant(message, *client) && !self.is_own(room, message);
        assert!(
            !waits || !few || world.has_evicted() || !is_owed,
            "{}: {room} {epoch} {offset}: {message:?} was left out for no reason",
            self.who.user
        );
    }

    fn check_hole(&self, ledger: &Ledger, hole: &Hole) {
        let Hole { room, epoch, offset, client } = hole;
        // Whose publisher went before its answer, and which nobody else saw, nobody can judge.
        let Some(number) = ledger.at(room, epoch, *offset) else { return };
        let message = ledger.message(number);
        let meant = |of: &Published| self.is_meant(of, *client) && !self.is_own(room, of);
        // In a conflating room a newer one of the same key takes its place; that one must come, or have its own reason.
        // What is urgent is not replaced and replaces nothing.
        let replaced = message.key.is_some()
            && message.priority == 0
            && room.starts_with("c:")
            && (ledger
                .after(room, epoch, *offset)
                .any(|newer| newer.key == message.key && newer.priority == 0 && meant(newer))
                || !ledger.knows_all_after(room, epoch, *offset));
        let reason = !meant(message) || message.expires || replaced;
        assert!(
            reason,
            "{} ({}): {room} {epoch} {offset}, {number}: {message:?} never came",
            self.who.user, self.who.role
        );
    }

    /// Where the server remembers who reads, a publisher that wants no copy gets none on any connection.
    fn is_own(&self, room: &str, message: &Published) -> bool {
        message.exclude.is_some() && message.user == self.who.user && room.starts_with(['d', 'q'])
    }

    fn check_reader(
        &self,
        world: &World,
        ledger: &Ledger,
        acks: &Acks,
        survey: &Survey,
        room: &str,
        membership: &Membership,
        client: usize,
    ) {
        let reader = &membership.reader;
        let epoch = &reader.epoch;
        let acked = acks.sent(&self.reader, room, epoch);
        let is_dead = |offset| survey.dead.contains(&(self.who.user.clone(), epoch.clone(), offset));
        let needs = |offset: u64| {
            let message = ledger.at(room, epoch, offset).map(|number| ledger.message(number))?;
            let meant = self.is_meant(message, client) && !self.is_own(room, message);
            (meant && !message.expires && !is_dead(offset)).then_some(message)
        };
        let Some(cursor) = survey.cursors.get(&(room.to_owned(), epoch.clone(), self.reader.clone())) else {
            panic!("{}: {room} {epoch}: the server does not know this reader", self.who.user);
        };
        let last = ledger.last(room, epoch);
        let rule = world.options.type_of(&RoomName::parse(room).expect("rooms are named well")).kept();
        let overflowed = survey.evicted || last > u64::from(rule.size);
        // What the room could not keep is settled when something after it is given up.
        let is_kept = |message: &&Published| !overflowed && message.at_ms + rule.ttl_ms > world.now.mono_ms();
        // Another device of the user may have answered for this one.
        let settled = if self.who.shares { acked } else { 0 };
        let counts = |offset: &u64| *offset > settled && *offset > reader.start;
        for offset in reader.missing(last).filter(counts) {
            let message = needs(offset).filter(|message| offset > *cursor || is_kept(message));
            assert!(message.is_none(), "{}: {room} {epoch} {offset}: {message:?} never came", self.who.user);
        }
        // What is sent again goes ahead of what no flush has sent for so long, so where the room keeps little it may leave
        // something out that comes behind it.
        for offset in reader.holes.iter().copied().filter(counts) {
            let message = needs(offset).filter(is_kept);
            assert!(message.is_none(), "{}: {room} {epoch} {offset}: {message:?} never came", self.who.user);
        }
        let confirmed = acks.confirmed(&self.reader, room, epoch);
        assert!(*cursor >= confirmed, "{}: {room}: {cursor}, but acknowledged {confirmed}", self.who.user);
        for offset in acked.max(reader.start) + 1..=*cursor {
            let message = needs(offset).filter(|message| is_kept(message) && !self.who.shares);
            assert!(
                message.is_none(),
                "{}: {room} {epoch} {offset}: {message:?} is settled, but only {acked} was acknowledged",
                self.who.user
            );
        }
    }

    /// When nothing was acknowledged for long enough: everything was, or was given up.
    ///
    /// # Panics
    /// Something is neither.
    pub(crate) fn must_be_settled(&self, world: &World, ledger: &Ledger, survey: &Survey) {
        let Some(client) = self.client else { return };
        for (room, membership) in self.rooms.iter().filter(|(_, of)| of.joined) {
            let epoch = &membership.reader.epoch;
            let key = (room.to_owned(), epoch.clone(), self.reader.clone());
            let (Kind::Acknowledged(_), Some(cursor)) = (kind(world, room), survey.cursors.get(&key)) else {
                continue;
            };
            let rule = world.options.type_of(&RoomName::parse(room).expect("rooms are named well")).kept();
            // What the room could not keep is nobody's any more.
            if survey.evicted || ledger.last(room, epoch) > u64::from(rule.size) {
                continue;
            }
            for (at, message) in ledger.known_after(room, epoch, *cursor) {
                if message.at_ms + rule.ttl_ms <= world.now.mono_ms() {
                    continue;
                }
                let owed = self.is_meant(message, client) && !self.is_own(room, message) && !message.expires;
                assert!(!owed, "{}: {room} {epoch} {at} was forgotten after {cursor}", self.who.user);
            }
        }
    }

    fn check_inbox(&self, survey: &Survey) {
        let Some((epoch, stands)) = survey.inboxes.get(&self.who.user) else { return };
        let missing = self.inbox.missing(epoch, *stands);
        assert!(
            missing.is_empty(),
            "{}: {missing:?} of {stands} never came to the user's own room",
            self.who.user
        );
    }

    /// Whether it heard of all these messages to it, or was told that they would not come.
    ///
    /// # Panics
    /// It was not.
    pub(crate) fn must_have_heard(&self, ledger: &Ledger, numbers: &HashSet<usize>) {
        for number in numbers.difference(&self.inbox.heard) {
            let message = ledger.message(*number);
            let told = message.place.as_ref().is_none_or(|place| self.inbox.told.contains(place));
            assert!(told, "{}: {message:?} never came", self.who.user);
        }
    }
}
