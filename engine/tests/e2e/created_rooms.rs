//! What becomes of those who are in a room that somebody creates, makes private, or keeps them out of.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments, eventually};

const CONFIG: &str = r#"
[limits]
commands_per_minute = 0
[[room_type]]
name = "club"
create = ["user", "admin"]
"#;

fn create(data: Value) -> Value {
    json!({"type": "room.create", "room": "club:1", "data": data})
}

#[test]
fn a_room_that_others_use_is_not_taken_from_them() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "user");
        let mut eve = Client::join_server(&server, "eve", "user");
        ada.join("club:1");
        for is_member in [false, true] {
            if is_member {
                eve.join("club:1");
            }
            let refused = eve.ask(create(json!({"private": true})));
            assert_eq!((&refused["code"], &refused["details"]["field"]), (&json!(4014), &json!("room")));
        }
        eve.ask(json!({"type": "leave", "room": "club:1"}));
        ada.publish("club:1", json!("between us"));
        ada.ask(json!({"type": "leave", "room": "club:1"}));
        let refused = eve.ask(create(json!({})));
        assert_eq!(refused["code"], 4014, "what was said there is not for somebody else: {refused}");
        let purge = json!({"type": "room.purge", "room": "club:1"});
        assert_eq!(eve.ask(purge)["code"], 4013, "nothing has changed");
        // Who is alone where nothing was said takes it from nobody.
        ada.join("club:2");
        let alone = json!({"type": "room.create", "room": "club:2"});
        assert_eq!(ada.ask(alone)["data"]["creator"], "ada");
        assert_eq!(api(&server, "PUT", "/v1/rooms/club:1", None).0, 200, "who may steer any room");
    }
}

#[test]
fn who_is_not_invited_goes_when_a_room_becomes_private() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let [mut ada, mut ben, mut cyd] =
            ["ada", "ben", "cyd"].map(|user| Client::join_server(&server, user, "user"));
        let mut root = Client::join_server(&server, "root", "admin");
        assert_eq!(ada.ask(create(json!({"invited": ["cyd"]})))["type"], "ok");
        for client in [&mut ada, &mut ben, &mut cyd, &mut root] {
            client.join("club:1");
        }
        let update =
            |private: bool| json!({"type": "room.update", "room": "club:1", "data": {"private": private}});
        assert_eq!(ada.ask(update(true))["data"]["private"], true);
        ben.until("$removed");
        assert_eq!(ben.expect("left")["room"], "club:1");
        ada.publish("club:1", json!("between us"));
        ben.expect_nothing();
        for client in [&mut cyd, &mut root] {
            assert_eq!(client.until("say")["data"], "between us");
        }
        assert_eq!(ben.ask(json!({"type": "join", "room": "club:1"}))["code"], 4013);
        // A control role takes a room that is used.
        ben.join("club:2");
        let taken = json!({"private": true, "invited": ["ada"]});
        assert_eq!(api(&server, "PUT", "/v1/rooms/club:2", Some(&taken)).0, 200);
        ben.until("$removed");
        ben.expect("left");
    }
}

#[test]
fn who_was_kept_out_may_be_let_in_again_and_owners_see_whom_they_named() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut ben = Client::join_server(&server, "ben", "user");
    let join = json!({"type": "join", "room": "open:1"});
    let kick = json!({"user_id": "ben", "seconds": 3600});
    assert_eq!(api(&server, "POST", "/v1/rooms/open:1/kick", Some(&kick)).0, 200);
    assert_eq!(ben.ask(join.clone())["code"], 4013);
    assert_eq!(
        ben.ask(json!({"type": "room.invite", "room": "open:1", "data": {"user_id": "ben"}}))["code"],
        4013
    );
    let (_, info) = api(&server, "GET", "/v1/rooms/open:1", None);
    assert_eq!(info["kept_out"], json!(["ben"]), "{info}");
    assert_eq!(api(&server, "PUT", "/v1/rooms/open:1/invited/ben", None).0, 200);
    assert_eq!(ben.ask(join)["type"], "joined");
    assert_eq!(api(&server, "PUT", "/v1/rooms/open:1/invited/ben", None).0, 404, "nobody created it");
    assert_eq!(ada.ask(create(json!({"invited": ["ben"], "cleanup": true})))["type"], "ok");
    let info = json!({"type": "room.info", "room": "club:1"});
    let told = ada.ask(info.clone())["data"].clone();
    assert_eq!((&told["invited"], &told["cleanup"]), (&json!(["ben"]), &json!(true)), "{told}");
    assert_eq!(told["kept_out"], json!([]), "{told}");
    let told = ben.ask(info)["data"].clone();
    assert!(["invited", "kept_out", "cleanup"].iter().all(|name| told.get(name).is_none()), "{told}");
}

#[test]
fn asking_is_no_activity() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("open:1");
    ada.publish("open:1", json!(1));
    let told = || {
        let (_, info) = api(&server, "GET", "/v1/rooms/open:1", None);
        let (_, rooms) = api(&server, "GET", "/v1/rooms", None);
        let listed = rooms["rooms"].as_array().unwrap().iter().find(|room| room["room"] == "open:1");
        let at = |of: &Value| {
            fanfare_protocol::timestamp::parse_rfc3339(of["last_activity"].as_str().unwrap()).unwrap()
        };
        (at(&info), at(listed.unwrap()))
    };
    let now_ms = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let first = told().0;
    // To the second, by two clocks: what is asked two seconds later tells the same time.
    eventually("two seconds", || (now_ms() > u128::from(first) + 3_000).then_some(()));
    told();
    let (info, listed) = told();
    assert!(info.abs_diff(first) < 1_000 && listed.abs_diff(first) < 1_000, "{first} {info} {listed}");
    ada.publish("open:1", json!(2));
    assert!(told().0 > first + 1_500);
}
