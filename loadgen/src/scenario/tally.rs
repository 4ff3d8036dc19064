//! What scenarios with messages count: every event of the fleet passes through here, so this is the hot path.

use hdrhistogram::Histogram;

use super::in_flight::InFlight;
use crate::client::Event;
use crate::failure::Failures;
use crate::plan::Memberships;
use crate::report::histogram;
use crate::scan::Delivery;
use crate::timeline::Timeline;
use crate::verify::Verifier;

/// The account of a run.
pub(super) struct Tally {
    memberships: Memberships,
    /// Order, loss and repetition, by membership.
    pub(super) verifier: Verifier,
    /// The number after the last message that each membership got; tells what a lost member still lacked.
    next_number: Vec<u32>,
    /// Messages under way (closed loop only needs it, but it costs nothing to keep).
    pub(super) in_flight: InFlight,
    /// Members of each room that are still connected.
    members: Vec<u32>,
    /// The highest offset that was acknowledged in each room.
    last_offset: Vec<u64>,
    /// Publish to delivery, for messages meant to be sent within the window.
    pub(super) latency: Histogram<u64>,
    /// Publish to its answer, for the same messages.
    pub(super) acknowledged: Histogram<u64>,
    /// When each message was meant to be sent and to which room, by its number.
    messages: Vec<(u64, u32)>,
    /// The same by time, once there is a window.
    pub(super) timeline: Option<Timeline>,
    window: (u64, u64),
    /// Publishes sent.
    pub(super) sent: u64,
    /// Publishes acknowledged.
    pub(super) published: u64,
    /// Publishes refused.
    pub(super) refused: u64,
    /// Why they were.
    pub(super) refusals: Failures,
    /// Messages received, by all members together.
    pub(super) deliveries: u64,
}

impl Tally {
    /// Nothing happened yet.
    ///
    /// # Errors
    /// The histogram's bounds are wrong (never).
    pub(super) fn new(memberships: Memberships) -> Result<Self, String> {
        Ok(Self {
            memberships,
            verifier: Verifier::new(memberships.total()),
            next_number: vec![0; memberships.total()],
            in_flight: InFlight::default(),
            members: vec![0; memberships.rooms as usize],
            last_offset: vec![0; memberships.rooms as usize],
            latency: histogram()?,
            acknowledged: histogram()?,
            messages: Vec::new(),
            timeline: None,
            window: (0, 0),
            sent: 0,
            published: 0,
            refused: 0,
            refusals: Failures::default(),
            deliveries: 0,
        })
    }

    /// Latency is recorded for messages meant to be sent from `begin` until before `end`.
    ///
    /// # Errors
    /// The timeline's bounds are wrong (never).
    pub(super) fn set_window(&mut self, begin: u64, end: u64) -> Result<(), String> {
        self.window = (begin, end);
        self.timeline = Some(Timeline::new(begin, end)?);
        Ok(())
    }

    /// Whether the connection is in the room now.
    pub(super) fn is_member(&self, connection: u32, room: u32) -> bool {
        self.memberships.index(room, connection).is_some_and(|index| self.verifier.is_member(index))
    }

    /// The last offset that a member has got, or its join told.
    pub(super) fn place(&self, connection: u32, room: u32) -> Option<u64> {
        self.memberships.index(room, connection).and_then(|index| self.verifier.place(index))
    }

    /// Members connected, over all rooms.
    pub(super) fn members(&self) -> u64 {
        self.members.iter().copied().map(u64::from).sum()
    }

    /// The number of the next message.
    pub(super) fn next_number(&self) -> u32 {
        // 2^32 messages fill their account's 64 GiB before this wraps.
        self.messages.len() as u32
    }

    /// The next message was sent to `room`, meant to be at `intended`.
    pub(super) fn sent(&mut self, room: u32, intended: u64) {
        self.messages.push((intended, room));
        self.sent += 1;
        self.in_flight.sent(room, self.members[room as usize]);
    }

    /// Where each room stands, as far as answers told.
    pub(super) fn last_offsets(&self) -> &[u64] {
        &self.last_offset
    }

    /// A room stands there: what was published up to that is to come.
    pub(super) fn stands_at(&mut self, room: u32, offset: u64) {
        let last = &mut self.last_offset[room as usize];
        *last = offset.max(*last);
    }

    /// Adds what another thread counted.
    ///
    /// # Errors
    /// The histograms' bounds differ (never).
    pub(super) fn add(&mut self, other: &Self) -> Result<(), String> {
        self.verifier.add(other.verifier.faults());
        self.deliveries += other.deliveries;
        self.latency.add(&other.latency).map_err(|error| error.to_string())?;
        match (&mut self.timeline, &other.timeline) {
            (Some(timeline), Some(other)) => timeline.add(other),
            _ => Ok(()),
        }
    }

    /// Publishes that nobody answered yet.
    pub(super) fn unanswered(&self) -> u64 {
        self.sent.saturating_sub(self.published + self.refused)
    }

    /// Deliveries of acknowledged messages that have not come to members still connected.
    pub(super) fn missing(&self) -> u64 {
        let members = self.memberships.members as usize;
        let by_room = self.last_offset.iter().enumerate();
        let behind = by_room.flat_map(|(room, &last)| {
            let memberships = room * members..(room + 1) * members;
            memberships.map(move |membership| self.verifier.behind(membership, last))
        });
        // A server may claim any offset: the sum must not overflow.
        behind.fold(0, u64::saturating_add)
    }

    /// Takes one event of a connection, read at `now`.
    #[inline]
    pub(super) fn on(&mut self, connection: u32, now: u64, event: Event<'_>) {
        match event {
            Event::Delivered(delivery) => self.delivered(connection, now, delivery),
            Event::Published { number, offset } => self.answered(number, offset, now),
            Event::Refused { number, name } => {
                self.refused += 1;
                self.refusals.count(&format_args!("publish refused: {name}"));
                self.in_flight.refused(number);
            }
            Event::Joined { room, offset, .. } => self.joined(connection, room, offset),
            Event::Left { room } => self.left(connection, room),
            Event::Gone => self.gone(connection),
            Event::Welcomed => {}
        }
    }

    /// A publish was accepted.
    fn answered(&mut self, number: u32, offset: u64, now: u64) {
        self.accepted(number, offset);
        let Some(&(intended, _)) = self.messages.get(number as usize) else { return };
        if (self.window.0..self.window.1).contains(&intended) {
            self.acknowledged.saturating_record(now.saturating_sub(intended).max(1));
        }
    }

    /// The same without an answer, from a server that gives none.
    pub(super) fn accepted(&mut self, number: u32, offset: u64) {
        self.published += 1;
        let room = self.messages.get(number as usize).map_or(0, |&(_, room)| room as usize);
        if let Some(last) = self.last_offset.get_mut(room) {
            *last = offset.max(*last);
        }
    }

    #[inline]
    fn delivered(&mut self, connection: u32, now: u64, delivery: Delivery) {
        let Some(membership) = self.memberships.index(delivery.room, connection) else {
            self.verifier.stray();
            return;
        };
        self.deliveries += 1;
        self.verifier.delivered(membership, delivery.offset);
        let Some(stamp) = delivery.stamp else { return };
        self.next_number[membership] = stamp.number.wrapping_add(1);
        self.in_flight.delivered(stamp.number);
        if (self.window.0..self.window.1).contains(&stamp.intended) {
            let latency = now.saturating_sub(stamp.intended).max(1);
            self.latency.saturating_record(latency);
            if let Some(timeline) = &mut self.timeline {
                timeline.delivered(stamp.intended, latency);
            }
        }
    }

    fn joined(&mut self, connection: u32, room: u32, offset: u64) {
        match self.memberships.index(room, connection) {
            Some(membership) if !self.verifier.is_member(membership) => {
                self.verifier.joined(membership, offset);
                self.members[room as usize] += 1;
            }
            // An answer to a join that was never sent, or twice.
            _ => self.verifier.stray(),
        }
    }

    fn gone(&mut self, connection: u32) {
        for room in self.memberships.rooms_of(connection) {
            self.left(connection, room);
        }
    }

    fn left(&mut self, connection: u32, room: u32) {
        let Some(membership) = self.memberships.index(room, connection) else { return };
        if self.verifier.is_member(membership) {
            self.verifier.left(membership);
            self.members[room as usize] -= 1;
            self.in_flight.member_gone(room, self.next_number[membership]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;
    use crate::verify::Faults;

    fn delivery(room: u32, offset: u64, number: u32, intended: u64) -> Event<'static> {
        Event::Delivered(Delivery { room, offset, stamp: Some(Stamp { intended, number }) })
    }

    fn joined(room: u32, offset: u64) -> Event<'static> {
        Event::Joined { room, offset, epoch: "e", recovered: false }
    }

    /// Two rooms of two members on two connections, all joined at offset 4, one message sent to each room.
    fn tally() -> Tally {
        let mut tally = Tally::new(Memberships { rooms: 2, members: 2, connections: 2 }).unwrap();
        for connection in 0..2 {
            for room in 0..2 {
                tally.on(connection, 0, joined(room, 4));
            }
        }
        tally.sent(0, 100);
        tally.sent(1, 150);
        assert_eq!(tally.next_number(), 2);
        tally
    }

    #[test]
    fn a_run_without_faults_ends_with_nothing_missing() {
        let mut tally = tally();
        tally.set_window(100, 200).unwrap();
        tally.on(9, 0, Event::Published { number: 0, offset: 5 });
        tally.on(9, 0, Event::Published { number: 1, offset: 5 });
        assert_eq!((tally.missing(), tally.unanswered(), tally.in_flight.under_way()), (4, 0, 2));
        assert_eq!(tally.acknowledged.len(), 2);
        for connection in 0..2 {
            tally.on(connection, 5_100, delivery(0, 5, 0, 100));
            tally.on(connection, 5_100, delivery(1, 5, 1, 200));
        }
        assert_eq!((tally.missing(), tally.deliveries, tally.in_flight.under_way()), (0, 4, 0));
        assert!(tally.verifier.faults().is_clean());
        assert_eq!(tally.latency.len(), 2, "messages outside the window are not counted");
    }

    #[test]
    fn a_lost_member_holds_nothing_up_and_misses_nothing() {
        let mut tally = tally();
        tally.on(9, 0, Event::Published { number: 0, offset: 5 });
        tally.on(1, 1, delivery(0, 5, 0, 0));
        tally.on(0, 2, Event::Gone);
        tally.on(1, 3, delivery(1, 5, 1, 0));
        assert_eq!((tally.missing(), tally.in_flight.under_way(), tally.members()), (0, 0, 2));
        assert!(tally.verifier.faults().is_clean());
    }

    #[test]
    fn nonsense_from_a_server_is_counted() {
        let mut tally = tally();
        tally.on(0, 0, delivery(7, 1, 0, 0));
        tally.on(0, 0, joined(7, 0));
        tally.on(0, 0, joined(0, 0));
        tally.on(0, 0, Event::Refused { number: 4_000_000_000, name: "X" });
        assert_eq!(tally.verifier.faults(), Faults { stray: 3, ..Faults::default() });
        assert_eq!(tally.refusals.total(), 1);
        tally.on(0, 0, Event::Published { number: 0, offset: u64::MAX });
        assert!(tally.missing() > 0);
    }
}
