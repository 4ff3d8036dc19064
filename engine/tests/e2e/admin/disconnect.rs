//! Ending connections.

use serde_json::json;

use super::{done, ended_soon};
use crate::support::{Client, Ended, Options, Server, deployments};

const PATH: &str = "/v1/admin/disconnect";

#[test]
fn all_connections_of_a_user_end_on_all_shards_and_no_others() {
    for options in deployments() {
        let server = Server::start(options);
        let mut of_ada: Vec<Client> = (0..6).map(|_| Client::join_server(&server, "ada", "user")).collect();
        let mut bob = Client::join_server(&server, "bob", "user");
        let call = json!({"user_id": "ada", "reason": "lunch", "dry_run": true});
        assert_eq!(done(&server, "POST", PATH, call.clone()), json!({"connections": 6}));
        of_ada.iter_mut().for_each(Client::expect_nothing);
        let call = json!({"user_id": "ada", "reason": "lunch"});
        assert_eq!(done(&server, "POST", PATH, call.clone()), json!({"connections": 6}));
        for client in &mut of_ada {
            let (ended, error) = ended_soon(client);
            assert_eq!((ended, &error["message"]), (Ended::Code(4011), &json!("lunch")));
        }
        assert_eq!(done(&server, "POST", PATH, call), json!({"connections": 0}), "again");
        bob.expect_nothing();
        // They may come back: it was no ban.
        Client::join_server(&server, "ada", "user").expect_nothing();
    }
}

#[test]
fn who_is_asked_to_reconnect_is_told_1012_and_everybody_means_everybody() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let path = "/v1/ws?client_id=phone";
    let bearer = format!("Bearer {}", crate::support::token("ada", "user", json!({})));
    let mut phone = Client::welcomed(&server, path, &[("authorization", &bearer)]);
    let mut others: Vec<Client> = (0..5).map(|_| Client::join_server(&server, "bob", "user")).collect();
    let call = json!({"client_id": "phone", "reconnect": true});
    assert_eq!(done(&server, "POST", PATH, call), json!({"connections": 1}));
    assert_eq!(ended_soon(&mut phone).0, Ended::Code(1012));
    let call = json!({"network": "10.0.0.0/8"});
    assert_eq!(done(&server, "POST", PATH, call), json!({"connections": 0}));
    let call = json!({"network": "127.0.0.0/8", "dry_run": true});
    assert_eq!(done(&server, "POST", PATH, call), json!({"connections": 5}));
    others.iter_mut().for_each(Client::expect_nothing);
    assert_eq!(done(&server, "POST", PATH, json!({"all": true})), json!({"connections": 5}));
    for client in &mut others {
        assert_eq!(ended_soon(client).0, Ended::Code(4011));
    }
}
