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
    for event in
        ["call", "publish", "handshake", "malformed", "connect_denied", "protocol_violation", "close"]
    {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "{event} in {audit}");
    }
    check(&audit, &secrets);
    for secret in &secrets {
        assert!(!server.log().contains(secret), "{secret} in {}", server.log());
    }
}

const LOG: &str =
    "[log]\nlevel = \"debug\"\nformat = \"json\"\n[[room_type]]\nname = \"ward\"\npresence = true\n";
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
    tell_services(server, &mut client, &headers);
    drop(client);
    vec![marker.to_owned(), good.clone(), good.split('.').next_back().unwrap().to_owned()]
}

/// The same to every service, over both ways in: what is taken, and what is refused.
fn tell_services(server: &Server, client: &mut Client, headers: &[(&str, &str)]) {
    let marker = MARKER;
    let mut patient = Client::join_server(server, "ben", "user");
    [&mut *client, &mut patient].into_iter().for_each(|member| drop(member.join("ward:1")));
    let said = json!({ marker: marker });
    let steps = json!([{"step_id": "read", "name": marker, "metadata": said}]);
    let error = json!({"code": marker, "message": marker, "details": said});
    for (name, data) in [
        ("chat.send", json!({"text": marker, "mentions": [marker], "metadata": said})),
        ("chat.edit", json!({"offset": 1, "text": marker})),
        ("poll.open", json!({"poll_id": "p", "question": marker, "options": [marker, "b"]})),
        ("poll.vote", json!({"poll_id": "p", "option": marker})),
        ("presence.set", json!({"page": marker, "status": marker, "info": said})),
        ("room.kick", json!({"user_id": "ben", "reason": marker})),
        (
            "notification.send",
            json!({
                "notification_id": "n", "type": "lab", "title": marker, "body": marker, "data": said, "user_id": "ben",
                "actions": [{"id": "open", "label": marker, "url": format!("/{marker}")}],
            }),
        ),
        (
            "operation.start",
            json!({"operation_id": "job", "title": marker, "metadata": said, "steps": steps, "user_id": "ben"}),
        ),
        ("operation.fail", json!({"operation_id": "job", "error": error})),
        ("operation.start", json!({"operation_id": "job-2", "title": marker})),
        ("operation.cancel", json!({"operation_id": "job-2", "reason": marker})),
        (
            "monitor.set_rule",
            json!({"rule_id": "r", "name": "spo2", "limit": "below", "threshold": 90, "message": marker}),
        ),
        ("monitor.report", json!({"values": {"spo2": 85}})),
        ("score.define", json!({"score_id": "s", "threshold": 1, "title": marker})),
        ("score.report", json!({"score_id": "s", "value": 2})),
    ] {
        let is_in_room = !name.starts_with("notification") && !name.starts_with("operation");
        let mut command = json!({"type": name, "data": data});
        if is_in_room {
            command["room"] = "ward:1".into();
        }
        let answer = client.ask(command);
        assert_eq!(answer["type"], "ok", "{name}: {answer}");
    }
    assert_eq!(patient.until("$removed")["data"]["reason"], marker);
    client.ask(json!({"type": "heartbeat", "data": {"page": marker, "status": marker}}));
    // What is refused is no more for logs than what is taken.
    for (name, data) in [
        ("chat.send", json!({"text": [marker]})),
        ("chat.send", json!({"text": marker.repeat(1_000)})),
        ("poll.open", json!({"poll_id": "q", "question": marker, "options": marker})),
        ("poll.vote", json!({"poll_id": "p", "option": format!("no {marker}")})),
        ("presence.set", json!({"page": marker.repeat(100)})),
        ("room.kick", json!({"user_id": "ben", "reason": marker.repeat(10)})),
        ("monitor.report", json!({"values": {"spo2": marker}})),
        ("score.report", json!({"score_id": "s", "value": marker})),
    ] {
        let answer = client.ask(json!({"type": name, "room": "ward:1", "data": data}));
        assert_eq!(answer["type"], "error", "{name}: {answer}");
        assert!(!answer.to_string().contains(marker), "{name}: {answer}");
    }
    for (method, path, body, status) in [
        ("POST", "/v1/rooms/ward:1/chat/messages", json!({"text": marker}), 200),
        (
            "POST",
            "/v1/rooms/ward:1/polls",
            json!({"poll_id": "h", "question": marker, "options": ["a", marker]}),
            200,
        ),
        ("POST", "/v1/rooms/ward:1/kick", json!({"user_id": "ben", "reason": marker}), 200),
        ("POST", "/v1/notifications", json!({"type": "lab", "title": marker, "user_id": "ben"}), 200),
        ("POST", "/v1/notifications", json!({"type": "lab", "title": [marker], "user_id": "ben"}), 400),
        ("DELETE", "/v1/rooms/ward:1", json!({"reason": marker}), 200),
    ] {
        let answer = request(server, method, path, headers, &body.to_string());
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
}
