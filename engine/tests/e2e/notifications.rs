//! Notifications through the real binary: several devices of one user on several shards, over HTTP, and after a restart.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments, eventually, request, token};

fn send(server: &Server, data: Value) -> Value {
    let (status, sent) = api(server, "POST", "/v1/notifications", Some(&data));
    assert_eq!(status, 200, "{sent}");
    sent
}

fn note(id: &str, priority: u64, target: Value) -> Value {
    let mut data =
        json!({"notification_id": id, "type": "lab_result", "title": "Ready", "priority": priority});
    data.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    data
}

fn ids(notes: &Value) -> Vec<&str> {
    notes.as_array().unwrap().iter().map(|note| note["notification_id"].as_str().unwrap()).collect()
}

fn ask(client: &mut Client, verb: &str, data: Value) -> Value {
    client.ask(json!({"type": format!("notification.{verb}"), "data": data}))
}

fn acknowledge(client: &mut Client, id: &str) {
    let answer = ask(client, "acknowledge", json!({"notification_id": id}));
    assert_eq!(answer["data"], json!({"notification_id": id}), "{answer}");
}

#[test]
fn what_waited_arrives_by_priority_and_every_device_hears_of_what_is_done() {
    for options in deployments() {
        let server = Server::start(options);
        let to = json!({"user_id": "ada"});
        for (id, priority) in [("low", 1), ("urgent", 9), ("usual", 5), ("urgent2", 9)] {
            send(&server, note(id, priority, to.clone()));
        }
        let mut devices: Vec<Client> = (0..4).map(|_| Client::join_server(&server, "ada", "user")).collect();
        devices.push(Client::packed(&server, "ada", "user"));
        for device in &mut devices {
            let waiting = device.expect("$notifications");
            assert_eq!(ids(&waiting["data"]["unread"]), ["urgent", "urgent2", "usual", "low"], "{waiting}");
            assert_eq!((&waiting["data"]["count"], &waiting["data"]["more"]), (&json!(4), &json!(false)));
            assert!(waiting.get("offset").is_none(), "it has no place in the user's room: {waiting}");
        }
        let actions = json!([{"id": "open", "label": "Open", "url": "/labs/7"}]);
        let live = json!({"actions": actions, "severity": "critical", "data": {"lab": 7}, "user_id": "ada"});
        send(&server, note("live", 8, live));
        for device in &mut devices {
            let said = device.expect("$notification")["data"].take();
            assert_eq!((&said["notification_id"], &said["actions"]), (&json!("live"), &actions));
            assert_eq!(
                (&said["severity"], &said["data"], &said["to"]),
                (&json!("critical"), &json!({"lab": 7}), &json!("user"))
            );
        }
        acknowledge(&mut devices[4], "urgent");
        devices[0].expect("$notification_acknowledged");
        ask(&mut devices[1], "dismiss", json!({"notification_id": "low"}));
        let dismissed = devices[0].expect("$notification_dismissed");
        assert_eq!(dismissed["data"]["notification_id"], "low");
        let count = ask(&mut devices[0], "count", json!({}));
        assert_eq!(count["data"]["count"], 3, "{count}");
        let list = ask(&mut devices[2], "list", json!({}))["data"].take();
        assert_eq!(ids(&list["notifications"]), ["urgent", "urgent2", "live", "usual"]);
        let unread = ask(&mut devices[2], "list", json!({"unread_only": true, "limit": 2}))["data"].take();
        assert_eq!((ids(&unread["notifications"]), &unread["more"]), (vec!["urgent2", "live"], &json!(true)));
        drop(devices);
        let mut again = Client::join_server(&server, "ada", "user");
        let waiting = again.expect("$notifications")["data"].take();
        assert_eq!(ids(&waiting["unread"]), ["urgent2", "live", "usual"]);
        let all = ask(&mut again, "acknowledge_all", json!({}));
        assert_eq!(all["data"]["acknowledged"], 3, "{all}");
        let mut last = Client::join_server(&server, "ada", "user");
        last.expect_nothing();
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.expect_nothing();
    }
}

#[test]
fn roles_and_everybody_are_told_once_and_late_ones_are_told_what_they_are_not_done_with() {
    for options in deployments() {
        let server = Server::start(options);
        let mut ada = Client::join_server(&server, "ada", "nurse");
        let mut ben = Client::join_server(&server, "ben", "user");
        send(&server, note("drill", 4, json!({"all": true})));
        send(&server, note("ward", 6, json!({"role": "nurse"})));
        send(&server, note("own", 5, json!({"user_ids": ["ada", "cyd", "ada"]})));
        // Three homes may send in any order.
        let mut came: Vec<String> = (0..3)
            .map(|_| ada.expect("$notification")["data"]["notification_id"].as_str().unwrap().to_owned())
            .collect();
        came.sort();
        assert_eq!(came, ["drill", "own", "ward"]);
        assert_eq!(ben.expect("$notification")["data"]["notification_id"], "drill");
        ben.expect_nothing();
        let mut cyd = Client::packed(&server, "cyd", "nurse");
        let waiting = cyd.expect("$notifications")["data"].take();
        assert_eq!((ids(&waiting["unread"]), &waiting["count"]), (vec!["ward", "own", "drill"], &json!(3)));
        assert_eq!(waiting["unread"][0]["to"], "role");
        acknowledge(&mut cyd, "ward");
        acknowledge(&mut cyd, "ward");
        ask(&mut cyd, "dismiss", json!({"notification_id": "drill"}));
        let mut phone = Client::join_server(&server, "cyd", "nurse");
        assert_eq!(ids(&phone.expect("$notifications")["data"]["unread"]), ["own"]);
        let list = ask(&mut phone, "list", json!({}))["data"].take();
        let acknowledged: Vec<&Value> =
            list["notifications"].as_array().unwrap().iter().map(|note| &note["acknowledged"]).collect();
        assert_eq!(
            (ids(&list["notifications"]), acknowledged),
            (vec!["ward", "own"], vec![&json!(true), &json!(false)])
        );
        // Of another role's, nobody else hears; of what is taken back, nobody any more.
        let refused = ask(&mut ben, "acknowledge", json!({"notification_id": "ward"}));
        assert_eq!(refused["code"], 4002, "{refused}");
        let back = json!({"all": true});
        let (status, withdrawn) = api(&server, "POST", "/v1/notifications/drill/withdraw", Some(&back));
        assert_eq!((status, &withdrawn["withdrawn"]), (200, &json!(1)), "{withdrawn}");
        assert_eq!(ben.expect("$notification_withdrawn")["data"]["notification_id"], "drill");
        let mut eve = Client::join_server(&server, "eve", "user");
        eve.expect_nothing();
    }
}

#[test]
fn preferences_and_quiet_hours_decide_what_is_sent_and_nothing_is_lost() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let set = ask(&mut ada, "set_preferences", json!({"types_muted": ["chatter"], "minimum_priority": 2}));
    assert_eq!(set["data"]["types_muted"], json!(["chatter"]), "{set}");
    let to = json!({"user_id": "ada"});
    let mut muted = note("muted", 7, to.clone());
    muted["type"] = "chatter".into();
    send(&server, muted);
    send(&server, note("low", 1, to.clone()));
    send(&server, note("usual", 5, to.clone()));
    assert_eq!(ada.expect("$notification")["data"]["notification_id"], "usual");
    assert_eq!(ask(&mut ada, "count", json!({}))["data"]["count"], 3, "they are kept");
    // Quiet all day but for the minute that ended a minute ago, by a clock of the user's own.
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let clock = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    let here = now_s / 60 + 60 * 24 + 330;
    let quiet =
        json!({"quiet_hours": {"from": clock(here - 1), "to": clock(here - 2), "utc_offset_minutes": 330}});
    let path = "/v1/users/ada/notification_preferences";
    let (status, told) = api(&server, "PUT", path, Some(&quiet));
    assert_eq!((status, &told["quiet_hours"]), (200, &quiet["quiet_hours"]), "{told}");
    assert_eq!(api(&server, "GET", path, None).1, told);
    send(&server, note("later", 7, to.clone()));
    send(&server, note("urgent", 8, to));
    assert_eq!(ada.expect("$notification")["data"]["notification_id"], "urgent");
    let mut other = Client::join_server(&server, "ada", "user");
    let waiting = other.expect("$notifications")["data"].take();
    assert_eq!((ids(&waiting["unread"]), &waiting["count"]), (vec!["urgent"], &json!(5)));
    ask(&mut other, "set_preferences", json!({"minimum_priority": 2}));
    let held = ada.expect("$notifications")["data"].take();
    assert_eq!(ids(&held["unread"]), ["urgent", "muted", "later", "usual"], "the quiet is over");
}

#[test]
fn a_sender_hears_who_has_acknowledged_and_a_retry_is_sent_once() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let mut host = Client::join_server(&server, "host", "admin");
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut data = note("n", 5, json!({"user_id": "ada"}));
    data["require_ack"] = true.into();
    let first = ask(&mut host, "send", data.clone());
    assert_eq!((&first["type"], &first["data"]["targets"]), (&json!("ok"), &json!(1)), "{first}");
    assert_eq!(ask(&mut host, "send", data.clone())["data"], first["data"]);
    let mut other = Client::join_server(&server, "other", "admin");
    let refused = ask(&mut other, "send", data);
    assert_eq!((&refused["code"], &refused["details"]["field"]), (&json!(4014), &json!("notification_id")));
    let said = ada.expect("$notification");
    assert_eq!((&said["user_id"], &said["data"]["from"]), (&json!("host"), &json!("host")), "{said}");
    ada.expect_nothing();
    acknowledge(&mut ada, "n");
    let receipt = host.expect("$notification_receipt")["data"].take();
    assert_eq!((&receipt["notification_id"], &receipt["user_id"]), (&json!("n"), &json!("ada")));
    let refused = ask(&mut ada, "send", note("x", 5, json!({"user_id": "host"})));
    assert_eq!(refused["name"], "FORBIDDEN", "{refused}");
    let refused = ask(&mut ada, "list", json!({"user_id": "host"}));
    assert_eq!(refused["name"], "FORBIDDEN", "{refused}");
    assert_eq!(
        ask(&mut host, "list", json!({"user_id": "ada"}))["data"]["notifications"][0]["acknowledged"],
        true
    );
}

#[test]
fn http_does_the_same_and_bad_input_names_its_field() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let users: Vec<String> = (0..40).map(|of| format!("u{of}")).collect();
    let sent = send(&server, json!({"user_ids": users, "type": "t", "title": "T"}));
    assert_eq!(sent["targets"], 40, "{sent}");
    let id = sent["notification_id"].as_str().unwrap();
    for user in &users {
        let (_, list) = api(&server, "GET", &format!("/v1/users/{user}/notifications"), None);
        assert_eq!(ids(&list["notifications"]), [id], "all copies have one id");
        assert_eq!(list["notifications"][0]["timestamp"].as_str().unwrap().len(), 24);
    }
    send(&server, note("r", 5, json!({"role": "nurse"})));
    let count =
        |query: &str| api(&server, "GET", &format!("/v1/users/u1/notifications/count{query}"), None).1;
    assert_eq!((count(""), count("?role=nurse")), (json!({"count": 1}), json!({"count": 2})));
    let path = format!("/v1/users/u1/notifications/{id}");
    assert_eq!(
        api(&server, "POST", &format!("{path}/acknowledge"), None),
        (200, json!({"notification_id": id}))
    );
    assert_eq!(count(""), json!({"count": 0}));
    assert_eq!(api(&server, "POST", &format!("{path}/dismiss"), None).0, 200);
    assert_eq!(api(&server, "POST", "/v1/users/u1/notifications/none/dismiss", None).0, 404);
    assert_eq!(api(&server, "POST", "/v1/users/u2/notifications/acknowledge", None).1["acknowledged"], 1);
    let bearer = format!("Bearer {}", token("u3", "user", json!({})));
    let own =
        request(&server, "GET", "/v1/users/u3/notifications?limit=1", &[("authorization", &bearer)], "");
    assert_eq!(own.status, 403, "users ask over their WebSocket: {own:?}");
    let good = || json!({"user_id": "u1", "type": "t", "title": "T"});
    for (more, field) in [
        (json!({"user_id": null}), "user_id"),
        (json!({"all": true}), "user_id"),
        (json!({"user_id": null, "all": false}), "user_id"),
        (json!({"user_id": "a\u{7}"}), "user_id"),
        (json!({"user_id": null, "user_ids": []}), "user_ids"),
        (json!({"user_id": null, "user_ids": ["a\u{7}"]}), "user_ids"),
        (json!({"user_id": null, "user_ids": vec!["u"; 257]}), "user_ids"),
        (json!({"type": "two words"}), "type"),
        (json!({"title": ""}), "title"),
        (json!({"body": "x".repeat(4_097)}), "body"),
        (json!({"priority": 10}), "priority"),
        (json!({"severity": "fatal"}), "severity"),
        (json!({"actions": vec![json!({"id": "a", "label": "A"}); 9]}), "actions"),
        (json!({"actions": [{"id": "a"}]}), "label"),
        (json!({"actions": [{"id": "a", "label": "A", "url": "javascript:alert(1)"}]}), "url"),
        (json!({"actions": [{"id": "a", "label": "A", "url": "//evil"}]}), "url"),
        (json!({"data": []}), "data"),
        (json!({"ttl_seconds": 0}), "ttl_seconds"),
        (json!({"notification_id": "a b"}), "notification_id"),
    ] {
        let mut data = good();
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, refused) = api(&server, "POST", "/v1/notifications", Some(&data));
        assert_eq!((status, &refused["details"]["field"]), (400, &json!(field)), "{data}: {refused}");
    }
    for time in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let data = json!({"user_id": "u1", "type": "t", "title": "T", "expires_at": time});
        let (status, refused) = api(&server, "POST", "/v1/notifications", Some(&data));
        assert_eq!(
            (status, &refused["code"], &refused["details"]["field"]),
            (409, &json!(4014), &json!("expires_at"))
        );
    }
    let quiet = json!({"quiet_hours": {"from": "25:00", "to": "07:00"}});
    let (status, refused) = api(&server, "PUT", "/v1/users/u1/notification_preferences", Some(&quiet));
    assert_eq!((status, &refused["details"]["field"]), (400, &json!("from")), "{refused}");
}

#[test]
fn bounds_are_kept_and_told() {
    let config = "[notification]\nunread_max = 3\nbroadcasts_max = 1\n[limits]\ncommands_per_minute = 0";
    let server = Server::start(Options { config: config.to_owned(), ..Options::default() });
    for (id, priority) in [("a", 5), ("b", 1), ("c", 5), ("d", 2)] {
        send(&server, note(id, priority, json!({"user_id": "ada"})));
    }
    let mut device = Client::join_server(&server, "ada", "user");
    device.expect("$notifications");
    let least = send(&server, note("least", 0, json!({"user_id": "ada"})));
    assert_eq!((&least["targets"], &least["dropped"]), (&json!(1), &json!(1)), "{least}");
    assert_eq!(
        device.expect("$notification")["data"]["notification_id"],
        "least",
        "who is there hears of it"
    );
    let (_, list) = api(&server, "GET", "/v1/users/ada/notifications", None);
    assert_eq!((ids(&list["notifications"]), &list["dropped"]), (vec!["a", "c", "d"], &json!(2)));
    let dropped = || server.metric("fanfare_service_dropped_total{service=\"notification\"}");
    eventually("it is counted", || (dropped() == 2.0).then_some(()));
    send(&server, note("x", 5, json!({"all": true, "ttl_seconds": 1})));
    let more = note("y", 5, json!({"all": true}));
    let (status, refused) = api(&server, "POST", "/v1/notifications", Some(&more));
    assert_eq!((status, &refused["code"]), (429, &json!(4004)), "{refused}");
    eventually("the first has expired", || {
        (api(&server, "POST", "/v1/notifications", Some(&more)).0 == 200).then_some(())
    });
    let mut ada = Client::join_server(&server, "ada", "user");
    assert_eq!(ids(&ada.expect("$notifications")["data"]["unread"]), ["a", "c", "y", "d"]);
}

#[test]
fn with_a_store_everything_outlives_a_kill() {
    let folder = std::env::temp_dir().join(format!("fanfare-notifications-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = format!("[store]\npath = \"{}\"\n", folder.join("fanfare.redb").display());
    let options = || Options { shards: 3, config: config.clone(), ..Options::default() };
    let mut server = Server::start(options());
    for id in ["a", "b", "c"] {
        send(&server, note(id, 5, json!({"user_ids": ["ada", "ben", "cyd", "dan"]})));
    }
    send(&server, note("all", 7, json!({"all": true})));
    send(&server, note("role", 6, json!({"role": "nurse"})));
    let mut ada = Client::join_server(&server, "ada", "nurse");
    acknowledge(&mut ada, "a");
    acknowledge(&mut ada, "all");
    ask(&mut ada, "dismiss", json!({"notification_id": "b"}));
    ask(&mut ada, "set_preferences", json!({"minimum_priority": 1}));
    server.signal("KILL");
    server.ended();
    let server = Server::start(options());
    let mut ada = Client::join_server(&server, "ada", "nurse");
    assert_eq!(ids(&ada.expect("$notifications")["data"]["unread"]), ["role", "c"]);
    assert_eq!(ask(&mut ada, "preferences", json!({}))["data"]["minimum_priority"], 1);
    let mut dan = Client::join_server(&server, "dan", "user");
    assert_eq!(ids(&dan.expect("$notifications")["data"]["unread"]), ["all", "a", "b", "c"]);
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}
