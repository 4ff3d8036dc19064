//! Reading commands, writing messages, frames, deflate.

use std::hint::black_box;
use std::ops::ControlFlow;

use bytes::Bytes;
use fanfare_protocol::deflate::{Deflater, Inflater};
use fanfare_protocol::ws::{self, MessageReader, OpCode, ReaderLimits, Role};
use fanfare_protocol::{Body, Message, json, msgpack};

use super::{Make, Part};

pub(super) const PARTS: &[Make] = &[
    decode_small,
    decode_large,
    decode_msgpack,
    encode_json,
    encode_msgpack,
    transcode,
    read_frame,
    unmask,
    utf8,
    deflate,
    inflate,
];

/// A publish of 149 bytes, as small as chat messages are.
const PUBLISH: &str = concat!(
    r#"{"type":"publish","id":17,"room":"surgery:1","event":"schedule_update","#,
    r#""data":{"status":"in_progress","theatre":3,"note":"running late","by":"u-42"}}"#
);
const _: () = assert!(PUBLISH.len() == 149);

const DATA: &str = r#"{"status":"in_progress","theatre":3,"note":"running late","by":"u-42"}"#;

fn decode_small() -> Part {
    Part::new("json/decode_149_b", Some(PUBLISH.len()), || {
        json::decode(black_box(PUBLISH.as_bytes()), &mut |request| drop(black_box(request)));
    })
}

fn decode_large() -> Part {
    let records = String::from_utf8(records(8_192)).expect("the records are ASCII");
    let text = format!(r#"{{"type":"publish","id":17,"room":"surgery:1","event":"list","data":{records}}}"#);
    Part::new("json/decode_8_kib", Some(text.len()), move || {
        json::decode(black_box(text.as_bytes()), &mut |request| drop(black_box(request)));
    })
}

fn decode_msgpack() -> Part {
    let value: serde_json::Value = serde_json::from_str(PUBLISH).expect("the command is JSON");
    let mut packed = Vec::new();
    msgpack::from_json(value.to_string().as_bytes(), &mut packed);
    Part::new("msgpack/decode_149_b", Some(packed.len()), move || {
        msgpack::decode(black_box(&packed), &mut |request| drop(black_box(request)));
    })
}

fn message(body: &Body) -> Message<'_> {
    Message {
        event: "schedule_update",
        room: "surgery:1",
        offset: 123_456,
        epoch: "k3f9a1b2",
        message_id: "01K9ZV3M8QJ4T5W6X7Y8Z9A0BC",
        timestamp_unix_ms: 1_763_634_600_123,
        user_id: Some("u-42"),
        priority: 0,
        body,
    }
}

fn encode_json() -> Part {
    let (body, mut out) = (Body::Json(Bytes::from_static(DATA.as_bytes())), Vec::new());
    Part::new("json/encode_message", None, move || {
        out.clear();
        json::encode_message(&message(black_box(&body)), &mut out);
        black_box(&out);
    })
}

fn encode_msgpack() -> Part {
    let mut packed = Vec::new();
    msgpack::from_json(DATA.as_bytes(), &mut packed);
    let (body, mut out) = (Body::MessagePack(packed.into()), Vec::new());
    Part::new("msgpack/encode_message", None, move || {
        out.clear();
        msgpack::encode_message(&message(black_box(&body)), &mut out);
        black_box(&out);
    })
}

fn transcode() -> Part {
    let (body, mut out) = (Body::Json(Bytes::from_static(DATA.as_bytes())), Vec::new());
    Part::new("msgpack/encode_message_of_json", None, move || {
        out.clear();
        msgpack::encode_message(&message(black_box(&body)), &mut out);
        black_box(&out);
    })
}

fn read_frame() -> Part {
    let mut frame = Vec::new();
    ws::encode_masked_frame(&mut frame, OpCode::Text, false, [1, 2, 3, 4], PUBLISH.as_bytes());
    let (mut bytes, mut reader, mut inflater) = (frame.clone(), MessageReader::new(false), Inflater::new());
    let limits = ReaderLimits { role: Role::Server, message_bytes_max: 65_536, fragments_max: 1_024 };
    Part::new("ws/read_149_b", Some(frame.len()), move || {
        // Unmasking happens in place.
        bytes.copy_from_slice(&frame);
        let outcome = reader.feed(&mut bytes, &limits, &mut inflater, |incoming| {
            black_box(incoming);
            ControlFlow::Continue(())
        });
        assert!(outcome.is_ok());
    })
}

fn unmask() -> Part {
    let mut payload = vec![0x5a; 8_192];
    Part::new("ws/unmask_8_kib", Some(payload.len()), move || {
        ws::apply_mask(black_box(&mut payload), black_box([0x37, 0xfa, 0x21, 0x3d]));
    })
}

fn utf8() -> Part {
    let text = "pulse \u{e9} breath \u{20ac} ".repeat(400).into_bytes();
    Part::new("ws/utf8_9_kib", Some(text.len()), move || {
        assert!(str::from_utf8(black_box(&text)).is_ok());
    })
}

/// Records as an application's list has them, of about so many bytes.
fn records(bytes: usize) -> Vec<u8> {
    let mut text = Vec::from(*b"[");
    for id in 0_usize.. {
        let record = format!(
            r#"{{"id":{},"room":"theatre-{}","status":"{}","minutes":{}}},"#,
            10_000 + id * 7_919 % 90_000,
            id % 5,
            ["scheduled", "in_progress", "delayed"][id % 3],
            5 * (id * 31 % 48)
        );
        if text.len() + record.len() > bytes {
            break;
        }
        text.extend_from_slice(record.as_bytes());
    }
    text.pop();
    text.resize(bytes - 1, b' ');
    text.push(b']');
    text
}

fn deflate() -> Part {
    let (payload, mut deflater, mut out) = (records(1_024), Deflater::new(6, 15), Vec::new());
    Part::new("deflate/compress_1_kib", Some(payload.len()), move || {
        out.clear();
        deflater.compress(black_box(&payload), &mut out);
        black_box(&out);
    })
}

fn inflate() -> Part {
    let (mut compressed, mut inflater, mut out) = (Vec::new(), Inflater::new(), Vec::new());
    Deflater::new(6, 15).compress(&records(1_024), &mut compressed);
    Part::new("deflate/inflate_1_kib", Some(1_024), move || {
        out.clear();
        assert!(inflater.inflate(black_box(&compressed), 65_536, &mut out).is_ok());
        black_box(&out);
    })
}
