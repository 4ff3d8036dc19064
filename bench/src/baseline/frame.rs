//! WebSocket frames (RFC 6455 §5.2), as few kinds as a load generator and its servers need.

use std::io::{self, ErrorKind};
use std::ops::Range;

/// A whole unmasked frame.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..=125), _) => frame.push(len),
        (_, Ok(len)) => {
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The first whole frame of `input`, unmasked in place: its opcode and where its payload is.
///
/// # Errors
/// A frame of 64 KiB or more, a fragment, or one that is compressed or not masked.
pub(super) fn next_frame(input: &mut [u8]) -> io::Result<Option<(u8, Range<usize>)>> {
    let &mut [first, second, ref rest @ ..] = input else { return Ok(None) };
    let (start, len) = match second & 0x7f {
        126 => match rest.first_chunk() {
            Some(len) => (4, usize::from(u16::from_be_bytes(*len))),
            None => return Ok(None),
        },
        127 => return Err(ErrorKind::InvalidData.into()),
        len => (2, usize::from(len)),
    };
    // Only whole, masked, uncompressed messages: all that a load generator sends.
    if first & 0xf0 != 0x80 || second & 0x80 == 0 {
        return Err(ErrorKind::InvalidData.into());
    }
    let (start, end) = (start + 4, start + 4 + len);
    if input.len() < end {
        return Ok(None);
    }
    let (head, payload) = input[..end].split_at_mut(start);
    let key = &head[start - 4..];
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Some((first & 0x0f, start..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame: the server's with a mask bit, a key and a masked payload.
    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(opcode, payload);
        let head = bytes.len() - payload.len();
        bytes[1] |= 0x80;
        bytes.truncate(head);
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    #[test]
    fn a_frame_of_any_length_is_read_back_once_it_is_whole() {
        for len in [0, 1, 125, 126, 65_535] {
            let payload = vec![0x5a; len];
            let mut bytes = masked(1, &payload);
            let whole = bytes.len();
            assert_eq!(next_frame(&mut bytes[..whole - 1]).unwrap(), None, "{len}");
            let (opcode, place) = next_frame(&mut bytes).unwrap().unwrap();
            assert_eq!((opcode, &bytes[place]), (1, &payload[..]), "{len}");
        }
    }

    #[test]
    fn what_no_load_generator_sends_is_an_error() {
        let fragment = masked(1, b"x").into_iter().enumerate().map(|(at, byte)| match at {
            0 => byte & 0x7f,
            _ => byte,
        });
        for mut bytes in [frame(1, b"x"), masked(1, &[0; 65_536]), fragment.collect()] {
            assert!(next_frame(&mut bytes).is_err());
        }
    }
}
