//! What one room keeps of its messages: the latest, bounded by their number, their age and their bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use fanfare_protocol::{Body, EventName, RoomName};
use smallvec::SmallVec;

use crate::class::Class;
use crate::encoder::{Encoder, Manner};
use crate::entry::Entry;
use crate::id::Address;
use crate::mesh::Replay;
use crate::room_type::Compression;
use crate::time::Now;

/// What a kept message takes beside its body and its frames, about: itself, with the room that a growing list has to
/// spare, its id, its share of what its body needs beside its bytes, and its mark in the ledger of all.
const OVERHEAD_BYTES: usize = size_of::<Kept>() * 3 / 2 + 128;

/// One kept message.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) entry: Entry,
    /// Who wants to know when it is acknowledged.
    pub(crate) receipts: Option<Address>,
    /// Its frames for those who asked for it so far, so that a thousand who come back cost one encoding.
    frames: SmallVec<[(Class, Bytes); 1]>,
}

impl Kept {
    pub(crate) fn new(entry: Entry, receipts: Option<Address>) -> Self {
        Self { entry, receipts, frames: SmallVec::new() }
    }

    /// Its frame for a class, made when first asked for; and how many bytes that added.
    pub(crate) fn frame(
        &mut self,
        room: &RoomName,
        epoch: &str,
        class: Class,
        encoder: &mut Encoder,
        rule: Compression,
    ) -> (Bytes, usize) {
        // What comes from here is no part of a context.
        let class = class.alone();
        if let Some((_, frame)) = self.frames.iter().find(|(made_for, _)| *made_for == class) {
            return (frame.clone(), 0);
        }
        let message = self.entry.message(room, epoch);
        let made = encoder.prepare(&message, std::iter::once(class), Manner::alone(rule));
        let frame = made.get(class).expect("invariant: it was asked for").clone();
        let added = frame.len();
        self.frames.push((class, frame.clone()));
        (frame, added)
    }

    /// Bytes it counts for.
    pub(crate) fn bytes(&self) -> usize {
        let frames: usize = self.frames.iter().map(|(_, frame)| frame.len()).sum();
        OVERHEAD_BYTES + self.entry.body.len() + frames
    }

    /// Whether it is of use still.
    pub(crate) fn is_fresh(&self, now: Now) -> bool {
        now.mono_ms() < self.entry.expires_ms
    }
}

/// The kept messages of one room, oldest first. Offsets rise; where messages were dropped before older ones, some are
/// missing in between.
#[derive(Debug, Default)]
pub(crate) struct Log {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The latest message that was here, or never came here, and is gone.
    gone: u64,
    /// How many there are of each priority.
    priorities: [u32; PRIORITIES],
}

const PRIORITIES: usize = 10;

impl Log {
    /// An empty one, for what comes after a place.
    pub(crate) fn after_place(offset: u64) -> Self {
        Self { gone: offset, ..Self::default() }
    }

    /// Messages kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Bytes they count for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest one's offset.
    pub(crate) fn first_offset(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.entry.offset)
    }

    /// Keeps one more, which is newer than all others.
    pub(crate) fn push(&mut self, kept: Kept) {
        debug_assert!(self.kept.back().is_none_or(|last| last.entry.offset < kept.entry.offset));
        self.bytes += kept.bytes();
        self.priorities[usize::from(kept.entry.priority)] += 1;
        self.kept.push_back(kept);
    }

    /// Lets the oldest go.
    pub(crate) fn drop_oldest(&mut self) {
        self.drop_at(0);
    }

    /// Lets the oldest of the lowest priority go.
    pub(crate) fn drop_least(&mut self) {
        let lowest = self.priorities.iter().position(|count| *count > 0);
        let is_lowest = |kept: &Kept| Some(usize::from(kept.entry.priority)) == lowest;
        if let Some(at) = self.kept.iter().position(is_lowest) {
            self.drop_at(at);
        }
    }

    fn drop_at(&mut self, at: usize) {
        if let Some(kept) = self.kept.remove(at) {
            self.bytes -= kept.bytes();
            self.priorities[usize::from(kept.entry.priority)] -= 1;
            self.gone = self.gone.max(kept.entry.offset);
        }
    }

    /// Lets those go that are too old by the room's own rule.
    pub(crate) fn expire(&mut self, now: Now, ttl_ms: u64) {
        while self.kept.front().is_some_and(|kept| kept.entry.at_ms.saturating_add(ttl_ms) <= now.mono_ms()) {
            self.drop_oldest();
        }
    }

    /// Whether everything after `offset` is kept, where the room stands at `last`.
    pub(crate) fn reaches_back_to(&self, offset: u64, last: u64) -> bool {
        offset == last || (offset < last && offset >= self.gone)
    }

    /// Everything kept after `offset`, to be changed only in what was made for readers.
    pub(crate) fn after_mut(&mut self, offset: u64) -> impl Iterator<Item = &mut Kept> {
        let from = self.index_after(offset);
        self.kept.range_mut(from..)
    }

    /// Lets a kept message say something else; gives it as it is now. What was made for readers of the former goes.
    pub(crate) fn replace(&mut self, offset: u64, event: EventName, body: Body) -> Option<&Entry> {
        let at = self.kept.binary_search_by_key(&offset, |kept| kept.entry.offset).ok()?;
        let kept = &mut self.kept[at];
        self.bytes -= kept.bytes();
        (kept.entry.event, kept.entry.body) = (event, body);
        kept.frames.clear();
        self.bytes += kept.bytes();
        Some(&kept.entry)
    }

    /// Frames were made for readers.
    pub(crate) fn grew(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Everything kept after `offset`.
    pub(crate) fn after(&self, offset: u64) -> impl DoubleEndedIterator<Item = &Kept> {
        self.kept.range(self.index_after(offset)..)
    }

    /// The newest fresh and wanted messages after `offset` whose frames fit into `bytes_max`, oldest first, with the roles each is
    /// for; and whether these are all. Frames that were made for this count from now on; none is made beyond the
    /// first that does not fit.
    pub(crate) fn frames_after(
        &mut self,
        offset: u64,
        now: Now,
        bytes_max: usize,
        is_wanted: impl Fn(&Entry) -> bool,
        mut frame: impl FnMut(&mut Kept) -> (Bytes, usize),
    ) -> Replay {
        let (mut frames, mut bytes, mut recovered) = (Vec::new(), 0, true);
        let from = self.index_after(offset);
        let is_wanted = |kept: &&mut Kept| kept.is_fresh(now) && is_wanted(&kept.entry);
        for kept in self.kept.range_mut(from..).rev().filter(is_wanted) {
            let (frame, added) = frame(kept);
            self.bytes += added;
            bytes += frame.len();
            if bytes > bytes_max {
                recovered = false;
                break;
            }
            frames.push((frame, kept.entry.roles.clone()));
        }
        frames.reverse();
        Replay { recovered, frames, session: None, state: None }
    }

    fn index_after(&self, offset: u64) -> usize {
        self.kept.partition_point(|kept| kept.entry.offset <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_protocol::Encoding;

    fn kept(offset: u64, at_ms: u64, priority: u8) -> Kept {
        let entry = Entry {
            offset,
            at_ms,
            expires_ms: u64::MAX,
            timestamp_unix_ms: 0,
            event: EventName::parse("say").unwrap(),
            user: None,
            body: Body::Json("1".into()),
            message_id: "m".into(),
            is_publishers_id: false,
            roles: Vec::new(),
            not_for_publisher: false,
            priority,
        };
        Kept::new(entry, None)
    }

    fn log(offsets: std::ops::RangeInclusive<u64>) -> Log {
        let mut log = Log::after_place(offsets.start() - 1);
        offsets.for_each(|offset| log.push(kept(offset, offset * 10, 0)));
        log
    }

    fn offsets(log: &Log, after: u64) -> Vec<u64> {
        log.after(after).map(|kept| kept.entry.offset).collect()
    }

    #[test]
    fn what_follows_a_place_is_found_whatever_place_that_is() {
        let log = log(5..=8);
        assert_eq!(offsets(&log, 0), [5, 6, 7, 8]);
        assert_eq!(offsets(&log, 6), [7, 8]);
        assert_eq!(offsets(&log, 8), [0; 0]);
        assert_eq!(offsets(&log, u64::MAX - 1), [0; 0]);
        assert_eq!(offsets(&Log::default(), 3), [0; 0]);
    }

    #[test]
    fn it_reaches_back_only_as_far_as_nothing_is_missing() {
        let log = log(5..=8);
        for (offset, reaches) in [(3, false), (4, true), (5, true), (8, true), (9, false)] {
            assert_eq!(log.reaches_back_to(offset, 8), reaches, "{offset}");
        }
        assert!(Log::after_place(8).reaches_back_to(8, 8));
        assert!(!Log::after_place(8).reaches_back_to(7, 8));
    }

    #[test]
    fn the_oldest_of_the_lowest_priority_goes_first() {
        let mut log = Log::default();
        for (offset, priority) in (1..).zip([2, 0, 9, 0, 2]) {
            log.push(kept(offset, 0, priority));
        }
        for left in [vec![1, 3, 4, 5], vec![1, 3, 5], vec![3, 5], vec![3], vec![]] {
            log.drop_least();
            assert_eq!(offsets(&log, 0), left);
        }
        log.drop_least();
        assert_eq!(log.bytes(), 0);
        assert!(!log.reaches_back_to(4, 5) && log.reaches_back_to(5, 5));
    }

    #[test]
    fn what_a_message_says_can_be_replaced_and_nobody_gets_the_former() {
        let (mut log, room) = (log(5..=8), RoomName::parse("a:1").unwrap());
        let (mut encoder, class) = (Encoder::default(), Class::new(Encoding::Json, None));
        let now = Now { mono_us: 0, unix_ms: 0 };
        let mut frames = |log: &mut Log| {
            let frame = |kept: &mut Kept| kept.frame(&room, "e", class, &mut encoder, Compression::default());
            let replay = log.frames_after(5, now, usize::MAX, |_| true, frame);
            replay
                .frames
                .iter()
                .map(|(frame, _)| String::from_utf8_lossy(frame).into_owned())
                .collect::<String>()
        };
        assert!(frames(&mut log).contains("\"say\""));
        let before = log.bytes();
        let entry =
            log.replace(6, EventName::parse("other").unwrap(), Body::Json("\"news\"".into())).unwrap();
        assert_eq!((entry.offset, entry.event.as_str()), (6, "other"));
        assert!(log.bytes() < before, "the former frame is gone");
        assert!(frames(&mut log).contains("news"));
        assert!(log.replace(4, EventName::parse("x").unwrap(), Body::Json("1".into())).is_none());
        (0..4).for_each(|_| log.drop_oldest());
        assert_eq!(log.bytes(), 0, "bytes are counted right");
    }

    #[test]
    fn the_old_go_first_and_bytes_are_counted() {
        let mut log = log(1..=4);
        let each = log.bytes() / 4;
        let now = |ms: u64| Now { mono_us: ms * 1_000, unix_ms: 0 };
        log.expire(now(25), 10);
        assert_eq!((offsets(&log, 0), log.bytes()), (vec![2, 3, 4], 3 * each));
        log.expire(now(1_000), u64::MAX);
        assert_eq!(log.len(), 3);
        log.expire(now(1_000), 10);
        assert!(log.is_empty() && log.bytes() == 0);
        log.drop_oldest();
    }
}
