//! Rates by the type of a command.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Client, Ended, Options, Server, api, deployments, eventually, request, token};

const RATES: &str = r#"
[[rate]]
type = "publish:technique_*"
per = "connection"
per_minute = 1
burst = 2

[[rate]]
type = "poll.*"
per_minute = 1
burst = 1

[[rate]]
type = "join"
per = "user"
per_minute = 1
burst = 3
"#;

fn technique() -> serde_json::Value {
    json!({"type": "publish", "room": "a:1", "event": "technique_x", "data": 1})
}

#[test]
fn what_comes_too_soon_is_refused_with_a_time_and_everything_else_goes_on() {
    for options in deployments() {
        let server = Server::start(Options { config: RATES.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "user");
        for _ in 0..2 {
            assert_eq!(ada.ask(technique())["type"], "published");
        }
        let refused = ada.ask(technique());
        assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(4004)));
        let wait_ms = refused["details"]["retry_after_ms"].as_u64().unwrap();
        assert!((50_000..=60_000).contains(&wait_ms), "{refused}");
        ada.publish("a:1", json!("another event"));
        assert_eq!(Client::join_server(&server, "ada", "user").ask(technique())["type"], "published");
        let polls = json!({"type": "poll.list", "room": "a:1"});
        assert_eq!(ada.ask(polls.clone())["code"].as_u64(), None);
        assert_eq!(ada.ask(polls)["code"], 4004);
        eventually("it is counted", || {
            (server.metric("fanfare_rate_limited_total") as u64 == 2).then_some(())
        });
    }
}

#[test]
fn a_users_connections_share_a_rate_over_all_shards() {
    let server = Server::start(Options { shards: 4, config: RATES.to_owned(), ..Options::default() });
    let mut first = Client::join_server(&server, "ada", "user");
    let mut others: Vec<Client> = (0..8).map(|_| Client::join_server(&server, "ada", "user")).collect();
    for room in ["a:1", "a:2", "a:3"] {
        first.join(room);
    }
    let rows = api(&server, "GET", "/v1/users/ada/connections", None).1;
    let shards: BTreeSet<u64> =
        rows["connections"].as_array().unwrap().iter().map(|row| row["shard"].as_u64().unwrap()).collect();
    let heard = || server.metric("fanfare_rate_users") as usize == shards.len();
    eventually("every shard with a connection of the user has heard of it", || heard().then_some(()));
    for client in &mut others {
        let answer = client.ask(json!({"type": "join", "room": "a:4"}));
        assert_eq!(answer["code"], 4004, "{answer}");
    }
    Client::join_server(&server, "ben", "user").join("a:1");
}

#[test]
fn http_counts_for_the_user_of_its_token_and_not_for_keys() {
    let config = "[[rate]]\ntype = \"publish\"\nper = \"user\"\nper_minute = 1\nburst = 2\n";
    let server = Server::start(Options { shards: 1, config: config.to_owned(), ..Options::default() });
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let publish = |body: &str| request(&server, "POST", "/v1/publish", &[("authorization", &bearer)], body);
    let one = r#"{"room":"a:1","event":"say"}"#;
    assert_eq!(publish(one).status, 200);
    assert_eq!(publish(one).status, 200);
    let refused = publish(one);
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!(4004)), "{}", refused.body);
    let mut root = Client::join_server(&server, "root", "admin");
    let answer = root.ask(json!({"type": "publish", "room": "a:1", "event": "say"}));
    assert_eq!(answer["code"], 4004, "the same bucket");
}

#[test]
fn who_floods_on_is_closed() {
    let config = format!("[limits]\nrate_violations = 2\n{RATES}");
    let server = Server::start(Options { config, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    for _ in 0..6 {
        ada.send(&technique());
    }
    let (messages, ended) = ada.end();
    assert_eq!(ended, Ended::Code(4_004));
    assert!(messages.iter().all(|of| of["code"] == 4004), "{messages:?}");
    assert_eq!(messages.len(), 5, "four refusals and the last word");
}

#[test]
fn over_http_the_time_is_told_as_well_and_one_question_has_one_rate() {
    let config = "[auth]\napi_roles = [\"user\"]\n[[rate]]\ntype = \"publish\"\nper = \"user\"\nper_minute = 1\nburst = 1\n\
                  [[rate]]\ntype = \"presence\"\nper = \"user\"\nper_minute = 1\nburst = 2\n";
    let server = Server::start(Options { shards: 1, config: config.to_owned(), ..Options::default() });
    let bearer = format!("Bearer {}", token("ada", "user", json!({})));
    let ask = |method: &str, path: &str, body: &str| {
        request(&server, method, path, &[("authorization", &bearer)], body)
    };
    let one = r#"{"room":"a:1","event":"say"}"#;
    assert_eq!(ask("POST", "/v1/publish", one).status, 200);
    let several = ask("POST", "/v1/publish", &format!("[{one},{one}]"));
    let wait_ms = several.json()[1]["details"]["retry_after_ms"].as_u64().unwrap();
    assert!((50_000..=60_000).contains(&wait_ms), "{}", several.body);
    let mut ada = Client::join_server(&server, "ada", "user");
    for question in ["presence", "presence.list"] {
        assert_eq!(ada.ask(json!({"type": question, "room": "a:1"}))["code"].as_u64(), None);
    }
    assert_eq!(ada.ask(json!({"type": "presence", "room": "a:1"}))["code"], 4004);
    for refused in [ask("POST", "/v1/publish", one), ask("GET", "/v1/rooms/a:1/presence", "")] {
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert!(refused.json()["details"]["retry_after_ms"].as_u64().unwrap() > 20_000, "{}", refused.body);
        let seconds = refused.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
        assert!((20..=60).contains(&seconds.trim().parse::<u64>().unwrap()), "{}", refused.head);
    }
}
