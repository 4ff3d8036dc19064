//! One connection driven by bytes alone, cut at every place.

use fanfare_protocol::deflate::Deflater;
use fanfare_protocol::ws::encode_frame;
use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;

use super::*;
use crate::plan::tests::plan;
use crate::stamp::Stamp;

fn shared(plan: &Plan) -> Shared<'_> {
    Shared { plan, scanner: Scanner::new(plan.encoding, &plan.room_prefix), memo: Memo::new() }
}

/// The answer to the request of connection `index`, whose nonce is read from that request.
fn switching(plan: &Plan, index: u32) -> Vec<u8> {
    let mut request = Vec::new();
    upgrade::write_request(plan, index, &mut request).unwrap();
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let extensions = match plan.deflate {
        Deflate::None => "",
        Deflate::Alone => {
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
        }
        Deflate::Shared => "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
    };
    let accept = derive_accept_key(key.as_bytes());
    format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n{extensions}\r\n")
        .into_bytes()
}

fn payload(encoding: Encoding, value: &Value) -> Vec<u8> {
    match encoding {
        Encoding::Json => value.to_string().into_bytes(),
        Encoding::MessagePack => rmp_serde::to_vec_named(value).unwrap(),
    }
}

fn frame(encoding: Encoding, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let opcode = if encoding == Encoding::Json { OpCode::Text } else { OpCode::Binary };
    encode_frame(&mut out, opcode, false, &payload(encoding, value));
    out
}

fn message(offset: u64) -> Value {
    let data = json!({"p": "x", "t": "00000000000000ff00000002"});
    json!({"type": "load", "room": "load:1", "offset": offset, "epoch": "e", "data": data})
}

fn delivered(offset: u64) -> String {
    let stamp = Some(Stamp { intended: 255, number: 2 });
    format!("{:?}", Event::Delivered(Delivery { room: 1, offset, stamp }))
}

/// Feeds `bytes` in two parts and returns the events as text, and how it ended.
fn feed(plan: &Plan, index: u32, bytes: &[u8], cut: usize) -> (Client, Vec<String>, Result<(), Failure>) {
    let mut shared = shared(plan);
    let mut client = Client::new(index, plan.deflate);
    client.set_stage(Stage::Upgrading);
    let mut events = Vec::new();
    let mut bytes = bytes.to_vec();
    let (first, second) = bytes.split_at_mut(cut);
    let mut sink = |event: Event<'_>| events.push(format!("{event:?}"));
    let outcome = client.received(first, &mut shared, &mut sink);
    let outcome = outcome.and_then(|()| client.received(second, &mut shared, &mut sink));
    (client, events, outcome)
}

#[test]
fn a_connection_becomes_live_however_its_bytes_are_cut() {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let mut plan = plan();
        plan.encoding = encoding;
        // Six memberships are dealt to four connections: connection 3 has one, in room 1.
        let mut bytes = switching(&plan, 3);
        for value in [
            json!({"type": "welcome", "client_id": "c"}),
            json!({"type": "joined", "id": 1, "room": "load:1", "epoch": "e", "offset": 4}),
            message(5),
            json!({"type": "something_new"}),
            json!({"type": "published", "id": "0000002a", "offset": 6}),
            json!({"type": "error", "id": "0000002b", "name": "RATE_LIMIT_EXCEEDED"}),
        ] {
            bytes.extend(frame(encoding, &value));
        }
        let wanted = [
            "Welcomed".into(),
            format!("{:?}", Event::Joined { room: 1, offset: 4, epoch: "e", recovered: false }),
            delivered(5),
            format!("{:?}", Event::Published { number: 42, offset: 6 }),
            format!("{:?}", Event::Refused { number: 43, name: "RATE_LIMIT_EXCEEDED" }),
        ];
        for cut in 0..=bytes.len() {
            let (client, events, outcome) = feed(&plan, 3, &bytes, cut);
            assert_eq!(outcome, Ok(()), "cut {cut}");
            assert_eq!(client.stage(), Stage::Live, "cut {cut}");
            assert_eq!(events, wanted, "cut {cut}");
        }
    }
}

#[test]
fn compressed_messages_are_read_whole_or_cut_first_or_repeated() {
    for deflate in [Deflate::Alone, Deflate::Shared] {
        let mut plan = plan();
        plan.deflate = deflate;
        let mut bytes = switching(&plan, 3);
        for value in [json!({"type": "welcome"}), json!({"type": "joined", "id": 1, "offset": 4})] {
            bytes.extend(frame(Encoding::Json, &value));
        }
        let mut deflater = Deflater::new(6, 15);
        for offset in [5, 6, 6] {
            let (mut compressed, plain) = (Vec::new(), message(offset).to_string());
            match deflate {
                Deflate::Shared => deflater.compress_next(plain.as_bytes(), &mut compressed),
                _ => deflater.compress(plain.as_bytes(), &mut compressed),
            }
            encode_frame(&mut bytes, OpCode::Text, true, &compressed);
            // What is not compressed leaves the window as it is.
            bytes.extend(frame(Encoding::Json, &json!({"type": "something_new"})));
        }
        for cut in 0..=bytes.len() {
            let (_, events, outcome) = feed(&plan, 3, &bytes, cut);
            assert_eq!(outcome, Ok(()), "cut {cut}");
            assert_eq!(events[2..], [delivered(5), delivered(6), delivered(6)], "cut {cut}");
        }
    }
}

#[test]
fn a_ping_is_answered_and_a_close_ends_the_connection() {
    let plan = plan();
    let mut bytes = switching(&plan, 3);
    bytes.extend(frame(Encoding::Json, &json!({"type": "welcome"})));
    let (mut client, ..) = feed(&plan, 3, &bytes, 0);
    client.out().clear();
    let mut shared = shared(&plan);
    let mut ignore = |_: Event<'_>| {};
    let mut ping = Vec::new();
    encode_frame(&mut ping, OpCode::Ping, false, b"hi");
    client.received(&mut ping, &mut shared, &mut ignore).unwrap();
    let mut pong = Vec::new();
    encode_masked_frame(&mut pong, OpCode::Pong, false, MASK, b"hi");
    assert_eq!(*client.out(), pong);
    let mut close = Vec::new();
    encode_frame(&mut close, OpCode::Close, false, &4_008_u16.to_be_bytes());
    let closed = client.received(&mut close, &mut shared, &mut ignore);
    assert_eq!(closed, Err(Failure::Closed(Some(4_008))));
}

#[test]
fn what_a_server_must_not_send_is_a_failure() {
    let plan = plan();
    for (value, failure) in [
        (
            json!({"type": "error", "code": 4001, "name": "AUTHENTICATION_FAILED"}),
            "error AUTHENTICATION_FAILED",
        ),
        (json!({"type": "error", "id": 1, "name": "SESSION_FULL"}), "error SESSION_FULL"),
        (json!({"type": "load", "room": "elsewhere", "offset": 1}), "unreadable message"),
        (json!({"type": "published", "id": "no number", "offset": 1}), "unreadable message"),
        (json!([1]), "unreadable message"),
    ] {
        let mut bytes = switching(&plan, 3);
        bytes.extend(frame(Encoding::Json, &value));
        let (_, _, outcome) = feed(&plan, 3, &bytes, 0);
        assert_eq!(outcome.unwrap_err().to_string(), failure);
    }
}
