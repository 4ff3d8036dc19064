//! Reading messages: whatever the fragmentation and wherever reads cut, the same messages come out, and what
//! breaks RFC 6455 is refused with its close code.

use std::ops::ControlFlow;

use fanfare_protocol::deflate::{Deflater, Inflater};
use fanfare_protocol::ws::{
    Incoming, MessageReader, ReaderLimits, Role, Violation, encode_frame, encode_masked_frame,
};
use fanfare_protocol::ws::{OpCode, apply_mask};
use proptest::prelude::*;

const LIMITS: ReaderLimits = ReaderLimits { role: Role::Server, message_bytes_max: 1_000, fragments_max: 16 };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A message, out of its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn owned(incoming: Incoming<'_>) -> Read {
    match incoming {
        Incoming::Text(text) => Read::Text(text.to_vec()),
        Incoming::Binary(bytes) => Read::Binary(bytes.to_vec()),
        Incoming::Ping(payload) => Read::Ping(payload.to_vec()),
        Incoming::Pong(payload) => Read::Pong(payload.to_vec()),
        Incoming::Close { code, reason } => Read::Close(code, reason.to_owned()),
    }
}

/// Feeds `bytes` in parts of the given lengths, over and over.
fn read(
    bytes: &[u8],
    parts: &[usize],
    deflate: bool,
    limits: &ReaderLimits,
) -> (Vec<Read>, Result<(), Violation>) {
    let (mut reader, mut inflater, mut messages) = (MessageReader::new(deflate), Inflater::new(), Vec::new());
    let (mut bytes, mut rest) = (bytes.to_vec(), 0);
    let mut parts = parts.iter().cycle();
    while rest < bytes.len() {
        let len = parts.next().map_or(bytes.len(), |len| len + 1).min(bytes.len() - rest);
        let outcome = reader.feed(&mut bytes[rest..rest + len], limits, &mut inflater, |incoming| {
            messages.push(owned(incoming));
            ControlFlow::Continue(())
        });
        if outcome.is_err() {
            return (messages, outcome);
        }
        rest += len;
    }
    (messages, Ok(()))
}

/// One frame by hand, masked, with any header bits.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_masked_frame(&mut bytes, OpCode::Binary, false, KEY, payload);
    bytes[0] = first;
    bytes
}

fn refused(frames: &[Vec<u8>]) -> (u16, &'static str) {
    let bytes = frames.concat();
    let violation = read(&bytes, &[], false, &LIMITS).1.expect_err("the bytes break the protocol");
    // The same when each byte comes alone.
    assert_eq!(read(&bytes, &[0], false, &LIMITS).1, Err(violation));
    (violation.close_code, violation.reason)
}

#[test]
fn what_breaks_the_framing_is_1002() {
    let mut unmasked = Vec::new();
    encode_frame(&mut unmasked, OpCode::Text, false, b"hello");
    assert_eq!(refused(&[unmasked]), (1_002, "frame from a client is not masked"));
    assert_eq!(refused(&[frame(0xc1, b"x")]), (1_002, "reserved bit set"));
    assert_eq!(refused(&[frame(0xa1, b"x")]), (1_002, "reserved bit set"));
    assert_eq!(refused(&[frame(0xc9, b"x")]), (1_002, "reserved bit set"));
    assert_eq!(refused(&[frame(0x83, b"x")]), (1_002, "reserved opcode"));
    assert_eq!(refused(&[frame(0x09, b"x")]), (1_002, "fragmented control frame"));
    assert_eq!(refused(&[frame(0x89, &[0; 126])]), (1_002, "control frame longer than 125 bytes"));
    assert_eq!(refused(&[frame(0x80, b"x")]), (1_002, "continuation of no message"));
    assert_eq!(
        refused(&[frame(0x01, b"x"), frame(0x81, b"y")]),
        (1_002, "new message inside a fragmented one")
    );
    assert_eq!(refused(&[frame(0x88, b"\x03")]), (1_002, "close frame with half a code"));
    assert_eq!(refused(&[frame(0x88, b"\x03\xee")]), (1_002, "close code that may not be sent"));
}

#[test]
fn a_server_that_masks_is_refused_by_a_client() {
    let limits = ReaderLimits { role: Role::Client, ..LIMITS };
    assert_eq!(read(&frame(0x81, b"x"), &[], false, &limits).1.unwrap_err().close_code, 1_002);
}

#[test]
fn text_that_is_not_utf8_is_1007_at_its_first_wrong_byte() {
    assert_eq!(refused(&[frame(0x81, b"\xff")]).0, 1_007);
    assert_eq!(refused(&[frame(0x81, b"\xc3")]).0, 1_007);
    assert_eq!(refused(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"\x20")]).0, 1_007);
    assert_eq!(refused(&[frame(0x88, b"\x03\xe8\xff")]).0, 1_007);
    // The frame is far from its end, but it can no longer become right.
    let mut long = frame(0x81, &[b'x'; 900]);
    long.truncate(8 + 4);
    let mut wrong = [0xed, 0xa0];
    apply_mask(&mut wrong, KEY);
    long.extend_from_slice(&wrong);
    assert_eq!(refused(&[long]).0, 1_007);
    let whole = [frame(0x01, b"\xe2\x82"), frame(0x00, b""), frame(0x80, b"\xac")].concat();
    assert_eq!(read(&whole, &[], false, &LIMITS), (vec![Read::Text("€".into())], Ok(())));
}

#[test]
fn what_is_announced_over_the_limit_is_1009_at_the_header() {
    let header = |len: u64| [&[0x82, 0xff][..], &len.to_be_bytes(), &KEY].concat();
    assert_eq!(refused(&[header(65_536)]).0, 1_009);
    assert_eq!(refused(&[header(u64::MAX >> 1)]).0, 1_009);
    assert_eq!(refused(&[frame(0x02, &[0; 600]), frame(0x80, &[0; 401])[..8].to_vec()]).0, 1_009);
    let fragments = vec![frame(0x00, b""); 16];
    assert_eq!(
        refused(&[vec![frame(0x02, b"")], fragments].concat()),
        (1_009, "message in too many fragments")
    );
}

#[test]
fn nothing_is_read_after_a_close() {
    let bytes = [frame(0x88, b"\x0f\xa0bye"), frame(0x81, b"late")].concat();
    for parts in [&[][..], &[0], &[7]] {
        assert_eq!(
            read(&bytes, parts, false, &LIMITS),
            (vec![Read::Close(Some(4_000), "bye".into())], Ok(()))
        );
    }
}

#[test]
fn broken_and_swollen_deflate_is_refused() {
    let read =
        |payload: &[u8], first| read(&frame(first, payload), &[], true, &LIMITS).1.unwrap_err().close_code;
    assert_eq!(read(b"\xff\xff\xff", 0xc1), 1_007);
    let mut bomb = Vec::new();
    Deflater::new(9, 15).compress(&[b'x'; 1_001], &mut bomb);
    assert_eq!(read(&bomb, 0xc1), 1_009);
    let mut not_text = Vec::new();
    Deflater::new(9, 15).compress(b"\xff", &mut not_text);
    assert_eq!(read(&not_text, 0xc1), 1_007);
}

#[test]
fn long_messages_in_short_reads_take_linear_time_and_memory_that_arrived() {
    let limits = ReaderLimits { message_bytes_max: 32 << 20, fragments_max: 1 << 20, ..LIMITS };
    let started = std::time::Instant::now();
    let bytes = frame(0x81, &vec![b'x'; 16 << 20]);
    let (messages, outcome) = read(&bytes, &[63], false, &limits);
    assert_eq!((messages.len(), outcome), (1, Ok(())));
    let mut fragments = frame(0x02, b"x");
    for _ in 0..100_000 {
        fragments.extend_from_slice(&frame(0x00, b"y"));
    }
    fragments.extend_from_slice(&frame(0x80, b"z"));
    let (messages, outcome) = read(&fragments, &[4_095], false, &limits);
    assert_eq!((messages.len(), outcome), (1, Ok(())));
    // Quadratic work on this would be hours.
    assert!(started.elapsed().as_secs() < 60);

    let mut reader = MessageReader::new(false);
    let mut head = frame(0x82, &[0; 900])[..10].to_vec();
    reader.feed(&mut head, &LIMITS, &mut Inflater::new(), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(reader.buffered_bytes(), 2);
}

#[test]
fn a_read_may_end_anywhere() {
    let mut compressed = Vec::new();
    Deflater::new(6, 15).compress(b"compressed", &mut compressed);
    let frames = [
        frame(0x81, b"text"),
        frame(0x89, b"ping"),
        frame(0x82, b""),
        frame(0x01, "t\u{e9}".as_bytes()),
        frame(0x8a, b""),
        frame(0x80, "\u{20ac}".as_bytes()),
        frame(0xc1, &compressed),
        frame(0x82, &[7; 300]),
        frame(0x88, b"\x03\xe8bye"),
    ];
    let bytes = frames.concat();
    let whole = read(&bytes, &[], true, &LIMITS);
    assert_eq!((whole.0.len(), &whole.1), (8, &Ok(())));
    for first in 1..bytes.len() {
        for second in [1, 2, 3, 7, bytes.len()] {
            let parts = [first - 1, second - 1, bytes.len()];
            assert_eq!(read(&bytes, &parts, true, &LIMITS), whole, "cut at {first} and {second} behind it");
        }
    }
}

/// A message as a client sends it.
fn message() -> impl Strategy<Value = (Read, bool, Vec<usize>)> {
    let kind = prop_oneof![
        ".{0,100}".prop_map(|text| Read::Text(text.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(Read::Binary),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Read::Ping),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Read::Pong),
    ];
    (kind, any::<bool>(), prop::collection::vec(0..100_usize, 0..5))
}

/// Writes a message in fragments of the given lengths and a last one.
fn write(out: &mut Vec<u8>, message: &Read, compress: bool, fragments: &[usize], deflater: &mut Deflater) {
    let (opcode, payload) = match message {
        Read::Text(payload) => (0x1, payload),
        Read::Binary(payload) => (0x2, payload),
        Read::Ping(payload) => return out.extend(frame(0x89, payload)),
        Read::Pong(payload) => return out.extend(frame(0x8a, payload)),
        Read::Close(..) => unreachable!("not made above"),
    };
    let mut compressed = Vec::new();
    let mut rest = payload.as_slice();
    if compress {
        deflater.compress(payload, &mut compressed);
        rest = &compressed;
    }
    let mut first = opcode | u8::from(compress) << 6;
    for len in fragments {
        let (part, after) = rest.split_at((*len).min(rest.len()));
        out.extend(frame(first, part));
        // Control frames may come in between (RFC 6455 §5.4).
        first = 0;
        rest = after;
    }
    out.extend(frame(first | 0x80, rest));
}

proptest! {
    #[test]
    fn messages_survive_any_fragments_and_any_cuts(
        messages in prop::collection::vec(message(), 0..8),
        parts in prop::collection::vec(0..300_usize, 0..6),
    ) {
        let (mut bytes, mut deflater) = (Vec::new(), Deflater::new(6, 15));
        for (message, compress, fragments) in &messages {
            write(&mut bytes, message, *compress, fragments, &mut deflater);
        }
        let expected: Vec<Read> = messages.into_iter().map(|(message, ..)| message).collect();
        let (read, outcome) = read(&bytes, &parts, true, &LIMITS);
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        noise: Vec<u8>,
        parts in prop::collection::vec(0..10_usize, 1..4),
        deflate: bool,
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
        bytes.extend(noise);
        let whole = read(&bytes, &[], deflate, &LIMITS);
        let cut = read(&bytes, &parts, deflate, &LIMITS);
        prop_assert_eq!(whole.0, cut.0);
        // Cut reads may find wrong text before a later fault of the framing, never the other way round.
        prop_assert_eq!(whole.1.is_err(), cut.1.is_err());
    }
}
