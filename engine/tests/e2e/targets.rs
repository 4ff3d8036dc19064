//! Users, roles, clients, everybody: every target is a room underneath.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Options, Server, deployments, request};

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

#[test]
fn the_answer_tells_how_many_were_there() {
    for options in deployments() {
        let server = Server::start(options);
        let mut admin = Client::join_server(&server, "root", "admin");
        let path = "/v1/ws?client_id=here";
        let bearer = format!("Bearer {}", crate::support::token("ada", "nurse", json!({})));
        let mut ada = Client::welcomed(&server, path, &[("authorization", &bearer)]);
        let mut too = Client::packed(&server, "ada", "nurse");
        let mut bob = Client::join_server(&server, "bob", "doctor");
        for client in [&mut admin, &mut ada, &mut too] {
            client.join("room:1");
        }
        for (target, members) in [
            (json!({"room": "room:1"}), 3),
            // Who gets no copy was there all the same.
            (json!({"room": "room:1", "exclude_self": true, "roles": ["doctor"]}), 3),
            (json!({"room": "room:empty"}), 0),
            (json!({"user": "ada"}), 2),
            (json!({"user": "nobody"}), 0),
            (json!({"users": ["bob", "ada"]}), 1),
            (json!({"role": "nurse"}), 2),
            (json!({"client": "here"}), 1),
            (json!({"client": "elsewhere"}), 0),
            (json!({"all": true}), 4),
        ] {
            let answer = publish(&mut admin, target.clone());
            assert_eq!(answer["members"], members, "{target}: {answer}");
            let mut message = json!({"event": "say", "data": 1});
            message.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
            let answer = over_http(&server, "admin", &message);
            assert_eq!((answer.status, &answer.json()["members"]), (200, &json!(members)), "{target}");
        }
        too.ask(json!({"type": "leave", "room": "room:1"}));
        let first = publish(&mut bob, json!({"room": "room:1", "message_id": "once"}));
        assert_eq!(first["members"], 2, "{first}");
        let again = publish(&mut bob, json!({"room": "room:1", "message_id": "once"}));
        assert_eq!((&again["offset"], again.get("members")), (&first["offset"], None), "{again}");
    }
}

/// Posts a message, or several, with a token of this role.
fn over_http(server: &Server, role: &str, message: &Value) -> Answer {
    let bearer = format!("Bearer {}", crate::support::token("root", role, json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    request(server, "POST", "/v1/publish", &headers, &message.to_string())
}
