//! What a slow reader still has to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

/// Whole frames in order, of which the first may be partly sent. Segments are shared between slow readers of
/// the same room.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    segments: VecDeque<Bytes>,
    /// Bytes of the first segment that the kernel has taken.
    sent: usize,
    bytes: usize,
    /// When the peer last took something, in milliseconds of the steady clock.
    pub(crate) progress_ms: u64,
}

impl Backlog {
    /// A segment of which `sent` bytes have gone out.
    pub(crate) fn starting_at(segment: Bytes, sent: usize, now_ms: u64) -> Self {
        debug_assert!(sent <= segment.len());
        let bytes = segment.len() - sent;
        Self { segments: VecDeque::from([segment]), sent, bytes, progress_ms: now_ms }
    }

    pub(crate) fn push(&mut self, segment: Bytes) {
        if !segment.is_empty() {
            self.bytes += segment.len();
            self.segments.push_back(segment);
        }
    }

    /// What to send next; nothing when all is sent.
    pub(crate) fn front(&self) -> Option<&[u8]> {
        self.segments.front().map(|segment| &segment[self.sent..])
    }

    /// The kernel took `count` bytes of [`Backlog::front`].
    pub(crate) fn advance(&mut self, count: usize) {
        let left = self.segments.front().map_or(0, |segment| segment.len() - self.sent);
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

    /// Drops everything but the rest of a frame that is partly sent: the peer could not read past half of it.
    pub(crate) fn keep_begun_frame(&mut self) {
        let rest = self.segments.front().and_then(|segment| {
            let end = frame_end(segment, self.sent)?;
            (self.sent > 0 && end > self.sent).then(|| segment.slice(self.sent..end))
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
