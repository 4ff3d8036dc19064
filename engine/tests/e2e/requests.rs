//! Requests that are refused for what they are, whoever makes them; and connections that are held and ask for nothing.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Options, Raw, Server, api, eventually, request, token};

fn get(server: &Server, host: &str, path: &str) -> u16 {
    let mut raw = Raw::connect(server);
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
    raw.head().status
}

#[test]
fn in_development_only_loopback_is_answered() {
    let server = Server::start(Options::default());
    let own = server.address.clone();
    for host in [&*own, "localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(get(&server, host, "/dev/token"), 200, "{host}");
    }
    for host in
        ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "a@localhost", "", "é"]
    {
        assert_eq!(get(&server, host, "/dev/token"), 421, "{host}");
        assert_eq!(get(&server, host, "/healthz"), 200, "what looks after it asks by address");
    }
    let mut raw = Raw::connect(&server);
    let upgrade = crate::support::upgrade(&token("ada", "user", json!({})), "");
    raw.send(upgrade.replace("Host: localhost", "Host: evil.example").as_bytes());
    let head = raw.head();
    assert_eq!(head.status, 421);
    assert!(raw.rest().contains("`Host`"));
    let mut raw = Raw::connect(&server);
    raw.send(b"GET http://evil.example/dev/token HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(raw.head().status, 421);
}

#[test]
fn elsewhere_hosts_count_where_they_are_listed() {
    let key = "[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"own-own-own-own-own-own-own-own-own\"\n";
    let open = Server::with(key);
    assert_eq!(get(&open, "anything.example", "/"), 200);
    let listed = Server::with(&format!("[auth]\nhosts = [\"App.example\"]\n{key}"));
    assert_eq!(get(&listed, "app.Example:8443", "/"), 200);
    assert_eq!(get(&listed, "localhost", "/"), 421);
    let development = Server::with("[auth]\nhosts = [\"box\"]\n");
    assert_eq!((get(&development, "box", "/"), get(&development, "localhost", "/")), (200, 200));
}

#[test]
fn bytes_that_are_no_text_are_refused_by_part() {
    let server = Server::start(Options::default());
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let headers = [("authorization", &*bearer)];
    for (method, path, part) in [
        ("PUT", "/v1/admin/bans/users/%FF", "the path"),
        ("GET", "/v1/rooms/a%C3/history", "the path"),
        ("GET", "/v1/connections?user=%fe", "`user`"),
    ] {
        let answer = request(&server, method, path, &headers, "");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && message.starts_with(part), "{path}: {}", answer.body);
    }
    assert_eq!(Client::connect(&server, "/v1/ws?client_id=%FF", &headers).map(drop), Err(400));
    Client::welcomed(&server, "/v1/ws?client_id=%E2%82%AC", &headers);
}

#[test]
fn a_body_is_json_and_comes_in_time() {
    let server = Server::with("[timeouts]\nhttp_request = \"300ms\"\n");
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let body = r#"{"room":"a:1","event":"x"}"#;
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON ; charset=utf-8", 200),
        ("application/jsonx", 415),
        ("application/json-patch+json", 415),
        ("application/vnd.app+json", 415),
        ("text/plain", 415),
    ] {
        let headers = [("authorization", &*bearer), ("content-type", kind)];
        assert_eq!(request(&server, "POST", "/v1/publish", &headers, body).status, status, "{kind}");
    }
    for length in ["Content-Length: 200", "Transfer-Encoding: chunked"] {
        let mut raw = Raw::connect(&server);
        let head = format!(
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n{length}\r\n\r\n"
        );
        raw.send(head.as_bytes());
        let head = raw.head();
        assert_eq!(head.status, 408, "{length}");
        assert!(head.head.contains("connection: close"), "{head:?}");
    }
}

#[test]
fn connections_that_ask_for_nothing_keep_nobody_out() {
    for driver in ["uring", "epoll"] {
        let config =
            "[limits]\nhttp_connections = 20\n[timeouts]\nhandshake = \"1m\"\nhttp_keep_alive = \"1m\"\n";
        let server =
            Server::start(Options { driver, shards: 4, config: config.into(), ..Options::default() });
        let idle = || {
            let mut raw = Raw::connect(&server);
            raw.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(raw.head().status, 200);
            raw
        };
        let held: Vec<Raw> = (0..10).map(|_| idle()).collect();
        let silent: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
        // Of one address, those give way that were idle for a second.
        let began = Instant::now();
        eventually("they were idle long enough", || {
            (began.elapsed() > Duration::from_millis(1_200)).then_some(())
        });
        assert_eq!(api(&server, "GET", "/v1/admin/mode", None).0, 200, "an operator is heard");
        let mut ada = Client::join_server(&server, "ada", "user");
        ada.expect_nothing();
        assert!(server.metric("fanfare_http_connections") <= 20.0);
        assert!(server.metric("fanfare_handshake_failures_total{reason=\"displaced\"}") >= 1.0);
        assert_eq!(server.log().matches("limits.http_connections").count().min(1), 1);
        drop((held, silent));
    }
}
