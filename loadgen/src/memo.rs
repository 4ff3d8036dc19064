//! Remembers what compressed messages said, so that equal bytes are inflated once and not once per receiver.
//!
//! A server that compresses once sends every member the same bytes; inflating them a thousand times would
//! make the load generator the bottleneck. Each message stands alone (fresh context), so equal bytes mean
//! equal content, and the comparison is of all bytes: a damaged message is never mistaken for a good one.

use crate::scan::Delivery;

/// Messages remembered; more than are usually under way at once.
const PLACES: usize = 256;

#[derive(Clone, Debug, Default)]
struct Entry {
    compressed: Vec<u8>,
    delivery: Option<Delivery>,
}

/// The latest compressed messages and what they said.
#[derive(Debug)]
pub(crate) struct Memo {
    entries: Vec<Entry>,
}

impl Memo {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self { entries: vec![Entry::default(); PLACES] }
    }

    /// What the same bytes said before.
    #[inline]
    pub(crate) fn recall(&self, compressed: &[u8]) -> Option<Delivery> {
        let entry = &self.entries[place(compressed)];
        if entry.compressed == compressed { entry.delivery } else { None }
    }

    /// Remembers what these bytes say, forgetting another message in their place.
    pub(crate) fn remember(&mut self, compressed: &[u8], delivery: Delivery) {
        let entry = &mut self.entries[place(compressed)];
        entry.compressed.clear();
        entry.compressed.extend_from_slice(compressed);
        entry.delivery = Some(delivery);
    }
}

/// A place by a few samples of the bytes: offset and stamp differ early, checks of the rest are exact anyway.
fn place(bytes: &[u8]) -> usize {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks_exact(8).take(32) {
        let word = chunk.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash >> 32) as usize % PLACES
}

/// A whole, unfragmented, unmasked frame with RSV1 at the front of `bytes`, if there is one: its payload's
/// start and end.
pub(crate) fn compressed_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    if first != 0xc1 && first != 0xc2 {
        return None;
    }
    let (start, len): (usize, usize) = match second {
        0..=125 => (2, usize::from(second)),
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
        _ => return None,
    };
    let end = start.checked_add(len)?;
    (end <= bytes.len()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_are_recalled() {
        let mut memo = Memo::new();
        let delivery = Delivery { room: 1, offset: 2, stamp: None };
        assert_eq!(memo.recall(b""), None);
        memo.remember(b"0123456789", delivery);
        assert_eq!(memo.recall(b"0123456789"), Some(delivery));
        assert_eq!(memo.recall(b"012345678x"), None);
        assert_eq!(memo.recall(b"01234567"), None);
    }

    #[test]
    fn only_whole_single_compressed_frames_are_taken() {
        assert_eq!(compressed_frame(b"\xc1\x02ab"), Some((2, 4)));
        assert_eq!(compressed_frame(b"\xc2\x00rest"), Some((2, 2)));
        let mut long = vec![0xc1, 126, 1, 0];
        assert_eq!(compressed_frame(&long), None);
        long.resize(4 + 256, 0);
        assert_eq!(compressed_frame(&long), Some((4, 260)));
        for other in
            [&b""[..], b"\xc1", b"\xc1\x03ab", b"\x81\x01a", b"\x41\x01a", b"\xc0\x01a", b"\xc1\x81abcde"]
        {
            assert_eq!(compressed_frame(other), None, "{other:?}");
        }
        assert_eq!(compressed_frame(&[0xc1, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1]), None);
    }
}
