//! The closed loop's account: which messages are under way, and how many members still lack each.

use std::collections::VecDeque;

/// One message under way.
#[derive(Clone, Copy, Debug)]
struct Message {
    room: u32,
    /// Members that lack it; 0: done.
    lacking: u32,
}

/// The messages under way, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Number of the front message.
    first: u32,
    messages: VecDeque<Message>,
    under_way: u32,
}

impl InFlight {
    /// How many messages are not done.
    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// A message was sent to a room with so many members. Numbers follow each other from 0.
    pub(super) fn sent(&mut self, room: u32, members: u32) {
        self.messages.push_back(Message { room, lacking: members });
        self.under_way += u32::from(members > 0);
        self.forget_done();
    }

    /// One member has it.
    #[inline]
    pub(super) fn delivered(&mut self, number: u32) {
        let Some(message) = self.messages.get_mut(number.wrapping_sub(self.first) as usize) else { return };
        if message.lacking > 0 {
            message.lacking -= 1;
            if message.lacking == 0 {
                self.under_way -= 1;
                self.forget_done();
            }
        }
    }

    /// Nobody will get it.
    pub(super) fn refused(&mut self, number: u32) {
        let Some(message) = self.messages.get_mut(number.wrapping_sub(self.first) as usize) else { return };
        if message.lacking > 0 {
            message.lacking = 0;
            self.under_way -= 1;
            self.forget_done();
        }
    }

    /// A member of `room` is gone that had everything before message `next`.
    pub(super) fn member_gone(&mut self, room: u32, next: u32) {
        let skip = (next.wrapping_sub(self.first).cast_signed()).max(0) as usize;
        for message in self.messages.iter_mut().skip(skip) {
            if message.room == room && message.lacking > 0 {
                message.lacking -= 1;
                self.under_way -= u32::from(message.lacking == 0);
            }
        }
        self.forget_done();
    }

    fn forget_done(&mut self) {
        while self.messages.front().is_some_and(|message| message.lacking == 0) {
            self.messages.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_done_when_all_members_have_it_in_any_order() {
        let mut in_flight = InFlight::default();
        in_flight.sent(0, 2);
        in_flight.sent(1, 1);
        in_flight.delivered(1);
        assert_eq!(in_flight.under_way(), 1);
        in_flight.delivered(0);
        in_flight.delivered(0);
        assert_eq!(in_flight.under_way(), 0);
        in_flight.sent(0, 1);
        in_flight.delivered(0);
        in_flight.delivered(77);
        assert_eq!(in_flight.under_way(), 1);
        in_flight.delivered(2);
        assert_eq!(in_flight.under_way(), 0);
    }

    #[test]
    fn refusals_empty_rooms_and_lost_members_hold_nothing_up() {
        let mut in_flight = InFlight::default();
        in_flight.sent(0, 3);
        in_flight.refused(0);
        in_flight.refused(0);
        in_flight.sent(0, 0);
        assert_eq!(in_flight.under_way(), 0);
        in_flight.sent(0, 2);
        in_flight.sent(0, 2);
        in_flight.sent(1, 1);
        in_flight.delivered(2);
        // The member that has message 2 is gone: only message 3 stops waiting for it.
        in_flight.member_gone(0, 3);
        in_flight.delivered(2);
        in_flight.delivered(3);
        assert_eq!(in_flight.under_way(), 1);
    }
}
