//! Logs and the audit never hold a token or what a message says, not even at the most talkative level.

use serde_json::json;

use crate::support::{Client, Ended, Folder, Options, Raw, Server, eventually, request, token};

#[test]
fn logs_hold_no_token_and_no_payload() {
    let server = Server::with(LOG);
    let secrets = tell_secrets(&server);
    eventually("the audit tells of the end", || server.log().contains("\"close\"").then_some(()));
    check(&server.log(), &secrets);
}

#[test]
fn the_audit_holds_no_token_and_no_payload() {
    let folder = Folder::new();
    let path = folder.0.join("audit.jsonl");
    let config = format!("{LOG}[audit]\npublishes = true\npath = \"{}\"\n", path.display());
    let mut server = Server::start(Options { config, ..Options::default() });
    let secrets = tell_secrets(&server);
    server.signal("TERM");
    server.ended();
    let audit = std::fs::read_to_string(path).unwrap();
    for event in ["publish", "handshake", "malformed", "connect_denied", "protocol_violation", "close"] {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "{event} in {audit}");
    }
    check(&audit, &secrets);
    for secret in &secrets {
        assert!(!server.log().contains(secret), "{secret} in {}", server.log());
    }
}

const LOG: &str = "[log]\nlevel = \"debug\"\nformat = \"json\"\n";
const MARKER: &str = "MARKER-Jane-Doe-1234";

/// What must be nowhere.
fn check(text: &str, secrets: &[String]) {
    assert!(
        text.contains("\"user_id\":\"ada\"") && text.contains("\"connect\""),
        "who did it is told: {text}"
    );
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Says what nobody may write down, wherever something can be said. Gives it.
fn tell_secrets(server: &Server) -> Vec<String> {
    let good = token("ada", "admin", json!({}));
    let marker = MARKER;
    let mut client = Client::connect(
        server,
        &format!("/v1/ws?token={good}&{marker}={marker}&metadata=%7B%22{marker}%22:%22{marker}%22%7D"),
        &[("cookie", marker)],
    )
    .unwrap();
    client.expect("welcome");
    client.join("room:1");
    client.publish("room:1", json!({"patient": marker}));
    client.send(&json!({"type": marker, "id": 1, "token": marker, marker: marker}));
    client.expect("say");
    client.expect("error");
    let named = json!({"type": "publish", "room": "room:1", "event": marker, "key": marker, "data": marker});
    assert_eq!(client.ask(named)["type"], "published");
    assert_eq!(client.ask(json!({"type": "refresh", "token": marker}))["code"], 4001);
    assert_eq!(client.ask(json!({"type": "heartbeat", "data": marker}))["type"], "heartbeat_ack");
    let bearer = format!("Bearer {good}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = format!(r#"{{"room":"room:1","event":"say","data":"{marker}"}}"#);
    request(server, "POST", "/v1/publish", &headers, &body);
    request(server, "POST", "/v1/publish", &headers, &format!("{{{marker}"));
    request(server, "GET", &format!("/v1/ws?token={marker}"), &[], "");
    let mut refused = Client::connect(server, &format!("/v1/ws?token={marker}"), &[]).unwrap();
    refused.end();
    let path = format!("/v1/rooms/room:1/history?limit=1&{marker}={marker}");
    request(server, "GET", &path, &headers, "");
    request(server, "GET", &path, &[("authorization", marker)], "");
    request(server, "GET", &path, &[("authorization", &format!("Bearer {marker}"))], "");
    for (first, payload) in [
        (0x81, format!("{marker}\u{0}").into_bytes()),
        (0x83, marker.as_bytes().to_vec()),
        (0x81, [marker.as_bytes(), b"\xff"].concat()),
    ] {
        let mut raw = Raw::welcomed(server, "");
        raw.send_frame(first, &payload);
        raw.send_frame(0x88, format!("\u{3}\u{e8}{marker}").as_bytes());
        assert!(matches!(raw.end(), Ended::Code(_)));
    }
    drop(client);
    vec![marker.to_owned(), good.clone(), good.split('.').next_back().unwrap().to_owned()]
}
