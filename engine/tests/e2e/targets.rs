//! Users, roles, clients, everybody: every target is a room underneath.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Client, Options, Server, deployments, request};

fn publish(by: &mut Client, members: Value) -> Value {
    let mut command = json!({"type": "publish", "event": "say", "data": 1});
    command.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    by.ask(command)
}

/// A nurse at a client id that is known.
fn here(server: &Server) -> Client {
    let bearer = format!("Bearer {}", crate::support::token("ada", "nurse", json!({})));
    Client::welcomed(server, "/v1/ws?client_id=here", &[("authorization", &bearer)])
}

#[test]
fn each_target_reaches_whom_it_names_and_nobody_else() {
    for options in deployments() {
        let server = Server::start(options);
        let mut admin = Client::join_server(&server, "root", "admin");
        let mut ada = here(&server);
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
        let mut ada = here(&server);
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

#[test]
fn a_client_that_is_left_out_gets_no_copy_wherever_it_is() {
    for options in deployments() {
        let server = Server::start(options);
        let bearer = format!("Bearer {}", crate::support::token("ada", "nurse", json!({})));
        let path = "/v1/ws?client_id=tab";
        let mut tab = Client::welcomed(&server, path, &[("authorization", &bearer)]);
        let packed = [("authorization", &*bearer), ("sec-websocket-protocol", "fanfare.v1.msgpack")];
        let mut tab_too = Client::welcomed(&server, path, &packed);
        let mut phone = Client::join_server(&server, "ada", "nurse");
        let mut bob = Client::join_server(&server, "bob", "doctor");
        for client in [&mut tab, &mut tab_too, &mut phone, &mut bob] {
            client.join("room:1");
        }
        let message = json!({"room": "room:1", "event": "say", "data": 1, "exclude_client": "tab"});
        let answer = over_http(&server, "service", &message).json();
        assert_eq!((&answer["offset"], &answer["members"]), (&json!(1), &json!(4)), "{answer}");
        // By itself, by another, and where nobody has that name.
        publish(&mut tab, json!({"room": "room:1", "exclude_client": "tab", "exclude_self": true}));
        publish(&mut bob, json!({"room": "room:1", "exclude_client": "tab", "exclude_self": true}));
        publish(&mut bob, json!({"room": "room:1", "exclude_client": "nobody"}));
        for (client, offsets) in [(&mut tab, &[4][..]), (&mut tab_too, &[4]), (&mut phone, &[1, 2, 3, 4])] {
            for offset in offsets {
                assert_eq!(client.expect("say")["offset"], *offset, "what was not for it leaves a hole");
            }
            client.expect_nothing();
        }
        publish(&mut bob, json!({"room": "room:2", "exclude_client": "tab"}));
        over_http(&server, "service", &json!({"all": true, "event": "say", "exclude_client": "tab"}));
        tab.expect_nothing();
        phone.expect("say");
        for wrong in [json!(""), json!(7), json!(["tab"]), json!("x".repeat(129)), json!("a\"b")] {
            let answer = publish(&mut bob, json!({"room": "room:1", "exclude_client": wrong}));
            let fault = (&answer["code"], &answer["details"]["field"]);
            assert_eq!(fault, (&json!(4005), &json!("exclude_client")), "{wrong}: {answer}");
        }
    }
}

#[test]
fn a_backend_publishes_on_behalf_of_users_and_users_for_themselves() {
    let key = "k".repeat(40);
    let sha256: String = Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = Server::with(&format!("[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n"));
    let mut bob = Client::join_server(&server, "bob", "doctor");
    bob.join("room:1");
    let post = |secret: &str, user_id: Value| {
        let message = json!({"room": "room:1", "event": "say", "data": 1, "user_id": user_id});
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        request(&server, "POST", "/v1/publish", &headers, &message.to_string())
    };
    assert_eq!(post(&key, json!("ada")).status, 200);
    assert_eq!(bob.expect("say")["user_id"], "ada");
    assert_eq!(post(&key, Value::Null).status, 200);
    assert_eq!(bob.expect("say").get("user_id"), None, "an API key has no user of its own");
    for wrong in [json!(""), json!(7), json!({}), json!("x".repeat(129))] {
        let refused = post(&key, wrong.clone());
        let fault = (refused.status, &refused.json()["details"]["field"]);
        assert_eq!(fault, (400, &json!("user_id")), "{wrong}: {}", refused.body);
    }
    let service = crate::support::token("svc", "service", json!({}));
    assert_eq!(post(&service, json!("svc")).status, 200);
    assert_eq!(bob.expect("say")["user_id"], "svc");
    let refused = post(&service, json!("ada"));
    let told = refused.json();
    assert_eq!(
        (refused.status, &told["code"], &told["details"]["field"]),
        (403, &json!(4013), &json!("user_id"))
    );
    let own = publish(&mut bob, json!({"room": "room:1", "user_id": "bob"}));
    assert_eq!(own["type"], "published", "{own}");
    let refused = publish(&mut bob, json!({"room": "room:1", "user_id": "ada"}));
    assert_eq!(
        (&refused["code"], &refused["details"]["field"]),
        (&json!(4013), &json!("user_id")),
        "{refused}"
    );
    assert_eq!(bob.ask(json!({"type": "heartbeat"}))["type"], "heartbeat_ack");
    bob.expect_nothing();
    // What was tried before is known by who it was for, not by who sent it.
    let retried = |user_id: &str| {
        let message = json!({"room": "room:1", "event": "say", "message_id": "once", "user_id": user_id});
        let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", "application/json")];
        request(&server, "POST", "/v1/publish", &headers, &message.to_string()).json()["offset"].clone()
    };
    assert_eq!((retried("ada"), retried("eve")), (json!(5), json!(6)));
    assert_eq!(retried("ada"), json!(5));
}
