//! What a slow reader still has to be sent, and what of it may be dropped.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use fanfare_protocol::RoomName;

use crate::id::Epoch;
use crate::local::group::Mark;
use crate::options::Slow;

/// Frames in order, of which the first may be partly sent. Their bytes are shared between slow readers of
/// the same room.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that the kernel has taken.
    sent: usize,
    bytes: usize,
    /// When the peer last took something, in milliseconds of the steady clock.
    pub(crate) progress_ms: u64,
}

#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// Present where some of it may be dropped.
    of: Option<Box<Stretch>>,
}

/// Messages of one room that may be dropped for a slow reader, or the notice that they were.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) room: RoomName,
    pub(crate) epoch: Epoch,
    slow: Slow,
    /// The frames and which messages they are; the notice has one for its first and its last.
    marks: Vec<Mark>,
    is_gap: bool,
}

impl Stretch {
    /// Frames of a room; nothing where none of them may be dropped.
    pub(crate) fn new(room: &RoomName, epoch: Epoch, slow: Slow, marks: Vec<Mark>) -> Option<Box<Self>> {
        let droppable = slow != Slow::Disconnect && !marks.is_empty();
        droppable.then(|| Box::new(Self { room: room.clone(), epoch, slow, marks, is_gap: false }))
    }

    /// The first and the last message.
    pub(crate) fn offsets(&self) -> (u64, u64) {
        let offset = |mark: Option<&Mark>| mark.map_or(0, |mark| mark.offset);
        (offset(self.marks.first()), offset(self.marks.last()))
    }

    fn is_of_room(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.room == other.room
    }
}

impl Backlog {
    /// A segment of which `sent` bytes have gone out.
    pub(crate) fn starting_at(segment: Bytes, sent: usize, now_ms: u64) -> Self {
        debug_assert!(sent <= segment.len());
        let bytes = segment.len() - sent;
        let segments = VecDeque::from([Segment { bytes: segment, of: None }]);
        Self { segments, sent, bytes, progress_ms: now_ms }
    }

    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.push_of(bytes, || None);
    }

    /// Appends frames of which some may be dropped later.
    pub(crate) fn push_of(&mut self, bytes: Bytes, of: impl FnOnce() -> Option<Box<Stretch>>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.segments.push_back(Segment { bytes, of: of() });
        }
    }

    /// What to send next; nothing when all is sent.
    pub(crate) fn front(&self) -> Option<&[u8]> {
        self.segments.front().map(|segment| &segment.bytes[self.sent..])
    }

    /// The kernel took `count` bytes of [`Backlog::front`].
    pub(crate) fn advance(&mut self, count: usize) {
        let left = self.segments.front().map_or(0, |segment| segment.bytes.len() - self.sent);
        assert!(count <= left, "more was sent than there was");
        self.bytes -= count;
        self.sent += count;
        if count == left {
            self.segments.pop_front();
            self.sent = 0;
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops what may be dropped until at most `enough` bytes wait, or nothing more may: first messages that a newer one
    /// of the same key makes useless, then the oldest. `notice` makes the frame that tells what is missing; it
    /// stands where the missing messages stood. Gives how many messages were dropped.
    pub(crate) fn shed(&mut self, enough: usize, notice: impl Fn(&Stretch) -> Bytes) -> u64 {
        // Half a frame must be followed by its other half.
        let begun = usize::from(self.sent > 0);
        let mut dropped = self.conflate(begun);
        let mut at = begun;
        while self.bytes > enough && at < self.segments.len() {
            let Some(of) = self.segments[at].of.as_deref().filter(|of| !of.is_gap) else {
                at += 1;
                continue;
            };
            // Frames that are of no stretch may be of the same room: a notice must not reach over them.
            let before = (begun..at).rev().take_while(|&index| self.segments[index].of.is_some());
            let earlier = before.into_iter().find(|&index| {
                self.segments[index].of.as_deref().is_some_and(|other| other.is_gap && other.is_of_room(of))
            });
            dropped += of.marks.len() as u64;
            let last = of.marks.last().copied();
            match (earlier, last) {
                (Some(earlier), Some(last)) => {
                    // All of the room between the notice and here has gone: the notice only grows.
                    let gone = self.segments.remove(at).map_or(0, |segment| segment.bytes.len());
                    self.bytes -= gone;
                    self.change(earlier, |of| of.marks.push(last), &notice);
                }
                _ => {
                    self.change(at, |of| of.is_gap = true, &notice);
                    at += 1;
                }
            }
        }
        dropped
    }

    /// Turns a segment into a notice, or one notice into another.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Stretch), notice: &impl Fn(&Stretch) -> Bytes) {
        let Segment { bytes, of: Some(of) } = &mut self.segments[at] else { return };
        change(of);
        if let [first, .., last] = of.marks[..] {
            of.marks = vec![first, last];
        }
        let new = notice(of);
        self.bytes = self.bytes + new.len() - bytes.len();
        *bytes = new;
    }

    /// Of the messages of a conflating room with the same key only the newest stays.
    fn conflate(&mut self, begun: usize) -> u64 {
        let mut newer: HashSet<(RoomName, u64)> = HashSet::new();
        let mut dropped = 0;
        for segment in self.segments.range_mut(begun..).rev() {
            let Some(of) = segment.of.as_deref_mut().filter(|of| of.slow == Slow::Conflate && !of.is_gap)
            else {
                continue;
            };
            let is_newest = |mark: &Mark, newer: &mut HashSet<_>| {
                mark.key == 0 || newer.insert((of.room.clone(), mark.key))
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
            self.bytes -= segment.bytes.len() - kept.len();
            segment.bytes = kept.into();
            of.marks = marks;
        }
        // Empty ones have no place: the peer's socket would be written to with nothing.
        let mut at = 0;
        self.segments.retain(|segment| {
            at += 1;
            at <= begun || !segment.bytes.is_empty()
        });
        dropped
    }

    /// Drops everything but the rest of a frame that is partly sent: the peer could not read past half of it.
    pub(crate) fn keep_begun_frame(&mut self) {
        let rest = self.segments.front().and_then(|segment| {
            let end = frame_end(&segment.bytes, self.sent)?;
            (self.sent > 0 && end > self.sent).then(|| segment.bytes.slice(self.sent..end))
        });
        self.segments.clear();
        self.sent = 0;
        self.bytes = 0;
        if let Some(rest) = rest {
            self.push(rest);
        }
    }
}

/// Where the frame ends that byte `at` belongs to; `at` itself when a frame begins there.
fn frame_end(frames: &[u8], at: usize) -> Option<usize> {
    let mut begin = 0;
    while begin < at {
        let header = frames.get(begin..)?;
        let (length, header_bytes) = match header.get(1)? & 0x7F {
            126 => (usize::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        begin += header_bytes + length;
    }
    Some(begin)
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::ws::{OpCode, encode_frame};

    use super::*;

    #[test]
    fn segments_leave_in_order_and_are_counted() {
        let mut backlog = Backlog::starting_at(Bytes::from_static(b"abc"), 1, 0);
        backlog.push(Bytes::from_static(b"de"));
        assert_eq!(backlog.bytes(), 4);
        assert_eq!(backlog.front(), Some(&b"bc"[..]));
        backlog.advance(1);
        assert_eq!(backlog.front(), Some(&b"c"[..]));
        backlog.advance(1);
        assert_eq!(backlog.front(), Some(&b"de"[..]));
        backlog.advance(2);
        assert_eq!((backlog.front(), backlog.bytes()), (None, 0));
    }

    #[test]
    fn only_the_begun_frame_is_kept() {
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let mut frames = Vec::new();
            encode_frame(&mut frames, OpCode::Text, false, b"first");
            let second = frames.len();
            encode_frame(&mut frames, OpCode::Text, false, &vec![b'x'; size]);
            let third = frames.len();
            encode_frame(&mut frames, OpCode::Text, false, b"third");
            for sent in [second + 1, third - 1] {
                if sent <= second || sent >= third {
                    continue;
                }
                let mut backlog = Backlog::starting_at(Bytes::from(frames.clone()), sent, 0);
                backlog.push(Bytes::from_static(b"\x81\0"));
                backlog.keep_begun_frame();
                assert_eq!(backlog.front(), Some(&frames[sent..third]), "{size}");
            }
            for boundary in [0, second, third] {
                let mut backlog = Backlog::starting_at(Bytes::from(frames.clone()), boundary, 0);
                backlog.keep_begun_frame();
                assert_eq!((backlog.front(), backlog.bytes()), (None, 0));
            }
        }
    }

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
        parts.into_iter().for_each(|(bytes, of)| backlog.push_of(bytes, || of));
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
}
