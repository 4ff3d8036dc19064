//! Writing frames. Every message is one frame: fragmenting helps nobody who has the whole message.

use super::header::{header_len, write_header};
use super::{CONTROL_BYTES_MAX, OpCode, apply_mask};

/// Appends a server's frame: whole, not masked, its length in the shortest form. `rsv1` marks a compressed
/// message (RFC 7692 §6).
///
/// # Panics
/// In debug builds, when a control frame's payload is over [`CONTROL_BYTES_MAX`].
pub fn encode_frame(out: &mut Vec<u8>, opcode: OpCode, rsv1: bool, payload: &[u8]) {
    debug_assert!(!opcode.is_control() || payload.len() <= CONTROL_BYTES_MAX);
    let mut header = [0; 10];
    let len = write_header(&mut header, opcode, rsv1, payload.len());
    out.reserve(len + payload.len());
    out.extend_from_slice(&header[..len]);
    out.extend_from_slice(payload);
}

/// Appends a client's frame: whole and masked with `key`.
///
/// # Panics
/// In debug builds, when a control frame's payload is over [`CONTROL_BYTES_MAX`].
pub fn encode_masked_frame(out: &mut Vec<u8>, opcode: OpCode, rsv1: bool, key: [u8; 4], payload: &[u8]) {
    debug_assert!(!opcode.is_control() || payload.len() <= CONTROL_BYTES_MAX);
    let mut header = [0; 10];
    let len = write_header(&mut header, opcode, rsv1, payload.len());
    header[1] |= 0x80;
    out.reserve(header_len(payload.len()) + key.len() + payload.len());
    out.extend_from_slice(&header[..len]);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], key);
}

/// Appends a server's close frame. The reason is cut at 123 bytes, at the end of a character.
pub fn encode_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut payload = [0; CONTROL_BYTES_MAX];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    encode_frame(out, OpCode::Close, false, &payload[..2 + reason.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        encode_close(&mut out, 4_005, &"ü".repeat(100));
        assert_eq!(out[..2], [0x88, 2 + 122]);
        assert_eq!(str::from_utf8(&out[4..]).unwrap(), "ü".repeat(61));
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 §5.7.
        let mut out = Vec::new();
        encode_masked_frame(&mut out, OpCode::Text, false, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        out.clear();
        encode_frame(&mut out, OpCode::Text, false, b"Hello");
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }
}
