//! Presence through the real binary: who is in a room, over all shards, as people come, go and say what they do.

use serde_json::{Value, json};

use crate::support::{Client, Options, Raw, Server, api, deployments, eventually, request, token};

const CONFIG: &str = r#"
[limits]
commands_per_minute = 0
[[room_type]]
name = "ward"
presence = true
"#;

fn users(list: &Value) -> Vec<&str> {
    let mut users: Vec<&str> =
        list.as_array().unwrap().iter().map(|of| of["user_id"].as_str().unwrap()).collect();
    users.sort_unstable();
    users
}

/// Reads until presence says that.
fn expect_change(client: &mut Client, kind: &str, user: &str) -> Value {
    loop {
        let message = client.receive().unwrap_or_else(|ended| panic!("{ended:?} before {kind} {user}"));
        let told = message["data"][kind].as_array().into_iter().flatten().find(|of| of["user_id"] == user);
        if let Some(told) = told.filter(|_| message["type"] == "$presence") {
            assert!(message.get("offset").is_none(), "presence is kept nowhere: {message}");
            return told.clone();
        }
    }
}

#[test]
fn people_come_once_and_leave_when_their_last_connection_has() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "nurse");
        assert_eq!(users(&ada.join("ward:1")["state"]["presence"]["members"]), ["ada"]);
        let mut ben = Client::join_server(&server, "ben", "user");
        let state = ben.join("ward:1")["state"]["presence"].clone();
        assert_eq!((users(&state["members"]), &state["count"]), (vec!["ada", "ben"], &json!(2)));
        expect_change(&mut ada, "joined", "ben");
        let mut second = Client::packed(&server, "ben", "user");
        second.join("ward:1");
        let list = ada.ask(json!({"type": "presence", "room": "ward:1"}));
        assert_eq!((&list["type"], &list["count"]), (&json!("presence"), &json!(2)), "{list}");
        let of_ben = list["members"].as_array().unwrap().iter().find(|of| of["user_id"] == "ben").unwrap();
        assert_eq!(of_ben["clients"].as_array().unwrap().len(), 2, "{list}");
        drop(ben);
        second.ask(json!({"type": "heartbeat", "data": {"page": "/rounds", "status": "busy", "odd": 1}}));
        let changed = expect_change(&mut ada, "changed", "ben");
        assert_eq!((&changed["page"], &changed["status"]), (&json!("/rounds"), &json!("busy")));
        let (status, list) = api(&server, "GET", "/v1/rooms/ward:1/presence", None);
        assert_eq!((status, users(&list["members"])), (200, vec!["ada", "ben"]), "{list}");
        drop(second);
        expect_change(&mut ada, "left", "ben");
        let (_, list) = api(&server, "GET", "/v1/rooms/ward:1/presence", None);
        assert_eq!((users(&list["members"]), &list["count"]), (vec!["ada"], &json!(1)), "{list}");
    }
}

#[test]
fn who_is_back_at_once_has_not_left() {
    let server = Server::with(CONFIG);
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("ward:1");
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("ward:1");
    expect_change(&mut ada, "joined", "ben");
    drop(ben);
    eventually("the connection's end", || {
        let (_, list) = api(&server, "GET", "/v1/rooms/ward:1/presence", None);
        assert_eq!(list["count"], 2, "it may come back");
        (list["connections"] == 1).then_some(())
    });
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("ward:1");
    let mut cyd = Client::join_server(&server, "cyd", "user");
    cyd.join("ward:1");
    let mut told = Vec::new();
    while !told.contains(&("joined", "cyd".to_owned())) {
        let message = ada.receive().unwrap();
        for kind in ["joined", "left"] {
            let list = message["data"][kind].as_array().into_iter().flatten();
            told.extend(list.map(|of| (kind, of["user_id"].as_str().unwrap().to_owned())));
        }
    }
    assert_eq!(told, [("joined", "cyd".to_owned())], "nothing of ben");
}

#[test]
fn without_presence_connections_are_counted_and_roles_may_be_kept_from_seeing() {
    let config = format!("{CONFIG}[[role]]\nname = \"guest\"\npermissions = [\"join\"]\n");
    let server = Server::with(&config);
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("plain:1");
    let list = ada.ask(json!({"type": "presence", "room": "plain:1"}));
    assert_eq!((&list["count"], &list["members"]), (&json!(1), &json!([])), "{list}");
    let mut guest = Client::join_server(&server, "eve", "guest");
    assert!(guest.join("ward:1").get("state").is_none());
    let refused = guest.ask(json!({"type": "presence", "room": "ward:1"}));
    assert_eq!(refused["name"], "FORBIDDEN", "{refused}");
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("ward:1");
    ada.join("ward:1");
    expect_change(&mut ben, "joined", "ada");
    guest.expect_nothing();
    assert_eq!(api(&server, "GET", "/v1/rooms/ward:1/presence?limit=0", None).0, 400);
    let set = json!({"type": "presence.set", "room": "ward:1", "data": {"status": 7}});
    assert_eq!(ada.ask(set)["details"]["field"], "status");
}

#[test]
fn a_peer_that_goes_silent_leaves_the_roster_and_members_are_told() {
    let config = format!("{CONFIG}[heartbeat]\ninterval = \"200ms\"\ngrace = \"200ms\"\n");
    for shards in [1, 4] {
        let server = Server::start(Options { shards, config: config.clone(), ..Options::default() });
        let mut ada = Client::join_server(&server, "ada", "user");
        ada.join("ward:1");
        let mut silent = Raw::welcomed(&server, "");
        silent.send_frame(0x81, json!({"type": "join", "id": 1, "room": "ward:1"}).to_string().as_bytes());
        // It reads nothing and says nothing from now on, but its socket stays; Ada answers pings as she reads.
        expect_change(&mut ada, "joined", "raw");
        let left = expect_change(&mut ada, "left", "raw");
        assert_eq!(left["clients"], json!([]), "{left}");
        let list = ada.ask(json!({"type": "presence", "room": "ward:1"}));
        assert_eq!((users(&list["members"]), &list["count"]), (vec!["ada"], &json!(1)), "{list}");
        drop(silent);
    }
}

#[test]
fn over_http_a_user_says_what_it_is_doing_on_all_of_its_connections() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("ward:1");
    let mut tabs: Vec<Client> = (0..2).map(|_| Client::join_server(&server, "cyd", "admin")).collect();
    tabs.iter_mut().for_each(|tab| drop(tab.join("ward:1")));
    expect_change(&mut ada, "joined", "cyd");
    let set = |user: &str, role: &str, body: Value| {
        let bearer = format!("Bearer {}", token(user, role, json!({})));
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        request(&server, "PUT", "/v1/rooms/ward:1/presence", &headers, &body.to_string())
    };
    let said = json!({"status": "busy", "page": "/rounds/4", "info": {"bed": 7}});
    let answer = set("cyd", "admin", said.clone());
    assert_eq!((answer.status, answer.json()), (200, json!({})), "{}", answer.body);
    let changed = loop {
        let changed = expect_change(&mut ada, "changed", "cyd");
        if changed["status"] == "busy" {
            break changed;
        }
    };
    assert_eq!((&changed["page"], &changed["info"]), (&said["page"], &said["info"]), "{changed}");
    assert_eq!(changed["clients"].as_array().unwrap().len(), 2, "{changed}");
    // Who is not there says nothing, and who may not use the API neither.
    assert_eq!(set("dan", "admin", said.clone()).status, 403);
    assert_eq!(set("ada", "user", said).status, 403);
    let (_, list) = api(&server, "GET", "/v1/rooms/ward:1/presence", None);
    assert_eq!(users(&list["members"]), ["ada", "cyd"], "{list}");
    assert!(list["members"][0].get("status").is_none(), "{list}");
    for (body, field) in [
        (json!({"status": 7}), "status"),
        (json!({"status": "x".repeat(65)}), "status"),
        (json!({"page": "x".repeat(257)}), "page"),
        (json!({"info": [1]}), "info"),
        (json!({"info": {"a": "x".repeat(1_025)}}), "info"),
    ] {
        let refused = set("cyd", "admin", body.clone());
        assert_eq!((refused.status, &refused.json()["details"]["field"]), (400, &json!(field)), "{body}");
    }
}

#[test]
fn with_presence_each_connections_are_told_of_at_once_and_their_deaths_too() {
    let config = "[[room_type]]\nname = \"board\"\npresence = \"each\"\n[[role]]\nname = \"guest\"\npermissions = [\"join\"]\n";
    for options in deployments() {
        let server = Server::start(Options { config: config.to_owned(), ..options });
        let connect = |id: &str, user: &str, role: &str| {
            let bearer = format!("Bearer {}", token(user, role, json!({})));
            Client::welcomed(&server, &format!("/v1/ws?client_id={id}"), &[("authorization", &bearer)])
        };
        let ids = |list: &Value| -> Vec<String> {
            let rows = list.as_array().unwrap().iter();
            rows.map(|row| row["client_id"].as_str().unwrap().to_owned()).collect()
        };
        let mut ada = connect("a-1", "ada", "nurse");
        let state = ada.join("board:1")["state"]["presence"].clone();
        assert_eq!((ids(&state["members"]), &state["count"]), (vec!["a-1".to_owned()], &json!(1)), "{state}");
        let row = state["members"][0].as_object().unwrap();
        assert_eq!(row.keys().collect::<Vec<_>>(), ["client_id", "role", "since", "user_id"], "{state}");
        ada.expect_nothing();
        let mut ben = connect("b-1", "ben", "user");
        let state = ben.join("board:1")["state"]["presence"].clone();
        assert_eq!((ids(&state["members"]).len(), &state["count"]), (2, &json!(2)), "{state}");
        let told = ada.expect("$presence");
        assert_eq!(
            (ids(&told["data"]["joined"]), &told["data"]["count"]),
            (vec!["b-1".to_owned()], &json!(2))
        );
        // A second connection of the same user is somebody of its own.
        let mut tab = connect("b-2", "ben", "user");
        tab.join("board:1");
        for client in [&mut ada, &mut ben] {
            assert_eq!(ids(&client.expect("$presence")["data"]["joined"]), ["b-2"]);
        }
        tab.expect_nothing();
        // What one says is of that connection alone.
        tab.ask(json!({"type": "presence.set", "room": "board:1", "data": {"status": "busy"}}));
        ben.send(&json!({"type": "heartbeat", "data": {"page": "/rounds"}}));
        let mut changed: Vec<Value> =
            (0..2).map(|_| ada.expect("$presence")["data"]["changed"][0].clone()).collect();
        changed.sort_by_key(|row| row["client_id"].to_string());
        assert_eq!(changed[0]["page"], "/rounds", "{changed:?}");
        assert_eq!((&changed[1]["status"], changed[1].get("page")), (&json!("busy"), None), "{changed:?}");
        let list = ada.ask(json!({"type": "presence", "room": "board:1"}));
        assert_eq!(
            (ids(&list["members"]), &list["count"]),
            (vec!["a-1".into(), "b-1".into(), "b-2".into()], &json!(3))
        );
        let (status, page) = api(&server, "GET", "/v1/rooms/board:1/presence?limit=1&after=a-1", None);
        assert_eq!(
            (status, ids(&page["members"]), &page["more"]),
            (200, vec!["b-1".to_owned()], &json!(true)),
            "{page}"
        );
        // One dies without a word, one leaves, one is kicked.
        drop(tab);
        let left = ada.expect("$presence")["data"].clone();
        assert_eq!((&left["left"][0]["client_id"], &left["count"]), (&json!("b-2"), &json!(2)), "{left}");
        ben.ask(json!({"type": "leave", "room": "board:1"}));
        let left = ada.expect("$presence")["data"]["left"][0].clone();
        assert_eq!([&left["client_id"], &left["user_id"], &left["role"]], ["b-1", "ben", "user"], "{left}");
        ben.join("board:1");
        ada.expect("$presence");
        let (status, _) = api(&server, "DELETE", "/v1/connections/b-1", None);
        assert_eq!(status, 200);
        assert_eq!(ada.expect("$presence")["data"]["left"][0]["client_id"], "b-1");
        // Who may not see is told nothing, and is seen.
        let mut eve = connect("e-1", "eve", "guest");
        assert!(eve.join("board:1").get("state").is_none());
        assert_eq!(ada.expect("$presence")["data"]["joined"][0]["role"], "guest");
        let mut cyd = connect("c-1", "cyd", "user");
        cyd.join("board:1");
        ada.expect("$presence");
        eve.expect_nothing();
        let wrong = json!({"type": "presence.set", "room": "board:1", "data": {"info": "x"}});
        assert_eq!(cyd.ask(wrong)["details"]["field"], "info");
        ada.expect_nothing();
    }
}

#[test]
fn what_a_heartbeat_says_needs_the_permission_and_its_good_members_count() {
    let config = format!("{CONFIG}[[role]]\nname = \"guest\"\npermissions = [\"join\"]\n");
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("ward:1");
    let [mut eve, mut ben] =
        [("eve", "guest"), ("ben", "user")].map(|(user, role)| Client::join_server(&server, user, role));
    for (user, client) in [("eve", &mut eve), ("ben", &mut ben)] {
        client.join("ward:1");
        expect_change(&mut ada, "joined", user);
        let data = json!({"status": "busy", "page": 7, "info": "no object"});
        let answer = client.ask(json!({"type": "heartbeat", "data": data}));
        assert_eq!((&answer["type"], &answer["data"]), (&json!("heartbeat_ack"), &data));
    }
    let changed = expect_change(&mut ada, "changed", "ben");
    assert_eq!((&changed["status"], changed.get("page")), (&json!("busy"), None), "{changed}");
    let list = ada.ask(json!({"type": "presence", "room": "ward:1"}));
    let of_eve = list["members"].as_array().unwrap().iter().find(|of| of["user_id"] == "eve").unwrap();
    assert!(of_eve.get("status").is_none(), "{list}");
}

#[test]
fn who_says_what_it_does_where_that_is_nothing_is_told_so() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("ward:1");
    ada.join("plain:1");
    let set = |room: &str| json!({"type": "presence.set", "room": room, "data": {"status": "busy"}});
    assert_eq!(ada.ask(set("ward:1"))["type"], "ok");
    for (room, code) in [("plain:1", 4014), ("ward:2", 4013)] {
        let refused = ada.ask(set(room));
        assert_eq!(
            (&refused["code"], &refused["details"]["field"]),
            (&json!(code), &json!("room")),
            "{room}"
        );
    }
    let (status, refused) =
        api(&server, "PUT", "/v1/rooms/ward:1/presence", Some(&json!({"status": "busy"})));
    assert_eq!((status, &refused["code"]), (403, &json!(4013)), "the operator is not in it: {refused}");
}
