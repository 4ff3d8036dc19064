//! Reading what the server writes: frames of JSON or MessagePack, compressed or not.

use fanfare_protocol::deflate::Inflater;
use serde_json::Value;

/// No message is longer.
const BYTES_MAX: usize = 1 << 20;

/// The whole frames at the front, and how many bytes they are. What is compressed is understood by what came before on the
/// same connection.
pub(crate) fn frames(received: &[u8], inflater: &mut Inflater) -> (Vec<Value>, usize) {
    let (mut bytes, mut messages) = (received, Vec::new());
    while let [first, second, ..] = bytes {
        let (length, header) = match second {
            126 if bytes.len() < 4 => break,
            127 if bytes.len() < 10 => break,
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => {
                let length = bytes[2..10].iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
                (length as usize, 10)
            }
            short => (usize::from(*short), 2),
        };
        let Some(payload) = bytes.get(header..header + length) else { break };
        let message = |payload: &[u8]| match first & 0x0F {
            1 => serde_json::from_slice(payload).expect("every text is JSON"),
            2 => rmp_serde::from_slice(payload).expect("everything else is MessagePack"),
            8 => u16::from_be_bytes([payload[0], payload[1]]).into(),
            9 => "ping".into(),
            10 => "pong".into(),
            other => panic!("opcode {other}: bytes are out of step"),
        };
        messages.push(if first & 0x40 == 0 {
            message(payload)
        } else {
            message(&inflated(payload, inflater))
        });
        bytes = &bytes[header + length..];
    }
    let taken = received.len() - bytes.len();
    (messages, taken)
}

fn inflated(payload: &[u8], inflater: &mut Inflater) -> Vec<u8> {
    let mut out = Vec::new();
    let done = inflater.inflate_next(payload, BYTES_MAX, &mut out);
    done.expect("what is compressed can be inflated");
    out
}
