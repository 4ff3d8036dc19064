//! Reads room, offset and stamp out of a received message without parsing it.
//!
//! A load generator that parsed every message would need more CPU than the server it measures. The engine's
//! envelope comes before the data, so the first places where the keys stand are theirs; a message that does
//! not begin like a delivery goes to [`crate::command::Answer`] and is parsed whole.

use fanfare_protocol::Encoding;
use memchr::memmem::Finder;

use crate::stamp::Stamp;

/// The `event` that all messages of a run carry.
pub(crate) const EVENT: &str = "load";

/// A message as its receiver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The number at the end of the room's name.
    pub(crate) room: u32,
    /// The message's place in the room.
    pub(crate) offset: u64,
    /// Absent when the message is not one of ours.
    pub(crate) stamp: Option<Stamp>,
}

/// Finds the fields of a message in one encoding, for rooms of one prefix.
#[derive(Debug)]
pub(crate) struct Scanner {
    encoding: Encoding,
    room: Finder<'static>,
    offset: Finder<'static>,
    stamp: Finder<'static>,
    prefix: Box<[u8]>,
}

impl Scanner {
    /// For rooms named `prefix` and a decimal number.
    pub(crate) fn new(encoding: Encoding, prefix: &str) -> Self {
        let (room, offset, stamp): (&[u8], &[u8], &[u8]) = match encoding {
            Encoding::Json => (b"\"room\":\"", b"\"offset\":", b"\"t\":\""),
            // Keys are short strings (0xa0 + length); the stamp is a string of 24 bytes (0xb8).
            Encoding::MessagePack => (b"\xa4room", b"\xa6offset", b"\xa1t\xb8"),
        };
        Self {
            encoding,
            room: Finder::new(room),
            offset: Finder::new(offset),
            stamp: Finder::new(stamp),
            prefix: prefix.as_bytes().into(),
        }
    }

    /// Whether the message begins as deliveries of this run do.
    #[inline]
    pub(crate) fn is_delivery(&self, message: &[u8]) -> bool {
        match self.encoding {
            Encoding::Json => message.starts_with(b"{\"type\":\"load\""),
            Encoding::MessagePack => {
                message.get(1..).is_some_and(|rest| rest.starts_with(b"\xa4type\xa4load"))
            }
        }
    }

    /// The message's fields; `None` when one of them is not where it belongs.
    #[inline]
    pub(crate) fn scan(&self, message: &[u8]) -> Option<Delivery> {
        let room = self.after(&self.room, message)?;
        let offset = self.after(&self.offset, message)?;
        Some(Delivery {
            room: self.room_number(room)?,
            offset: match self.encoding {
                Encoding::Json => decimal(offset)?.0,
                Encoding::MessagePack => msgpack_unsigned(offset)?,
            },
            stamp: self.after(&self.stamp, message).and_then(Stamp::read),
        })
    }

    fn after<'a>(&self, key: &Finder<'_>, message: &'a [u8]) -> Option<&'a [u8]> {
        let start = key.find(message)? + key.needle().len();
        message.get(start..)
    }

    fn room_number(&self, text: &[u8]) -> Option<u32> {
        let name = match self.encoding {
            Encoding::Json => text,
            Encoding::MessagePack => msgpack_text(text)?,
        };
        let (number, rest) = decimal(name.strip_prefix(&*self.prefix)?)?;
        let ended = match self.encoding {
            Encoding::Json => rest.first() == Some(&b'"'),
            Encoding::MessagePack => rest.is_empty(),
        };
        ended.then(|| u32::try_from(number).ok()).flatten()
    }
}

/// Decimal digits at the front: their value and what follows them.
fn decimal(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    if !(1..=20).contains(&digits) {
        return None;
    }
    let value = number
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    Some((value, rest))
}

/// An unsigned MessagePack integer at the front.
fn msgpack_unsigned(bytes: &[u8]) -> Option<u64> {
    let (&marker, rest) = bytes.split_first()?;
    let len = match marker {
        0..=0x7f => return Some(u64::from(marker)),
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        0xcf => 8,
        _ => return None,
    };
    Some(rest.get(..len)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// A MessagePack string of at most 255 bytes at the front.
fn msgpack_text(bytes: &[u8]) -> Option<&[u8]> {
    let (&marker, rest) = bytes.split_first()?;
    match marker {
        0xa0..=0xbf => rest.get(..usize::from(marker & 0x1f)),
        0xd9 => {
            let (&len, rest) = rest.split_first()?;
            rest.get(..usize::from(len))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    struct Envelope<'a> {
        r#type: &'a str,
        room: &'a str,
        offset: u64,
        epoch: &'a str,
        data: Data<'a>,
    }

    #[derive(Serialize)]
    struct Data<'a> {
        t: &'a str,
        p: &'a str,
    }

    const STAMP: &str = "00000000000000ff00000002";

    fn envelope(room: &str, offset: u64) -> Envelope<'_> {
        let data = Data { t: STAMP, p: "\"offset\":1" };
        Envelope { r#type: "load", room, offset, epoch: "k3f9", data }
    }

    fn both(room: &str, offset: u64) -> [(Encoding, Vec<u8>); 2] {
        [
            (Encoding::Json, serde_json::to_vec(&envelope(room, offset)).unwrap()),
            (Encoding::MessagePack, rmp_serde::to_vec_named(&envelope(room, offset)).unwrap()),
        ]
    }

    #[test]
    fn both_encodings_are_read_at_every_size_of_offset() {
        for offset in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX] {
            for (encoding, message) in both("load:17", offset) {
                let scanner = Scanner::new(encoding, "load:");
                assert!(scanner.is_delivery(&message));
                let stamp = Some(Stamp { intended: 255, number: 2 });
                assert_eq!(scanner.scan(&message), Some(Delivery { room: 17, offset, stamp }));
            }
        }
    }

    #[test]
    fn long_room_names_are_read_and_foreign_ones_are_not() {
        let prefix = format!("{}:", "x".repeat(60));
        for (encoding, message) in both(&format!("{prefix}3"), 9) {
            assert_eq!(Scanner::new(encoding, &prefix).scan(&message).unwrap().room, 3);
            assert_eq!(Scanner::new(encoding, "load:").scan(&message), None);
        }
        for (encoding, message) in both("load:1x", 9) {
            assert_eq!(Scanner::new(encoding, "load:").scan(&message), None);
        }
    }

    #[test]
    fn any_shortened_message_is_refused_or_lacks_its_stamp_without_a_panic() {
        for (encoding, message) in both("load:17", 70_000) {
            let scanner = Scanner::new(encoding, "load:");
            for end in 0..message.len() {
                let _ = scanner.scan(&message[..end]);
                let _ = scanner.is_delivery(&message[..end]);
            }
            assert_eq!(scanner.scan(b""), None);
        }
        assert_eq!(decimal(b"99999999999999999999999"), None);
        assert_eq!(decimal(b"18446744073709551616"), None);
    }
}
