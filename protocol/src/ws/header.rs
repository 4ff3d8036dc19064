//! The header of a frame (RFC 6455 §5.2).

use super::{CONTROL_BYTES_MAX, Violation};

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// More of the message before.
    Continuation = 0x0,
    /// A message of UTF-8 text, or its first part.
    Text = 0x1,
    /// A message of bytes, or its first part.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xa,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Control frames are whole messages, may come between the fragments of another and are short (§5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Longest header: 2 bytes, 8 of length, 4 of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// A frame's header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) payload_len: u64,
}

/// What can be said of the first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The header and its length in bytes.
    Whole(Header, usize),
    /// The header is at least this long, longer than what is there.
    Needs(usize),
}

/// Reads a header from the front of `bytes`, refusing what is wrong in it as soon as that byte is there.
///
/// # Errors
/// Reserved bits or opcodes, control frames that are fragmented or too long, lengths that are not minimal or
/// have the top bit set.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Violation> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(Parsed::Needs(2));
    };
    let Some(opcode) = OpCode::from_bits(first & 0x0f) else {
        return Err(Violation::protocol("reserved opcode"));
    };
    if first & 0x30 != 0 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let (fin, short_len) = (first & 0x80 != 0, second & 0x7f);
    if opcode.is_control() && !fin {
        return Err(Violation::protocol("fragmented control frame"));
    }
    if opcode.is_control() && usize::from(short_len) > CONTROL_BYTES_MAX {
        return Err(Violation::protocol("control frame longer than 125 bytes"));
    }
    let len_bytes = match short_len {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask_bytes = if second & 0x80 != 0 { 4 } else { 0 };
    let header_len = 2 + len_bytes + mask_bytes;
    if rest.len() < len_bytes {
        return Ok(Parsed::Needs(header_len));
    }
    let (len, rest) = rest.split_at(len_bytes);
    let payload_len = match short_len {
        126 | 127 => len.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
        short => u64::from(short),
    };
    match short_len {
        126 if payload_len < 126 => return Err(Violation::protocol("length is not in its shortest form")),
        127 if payload_len <= 0xffff => {
            return Err(Violation::protocol("length is not in its shortest form"));
        }
        127 if payload_len >> 63 != 0 => return Err(Violation::protocol("length has its top bit set")),
        _ => {}
    }
    let mask = if mask_bytes == 0 {
        None
    } else {
        match rest.first_chunk() {
            Some(key) => Some(*key),
            None => return Ok(Parsed::Needs(header_len)),
        }
    };
    let header = Header { fin, rsv1: first & 0x40 != 0, opcode, mask, payload_len };
    Ok(Parsed::Whole(header, header_len))
}

/// Length in bytes of the header before an unmasked payload of `payload_len` bytes: 2, 4 or 10.
pub const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Writes the header of one whole unmasked message and returns its length in bytes.
pub fn write_header(out: &mut [u8; 10], opcode: OpCode, rsv1: bool, payload_len: usize) -> usize {
    out[0] = 0x80 | u8::from(rsv1) << 6 | opcode as u8;
    match payload_len {
        0..=125 => out[1] = payload_len as u8,
        126..=0xffff => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    header_len(payload_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_wrong_is_refused_as_soon_as_it_is_there() {
        let refused = |bytes: &[u8]| parse(bytes).unwrap_err().reason;
        assert_eq!(refused(&[0x83, 0x80]), "reserved opcode");
        assert_eq!(refused(&[0x8b, 0x80]), "reserved opcode");
        assert_eq!(refused(&[0xa1, 0x80]), "reserved bit set");
        assert_eq!(refused(&[0x91, 0x80]), "reserved bit set");
        assert_eq!(refused(&[0x09, 0x80]), "fragmented control frame");
        assert_eq!(refused(&[0x89, 0xfe]), "control frame longer than 125 bytes");
        assert_eq!(refused(&[0x81, 126, 0, 125]), "length is not in its shortest form");
        assert_eq!(refused(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), "length is not in its shortest form");
        assert_eq!(refused(&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), "length has its top bit set");
    }

    proptest! {
        #[test]
        fn agrees_with_tungstenite(len in prop_oneof![0..200_u64, 60_000..70_000_u64, 0..u64::MAX / 2],
                                   masked: bool, fin: bool, rsv1: bool, opcode in 0..3_u8) {
            use tungstenite::protocol::frame::{FrameHeader, coding};
            let mask = masked.then_some([1, 2, 3, 4]);
            let theirs = FrameHeader { is_final: fin, rsv1, opcode: coding::OpCode::from(opcode), mask, ..Default::default() };
            let mut bytes = Vec::new();
            theirs.format(len, &mut bytes).unwrap();
            let ours = Header { fin, rsv1, opcode: OpCode::from_bits(opcode).unwrap(), mask, payload_len: len };
            prop_assert_eq!(parse(&bytes), Ok(Parsed::Whole(ours, bytes.len())));
            for end in 0..bytes.len() {
                prop_assert!(matches!(parse(&bytes[..end]), Ok(Parsed::Needs(n)) if n > end && n <= bytes.len()));
            }
        }

        #[test]
        fn writing_is_the_reverse_of_reading(len in prop_oneof![0..200_usize, 60_000..70_000_usize, 0..usize::MAX / 4], rsv1: bool) {
            let mut out = [0; 10];
            let written = write_header(&mut out, OpCode::Binary, rsv1, len);
            prop_assert_eq!(written, header_len(len));
            let header = Header { fin: true, rsv1, opcode: OpCode::Binary, mask: None, payload_len: len as u64 };
            prop_assert_eq!(parse(&out[..written]), Ok(Parsed::Whole(header, written)));
        }
    }
}
