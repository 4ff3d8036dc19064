//! Requests that are no good handshake get the status that says so, and keep nobody waiting.

use std::time::{Duration, Instant};

use crate::support::{Raw, Server, request};

const GOOD: [(&str, &str); 4] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The answer to a handshake with one header changed or left out.
fn with(server: &Server, name: &str, value: Option<&str>) -> crate::support::Answer {
    let mut head = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    for (header, good) in GOOD {
        match value {
            _ if header != name => head += &format!("{header}: {good}\r\n"),
            Some(value) => head += &format!("{header}: {value}\r\n"),
            None => {}
        }
    }
    let mut raw = Raw::connect(server);
    raw.send(format!("{head}\r\n").as_bytes());
    raw.head()
}

#[test]
fn a_handshake_with_something_wrong_gets_the_status_for_it() {
    let server = Server::start(Default::default());
    assert_eq!(with(&server, "", None).status, 101);
    let version = with(&server, "Sec-WebSocket-Version", Some("12"));
    assert_eq!(version.status, 426);
    assert!(version.head.contains("sec-websocket-version: 13"), "{}", version.head);
    assert_eq!(with(&server, "Sec-WebSocket-Key", None).status, 400);
    assert_eq!(with(&server, "Sec-WebSocket-Key", Some("short")).status, 400);
    assert!([400, 426].contains(&with(&server, "Sec-WebSocket-Version", None).status));
    assert!([400, 426].contains(&with(&server, "Upgrade", None).status));
    assert!([400, 426].contains(&with(&server, "Connection", Some("close")).status));
    let post = request(&server, "POST", "/v1/ws", &GOOD, "");
    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get"), "{}", post.head);
    assert_eq!(request(&server, "GET", "/nothing", &[], "").status, 404);
    assert_eq!(request(&server, "DELETE", "/healthz", &[], "").status, 405);
}

#[test]
fn requests_that_proxies_would_read_differently_are_refused() {
    let server = Server::start(Default::default());
    for (what, request) in [
        (
            "both lengths",
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        ),
        (
            "two lengths",
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        ),
        (
            "a length that is none",
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
        ),
        ("no host", "GET /healthz HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n"),
        ("space before the colon", "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n"),
        ("a folded header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n"),
        ("nonsense", "nonsense\r\n\r\n"),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(request.as_bytes());
        assert_eq!(raw.head().status, 400, "{what}");
    }
    let mut raw = Raw::connect(&server);
    raw.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "a".repeat(20_000)).as_bytes());
    assert_eq!(raw.head().status, 431);
    let many: String = (0..300).map(|n| format!("h{n}: v\r\n")).collect();
    let mut raw = Raw::connect(&server);
    raw.send(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes());
    assert_eq!(raw.head().status, 431);
}

#[test]
fn a_handshake_that_dribbles_is_cut_in_time() {
    let server = Server::with("[timeouts]\nhandshake = \"700ms\"\n");
    let started = Instant::now();
    let mut raw = Raw::connect(&server);
    let dribble = raw.stream.try_clone().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let mut dribble = dribble;
        for byte in
            b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                .iter()
                .cycle()
        {
            if dribble.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    raw.rest();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn requests_may_be_pipelined_and_the_connection_kept() {
    let server = Server::start(Default::default());
    let mut raw = Raw::connect(&server);
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    raw.send(format!("{one}{one}{last}").as_bytes());
    let rest = raw.rest();
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 3, "{rest}");
    assert_eq!(rest.matches("\"driver\"").count(), 2, "{rest}");
}

#[test]
fn messages_may_follow_the_handshake_in_the_same_packet() {
    let server = Server::start(Default::default());
    let token = crate::support::token("ada", "user", serde_json::json!({}));
    let mut raw = Raw::connect(&server);
    let mut bytes = format!("GET /v1/ws?token={token} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in GOOD {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(crate::support::frame(0x81, br#"{"type":"heartbeat","id":1}"#));
    raw.send(&bytes);
    assert_eq!(raw.head().status, 101);
    assert!(raw.frame().unwrap().1.starts_with(b"{\"type\":\"welcome\""));
    assert!(raw.frame().unwrap().1.starts_with(b"{\"type\":\"heartbeat_ack\",\"id\":1"));
}
