//! What of a backlog may be dropped when too much waits: messages that a newer one makes useless, or the oldest,
//! with a notice in their place.

use std::collections::BTreeSet;

use bytes::Bytes;
use fanfare_protocol::RoomName;

use crate::id::Epoch;
use crate::local::backlog::{Backlog, Segment};
use crate::local::due::Mark;
use crate::room_type::Slow;

/// Messages of one room that may be dropped for a slow reader, or what stands in their place.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) room: RoomName,
    pub(crate) epoch: Epoch,
    slow: Slow,
    /// The frames and which messages they are; the notice has one for its first and its last.
    marks: Vec<Mark>,
    pub(super) what: What,
}

/// What a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Messages.
    Frames,
    /// The notice that messages were dropped.
    Gap,
    /// Nothing: here stood a message that has overtaken others, and no notice reaches over it.
    Place,
}

impl Stretch {
    /// Frames of a room; nothing where none of them may be dropped.
    pub(crate) fn new(room: &RoomName, epoch: Epoch, slow: Slow, marks: Vec<Mark>) -> Option<Box<Self>> {
        let droppable = match slow {
            Slow::Disconnect => marks.iter().any(|mark| mark.is_replaceable()),
            Slow::DropOldest | Slow::Conflate => !marks.is_empty(),
        };
        droppable.then(|| Box::new(Self { room: room.clone(), epoch, slow, marks, what: What::Frames }))
    }

    /// The place of a message that has overtaken these.
    pub(super) fn left_place(&self) -> Box<Self> {
        let Self { ref room, epoch, slow, .. } = *self;
        Box::new(Self { room: room.clone(), epoch, slow, marks: Vec::new(), what: What::Place })
    }

    /// The first and the last message.
    pub(crate) fn offsets(&self) -> (u64, u64) {
        let offset = |mark: Option<&Mark>| mark.map_or(0, |mark| mark.offset);
        (offset(self.marks.first()), offset(self.marks.last()))
    }

    pub(super) fn is_of(&self, room: &RoomName, epoch: Epoch) -> bool {
        self.epoch == epoch && self.room == *room
    }
}

impl Backlog {
    /// Drops what may be dropped until at most `enough` bytes wait, or nothing more may: first messages that a newer one
    /// of the same key makes useless, then the oldest. `notice` makes the frame that tells what is missing; it
    /// stands where the missing messages stood. Gives how many messages were dropped.
    pub(crate) fn shed(&mut self, enough: usize, notice: impl Fn(&Stretch) -> Bytes) -> u64 {
        let begun = self.begun();
        let mut dropped = self.conflate(begun);
        let mut at = begun;
        while self.bytes > enough && at < self.segments.len() {
            let may_go = |of: &&Stretch| of.what == What::Frames && of.slow != Slow::Disconnect;
            let Some(of) = self.segments[at].of.as_deref().filter(may_go) else {
                at += 1;
                continue;
            };
            // Frames that are of no stretch may be of the same room: a notice must not reach over them, nor over
            // the place of one that has gone ahead.
            let own = |other: &&Stretch| other.is_of(&of.room, of.epoch);
            let before =
                (begun..at).rev().map_while(|index| Some((index, self.segments[index].of.as_deref()?)));
            let earlier = before
                .filter(|(_, other)| own(other))
                .take_while(|(_, other)| other.what != What::Place)
                .find_map(|(index, other)| (other.what == What::Gap).then_some(index));
            dropped += of.marks.len() as u64;
            // What has no place is dropped without a word.
            let last = of.marks.iter().rev().find(|mark| mark.offset > 0).copied();
            if last.is_none() {
                let gone = self.segments.remove(at).map_or(0, |segment| segment.bytes.len());
                self.bytes -= gone;
                continue;
            }
            match (earlier, last) {
                (Some(earlier), Some(last)) => {
                    // All of the room between the notice and here has gone: the notice only grows.
                    let gone = self.segments.remove(at).map_or(0, |segment| segment.bytes.len());
                    self.bytes -= gone;
                    self.change(earlier, |of| of.marks.push(last), &notice);
                }
                _ => {
                    self.change(at, |of| of.what = What::Gap, &notice);
                    at += 1;
                }
            }
        }
        dropped
    }

    /// Turns a segment into a notice, or one notice into another.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Stretch), notice: &impl Fn(&Stretch) -> Bytes) {
        let Segment { bytes, of: Some(of), .. } = &mut self.segments[at] else { return };
        change(of);
        of.marks.retain(|mark| mark.offset > 0);
        if let [first, .., last] = of.marks[..] {
            of.marks = vec![first, last];
        }
        let new = notice(of);
        self.bytes = self.bytes + new.len() - bytes.len();
        *bytes = new;
    }

    /// Of the messages of a conflating room with the same key only the newest stays; of any room's, where they are signals.
    fn conflate(&mut self, begun: usize) -> u64 {
        let mut newer: BTreeSet<(RoomName, u64)> = BTreeSet::new();
        let mut dropped = 0;
        for segment in self.segments.range_mut(begun..).rev() {
            let is_message = |of: &&mut Stretch| of.what == What::Frames;
            let Some(of) = segment.of.as_deref_mut().filter(is_message) else { continue };
            let may_go = |mark: &Mark| match of.slow {
                Slow::Conflate => mark.key != 0,
                Slow::DropOldest | Slow::Disconnect => mark.is_replaceable(),
            };
            let is_newest = |mark: &Mark, newer: &mut BTreeSet<_>| {
                !may_go(mark) || newer.insert((of.room.clone(), mark.key))
            };
            let mut keep: Vec<bool> = of.marks.iter().rev().map(|mark| is_newest(mark, &mut newer)).collect();
            keep.reverse();
            if keep.iter().all(|keep| *keep) {
                continue;
            }
            let (mut kept, mut marks, mut begin) = (Vec::new(), Vec::new(), 0);
            for (mark, keep) in of.marks.iter().zip(keep) {
                let end = mark.end as usize;
                if keep {
                    kept.extend_from_slice(&segment.bytes[begin..end]);
                    marks.push(Mark { end: kept.len() as u32, ..*mark });
                } else {
                    dropped += 1;
                }
                begin = end;
            }
            // What nobody marked stays.
            kept.extend_from_slice(&segment.bytes[begin..]);
            self.bytes -= segment.bytes.len() - kept.len();
            segment.bytes = kept.into();
            of.marks = marks;
        }
        self.drop_empty();
        dropped
    }

    /// Empty segments go, and of each room's places all with nothing of the room between them and the last one.
    fn drop_empty(&mut self) {
        let mut marked: BTreeSet<RoomName> = BTreeSet::new();
        self.segments.retain(|segment| match segment.of.as_deref() {
            Some(of) if of.what == What::Place => marked.insert(of.room.clone()),
            Some(of) if !segment.bytes.is_empty() => {
                marked.remove(&of.room);
                true
            }
            _ => !segment.bytes.is_empty(),
        });
        self.skip_places();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of a room: one for each (offset, key), each of ten bytes.
    fn stretch(room: &str, slow: Slow, frames: &[(u64, u64)]) -> (Bytes, Option<Box<Stretch>>) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(offset, _)| [*offset as u8; 10]).collect();
        let marks =
            (1..).zip(frames).map(|(n, (offset, key))| Mark { end: n * 10, offset: *offset, key: *key });
        let of = Stretch::new(&RoomName::parse(room).unwrap(), Epoch(1), slow, marks.collect());
        (bytes.into(), of)
    }

    fn backlog(parts: Vec<(Bytes, Option<Box<Stretch>>)>, sent: usize) -> Backlog {
        let mut backlog = Backlog::starting_at(Bytes::from_static(b"0123456789"), 0, 0);
        for (bytes, of) in parts {
            match of {
                Some(of) => backlog.push_messages(bytes, Some(of)),
                None => backlog.push(bytes),
            }
        }
        let mut left = sent;
        while left > 0 {
            let taken = left.min(backlog.front().unwrap().len());
            backlog.advance(taken);
            left -= taken;
        }
        backlog
    }

    /// A notice is as long as it pleases here: `<first-last>`.
    fn notice(of: &Stretch) -> Bytes {
        let (first, last) = of.offsets();
        format!("<{first}-{last}>").into()
    }

    fn drained(mut backlog: Backlog) -> String {
        let mut text = String::new();
        while let Some(front) = backlog.front() {
            let front = front.to_vec();
            // Three bytes at a time: what is partly sent stays as it was.
            let taken = front.len().min(3);
            text.extend(
                front[..taken]
                    .iter()
                    .map(|byte| if *byte < 32 { (byte + b'A' - 1) as char } else { *byte as char }),
            );
            backlog.advance(taken);
        }
        assert_eq!(backlog.bytes(), 0);
        text
    }

    #[test]
    fn the_oldest_go_first_and_a_notice_stands_where_they_stood() {
        let parts = || {
            vec![
                stretch("a:1", Slow::DropOldest, &[(1, 0), (2, 0)]),
                (Bytes::from_static(b"mustremain"), None),
                stretch("a:1", Slow::DropOldest, &[(3, 0)]),
                stretch("b:1", Slow::DropOldest, &[(7, 0)]),
                stretch("a:1", Slow::DropOldest, &[(4, 0)]),
            ]
        };
        let mut all = backlog(parts(), 0);
        assert_eq!(all.shed(100, notice), 0, "nothing has to go");
        assert_eq!(all.shed(60, notice), 2);
        assert_eq!(drained(all), "0123456789<1-2>mustremainCCCCCCCCCCGGGGGGGGGGDDDDDDDDDD");
        let mut all = backlog(parts(), 0);
        assert_eq!(all.shed(0, notice), 5);
        assert_eq!(drained(all), "0123456789<1-2>mustremain<3-4><7-7>");
        // Later messages make the same notice grow.
        let mut all = backlog(parts(), 0);
        all.shed(60, notice);
        assert_eq!(all.shed(25, notice), 3);
        assert_eq!(drained(all), "0123456789<1-2>mustremain<3-4><7-7>");
    }

    #[test]
    fn what_is_partly_sent_and_what_must_not_be_dropped_stays() {
        let parts =
            vec![stretch("a:1", Slow::Disconnect, &[(1, 0)]), stretch("b:1", Slow::DropOldest, &[(2, 0)])];
        let mut all = backlog(parts, 15);
        assert_eq!(all.shed(0, notice), 1);
        assert_eq!(drained(all), "AAAAA<2-2>");
        let mut begun = backlog(vec![stretch("b:1", Slow::DropOldest, &[(2, 0), (3, 0)])], 14);
        assert_eq!(begun.shed(0, notice), 0);
        assert_eq!(drained(begun), "BBBBBBCCCCCCCCCC");
        // Half of a notice is out: the next one is another.
        let mut twice = backlog(
            vec![stretch("b:1", Slow::DropOldest, &[(2, 0)]), stretch("b:1", Slow::DropOldest, &[(3, 0)])],
            10,
        );
        assert_eq!(twice.shed(15, notice), 1);
        twice.advance(2);
        assert_eq!(twice.shed(0, notice), 1);
        assert_eq!(drained(twice), "-2><3-3>");
    }

    #[test]
    fn of_one_key_only_the_newest_stays() {
        let parts = vec![
            stretch("a:1", Slow::Conflate, &[(1, 5), (2, 6), (3, 5)]),
            stretch("b:1", Slow::Conflate, &[(9, 5)]),
            stretch("a:1", Slow::Conflate, &[(4, 0), (5, 6)]),
            stretch("a:1", Slow::Conflate, &[(6, 5)]),
        ];
        let mut all = backlog(parts, 0);
        assert_eq!(all.shed(60, notice), 3);
        assert_eq!(drained(all), "0123456789IIIIIIIIIIDDDDDDDDDDEEEEEEEEEEFFFFFFFFFF");
    }

    #[test]
    fn of_signals_with_one_key_only_the_newest_stays_in_any_room() {
        for slow in [Slow::Disconnect, Slow::DropOldest] {
            let parts = vec![
                stretch("a:1", slow, &[(1, 0), (0, 5), (2, 7), (0, 0)]),
                stretch("b:1", slow, &[(0, 5)]),
                stretch("a:1", slow, &[(3, 7), (0, 5)]),
            ];
            let mut all = backlog(parts, 0);
            assert_eq!(all.shed(70, notice), 1);
            let expected = "0123456789AAAAAAAAAABBBBBBBBBB@@@@@@@@@@@@@@@@@@@@CCCCCCCCCC@@@@@@@@@@";
            assert_eq!(drained(all), expected, "messages keep their places");
        }
        // What has no mark of its own is neither replaced nor lost.
        let (bytes, of) = stretch("a:1", Slow::Disconnect, &[(1, 0), (0, 5)]);
        let after = stretch("a:1", Slow::Disconnect, &[(0, 5)]);
        let mut all = backlog(vec![([&bytes[..], b"unmarked!!"].concat().into(), of), after], 0);
        assert_eq!(all.shed(0, notice), 1);
        assert_eq!(drained(all), "0123456789AAAAAAAAAAunmarked!!@@@@@@@@@@");
    }
}
