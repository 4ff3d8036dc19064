//! What a client gets of the past: after a lost connection, on asking, over HTTP; and publishes tried again.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, deployments, eventually, request, token};

fn offsets(messages: &Value) -> Vec<u64> {
    messages.as_array().unwrap().iter().map(|message| message["offset"].as_u64().unwrap()).collect()
}

fn join(client: &mut Client, more: Value) -> Value {
    let mut command = json!({"type": "join", "room": "chat:1"});
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.ask(command)
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_and_then_goes_on() {
    for options in deployments() {
        let server = Server::start(options);
        let mut speaker = Client::join_server(&server, "ada", "user");
        let mut reader = Client::join_server(&server, "bob", "user");
        let joined = join(&mut reader, json!({}));
        assert_eq!((&joined["recovered"], &joined["offset"]), (&json!(false), &json!(0)));
        speaker.publish("chat:1", json!("before"));
        assert_eq!(reader.expect("say")["offset"], 1);
        drop(reader);
        for number in 2..=6 {
            speaker.publish("chat:1", json!({"number": number}));
        }
        for packed in [false, true] {
            let mut reader = if packed {
                Client::packed(&server, "bob", "user")
            } else {
                Client::join_server(&server, "bob", "user")
            };
            let place = json!({"epoch": joined["epoch"], "offset": 1});
            let back = join(&mut reader, json!({"recover": place}));
            assert_eq!((&back["recovered"], &back["offset"]), (&json!(true), &json!(6)), "{back}");
            for number in 2..=6 {
                let message = reader.expect("say");
                assert_eq!(
                    (&message["offset"], &message["data"]["number"]),
                    (&json!(number), &json!(number))
                );
            }
            reader.expect_nothing();
        }
        let mut reader = Client::join_server(&server, "bob", "user");
        let lost = join(&mut reader, json!({"recover": {"epoch": "elsewhere", "offset": 1}, "last": 2}));
        assert_eq!((&lost["recovered"], &lost["epoch"]), (&json!(false), &joined["epoch"]));
        assert_eq!(
            (reader.expect("say")["offset"].as_u64(), reader.expect("say")["offset"].as_u64()),
            (Some(5), Some(6))
        );
        speaker.publish("chat:1", json!("live"));
        assert_eq!(reader.expect("say")["offset"], 7);
        // Shards tell their counts now and then.
        eventually("the counts", || (server.metric("fanfare_recovered_total") >= 2.0).then_some(()));
        assert!(server.metric("fanfare_kept_bytes") > 0.0);
    }
}

#[test]
fn history_is_the_same_by_command_and_over_http() {
    for shards in [1, 4] {
        let server = Server::start(Options { shards, ..Options::default() });
        let mut speaker = Client::join_server(&server, "ada", "user");
        for number in 1..=9 {
            speaker.publish("chat:1", json!(number));
        }
        let page = speaker.ask(json!({"type": "history", "room": "chat:1", "limit": 4}));
        assert_eq!((offsets(&page["messages"]), &page["offset"]), (vec![1, 2, 3, 4], &json!(9)));
        let bearer = format!("Bearer {}", token("root", "admin", json!({})));
        let get = |query: &str| {
            let path = format!("/v1/rooms/chat:1/history{query}");
            request(&server, "GET", &path, &[("authorization", &bearer)], "")
        };
        let all = get("").json();
        assert_eq!(all["messages"].as_array().unwrap()[..4], page["messages"].as_array().unwrap()[..]);
        let epoch = all["epoch"].as_str().unwrap();
        assert_eq!(offsets(&get(&format!("?since=7&epoch={epoch}")).json()["messages"]), [8, 9]);
        assert_eq!(offsets(&get("?since=7&limit=1").json()["messages"]), [8]);
        assert_eq!(offsets(&get("?reverse=true&limit=3").json()["messages"]), [9, 8, 7]);
        for bad in ["?since=x", "?limit=0", "?reverse=maybe", "?epoch=k"] {
            assert_eq!(get(bad).status, 400, "{bad}");
        }
        let path = "/v1/rooms/no%20room/history";
        assert_eq!(request(&server, "GET", path, &[("authorization", &bearer)], "").status, 400);
        let path = "/v1/rooms/chat:1/history";
        assert_eq!(request(&server, "POST", path, &[("authorization", &bearer)], "").status, 405);
        assert_eq!(request(&server, "GET", path, &[], "").status, 401);
    }
}

#[test]
fn a_publish_that_is_tried_again_is_answered_and_goes_out_once() {
    let server = Server::start(Options::default());
    let mut reader = Client::join_server(&server, "bob", "user");
    reader.join("chat:1");
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let body = json!({"room": "chat:1", "event": "say", "data": 1, "message_id": "order-17"}).to_string();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let mut answers: Vec<Value> =
        (0..3).map(|_| request(&server, "POST", "/v1/publish", &headers, &body).json()).collect();
    let members = answers[0].as_object_mut().unwrap().remove("members");
    assert_eq!(members, Some(json!(1)), "how many were there is known the first time");
    assert_eq!((&answers[1], &answers[2]), (&answers[0], &answers[0]));
    assert_eq!(answers[0]["message_id"], "order-17");
    assert_eq!(reader.expect("say")["message_id"], "order-17");
    reader.expect_nothing();
}

#[test]
fn a_room_type_says_what_is_kept() {
    let server = Server::with(
        "[[room_type]]\nname = \"chat\"\nhistory = { size = 2, ttl = \"1h\" }\n[[room_type]]\nname = \"live\"\nhistory = { size = 0 }\n",
    );
    let mut speaker = Client::join_server(&server, "ada", "user");
    for number in 1..=3 {
        speaker.publish("chat:1", json!(number));
        speaker.publish("live:1", json!(number));
    }
    let page = speaker.ask(json!({"type": "history", "room": "chat:1"}));
    assert_eq!(offsets(&page["messages"]), [2, 3]);
    let page = speaker.ask(json!({"type": "history", "room": "live:1"}));
    assert_eq!((offsets(&page["messages"]), &page["offset"]), (vec![], &json!(3)));
}

#[test]
fn a_user_reads_the_history_of_its_own_room_and_of_no_other_of_the_engines() {
    for options in deployments() {
        let config = "[[role]]\nname = \"deaf\"\nnot_receive = [\"secret\"]\n".to_owned();
        let server = Server::start(Options { config, ..options });
        let mut speaker = Client::join_server(&server, "root", "admin");
        let mut ada = Client::join_server(&server, "ada", "user");
        let mut tell = |user: &str, event: &str, data: Value| {
            let publish = json!({"type": "publish", "user": user, "event": event, "data": data});
            assert_eq!(speaker.ask(publish)["type"], "published");
        };
        let own = json!({"type": "history", "room": "@user:ada"});
        let nothing = ada.ask(own.clone());
        assert_eq!((&nothing["type"], &nothing["messages"]), (&json!("history"), &json!([])), "{nothing}");
        for number in 1..=3 {
            tell("ada", "say", json!(number));
            ada.expect("say");
        }
        tell("ada", "secret", json!(4));
        tell("ben", "say", json!("for ben"));
        ada.expect("secret");
        // What came and was read is there, for another connection of the user as well.
        let mut phone = Client::packed(&server, "ada", "deaf");
        let page = phone.ask(own.clone());
        assert_eq!(
            (&page["room"], offsets(&page["messages"])),
            (&json!("@user:ada"), vec![1, 2, 3]),
            "{page}"
        );
        let page = ada.ask(own);
        assert_eq!(offsets(&page["messages"]), [1, 2, 3, 4], "{page}");
        assert_eq!(
            (&page["messages"][1]["data"], &page["messages"][1]["room"]),
            (&json!(2), &json!("@user:ada"))
        );
        let since = json!({"epoch": page["epoch"], "offset": 2});
        for (more, expected) in [
            (json!({"limit": 2, "reverse": true}), vec![4, 3]),
            (json!({"since": since}), vec![3, 4]),
            (json!({"limit": 0}), vec![]),
        ] {
            let mut command = json!({"type": "history", "room": "@user:ada"});
            command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(offsets(&ada.ask(command)["messages"]), expected, "{more}");
        }
        for (room, code) in [
            ("@user:ben", 4013),
            ("@user:ada2", 4013),
            ("@user:", 4005),
            ("@role:user", 4005),
            ("@client:x", 4005),
            ("@all", 4005),
        ] {
            let answer = ada.ask(json!({"type": "history", "room": room}));
            let told = (&answer["code"], &answer["details"]["field"]);
            assert_eq!(told, (&json!(code), &json!("room")), "{room}: {answer}");
        }
        // Not even an operator reads those of others so.
        assert_eq!(speaker.ask(json!({"type": "history", "room": "@user:ada"}))["code"], 4013);
    }
}
