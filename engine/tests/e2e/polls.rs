//! Polls through the real binary: over WebSockets on several shards, and over HTTP.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments};

fn votes(tally: &Value) -> Vec<u64> {
    tally["options"].as_array().unwrap().iter().map(|of| of["votes"].as_u64().unwrap()).collect()
}

#[test]
fn members_on_every_shard_see_votes_as_they_come_and_late_ones_get_the_tally_first() {
    for options in deployments() {
        let server = Server::start(options);
        let mut host = Client::join_server(&server, "host", "admin");
        let mut people: Vec<Client> = ["ada", "ben", "cyd", "dan"]
            .into_iter()
            .map(|user| Client::join_server(&server, user, "user"))
            .collect();
        people.iter_mut().for_each(|client| drop(client.join("demo:1")));
        let open = json!({"poll_id": "pace", "question": "How fast?", "options": ["slow", "fast"]});
        let opened = host.ask(json!({"type": "poll.open", "room": "demo:1", "data": open}));
        assert_eq!((&opened["type"], votes(&opened["data"])), (&json!("ok"), vec![0, 0]), "{opened}");
        for client in &mut people {
            assert_eq!(client.expect("$poll_opened")["data"]["question"], "How fast?");
        }
        let vote = |client: &mut Client, option: &str| {
            let data = json!({"poll_id": "pace", "option": option});
            client.ask(json!({"type": "poll.vote", "room": "demo:1", "data": data}))
        };
        assert_eq!(votes(&vote(&mut people[0], "slow")["data"]), [1, 0]);
        assert_eq!(votes(&vote(&mut people[0], "fast")["data"]), [0, 1], "a vote can be changed");
        assert_eq!(votes(&vote(&mut people[1], "fast")["data"]), [0, 2]);
        for expected in [[1, 0], [0, 1], [0, 2]] {
            let tally = people[2].expect("$poll_tally");
            assert_eq!(votes(&tally["data"]), expected);
            assert!(tally.get("offset").is_none(), "a tally has no place in the room: {tally}");
        }
        let mut packed = Client::packed(&server, "late", "user");
        let joined = packed.join("demo:1");
        assert_eq!(votes(&joined["state"]["poll"]["polls"][0]), [0, 2], "{joined}");
        assert_eq!(votes(&vote(&mut packed, "slow")["data"]), [1, 2]);
        let closed = host.ask(json!({"type": "poll.close", "room": "demo:1", "data": {"poll_id": "pace"}}));
        assert_eq!(closed["data"]["open"], false);
        let late = vote(&mut people[3], "slow");
        assert_eq!(
            (&late["type"], &late["details"]["field"]),
            (&json!("error"), &json!("poll_id")),
            "{late}"
        );
    }
}

#[test]
fn http_says_the_same_and_bad_input_names_its_field() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let path = "/v1/rooms/demo:1/polls";
    let open = json!({"poll_id": "p", "question": "?", "options": ["a", "b"], "seconds": 3600});
    let (status, opened) = api(&server, "POST", path, Some(&open));
    assert_eq!((status, votes(&opened)), (200, vec![0, 0]), "{opened}");
    let (status, twice) = api(&server, "POST", path, Some(&open));
    assert_eq!((status, &twice["details"]["field"]), (409, &json!("poll_id")), "{twice}");
    let (status, voted) = api(&server, "PUT", "/v1/rooms/demo:1/polls/p/vote", Some(&json!({"option": "b"})));
    assert_eq!((status, votes(&voted)), (200, vec![0, 1]), "{voted}");
    let (status, list) = api(&server, "GET", path, None);
    assert_eq!((status, votes(&list["polls"][0])), (200, vec![0, 1]), "{list}");
    for (body, field) in [
        (json!({}), "poll_id"),
        (json!({"poll_id": "x"}), "question"),
        (json!({"poll_id": "x", "question": "?", "options": ["a"]}), "options"),
        (json!({"poll_id": "x", "question": "?", "options": ["a", "a"]}), "options"),
        (json!({"poll_id": "x", "question": "?", "options": ["a", "b"], "seconds": 0}), "seconds"),
        (json!([]), "body"),
    ] {
        let (status, refused) = api(&server, "POST", path, Some(&body));
        assert_eq!((status, &refused["details"]["field"]), (400, &json!(field)), "{refused}");
    }
    assert_eq!(api(&server, "GET", "/v1/rooms/a%20b/polls", None).0, 400);
    assert_eq!(api(&server, "PUT", path, None).0, 405);
    assert_eq!(api(&server, "DELETE", "/v1/rooms/demo:1/polls/none", None).0, 404);
    assert_eq!(api(&server, "DELETE", "/v1/rooms/demo:1/polls/p", None).0, 200);
    assert_eq!(api(&server, "GET", path, None).1["polls"], json!([]));
}

#[test]
fn what_a_role_may_not_do_is_refused() {
    let config = r#"
[[role]]
name = "observer"
permissions = ["join"]
"#;
    let server = Server::with(config);
    let mut user = Client::join_server(&server, "ada", "user");
    let mut observer = Client::join_server(&server, "eve", "observer");
    let open = json!({"poll_id": "p", "question": "?", "options": ["a", "b"]});
    let refused = user.ask(json!({"type": "poll.open", "room": "demo:1", "data": open}));
    assert_eq!(refused["name"], "FORBIDDEN", "{refused}");
    assert_eq!(api(&server, "POST", "/v1/rooms/demo:1/polls", Some(&open)).0, 200);
    let vote = json!({"type": "poll.vote", "room": "demo:1", "data": {"poll_id": "p", "option": "a"}});
    assert_eq!(observer.ask(vote.clone())["name"], "FORBIDDEN");
    assert_eq!(user.ask(vote)["type"], "ok");
    observer.join("demo:1");
    let list = observer.ask(json!({"type": "poll.list", "room": "demo:1"}));
    assert_eq!(list["data"]["polls"][0]["total_votes"], 1, "{list}");
    let publish = json!({"type": "publish", "room": "demo:1", "event": "say", "data": 1});
    assert_eq!(observer.ask(publish)["name"], "FORBIDDEN", "observers read only");
    let unknown = user.ask(json!({"type": "poll.nothing", "room": "demo:1"}));
    assert_eq!((&unknown["code"], &unknown["details"]["field"]), (&json!(4005), &json!("type")), "{unknown}");
}

#[test]
fn what_was_asked_and_voted_outlives_the_process() {
    let store = std::env::temp_dir().join(format!("fanfare-polls-{}.redb", std::process::id()));
    let config = format!("[store]\npath = \"{}\"\n", store.display());
    let options = Options { config, ..Options::default() };
    let path = "/v1/rooms/demo:1/polls";
    let vote = |client: &mut Client, poll: &str, option: &str| {
        let data = json!({"poll_id": poll, "option": option});
        client.ask(json!({"type": "poll.vote", "room": "demo:1", "data": data}))
    };
    {
        let server = Server::start(options.clone());
        for poll in ["pace", "done"] {
            let open = json!({"poll_id": poll, "question": "How fast?", "options": ["slow", "fast"]});
            assert_eq!(api(&server, "POST", path, Some(&open)).0, 200);
        }
        for (user, option) in [("ada", "slow"), ("ben", "fast"), ("cyd", "fast")] {
            let mut client = Client::join_server(&server, user, "user");
            assert_eq!(vote(&mut client, "pace", option)["type"], "ok");
        }
        assert_eq!(api(&server, "POST", &format!("{path}/done/close"), None).0, 200);
        // Killed: an answer says that it is on disk.
    }
    let server = Server::start(Options { shards: 3, ..options });
    let mut ada = Client::packed(&server, "ada", "user");
    let state = ada.join("demo:1")["state"]["poll"]["polls"].clone();
    assert_eq!((&state[0]["poll_id"], &state[0]["open"]), (&json!("done"), &json!(false)), "{state}");
    assert_eq!((&state[1]["question"], votes(&state[1])), (&json!("How fast?"), vec![1, 2]), "{state}");
    let changed = vote(&mut ada, "pace", "fast");
    assert_eq!(votes(&changed["data"]), [0, 3], "who has voted has one vote still: {changed}");
    assert_eq!(vote(&mut ada, "done", "fast")["name"], "CONFLICT");
    drop(server);
    let _ = std::fs::remove_file(&store);
}
