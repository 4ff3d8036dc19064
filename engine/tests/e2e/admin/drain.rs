//! Sending everybody away, and not, after all.

use serde_json::{Value, json};

use super::done;
use crate::support::{Client, Ended, Options, Server, api, deployments, eventually, request, token};

const PATH: &str = "/v1/admin/drain";

#[test]
fn a_drained_server_stays_takes_nobody_and_can_be_undrained() {
    for options in deployments() {
        let server = Server::start(options);
        let mut clients: Vec<Client> = (0..8).map(|_| Client::join_server(&server, "m", "user")).collect();
        assert_eq!(done(&server, "GET", PATH, Value::Null)["state"], "serving");
        for round in 0..2 {
            let status = done(&server, "POST", PATH, Value::Null);
            assert!(["draining", "drained"].contains(&status["state"].as_str().unwrap()), "{status}");
            for client in &mut clients {
                assert_eq!(client.end().1, Ended::Code(1012), "round {round}");
            }
            clients.clear();
            eventually("nobody is left", || {
                let status = done(&server, "GET", PATH, Value::Null);
                (status["state"] == "drained" && status["seconds_left"] == 0.0).then_some(())
            });
            assert_eq!(request(&server, "GET", "/readyz", &[], "").status, 503);
            let bearer = format!("Bearer {}", token("m", "user", json!({})));
            let refused = Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]);
            assert_eq!(refused.err(), Some(503));
            assert_eq!(done(&server, "DELETE", PATH, Value::Null)["state"], "serving");
            assert_eq!(request(&server, "GET", "/readyz", &[], "").status, 200);
            clients.extend((0..8).map(|_| Client::join_server(&server, "m", "user")));
            clients.iter_mut().for_each(Client::expect_nothing);
        }
    }
}

#[test]
fn a_slow_drain_can_be_stopped_half_way() {
    let server = Server::start(Options { shards: 1, ..Options::default() });
    let mut clients: Vec<Client> = (0..20).map(|_| Client::join_server(&server, "m", "user")).collect();
    let begun = done(&server, "POST", PATH, json!({"seconds": 60}));
    assert_eq!((&begun["state"], &begun["connections_before"]), (&json!("draining"), &json!(20)), "{begun}");
    // The first has gone; what the others would take is known.
    let ended = clients.remove(0).end().1;
    assert_eq!(ended, Ended::Code(1012));
    let status = eventually("progress", || {
        let status = done(&server, "GET", PATH, Value::Null);
        (status["connections"].as_u64() < Some(20)).then_some(status)
    });
    assert!(status["seconds_left"].as_f64().is_some(), "{status}");
    done(&server, "DELETE", PATH, Value::Null);
    clients.last_mut().unwrap().expect_nothing();
    assert_eq!(done(&server, "GET", PATH, Value::Null)["state"], "serving");
}

#[test]
fn with_exit_it_is_the_same_as_the_signal_and_nothing_holds_it() {
    let mut server = Server::start(Options { shards: 2, ..Options::default() });
    let mut client = Client::join_server(&server, "m", "user");
    let _lingers = crate::support::Raw::welcomed(&server, "");
    assert_eq!(done(&server, "POST", PATH, json!({"exit": true}))["state"], "ending");
    assert_eq!(client.end().1, Ended::Code(1012));
    assert_eq!(api(&server, "DELETE", PATH, None).0, 409);
    drop(_lingers);
    assert!(server.ended().success());
}

#[test]
fn a_signal_ends_a_server_that_was_drained_before() {
    let mut server = Server::start(Options { shards: 2, ..Options::default() });
    done(&server, "POST", PATH, Value::Null);
    server.signal("TERM");
    assert!(server.ended().success());
}
