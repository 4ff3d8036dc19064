//! A panic costs the connection that caused it and no other; a series of them ends the process in order.

use serde_json::json;

use crate::support::{Client, Ended, Raw, Server};

/// Debug builds panic on this message, on purpose.
const PANIC: &[u8] = br#"{"type":"$panic"}"#;

#[test]
#[cfg(debug_assertions)]
fn a_panic_costs_one_connection_and_three_within_a_minute_drain() {
    let mut server = Server::start(Default::default());
    let mut witness = Client::join_server(&server, "ada", "user");
    witness.join("room:1");
    for count in 1..=2 {
        let mut raw = Raw::welcomed(&server, "");
        raw.send_frame(0x81, PANIC);
        assert_eq!(raw.end(), Ended::Code(4006));
        assert_eq!(server.metric("fanfare_panics_total"), f64::from(count));
        witness.publish("room:1", json!(count));
        witness.expect("say");
    }
    let mut raw = Raw::welcomed(&server, "");
    raw.send_frame(0x81, PANIC);
    assert_eq!(witness.end().1, Ended::Code(1012));
    server.ended();
}
