//! An urgent message goes ahead of what waits for a slow reader.
//!
//! ```text
//!   begun │ joined │ 9 │ 5 5 │ 0 0 0 0 0 (0)     what waits, with the priority of each message
//!         └────────┴───┴─────┘ ▲         ▲
//!         never overtaken      │         the place that a 3 leaves here when it goes there
//! ```
//! It stays behind what is partly sent, behind what is no message, and behind messages that are as urgent: a
//! room's messages of one priority keep their order, and none comes before the answer to the join.

use bytes::Bytes;
use fanfare_protocol::RoomName;

use crate::id::Epoch;
use crate::local::backlog::{Backlog, Segment};
use crate::local::due::Due;
use crate::local::shed::{Stretch, What};
use crate::room_type::Slow;

impl Backlog {
    /// Appends frames of a room's messages; those with a priority go ahead of what is less urgent.
    pub(crate) fn push_due(&mut self, room: &RoomName, epoch: Epoch, slow: Slow, due: Due) {
        due.split(|part| {
            if part.priority == 0 {
                self.push_messages(part.bytes, Stretch::new(room, epoch, slow, part.marks));
            } else {
                self.overtake(part.bytes, part.priority, room, epoch);
            }
        });
    }

    fn overtake(&mut self, bytes: Bytes, priority: u8, room: &RoomName, epoch: Epoch) {
        let begun = self.begun();
        let mut at = self.segments.len();
        // The last of what is known of its own room among all that it overtakes.
        let mut own: Option<&Stretch> = None;
        while at > begun {
            let segment = &self.segments[at - 1];
            let of_room = segment.of.as_deref().filter(|of| of.is_of(room, epoch));
            let tells_a_gap = of_room.is_some_and(|of| of.what == What::Gap);
            if segment.rank >= priority || tells_a_gap {
                break;
            }
            own = own.or(of_room);
            at -= 1;
        }
        // Later messages of the room may be dropped one day, and these as well, but not in one notice: it would tell
        // that this one is missing too. The place needs to be marked once only.
        let leaves = own.filter(|of| of.what == What::Frames).map(Stretch::left_place);
        self.bytes += bytes.len();
        self.segments.insert(at, Segment { bytes, rank: priority, of: None });
        if let Some(place) = leaves {
            self.segments.push_back(Segment { bytes: Bytes::new(), rank: 0, of: Some(place) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::due::{Mark, Notes};

    /// Frames of a room of four bytes each: its letter, the offset, the priority and one that ends it.
    fn due(room: &str, frames: &[(u64, u8)]) -> Due {
        let (mut text, mut notes) = (String::new(), Notes::default());
        for (offset, priority) in frames {
            let begin = text.len();
            text.push_str(&format!("{}{offset}{priority} ", &room[..1]));
            notes.add(begin, text.len(), Some(Mark { end: 0, offset: *offset, key: 0 }), *priority);
        }
        Due { bytes: text.into(), notes }
    }

    fn push(backlog: &mut Backlog, room: &str, frames: &[(u64, u8)]) {
        let name = RoomName::parse(&format!("{room}:1")).unwrap();
        let slow = if room == "d" { Slow::Disconnect } else { Slow::DropOldest };
        backlog.push_due(&name, Epoch(1), slow, due(room, frames));
    }

    fn notice(of: &Stretch) -> Bytes {
        let (first, last) = of.offsets();
        format!("<{}{first}-{last}> ", &of.room.as_str()[..1]).into()
    }

    fn drained(backlog: &mut Backlog) -> String {
        let mut text = String::new();
        while let Some(front) = backlog.front() {
            assert!(!front.is_empty(), "a socket was to be written to with nothing");
            text.push_str(str::from_utf8(front).unwrap());
            backlog.advance(front.len());
        }
        assert_eq!(backlog.bytes(), 0);
        assert!(backlog.segments.is_empty(), "{backlog:?}");
        text
    }

    #[test]
    fn what_is_urgent_goes_ahead_of_what_is_less_so_of_any_room() {
        let mut backlog = Backlog::new(0);
        push(&mut backlog, "a", &[(1, 0), (2, 0)]);
        push(&mut backlog, "b", &[(1, 0), (2, 5), (3, 0)]);
        push(&mut backlog, "d", &[(1, 3), (2, 9)]);
        push(&mut backlog, "a", &[(3, 5), (4, 3), (5, 0)]);
        assert_eq!(drained(&mut backlog), "d29 b25 a35 d13 a43 a10 a20 b10 b30 a50 ");
    }

    #[test]
    fn what_is_partly_sent_and_what_is_no_message_keeps_its_place() {
        let mut backlog = Backlog::starting_at(Bytes::from_static(b"a10 a20 "), 1, 0);
        push(&mut backlog, "a", &[(3, 0), (4, 1)]);
        backlog.push(Bytes::from_static(b"joined "));
        push(&mut backlog, "b", &[(1, 0), (2, 9)]);
        push(&mut backlog, "a", &[(5, 2)]);
        assert_eq!(drained(&mut backlog), "10 a20 a41 a30 joined b29 a52 b10 ");
        // The first of all, until something of it is sent.
        let first = |sent: usize| {
            let mut backlog = Backlog::new(0);
            push(&mut backlog, "a", &[(1, 0)]);
            backlog.advance(sent);
            push(&mut backlog, "a", &[(2, 1)]);
            drained(&mut backlog)
        };
        assert_eq!((first(0).as_str(), first(1).as_str()), ("a21 a10 ", "10 a21 "));
    }

    #[test]
    fn a_notice_never_reaches_over_what_went_ahead() {
        let mut backlog = Backlog::new(0);
        push(&mut backlog, "a", &[(1, 0), (2, 0)]);
        push(&mut backlog, "b", &[(1, 0)]);
        push(&mut backlog, "a", &[(3, 4), (4, 0)]);
        push(&mut backlog, "b", &[(2, 0)]);
        // What went ahead is sent before anything is dropped; its place is kept. Another room's place says nothing.
        backlog.advance(4);
        assert_eq!(backlog.shed(0, notice), 5);
        assert_eq!(drained(&mut backlog), "<a1-2> <b1-2> <a4-4> ");
    }

    #[test]
    fn what_is_urgent_is_never_dropped_and_stays_behind_its_own_rooms_notice() {
        let mut backlog = Backlog::new(0);
        push(&mut backlog, "b", &[(1, 0)]);
        push(&mut backlog, "a", &[(1, 0), (2, 1)]);
        assert_eq!(backlog.shed(0, notice), 2);
        push(&mut backlog, "a", &[(3, 0), (4, 5)]);
        assert_eq!(drained(&mut backlog), "a21 <b1-1> <a1-1> a45 a30 ");
        push(&mut backlog, "a", &[(5, 9)]);
        assert_eq!(backlog.shed(0, notice), 0);
        assert_eq!(drained(&mut backlog), "a59 ");
    }

    #[test]
    fn places_do_not_pile_up() {
        let mut backlog = Backlog::new(0);
        push(&mut backlog, "a", &[(1, 0)]);
        for offset in 2..9 {
            push(&mut backlog, "a", &[(offset, 7)]);
            backlog.advance(4);
        }
        assert_eq!(backlog.segments.len(), 2, "{backlog:?}");
        // Nor when what they stood behind is gone.
        let keyed = |offset: u64| {
            let (bytes, mut notes) = (Bytes::from_static(b"c.. "), Notes::default());
            notes.add(0, 4, Some(Mark { end: 0, offset, key: 1 }), 0);
            Due { bytes, notes }
        };
        let room = RoomName::parse("c:1").unwrap();
        for offset in 0..20 {
            backlog.push_due(&room, Epoch(1), Slow::Conflate, keyed(2 * offset + 1));
            backlog.push_due(&room, Epoch(1), Slow::Conflate, due("c", &[(2 * offset + 2, 7)]));
            backlog.advance(backlog.front().unwrap().len());
            backlog.shed(1_000, notice);
        }
        assert_eq!((backlog.segments.len(), backlog.bytes()), (5, 8), "{backlog:?}");
        assert_eq!(drained(&mut backlog), "a10 c.. ");
        // And where nothing stands before it any more, a place is no place.
        backlog.push_due(&room, Epoch(1), Slow::Conflate, keyed(1));
        backlog.push_due(&room, Epoch(1), Slow::Conflate, due("c", &[(2, 7)]));
        backlog.advance(4);
        backlog.push_due(&room, Epoch(1), Slow::Conflate, keyed(3));
        assert_eq!(backlog.shed(1_000, notice), 1);
        assert_eq!(drained(&mut backlog), "c.. ");
    }
}
