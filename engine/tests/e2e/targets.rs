//! Users, roles, clients, everybody: every target is a room underneath.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, deployments};

fn publish(by: &mut Client, members: Value) -> Value {
    let mut command = json!({"type": "publish", "event": "say", "data": 1});
    command.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    by.ask(command)
}

#[test]
fn each_target_reaches_whom_it_names_and_nobody_else() {
    for options in deployments() {
        let server = Server::start(options);
        let mut admin = Client::join_server(&server, "root", "admin");
        let path = "/v1/ws?client_id=here";
        let bearer = format!("Bearer {}", crate::support::token("ada", "nurse", json!({})));
        let mut ada = Client::welcomed(&server, path, &[("authorization", &bearer)]);
        let mut ada_too = Client::packed(&server, "ada", "nurse");
        let mut bob = Client::join_server(&server, "bob", "doctor");
        for (target, reached) in [
            (json!({"user": "ada"}), [true, true, false]),
            (json!({"users": ["ada", "bob", "nobody"]}), [true, true, true]),
            (json!({"role": "doctor"}), [false, false, true]),
            (json!({"client": "here"}), [true, false, false]),
            (json!({"all": true, "exclude_self": true}), [true, true, true]),
            (json!({"all": true, "exclude_self": true, "roles": ["nurse"]}), [true, true, false]),
        ] {
            let answer = publish(&mut admin, target.clone());
            assert_eq!(answer["type"], "published", "{target}: {answer}");
            for (client, reached) in [&mut ada, &mut ada_too, &mut bob].into_iter().zip(reached) {
                if reached {
                    client.expect("say");
                }
                client.expect_nothing();
            }
        }
    }
}

#[test]
fn exclude_self_and_roles_filter_in_a_room() {
    for shards in [1, 2] {
        let server = Server::start(Options { shards, ..Options::default() });
        let mut ada = Client::join_server(&server, "ada", "nurse");
        let mut too = Client::join_server(&server, "ada", "nurse");
        let mut bob = Client::join_server(&server, "bob", "doctor");
        for client in [&mut ada, &mut too, &mut bob] {
            client.join("room:1");
        }
        publish(&mut ada, json!({"room": "room:1", "exclude_self": true}));
        ada.expect_nothing();
        assert_eq!(too.expect("say")["offset"], 1, "only the publishing connection is excluded");
        assert_eq!(bob.expect("say")["offset"], 1);
        publish(&mut ada, json!({"room": "room:1", "roles": ["doctor"]}));
        ada.expect_nothing();
        too.expect_nothing();
        assert_eq!(bob.expect("say")["offset"], 2);
        publish(&mut bob, json!({"room": "room:1"}));
        assert_eq!(too.expect("say")["offset"], 3, "what was not for them leaves a hole");
    }
}

#[test]
fn only_trusted_roles_may_publish_beyond_rooms() {
    let server = Server::start(Options::default());
    let mut user = Client::join_server(&server, "u", "user");
    for target in
        [json!({"user": "u"}), json!({"users": ["u"]}), json!({"role": "user"}), json!({"all": true})]
    {
        let answer = publish(&mut user, target);
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(4013)), "{answer}");
    }
    user.expect_nothing();
}
