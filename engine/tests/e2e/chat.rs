//! Chats through the real binary: people on several shards, both encodings, HTTP, and a restart with a store.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments, eventually};

fn ask(client: &mut Client, name: &str, room: &str, data: Value) -> Value {
    client.ask(json!({"type": name, "room": room, "data": data}))
}

fn history(client: &mut Client, room: &str) -> Vec<Value> {
    client.ask(json!({"type": "history", "room": room}))["messages"].as_array().unwrap().clone()
}

#[test]
fn people_on_every_shard_talk_edit_delete_react_and_late_ones_find_no_words_of_before() {
    for options in deployments() {
        let server = Server::start(options);
        let mut ada = Client::join_server(&server, "ada", "user");
        let mut ben = Client::packed(&server, "ben", "user");
        let mut cyd = Client::join_server(&server, "cyd", "user");
        [&mut ada, &mut ben, &mut cyd].into_iter().for_each(|client| drop(client.join("talk:1")));
        let sent = ask(&mut ada, "chat.send", "talk:1", json!({"text": "helo", "mentions": ["ben"]}));
        assert_eq!((&sent["type"], &sent["data"]["offset"]), (&json!("ok"), &json!(1)), "{sent}");
        for client in [&mut ben, &mut cyd] {
            let message = client.expect("$chat_message");
            assert_eq!((&message["data"]["text"], &message["user_id"]), (&json!("helo"), &json!("ada")));
            assert_eq!((&message["offset"], &message["epoch"]), (&json!(1), &sent["data"]["epoch"]));
        }
        let reply = ask(&mut ben, "chat.send", "talk:1", json!({"text": "hi", "reply_to": 1}));
        assert_eq!(reply["data"]["offset"], 2, "{reply}");
        assert_eq!(cyd.expect("$chat_message")["data"], json!({"text": "hi", "reply_to": 1}));
        let edit = json!({"offset": 1, "text": "hello"});
        let refused = ask(&mut ben, "chat.edit", "talk:1", edit.clone());
        assert_eq!((&refused["name"], &refused["details"]["field"]), (&json!("FORBIDDEN"), &json!("offset")));
        assert_eq!(ask(&mut ada, "chat.edit", "talk:1", edit)["type"], "ok");
        let edited = cyd.expect("$chat_edited");
        assert_eq!((&edited["data"]["offset"], &edited["data"]["text"]), (&json!(1), &json!("hello")));
        assert!(edited["offset"].is_number(), "who recovers is told as well: {edited}");
        let react = json!({"offset": 1, "emoji": "👋🏽"});
        assert_eq!(ask(&mut ben, "chat.react", "talk:1", react)["type"], "ok");
        let counts = json!({"offset": 1, "reactions": [{"emoji": "👋🏽", "count": 1}]});
        let told = cyd.expect("$reactions");
        assert_eq!((&told["data"], told.get("offset")), (&counts, None), "{told}");
        let read = ask(&mut ben, "chat.read", "talk:1", json!({"offset": 2}));
        assert_eq!(read["data"], json!({"offset": 2, "unread": 1}), "{read}");
        assert_eq!(cyd.expect("$read")["data"], json!({"user_id": "ben", "offset": 2}));
        assert_eq!(ask(&mut ada, "chat.delete", "talk:1", json!({"offset": 1}))["type"], "ok");
        assert_eq!(cyd.expect("$chat_deleted")["data"]["offset"], 1);

        let mut late = Client::packed(&server, "dan", "user");
        let joined = late.ask(json!({"type": "join", "room": "talk:1", "history": 100}));
        let chat = &joined["state"]["chat"];
        assert_eq!(chat["reads"], json!([{"user_id": "ben", "offset": 2}]), "{joined}");
        let kept = history(&mut late, "talk:1");
        let text = json!(kept).to_string();
        assert!(!text.contains("helo") && !text.contains("hello"), "{text}");
        assert_eq!(
            (kept.len(), &kept[0]["type"], &kept[0]["data"]["deleted"]),
            (4, &json!("$chat_message"), &json!(true))
        );
        let state = ask(&mut late, "chat.state", "talk:1", json!({}));
        assert_eq!(
            (&state["data"]["unread"], &state["data"]["reactions"]),
            (&json!(4), &json!([])),
            "{state}"
        );
    }
}

#[test]
fn who_types_is_told_to_the_others_and_never_kept() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut phone = Client::packed(&server, "ada", "user");
    let mut ben = Client::join_server(&server, "ben", "user");
    [&mut ada, &mut phone, &mut ben].into_iter().for_each(|client| drop(client.join("talk:1")));
    let typing = |client: &mut Client, on: bool| ask(client, "chat.typing", "talk:1", json!({"typing": on}));
    assert_eq!(typing(&mut ada, true)["data"], json!({"typing": true}));
    assert_eq!(ben.expect("$typing")["data"], json!({"user_id": "ada", "typing": true}));
    assert_eq!(phone.expect("$typing")["data"]["typing"], true);
    ada.expect_nothing();
    assert_eq!(typing(&mut phone, true)["data"], json!({"typing": true}));
    assert_eq!(ada.ask(json!({"type": "leave", "room": "talk:1"}))["type"], "left");
    ben.expect_nothing();
    let state = ask(&mut ben, "chat.state", "talk:1", json!({}));
    assert_eq!(state["data"]["typing"], json!(["ada"]), "her phone types still: {state}");
    drop(phone);
    assert_eq!(ben.expect("$typing")["data"], json!({"user_id": "ada", "typing": false}));
    assert_eq!(typing(&mut ben, true)["data"], json!({"typing": true}));
    ada.join("talk:1");
    assert_eq!(
        ada.expect("$typing")["data"],
        json!({"user_id": "ben", "typing": false}),
        "it ends by itself"
    );
    assert_eq!(history(&mut ben, "talk:1"), [Value::Null; 0]);
}

#[test]
fn http_does_the_same_and_bad_input_names_its_field() {
    let config = "[[role]]\nname = \"observer\"\npermissions = [\"join\"]\n";
    let server = Server::start(Options { shards: 4, config: config.into(), ..Options::default() });
    let base = "/v1/rooms/talk:1/chat";
    let messages = format!("{base}/messages");
    let (status, sent) = api(&server, "POST", &messages, Some(&json!({"text": "from afar"})));
    assert_eq!((status, &sent["offset"]), (200, &json!(1)), "{sent}");
    let one = format!("{messages}/1");
    assert_eq!(api(&server, "PATCH", &one, Some(&json!({"text": "from near"}))).0, 200);
    let (status, given) = api(&server, "PUT", &format!("{one}/reactions"), Some(&json!({"emoji": "❤"})));
    assert_eq!((status, &given["reactions"][0]["count"]), (200, &json!(1)), "{given}");
    assert_eq!(api(&server, "PUT", &format!("{base}/read"), Some(&json!({"offset": 2}))).1["unread"], 0);
    let (status, state) = api(&server, "GET", base, None);
    assert_eq!(
        (status, &state["read"], &state["reactions"][0]["offset"]),
        (200, &json!(2), &json!(1)),
        "{state}"
    );
    assert_eq!(api(&server, "GET", &format!("{base}?before=1"), None).1["reactions"], json!([]));
    assert_eq!(api(&server, "PUT", &format!("{base}/typing"), Some(&json!({"typing": true}))).0, 200);
    for (method, path, body, status, field) in [
        ("POST", &messages, json!({}), 400, "text"),
        ("POST", &messages, json!({"text": ""}), 400, "text"),
        ("POST", &messages, json!({"text": "x".repeat(4_001)}), 400, "text"),
        ("POST", &messages, json!({"text": "x", "reply_to": 99}), 404, "reply_to"),
        ("POST", &messages, json!({"text": "x", "mentions": "ben"}), 400, "mentions"),
        ("PATCH", &format!("{messages}/x"), json!({"text": "x"}), 400, "offset"),
        ("PATCH", &format!("{messages}/0"), json!({"text": "x"}), 400, "offset"),
        ("PATCH", &format!("{messages}/99"), json!({"text": "x"}), 404, "offset"),
        ("PATCH", &format!("{messages}/2"), json!({"text": "x"}), 404, "offset"),
        ("PATCH", &one, json!({"text": "x", "epoch": "other"}), 404, "epoch"),
        ("PUT", &format!("{one}/reactions"), json!({"emoji": "x".repeat(33)}), 400, "emoji"),
        ("PUT", &format!("{one}/reactions"), json!({"emoji": "👍".repeat(9)}), 400, "emoji"),
        ("PUT", &format!("{one}/reactions"), json!({"emoji": "a b"}), 400, "emoji"),
        ("PUT", &format!("{one}/reactions"), json!({"emoji": "\n"}), 400, "emoji"),
        ("PUT", &format!("{one}/reactions"), json!({"emoji": "\u{202e}"}), 400, "emoji"),
        ("PUT", &format!("{base}/read"), json!({"offset": 3}), 404, "offset"),
        ("PUT", &format!("{base}/typing"), json!({"typing": "yes"}), 400, "typing"),
    ] {
        let (got, refused) = api(&server, method, path, Some(&body));
        assert_eq!((got, &refused["details"]["field"]), (status, &json!(field)), "{method} {path} {refused}");
    }
    assert_eq!(api(&server, "DELETE", &one, None).0, 200);
    assert_eq!(api(&server, "DELETE", &one, None).0, 404);
    let mut observer = Client::join_server(&server, "eve", "observer");
    observer.join("talk:1");
    assert_eq!(ask(&mut observer, "chat.send", "talk:1", json!({"text": "x"}))["name"], "FORBIDDEN");
    assert_eq!(ask(&mut observer, "chat.read", "talk:1", json!({"offset": 1}))["type"], "ok");
    let forged =
        json!({"type": "publish", "room": "talk:1", "event": "$chat_message", "data": {"text": "x"}});
    let mut ada = Client::join_server(&server, "ada", "user");
    assert_eq!(ada.ask(forged)["details"]["field"], "event");
    for number in 0..20 {
        let react = json!({"offset": 2, "emoji": format!("e{number}")});
        assert_eq!(ask(&mut ada, "chat.react", "talk:1", react)["type"], "ok");
    }
    let refused = ask(&mut ada, "chat.react", "talk:1", json!({"offset": 2, "emoji": "more"}));
    assert_eq!(
        (&refused["code"], &refused["details"]["field"]),
        (&json!(4004), &json!("emoji")),
        "{refused}"
    );
}

#[test]
fn what_was_taken_back_stays_so_after_a_kill_and_marks_and_reactions_come_back() {
    let folder = std::env::temp_dir().join(format!("fanfare-chat-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = folder.join("fanfare.redb");
    let config = format!(
        "[[room_type]]\nname = \"talk\"\ndurable = true\nhistory = {{ size = 1000, ttl = \"1h\" }}\n[store]\npath = \"{}\"\n",
        store.display()
    );
    let options = Options { config, ..Options::default() };
    let server = Server::start(options.clone());
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("talk:1");
    for text in ["one", "two", "three"] {
        assert_eq!(ask(&mut ada, "chat.send", "talk:1", json!({ "text": text }))["type"], "ok");
    }
    assert_eq!(ask(&mut ada, "chat.edit", "talk:1", json!({"offset": 1, "text": "uno"}))["type"], "ok");
    assert_eq!(ask(&mut ada, "chat.delete", "talk:1", json!({"offset": 2}))["type"], "ok");
    for room in ["other:1", "talk:1"] {
        ask(&mut ada, "chat.send", room, json!({"text": "x"}));
        let commits = server.metric("fanfare_store_commits_total");
        assert_eq!(ask(&mut ada, "chat.read", room, json!({"offset": 1}))["type"], "ok");
        let react = json!({"offset": 1, "emoji": "+"});
        assert_eq!(ask(&mut ada, "chat.react", room, react)["data"]["reactions"][0]["count"], 1);
        // Marks and reactions are written together, a second later.
        eventually("marks on disk", || {
            (server.metric("fanfare_store_commits_total") > commits).then_some(())
        });
    }
    drop(server);

    let server = Server::start(Options { shards: 3, ..options });
    let mut ben = Client::join_server(&server, "ben", "user");
    let joined = ben.join("talk:1");
    let chat = &joined["state"]["chat"];
    assert_eq!(chat["reads"], json!([{"user_id": "ada", "offset": 1}]), "{joined}");
    assert_eq!(chat["reactions"][0]["reactions"][0]["count"], 1, "{joined}");
    let kept = history(&mut ben, "talk:1");
    let said = |at: usize| &kept[at]["data"];
    assert_eq!(
        (&said(0)["text"], &said(1)["deleted"], &said(2)["text"]),
        (&json!("uno"), &json!(true), &json!("three"))
    );
    let text = json!(kept).to_string();
    assert!(!text.contains("one") && !text.contains("two"), "{text}");
    let edit = ask(&mut ben, "chat.edit", "talk:1", json!({"offset": 1, "text": "mine"}));
    assert_eq!(edit["name"], "FORBIDDEN", "its author is known still: {edit}");
    let state = ask(&mut ben, "chat.state", "other:1", json!({}));
    assert_eq!(state["data"]["reads"], json!([]), "a room that began anew has nothing of before: {state}");
    let _ = std::fs::remove_dir_all(&folder);
}
