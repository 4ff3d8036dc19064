//! Any bytes, cut anywhere, are the same messages; nothing is kept beyond what arrived.
#![no_main]

use std::ops::ControlFlow;

use fanfare_protocol::deflate::Inflater;
use fanfare_protocol::ws::{Incoming, MessageReader, ReaderLimits, Role};
use libfuzzer_sys::fuzz_target;

const LIMITS: ReaderLimits = ReaderLimits { role: Role::Server, message_bytes_max: 4_096, fragments_max: 8 };

fn read(bytes: &[u8], part: usize, deflate: bool) -> (Vec<(u8, Vec<u8>)>, bool) {
    let (mut reader, mut inflater, mut messages) = (MessageReader::new(deflate), Inflater::new(), Vec::new());
    for part in bytes.to_vec().chunks_mut(part) {
        let outcome = reader.feed(part, &LIMITS, &mut inflater, |incoming| {
            messages.push(match incoming {
                Incoming::Text(text) => {
                    assert!(str::from_utf8(text).is_ok());
                    (1, text.to_vec())
                }
                Incoming::Binary(bytes) => (2, bytes.to_vec()),
                Incoming::Close { reason, .. } => (8, reason.as_bytes().to_vec()),
                Incoming::Ping(payload) => (9, payload.to_vec()),
                Incoming::Pong(payload) => (10, payload.to_vec()),
            });
            ControlFlow::Continue(())
        });
        assert!(reader.buffered_bytes() <= LIMITS.message_bytes_max);
        if outcome.is_err() {
            return (messages, true);
        }
    }
    (messages, false)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let deflate = choice & 1 == 1;
    let whole = read(bytes, bytes.len().max(1), deflate);
    let cut = read(bytes, usize::from(choice >> 1).max(1), deflate);
    assert_eq!(whole, cut);
    assert!(whole.0.iter().all(|(_, payload)| payload.len() <= LIMITS.message_bytes_max));
});
