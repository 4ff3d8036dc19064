//! What a slow reader still has to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::local::shed::Stretch;

/// Frames in order, of which the first may be partly sent. Their bytes are shared between slow readers of
/// the same room.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The first one is never empty.
    pub(super) segments: VecDeque<Segment>,
    /// Bytes of the first segment that the kernel has taken.
    sent: usize,
    pub(super) bytes: usize,
    /// When the peer last took something, in milliseconds of the steady clock.
    pub(crate) progress_ms: u64,
}

/// Frames that stay together.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: Bytes,
    /// The priority of these messages; what is more urgent may overtake them.
    pub(super) rank: u8,
    /// Present where some of it may be dropped.
    pub(super) of: Option<Box<Stretch>>,
}

/// Above every priority: what is no message is not overtaken.
const FIXED: u8 = u8::MAX;

impl Backlog {
    /// Nothing yet.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { progress_ms: now_ms, ..Self::default() }
    }

    /// A segment of which `sent` bytes have gone out.
    pub(crate) fn starting_at(segment: Bytes, sent: usize, now_ms: u64) -> Self {
        debug_assert!(sent <= segment.len());
        let bytes = segment.len() - sent;
        let segments = VecDeque::from([Segment { bytes: segment, rank: FIXED, of: None }]);
        Self { segments, sent, bytes, progress_ms: now_ms }
    }

    /// Appends what keeps its place: answers, pings, close frames, what is replayed.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.push_segment(bytes, FIXED, None);
    }

    /// Appends messages without a priority, of which some may be dropped later.
    pub(super) fn push_messages(&mut self, bytes: Bytes, of: Option<Box<Stretch>>) {
        self.push_segment(bytes, 0, of);
    }

    fn push_segment(&mut self, bytes: Bytes, rank: u8, of: Option<Box<Stretch>>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.segments.push_back(Segment { bytes, rank, of });
        }
    }

    /// How many segments are partly sent: half a frame must be followed by its other half.
    pub(super) fn begun(&self) -> usize {
        usize::from(self.sent > 0)
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
            self.skip_places();
        }
    }

    /// Places that nothing stands before any more are of no use: what was there has been sent.
    pub(super) fn skip_places(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.bytes.is_empty()) {
            self.segments.pop_front();
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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
}
