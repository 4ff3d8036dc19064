//! Who is alive stays, who is not goes.

use serde_json::json;

use crate::support::{Client, Ended, Raw, Server};

#[test]
fn a_silent_peer_is_pinged_and_one_that_does_not_answer_is_let_go() {
    let server = Server::with("[heartbeat]\ninterval = \"300ms\"\ngrace = \"500ms\"\n");
    let mut dead = Raw::welcomed(&server, "");
    let (first, payload) = dead.frame().unwrap();
    assert_eq!(first, 0x89, "a ping");
    dead.send_frame(0x8a, &payload);
    assert_eq!(dead.frame().unwrap().0, 0x89, "another, since the first was answered");
    let told = dead.frame().unwrap().1;
    assert!(String::from_utf8_lossy(&told).contains("HEARTBEAT_TIMEOUT"));
    assert_eq!(dead.end(), Ended::Code(4007));
}

#[test]
fn the_heartbeat_command_is_answered_with_the_time_and_counts_as_life() {
    let server = Server::with("[heartbeat]\nidle = \"1s\"\n");
    let mut client = Client::join_server(&server, "ada", "user");
    let mut idle = Client::join_server(&server, "bob", "user");
    let started = std::time::Instant::now();
    while started.elapsed().as_millis() < 1_500 {
        let answer = client.ask(json!({"type": "heartbeat", "data": {"at": 1}}));
        assert_eq!(answer["type"], "heartbeat_ack");
        assert!(answer["server_time"].as_str().unwrap().ends_with('Z'));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(idle.end().1, Ended::Code(4010));
    client.expect_nothing();
}
