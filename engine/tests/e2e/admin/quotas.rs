//! How much one address may have.

use serde_json::json;

use super::done;
use crate::support::{Client, Ended, Options, Server, eventually, token};

#[test]
fn an_address_has_only_so_many_connections_over_all_shards() {
    let config = "[limits]\nconnections_per_address = 3\n".to_owned();
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::join_server(&server, "m", "user")).collect();
    let bearer = format!("Bearer {}", token("m", "user", json!({})));
    let mut fourth = Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]).unwrap();
    let (messages, ended) = fourth.end();
    assert_eq!(ended, Ended::Code(4009), "{messages:?}");
    assert_eq!(server.metric("fanfare_address_connections"), 3.0);
    assert_eq!(server.metric("fanfare_limit{limit=\"connections_per_address\"}"), 3.0);
    clients.pop();
    eventually("its place is free", || (server.metric("fanfare_address_connections") == 2.0).then_some(()));
    clients.push(Client::join_server(&server, "m", "user"));
    clients.clear();
    eventually("nothing is left", || (server.metric("fanfare_addresses") == 0.0).then_some(()));
}

#[test]
fn an_address_opens_only_so_many_a_minute_and_the_limit_can_be_taken_away() {
    let config = "[limits]\nupgrades_per_minute = 5\n".to_owned();
    let server = Server::start(Options { shards: 2, config, ..Options::default() });
    let bearer = format!("Bearer {}", token("m", "user", json!({})));
    let connect = || Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]).err();
    let refused = (0..8).filter(|_| connect() == Some(429)).count();
    assert_eq!(refused, 3);
    server.reconfigure("[limits]\nupgrades_per_minute = 0\n");
    done(&server, "POST", "/v1/admin/reload", json!({}));
    assert_eq!(connect(), None);
}
