//! What one room keeps of its messages: the latest, bounded by their number, their age and their bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use fanfare_protocol::{Body, EventName, Message, RoomName};
use smallvec::SmallVec;

use crate::class::Class;
use crate::mesh::Replay;
use crate::prepared::Encoder;
use crate::time::Now;

/// What a kept message takes beside its body and its frames, about.
const OVERHEAD_BYTES: usize = 192;

/// One message with its place.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) offset: u64,
    /// Milliseconds of the steady clock when it was published.
    pub(crate) at_ms: u64,
    /// Milliseconds of the steady clock from which on it is of no use.
    pub(crate) expires_ms: u64,
    pub(crate) timestamp_unix_ms: u64,
    pub(crate) event: EventName,
    pub(crate) user: Option<RoomName>,
    pub(crate) body: Body,
    pub(crate) message_id: Box<str>,
    pub(crate) roles: Vec<Box<str>>,
    pub(crate) priority: u8,
    /// Its frames for those who asked for it so far, so that a thousand who come back cost one encoding.
    pub(crate) frames: SmallVec<[(Class, Bytes); 1]>,
}

impl Kept {
    /// As it is written, for a room of this name and epoch.
    pub(crate) fn message<'k>(&'k self, room: &'k RoomName, epoch: &'k str) -> Message<'k> {
        Message {
            event: self.event.as_str(),
            room: room.as_str(),
            offset: self.offset,
            epoch,
            message_id: &self.message_id,
            timestamp_unix_ms: self.timestamp_unix_ms,
            user_id: self.user.as_ref().and_then(|user| user.as_str().strip_prefix("@user:")),
            priority: self.priority,
            body: &self.body,
        }
    }

    /// Its frame for a class, made when first asked for; and how many bytes that added.
    pub(crate) fn frame(
        &mut self,
        room: &RoomName,
        epoch: &str,
        class: Class,
        encoder: &mut Encoder,
    ) -> (Bytes, usize) {
        if let Some((_, frame)) = self.frames.iter().find(|(made_for, _)| *made_for == class) {
            return (frame.clone(), 0);
        }
        let made = encoder.prepare(&self.message(room, epoch), std::iter::once(class));
        let (_, frame) = made.into_iter().next().expect("invariant: one class was asked for");
        let added = frame.len();
        self.frames.push((class, frame.clone()));
        (frame, added)
    }

    /// Bytes it counts for.
    pub(crate) fn bytes(&self) -> usize {
        let frames: usize = self.frames.iter().map(|(_, frame)| frame.len()).sum();
        OVERHEAD_BYTES + self.body.len() + frames
    }

    /// Whether it is of use still.
    pub(crate) fn is_fresh(&self, now: Now) -> bool {
        now.mono_ms() < self.expires_ms
    }
}

/// The kept messages of one room, oldest first. Their offsets follow each other without a gap.
#[derive(Debug, Default)]
pub(crate) struct Log {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Log {
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
        self.kept.front().map(|kept| kept.offset)
    }

    /// Keeps one more, which has the next offset.
    pub(crate) fn push(&mut self, kept: Kept) {
        debug_assert!(self.kept.back().is_none_or(|last| last.offset + 1 == kept.offset));
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
    }

    /// Lets the oldest go.
    pub(crate) fn drop_oldest(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.bytes -= kept.bytes();
        }
    }

    /// Lets those go that are too old by the room's own rule.
    pub(crate) fn expire(&mut self, now: Now, ttl_ms: u64) {
        while self.kept.front().is_some_and(|kept| kept.at_ms.saturating_add(ttl_ms) <= now.mono_ms()) {
            self.drop_oldest();
        }
    }

    /// Whether everything after `offset` is kept, where the room stands at `last`.
    pub(crate) fn reaches_back_to(&self, offset: u64, last: u64) -> bool {
        offset == last || (offset < last && self.first_offset().is_some_and(|first| first <= offset + 1))
    }

    /// Everything kept after `offset`.
    pub(crate) fn after(&self, offset: u64) -> impl DoubleEndedIterator<Item = &Kept> {
        self.kept.range(self.index_after(offset)..)
    }

    /// The newest fresh messages after `offset` whose frames fit into `bytes_max`, oldest first, with the roles each is
    /// for; and whether these are all. Frames that were made for this count from now on; none is made beyond the
    /// first that does not fit.
    pub(crate) fn frames_after(
        &mut self,
        offset: u64,
        now: Now,
        bytes_max: usize,
        mut frame: impl FnMut(&mut Kept) -> (Bytes, usize),
    ) -> Replay {
        let (mut frames, mut bytes, mut recovered) = (Vec::new(), 0, true);
        let from = self.index_after(offset);
        for kept in self.kept.range_mut(from..).rev().filter(|kept| kept.is_fresh(now)) {
            let (frame, added) = frame(kept);
            self.bytes += added;
            bytes += frame.len();
            if bytes > bytes_max {
                recovered = false;
                break;
            }
            frames.push((frame, kept.roles.clone()));
        }
        frames.reverse();
        Replay { recovered, frames }
    }

    fn index_after(&self, offset: u64) -> usize {
        let Some(first) = self.first_offset() else { return 0 };
        let index = (offset + 1).saturating_sub(first);
        usize::try_from(index).unwrap_or(usize::MAX).min(self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(offset: u64, at_ms: u64) -> Kept {
        Kept {
            offset,
            at_ms,
            expires_ms: u64::MAX,
            timestamp_unix_ms: 0,
            event: EventName::parse("say").unwrap(),
            user: None,
            body: Body::Json("1".into()),
            message_id: "m".into(),
            roles: Vec::new(),
            priority: 0,
            frames: SmallVec::new(),
        }
    }

    fn log(offsets: std::ops::RangeInclusive<u64>) -> Log {
        let mut log = Log::default();
        offsets.for_each(|offset| log.push(kept(offset, offset * 10)));
        log
    }

    fn offsets(log: &Log, after: u64) -> Vec<u64> {
        log.after(after).map(|kept| kept.offset).collect()
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
        assert!(Log::default().reaches_back_to(8, 8));
        assert!(!Log::default().reaches_back_to(7, 8));
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
