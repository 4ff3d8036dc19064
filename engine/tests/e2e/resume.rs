//! Coming back with what the welcome gave: rooms and missed messages in one round trip.

use serde_json::{Value, json};

use crate::support::{Client, Ended, Server, deployments, token};

fn connect(server: &Server, user: &str, query: &str) -> (Client, Value) {
    let bearer = format!("Bearer {}", token(user, "admin", json!({})));
    let path = format!("/v1/ws?{query}");
    let mut client = Client::connect(server, &path, &[("authorization", &bearer)]).unwrap();
    let welcome = client.expect("welcome");
    (client, welcome)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn one_round_trip_brings_the_rooms_and_what_was_missed() {
    for options in deployments() {
        let server = Server::start(options);
        let mut ada = Client::join_server(&server, "ada", "admin");
        let (mut ben, welcome) = connect(&server, "ben", "room=chat:1&room=chat:2");
        assert_eq!(welcome["resumed"], false);
        let epoch = text(&ben.expect("joined")["epoch"]).to_owned();
        ben.expect("joined");
        ada.publish("chat:1", json!(1));
        ben.expect("say");
        // Without a word: the server does not know that it is gone.
        let stale = ben;
        ada.publish("chat:1", json!(2));
        let resume = text(&welcome["resume"]);
        let (mut ben, again) = connect(&server, "ben", &format!("resume={resume}&recover=chat:1,{epoch},1"));
        assert_eq!((&again["resumed"], &again["client_id"]), (&json!(true), &welcome["client_id"]));
        // Nothing was sent since: all of this is answers to the upgrade.
        let joined = ben.expect("joined");
        assert_eq!((&joined["room"], &joined["recovered"]), (&json!("chat:1"), &json!(true)));
        assert_eq!(ben.expect("say")["data"], 2);
        assert_eq!(ben.expect("joined")["room"], "chat:2");
        let mut stale = stale;
        assert_eq!(stale.end().1, Ended::Code(4009));
        ada.publish("chat:2", json!(3));
        assert_eq!(ben.expect("say")["data"], 3);
        // What it was told is its user's own.
        let (_, eve) = connect(&server, "eve", "resume=elsewhere.0123456789abc");
        assert_eq!((&eve["resumed"], &eve["client_id"]), (&json!(false), &json!("elsewhere")));
    }
}

#[test]
fn a_bad_query_is_refused_by_name() {
    let server = Server::with("");
    let bearer = format!("Bearer {}", token("ben", "user", json!({})));
    for query in [
        "recover=chat:1",
        "recover=chat:1,k3f9",
        "recover=chat:1,k3f9,-1",
        "recover=chat:1,,1",
        "recover=,k3f9,1",
        "recover=a%20b,k3f9,1",
        "recover=chat:1,012345678901234567890123456789012,1",
        "resume=",
        "resume=a%00b.c",
    ] {
        let refused = Client::connect(&server, &format!("/v1/ws?{query}"), &[("authorization", &bearer)]);
        assert_eq!(refused.err(), Some(400), "{query}");
    }
}
