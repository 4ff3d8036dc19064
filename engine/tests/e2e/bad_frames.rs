//! What breaks RFC 6455 ends that connection with the right code; what merely breaks a command does not.

use serde_json::json;

use crate::support::{Client, Ended, Raw, Server};

fn ends_with(server: &Server, headers: &str, frames: &[Vec<u8>]) -> Ended {
    let mut raw = Raw::welcomed(server, headers);
    raw.send(&frames.concat());
    raw.end()
}

use crate::support::frame;

#[test]
fn broken_frames_are_closed_with_the_code_of_the_rfc() {
    let server = Server::start(Default::default());
    let mut witness = Client::join_server(&server, "w", "user");
    witness.join("room:1");
    let announced = |len: u64| [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
    for (what, frames, code) in [
        ("unmasked", vec![b"\x81\x02hi".to_vec()], 1002),
        ("rsv1 without deflate", vec![frame(0xc1, b"x")], 1002),
        ("rsv2", vec![frame(0xa1, b"x")], 1002),
        ("rsv3", vec![frame(0x91, b"x")], 1002),
        ("reserved opcode", vec![frame(0x83, b"x")], 1002),
        ("reserved control opcode", vec![frame(0x8b, b"x")], 1002),
        ("fragmented ping", vec![frame(0x09, b"x")], 1002),
        ("long ping", vec![frame(0x89, &[0; 126])], 1002),
        ("continuation of nothing", vec![frame(0x80, b"x")], 1002),
        ("message inside a message", vec![frame(0x01, b"x"), frame(0x81, b"x")], 1002),
        ("half a close code", vec![frame(0x88, b"x")], 1002),
        ("reserved close code", vec![frame(0x88, &1_005_u16.to_be_bytes())], 1002),
        ("close code of nobody", vec![frame(0x88, &2_999_u16.to_be_bytes())], 1002),
        ("close reason that is not UTF-8", vec![frame(0x88, b"\x03\xe8\xff")], 1007),
        ("text that is not UTF-8", vec![frame(0x81, b"\xff")], 1007),
        ("text cut in a character", vec![frame(0x81, b"\xe2\x82")], 1007),
        ("wrong text over two frames", vec![frame(0x01, b"\xe2\x82"), frame(0x80, b"x")], 1007),
        ("a longer length than it needs", vec![b"\x81\xfe\x00\x01\0\0\0\0x".to_vec()], 1002),
        ("a length of 2^63", vec![announced(1 << 63)], 1002),
        ("announced over the limit", vec![announced(65_537)], 1009),
        ("announced far over it", vec![announced(u64::MAX >> 1)], 1009),
        ("fragments over the limit", vec![frame(0x02, &[0; 40_000]), frame(0x80, &[0; 40_000])], 1009),
        ("too many fragments", [vec![frame(0x02, b"")], vec![frame(0, b""); 1_024]].concat(), 1009),
        ("binary where text was agreed", vec![frame(0x82, b"{}")], 1003),
        ("a goodbye", vec![frame(0x88, &1_000_u16.to_be_bytes())], 1000),
    ] {
        assert_eq!(ends_with(&server, "", &frames), Ended::Code(code), "{what}");
    }
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let bomb = {
        let mut bomb = Vec::new();
        fanfare_protocol::deflate::Deflater::new(9, 15).compress(&vec![b' '; 10 << 20], &mut bomb);
        assert!(bomb.len() < 65_536);
        bomb
    };
    for (what, frames, code) in [
        ("broken deflate", vec![frame(0xc1, b"\xff\xff\xff")], 1007),
        ("deflate of what is not UTF-8", vec![frame(0xc1, b"\xfa\x07\x00")], 1007),
        ("a deflate bomb", vec![frame(0xc1, &bomb)], 1009),
        ("rsv1 on a continuation", vec![frame(0x41, b"x"), frame(0xc0, b"x")], 1002),
        ("rsv1 on a ping", vec![frame(0xc9, b"x")], 1002),
    ] {
        assert_eq!(ends_with(&server, deflate, &frames), Ended::Code(code), "{what}");
    }
    witness.publish("room:1", json!("still here"));
    assert_eq!(server.metric("fanfare_panics_total"), 0.0);
}

#[test]
fn a_ping_is_answered_also_between_fragments() {
    let server = Server::start(Default::default());
    let mut raw = Raw::welcomed(&server, "");
    raw.send_frame(0x01, br#"{"type":"heartbeat","#);
    raw.send_frame(0x89, b"are you there");
    assert_eq!(raw.frame(), Some((0x8a, b"are you there".to_vec())));
    raw.send_frame(0x80, br#""id":1}"#);
    let (first, payload) = raw.frame().unwrap();
    assert_eq!(first, 0x81);
    assert!(payload.starts_with(br#"{"type":"heartbeat_ack","id":1"#));
}

#[test]
fn a_command_may_come_byte_by_byte() {
    let server = Server::start(Default::default());
    let mut raw = Raw::welcomed(&server, "");
    for byte in frame(0x81, br#"{"type":"heartbeat","id":1}"#) {
        raw.send(&[byte]);
    }
    assert!(raw.frame().unwrap().1.starts_with(br#"{"type":"heartbeat_ack","id":1"#));
}

#[test]
fn commands_that_cannot_be_understood_are_told_and_the_connection_lives() {
    let server = Server::with("[limits]\ncommands_per_minute = 0\n");
    let mut raw = Raw::welcomed(&server, "");
    let deep = format!(
        r#"{{"type":"publish","id":7,"room":"a","event":"e","data":{}{}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    for (command, field) in [
        ("", ""),
        ("{", ""),
        ("nonsense", ""),
        ("17", ""),
        (r#"{"type":"fly","id":7}"#, "type"),
        (r#"{"id":7}"#, "type"),
        (r#"{"type":"join","id":7}"#, "room"),
        (r#"{"type":"join","id":7,"room":5}"#, "room"),
        (r#"{"type":"join","id":7,"room":"a/b"}"#, "room"),
        (r#"{"type":"publish","id":7,"room":"a","event":"joined"}"#, "event"),
        (r#"{"type":"publish","id":7,"room":"a","event":"$x"}"#, "event"),
        (r#"{"type":"publish","id":7,"event":"e"}"#, "room"),
        (&deep, "data"),
        (&"[".repeat(60_000), ""),
    ] {
        raw.send_frame(0x81, command.as_bytes());
        let (first, payload) = raw.frame().unwrap_or_else(|| panic!("closed on {command:.60}"));
        assert_eq!(first, 0x81, "{command:.60}");
        let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(4005)),
            "{command:.60}: {answer}"
        );
        assert_eq!(answer["details"]["field"].as_str().unwrap_or(""), field, "{command:.60}: {answer}");
    }
    let mut packed = Raw::welcomed(&server, "Sec-WebSocket-Protocol: fanfare.v1.msgpack\r\n");
    for command in [&b"\x81\xa4type\xa4jo"[..], b"\xdd\xff\xff\xff\xff", b"\xc1", b""] {
        packed.send_frame(0x82, command);
        assert_eq!(packed.frame().map(|(first, _)| first), Some(0x82), "{command:x?}");
    }
}
