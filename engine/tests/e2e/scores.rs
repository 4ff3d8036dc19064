//! Scores of groups through the real binary, over several shards and over HTTP.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments, eventually, request, token};

fn report(client: &mut Client, value: f64) -> Value {
    let data = json!({"score_id": "sync", "value": value});
    client.ask(json!({"type": "score.report", "room": "breath:1", "data": data}))
}

#[test]
fn a_group_on_several_shards_reaches_its_score_and_loses_it_when_one_leaves() {
    for options in deployments() {
        let server = Server::start(options);
        let define =
            json!({"score_id": "sync", "threshold": 0.8, "minimum_users": 3, "title": "Group in time"});
        assert_eq!(api(&server, "POST", "/v1/rooms/breath:1/scores", Some(&define)).0, 200);
        let mut guide = Client::packed(&server, "guide", "user");
        let joined = guide.join("breath:1");
        assert_eq!(joined["state"]["score"]["scores"][0]["reached"], false, "{joined}");
        let mut group: Vec<Client> =
            ["ada", "ben", "cyd"].iter().map(|user| Client::join_server(&server, user, "user")).collect();
        for client in &mut group {
            client.join("breath:1");
            assert_eq!(report(client, 0.9)["type"], "ok");
        }
        let reached = guide.until("$score_reached");
        let data = &reached["data"];
        assert_eq!((&data["users"], &data["title"]), (&json!(3), &json!("Group in time")), "{reached}");
        assert!(
            (data["value"].as_f64().unwrap() - 0.9).abs() < 1e-9 && reached["offset"].is_number(),
            "{reached}"
        );
        group.remove(0);
        let lost = guide.until("$score_lost");
        assert_eq!(lost["data"]["users"], 2, "{lost}");
        let late = Client::join_server(&server, "dan", "user").join("breath:1");
        assert_eq!(late["state"]["score"]["scores"][0]["users"], 2, "{late}");
        let kept = api(&server, "GET", "/v1/rooms/breath:1/history", None).1;
        assert_eq!(kept["messages"].as_array().unwrap().len(), 2, "values are not kept: {kept}");
    }
}

/// The status of a user's report over HTTP, and what is answered.
fn over_http(server: &Server, user: &str, value: f64) -> (u16, Value) {
    let bearer = format!("Bearer {}", token(user, "admin", json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = json!({"value": value}).to_string();
    let answer = request(server, "PUT", "/v1/rooms/breath:1/scores/sync/value", &headers, &body);
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn a_user_takes_part_while_one_of_its_connections_is_in_the_room_and_nobody_else() {
    for options in deployments() {
        let server = Server::start(options);
        let users = || api(&server, "GET", "/v1/rooms/breath:1/scores", None).1["scores"][0]["users"].clone();
        // Who is there before the score is known as well.
        let mut devices: Vec<Client> = (0..2).map(|_| Client::join_server(&server, "ada", "user")).collect();
        devices.iter_mut().for_each(|device| drop(device.join("breath:1")));
        let define = json!({"score_id": "sync", "threshold": 0.8, "window_seconds": 60});
        assert_eq!(api(&server, "POST", "/v1/rooms/breath:1/scores", Some(&define)).0, 200);
        let mut eve = Client::join_server(&server, "eve", "user");
        eventually("members are known", || (over_http(&server, "eve", -1e300).0 == 403).then_some(()));
        let refused = report(&mut eve, -1e300);
        assert_eq!((&refused["code"], &refused["details"]["field"]), (&json!(4013), &json!("room")));
        assert_eq!(over_http(&server, "ada", 0.7).0, 200, "she is there");
        for device in &mut devices {
            assert_eq!(report(device, 0.9)["type"], "ok");
        }
        devices[0].until("$score_reached");
        devices.pop();
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.join("breath:1");
        assert_eq!(over_http(&server, "ben", 0.9).0, 200);
        eventually("both", || (users() == 2).then_some(()));
        let kept = api(&server, "GET", "/v1/rooms/breath:1/history", None).1;
        assert_eq!(kept["messages"].as_array().unwrap().len(), 1, "nothing was lost: {kept}");
        drop(ben);
        eventually("who left takes no part", || (users() == 1).then_some(()));
        assert_eq!(over_http(&server, "ben", 0.9).0, 403);
    }
}

#[test]
fn silence_drops_out_and_bad_input_names_its_field() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let base = "/v1/rooms/breath:1/scores";
    let define = json!({"score_id": "sync", "threshold": 5, "aggregate": "sum", "window_seconds": 1});
    let (status, score) = api(&server, "POST", base, Some(&define));
    assert_eq!((status, &score["aggregate"], &score["users"]), (200, &json!("sum"), &json!(0)), "{score}");
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("breath:1");
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("breath:1");
    assert_eq!(over_http(&server, "ben", 3.0).1["users"], 1);
    assert_eq!(report(&mut ada, 2.0)["data"]["users"], 2);
    assert_eq!(ada.until("$score_reached")["data"]["value"].as_f64(), Some(5.0));
    let lost = ada.until("$score_lost");
    assert!(lost["data"]["value"].as_f64().is_none_or(|sum| sum < 5.0), "{lost}");
    for (method, path, body, status, field) in [
        ("POST", base, json!({"score_id": "x"}), 400, "threshold"),
        ("POST", base, json!({"score_id": "x", "threshold": 1, "aggregate": "mode"}), 400, "aggregate"),
        ("POST", base, json!({"score_id": "x", "threshold": 1, "minimum_users": 0}), 400, "minimum_users"),
        ("POST", base, json!({"score_id": "a b", "threshold": 1}), 400, "score_id"),
        ("PUT", &*format!("{base}/sync/value"), json!({"value": "high"}), 400, "value"),
        ("PUT", &*format!("{base}/none/value"), json!({"value": 1}), 404, "score_id"),
        ("DELETE", &*format!("{base}/none"), json!({}), 404, "score_id"),
    ] {
        let (got, refused) = api(&server, method, path, Some(&body));
        assert_eq!((got, &refused["details"]["field"]), (status, &json!(field)), "{method} {path} {refused}");
    }
    let mine = json!({"type": "score.define", "room": "breath:1", "data": define});
    assert_eq!(ada.ask(mine)["name"], "FORBIDDEN");
    assert_eq!(api(&server, "DELETE", &format!("{base}/sync"), None).0, 200);
    assert_eq!(api(&server, "GET", base, None).1["scores"], json!([]));
}

#[test]
fn what_was_defined_and_reached_outlives_the_process() {
    let store = std::env::temp_dir().join(format!("fanfare-scores-{}.redb", std::process::id()));
    let config = format!("[store]\npath = \"{}\"\n", store.display());
    let options = Options { config, ..Options::default() };
    let base = "/v1/rooms/breath:1/scores";
    {
        let server = Server::start(options.clone());
        for (id, title) in [("sync", "Group in time"), ("gone", "Nobody needs it")] {
            // A window longer than any restart.
            let define = json!({"score_id": id, "threshold": 0.8, "title": title, "window_seconds": 60});
            assert_eq!(api(&server, "POST", base, Some(&define)).0, 200);
        }
        let mut ada = Client::join_server(&server, "ada", "user");
        ada.join("breath:1");
        assert_eq!(report(&mut ada, 0.9)["data"]["users"], 1);
        assert_eq!(api(&server, "DELETE", &format!("{base}/gone"), None).0, 200);
        // Killed: an answer says that it is on disk.
    }
    let server = Server::start(Options { shards: 3, ..options });
    let (_, list) = api(&server, "GET", base, None);
    assert_eq!(list["scores"].as_array().unwrap().len(), 1, "what was removed stays so: {list}");
    let score = &list["scores"][0];
    assert_eq!((&score["score_id"], &score["title"]), (&json!("sync"), &json!("Group in time")), "{list}");
    assert_eq!(
        (&score["reached"], &score["users"]),
        (&json!(true), &json!(0)),
        "values are not kept: {list}"
    );
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("breath:1");
    assert_eq!(report(&mut ben, 0.85)["data"]["users"], 1);
    let kept = api(&server, "GET", "/v1/rooms/breath:1/history", None).1;
    assert_eq!(kept["messages"], json!([]), "that it is reached is not told again: {kept}");
    drop(server);
    let _ = std::fs::remove_file(&store);
}
