//! Logs never hold a token or what a message says, not even at the most talkative level.

use serde_json::json;

use crate::support::{Client, Options, Raw, Server, eventually, request, token};

#[test]
fn logs_hold_no_token_and_no_payload() {
    let config = "[log]\nlevel = \"debug\"\nformat = \"json\"\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let good = token("ada", "admin", json!({}));
    let marker = "MARKER-Jane-Doe-1234";
    let mut client =
        Client::connect(&server, &format!("/v1/ws?token={good}&metadata=%7B%22m%22:%22{marker}%22%7D"), &[])
            .unwrap();
    client.expect("welcome");
    client.join("room:1");
    client.publish("room:1", json!({"patient": marker}));
    client.send(&json!({"type": marker, "id": 1, "token": marker}));
    client.expect("say");
    client.expect("error");
    let bearer = format!("Bearer {good}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = format!(r#"{{"room":"room:1","event":"say","data":"{marker}"}}"#);
    request(&server, "POST", "/v1/publish", &headers, &body);
    request(&server, "POST", "/v1/publish", &headers, &format!("{{{marker}"));
    request(&server, "GET", &format!("/v1/ws?token={marker}"), &[], "");
    let mut refused = Client::connect(&server, &format!("/v1/ws?token={marker}"), &[]).unwrap();
    refused.end();
    let mut raw = Raw::welcomed(&server, "");
    raw.send_frame(0x81, format!("{marker}\u{0}").as_bytes());
    raw.send_frame(0x88, format!("\u{3}\u{e8}{marker}").as_bytes());
    drop(client);
    eventually("the audit tells of the end", || server.log().contains("\"close\"").then_some(()));
    let log = server.log();
    assert!(log.contains("\"user_id\":\"ada\"") && log.contains("\"connect\""), "who did it is told: {log}");
    for secret in [marker, good.as_str(), good.split('.').next_back().unwrap()] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
