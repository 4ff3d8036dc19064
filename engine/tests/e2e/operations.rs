//! Operations through the real binary: over WebSockets on several shards and over HTTP, with readers fast and slow, and
//! through a restart.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments, eventually};

const PATH: &str = "/v1/operations";

fn command(verb: &str, data: Value) -> Value {
    json!({"type": format!("operation.{verb}"), "data": data})
}

/// Does a command, which must be done, and gives what it says.
fn done(client: &mut Client, verb: &str, data: Value) -> Value {
    let answer = client.ask(command(verb, data));
    assert_eq!(answer["type"], "ok", "{answer}");
    answer["data"].clone()
}

fn percent(told: &Value) -> f64 {
    told["progress_percentage"].as_f64().unwrap_or_else(|| panic!("no progress: {told}"))
}

/// Reads until a message of this type; all before it are given, too.
fn until(client: &mut Client, event: &str) -> Vec<Value> {
    let mut got = Vec::new();
    while got.last().is_none_or(|last: &Value| last["type"] != event) {
        got.push(client.receive().unwrap());
    }
    got
}

#[test]
fn who_watches_gets_the_state_first_and_then_every_change_on_every_shard() {
    for options in deployments() {
        let server = Server::start(options);
        let mut worker = Client::join_server(&server, "worker", "admin");
        let mut early = Client::packed(&server, "early", "user");
        let mut owner = Client::join_server(&server, "ada", "user");
        assert_eq!(early.join("operation:job-7").get("state"), None, "there is nothing yet");
        let steps = json!([{"step_id": "read", "name": "Reading"}, {"name": "Writing", "weight": 3}]);
        let start = json!({"operation_id": "job-7", "kind": "pipeline", "user_id": "ada", "steps": steps});
        let begun = done(&mut worker, "start", start.clone());
        assert_eq!(
            (&begun["status"], &begun["steps"][1]["step_id"]),
            (&json!("initialized"), &json!("step-2"))
        );
        assert_eq!(early.expect("pipeline_start")["data"]["total_steps"], 2);
        assert_eq!(owner.expect("$pipeline_start")["data"]["operation_id"], "job-7");
        let again = worker.ask(command("start", start));
        assert_eq!((&again["code"], &again["details"]["field"]), (&json!(4014), &json!("operation_id")));

        let step = json!({"operation_id": "job-7", "step_id": "read", "status": "completed", "results": {"rows": 3}});
        assert_eq!(percent(&done(&mut worker, "update_step", step)), 25.0);
        let told = early.expect("step_update");
        assert_eq!((&told["data"]["step"]["results"], percent(&told["data"])), (&json!({"rows": 3}), 25.0));
        assert_eq!(early.expect("pipeline_progress")["data"]["status"], "running");
        // A burst ends where it ends, however much of it was folded.
        for percent in 10..=99 {
            let data = json!({"operation_id": "job-7", "step_id": "step-2", "progress": percent});
            worker.send(&command("update_step", data));
        }
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| *last < 99.25) {
            let message = early.receive().unwrap();
            if message["type"] == "pipeline_progress" {
                seen.push(percent(&message["data"]));
            }
        }
        assert!(seen.is_sorted() && seen.last() == Some(&99.25), "{seen:?}");

        let mut late = Client::join_server(&server, "late", "user");
        let joined = late.join("operation:job-7");
        assert_eq!(percent(&joined["state"]["operation"]), 99.25, "{joined}");
        assert_eq!(joined["state"]["operation"]["steps"][0]["status"], "completed");
        let ended = done(&mut worker, "complete", json!({"operation_id": "job-7", "results": {"url": "/x"}}));
        assert_eq!((&ended["status"], percent(&ended)), (&json!("completed"), 100.0));
        for client in [&mut early, &mut late] {
            let last = until(client, "pipeline_complete").pop().unwrap();
            assert_eq!(last["data"]["results"], json!({"url": "/x"}), "{last}");
        }
        assert_eq!(owner.expect("$pipeline_complete")["data"]["status"], "completed");
        let over = worker.ask(command("update", json!({"operation_id": "job-7", "progress": 5})));
        assert_eq!((&over["code"], &over["details"]["field"]), (&json!(4014), &json!("operation_id")));
        for client in [&mut early, &mut late] {
            client.expect_nothing();
        }
        done(&mut worker, "remove", json!({"operation_id": "job-7"}));
        assert_eq!(early.expect("operation_removed")["data"]["reason"], "removed");
        let gone = worker.ask(command("get", json!({"operation_id": "job-7"})));
        assert_eq!((&gone["code"], &gone["details"]["field"]), (&json!(4002), &json!("operation_id")));
    }
}

#[test]
fn http_says_the_same_and_bad_input_names_its_field() {
    let server = Server::with("[[operation_kind]]\nname = \"import\"\nprogress = \"import_came_further\"\n");
    let mut watcher = Client::join_server(&server, "ada", "user");
    watcher.join("operation:h1");
    let start = json!({"operation_id": "h1", "kind": "import", "total": 200, "unit": "bytes"});
    let (status, begun) = api(&server, "POST", PATH, Some(&start));
    assert_eq!((status, &begun["status"]), (200, &json!("initialized")), "{begun}");
    watcher.expect("import_started");
    let one = format!("{PATH}/h1");
    let update = json!({"done": 50, "message": "copying", "warnings": ["slow disk"], "metadata": {"filename": "a.csv"}});
    let (status, told) = api(&server, "PATCH", &one, Some(&update));
    assert_eq!((status, percent(&told), &told["warnings_total"]), (200, 25.0, &json!(1)), "{told}");
    let message = watcher.expect("import_came_further");
    let data = &message["data"];
    assert_eq!((&data["done"], &data["total"], &data["unit"]), (&json!(50), &json!(200), &json!("bytes")));
    assert_eq!((&data["metadata"]["filename"], &data["warnings"]), (&json!("a.csv"), &json!(["slow disk"])));
    eventually("a rate: some time must have passed", || {
        let (_, told) = api(&server, "GET", &one, None);
        (told["rate_per_second"].as_f64()? > 0.0 && told["estimated_seconds_remaining"].is_u64())
            .then_some(())
    });
    let (status, told) = api(&server, "POST", &format!("{one}/steps"), Some(&json!({"name": "Check"})));
    assert_eq!((status, &told["step"]["step_id"]), (200, &json!("step-1")), "{told}");
    let (status, told) =
        api(&server, "PATCH", &format!("{one}/steps/step-1"), Some(&json!({"progress": 60})));
    assert_eq!((status, &told["step"]["status"], percent(&told)), (200, &json!("running"), 60.0), "{told}");
    for (method, path, body, status, field) in [
        ("POST", PATH, json!({}), 400, "operation_id"),
        ("POST", PATH, json!({"operation_id": "h1"}), 409, "operation_id"),
        ("POST", PATH, json!({"operation_id": "a b"}), 400, "operation_id"),
        ("POST", PATH, json!({"operation_id": "h2", "kind": "none"}), 404, "kind"),
        ("POST", PATH, json!({"operation_id": "h2", "steps": [{}]}), 400, "name"),
        ("POST", PATH, json!({"operation_id": "h2", "steps": [{"name": "a", "weight": -1}]}), 400, "weight"),
        ("PATCH", &*one, json!({"progress": 101}), 400, "progress"),
        ("PATCH", &*one, json!({"status": "failed"}), 400, "status"),
        ("PATCH", &*one, json!({"metadata": []}), 400, "metadata"),
        ("PATCH", &*format!("{one}/steps/none"), json!({"progress": 1}), 404, "step_id"),
        ("POST", &*format!("{one}/fail"), json!({"error": {"code": 1}}), 400, "code"),
        ("PATCH", &*format!("{PATH}/none"), json!({"progress": 1}), 404, "operation_id"),
        ("POST", &*format!("{PATH}/none/cancel"), json!({}), 404, "operation_id"),
    ] {
        let (code, refused) = api(&server, method, path, Some(&body));
        assert_eq!(
            (code, &refused["details"]["field"]),
            (status, &json!(field)),
            "{method} {path}: {refused}"
        );
    }
    let error = json!({"error": {"code": "DISK", "message": "no room", "retryable": true, "path": "/x"}});
    let (status, failed) = api(&server, "POST", &format!("{one}/fail"), Some(&error));
    assert_eq!((status, &failed["status"], &failed["error"]), (200, &json!("failed"), &error["error"]));
    until(&mut watcher, "import_failed");
    assert_eq!(api(&server, "POST", &format!("{one}/fail"), Some(&error)).0, 200, "twice is once");
    assert_eq!(api(&server, "POST", &format!("{one}/complete"), Some(&json!({}))).0, 409);
    watcher.expect_nothing();
    assert_eq!(api(&server, "GET", &one, None).1["status"], "failed");
    eventually("the count of rooms with an operation", || {
        (server.metric("fanfare_services{service=\"operation\"}") == 1.0).then_some(())
    });
    assert_eq!(api(&server, "DELETE", &one, None).0, 200);
    assert_eq!(api(&server, "GET", &one, None).0, 404);
    // What was completed by its progress gets its results later, once.
    api(&server, "POST", PATH, Some(&start));
    api(&server, "PATCH", &one, Some(&json!({"progress": 100})));
    let complete = |results: Value| api(&server, "POST", &format!("{one}/complete"), Some(&results));
    let results = json!({"results": {"rows": 7}});
    for _ in 0..2 {
        assert_eq!(complete(results.clone()).1["results"], results["results"]);
    }
    let (status, refused) = complete(json!({"results": {"rows": 8}}));
    assert_eq!((status, &refused["details"]["field"]), (409, &json!("results")), "{refused}");
    watcher.expect("operation_removed");
    until(&mut watcher, "import_completed");
    assert_eq!(watcher.expect("import_completed")["data"]["results"], results["results"]);
    watcher.expect_nothing();
}

#[test]
fn a_slow_reader_gets_the_newest_of_every_step_and_every_change_of_status() {
    const UPDATES: usize = 6_000;
    const STEPS: usize = 40;
    const PAUSES: usize = 10;
    for packed in [false, true] {
        let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
        let server = Server::start(Options { config, ..Options::default() });
        let mut late = if packed {
            Client::packed(&server, "l", "user")
        } else {
            Client::join_server(&server, "l", "user")
        };
        late.join("operation:big");
        let mut worker = Client::join_server(&server, "worker", "admin");
        let steps: Vec<Value> =
            (0..STEPS).map(|step| json!({"name": "n", "step_id": step.to_string()})).collect();
        let metadata = json!({"filename": "x".repeat(4_000)});
        let start = json!({"operation_id": "big", "kind": "upload", "metadata": metadata, "steps": steps});
        done(&mut worker, "start", start);
        // A step's beginning is told at once, so that far more is told than may wait for one reader.
        for number in 0..UPDATES {
            let status = ["running", "pending"][number / STEPS % 2];
            let (step, progress) = ((number % STEPS).to_string(), number * 90 / UPDATES);
            let data = json!({"operation_id": "big", "step_id": step, "status": status, "progress": progress, "force": true});
            done(&mut worker, "update_step", data);
            if number % (UPDATES / PAUSES) == 0 {
                for status in ["paused", "running"] {
                    done(&mut worker, "update", json!({"operation_id": "big", "status": status}));
                }
            }
        }
        let before = done(&mut worker, "get", json!({"operation_id": "big"}));
        let ended = done(&mut worker, "complete", json!({"operation_id": "big"}));
        let got = until(&mut late, "upload_complete");
        assert!(got.iter().all(|of| of["type"] != "gap") && got.len() < UPDATES, "{} messages", got.len());
        for step in before["steps"].as_array().unwrap() {
            let newest = got.iter().rfind(|of| of["data"]["step"]["step_id"] == step["step_id"]).unwrap();
            assert_eq!(newest["data"]["step"], *step, "not the newest");
        }
        let paused =
            got.iter().filter(|of| of["data"]["status"] == "paused" && of["data"].get("step").is_none());
        assert_eq!(paused.count(), PAUSES);
        assert_eq!(got.last().unwrap()["data"]["steps"], ended["steps"]);
        assert_eq!(server.metric("fanfare_slow_disconnects_total"), 0.0);
    }
}

#[test]
fn a_restart_loses_no_operation_and_no_end() {
    for options in deployments() {
        let path = std::env::temp_dir().join(format!(
            "fanfare-operations-{}-{}-{}.redb",
            std::process::id(),
            options.driver,
            options.shards
        ));
        let config = format!("[store]\npath = \"{}\"\n[operations]\nttl = \"1h\"\n", path.display());
        let options = Options { config, ..options };
        let server = Server::start(options.clone());
        let mut worker = Client::join_server(&server, "worker", "admin");
        for id in ["run", "done", "gone", "short"] {
            let ttl = if id == "short" { 1 } else { 600 };
            done(
                &mut worker,
                "start",
                json!({"operation_id": id, "steps": [{"name": "one"}, {"name": "two"}], "ttl_seconds": ttl}),
            );
        }
        let step =
            json!({"operation_id": "run", "step_id": "step-1", "status": "completed", "warnings": ["w"]});
        done(&mut worker, "update_step", step);
        done(&mut worker, "complete", json!({"operation_id": "done", "results": {"n": 1}}));
        done(&mut worker, "cancel", json!({"operation_id": "short"}));
        done(&mut worker, "remove", json!({"operation_id": "gone"}));
        drop(server);

        let server = Server::start(Options { shards: 5 - options.shards, ..options });
        let mut watcher = Client::join_server(&server, "ada", "user");
        let joined = watcher.join("operation:run");
        let state = &joined["state"]["operation"];
        assert_eq!((percent(state), &state["steps"][0]["warnings"]), (50.0, &json!(["w"])), "{joined}");
        let mut worker = Client::join_server(&server, "worker", "admin");
        let over = done(&mut worker, "get", json!({"operation_id": "done"}));
        assert_eq!((&over["status"], &over["results"]), (&json!("completed"), &json!({"n": 1})));
        assert_eq!(worker.ask(command("get", json!({"operation_id": "gone"})))["code"], 4002);
        eventually("what is over long enough is forgotten", || {
            let answer = worker.ask(command("get", json!({"operation_id": "short"})));
            (answer["code"] == 4002).then_some(())
        });
        done(&mut worker, "update_step", json!({"operation_id": "run", "step_id": "step-2", "progress": 50}));
        assert_eq!(percent(&until(&mut watcher, "progress_update").pop().unwrap()["data"]), 75.0);
        drop(server);
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn nobody_but_the_engine_speaks_there_and_who_may_not_steer_is_refused() {
    let server = Server::start(Options::default());
    let mut user = Client::join_server(&server, "ada", "user");
    let mut admin = Client::join_server(&server, "root", "admin");
    done(&mut admin, "start", json!({"operation_id": "x", "title": "Import"}));
    for verb in ["start", "update", "add_step", "update_step", "complete", "fail", "cancel", "remove"] {
        let data = json!({"operation_id": "x", "name": "n", "step_id": "s"});
        assert_eq!(user.ask(command(verb, data))["name"], "FORBIDDEN", "{verb}");
    }
    assert_eq!(done(&mut user, "get", json!({"operation_id": "x"}))["title"], "Import");
    for client in [&mut user, &mut admin] {
        client.join("operation:x");
        let forged =
            json!({"type": "publish", "room": "operation:x", "event": "operation_complete", "data": {}});
        assert_eq!(client.ask(forged)["name"], "FORBIDDEN");
    }
    let forged = json!({"room": "operation:x", "event": "operation_complete", "data": {}});
    assert_eq!(api(&server, "POST", "/v1/publish", Some(&forged)).0, 403);
    let joined =
        user.ask(json!({"type": "join", "room": "operation:x", "recover": {"epoch": "0", "offset": 0}}));
    assert_eq!(joined["type"], "joined", "{joined}");
    // A short absence is made up for, like in any room.
    let mut away = Client::join_server(&server, "ben", "user");
    let joined = away.join("operation:x");
    drop(away);
    done(&mut admin, "update", json!({"operation_id": "x", "progress": 10}));
    let mut back = Client::join_server(&server, "ben", "user");
    let place = json!({"epoch": joined["epoch"], "offset": joined["offset"]});
    let joined = back.ask(json!({"type": "join", "room": "operation:x", "recover": place}));
    assert_eq!(
        (&joined["recovered"], percent(&joined["state"]["operation"])),
        (&json!(true), 10.0),
        "{joined}"
    );
    assert_eq!(percent(&back.expect("progress_update")["data"]), 10.0);
}

#[test]
fn an_owner_who_wants_all_is_told_of_progress_in_its_own_room_while_it_is_there() {
    for options in deployments() {
        let server = Server::start(options);
        let mut worker = Client::join_server(&server, "worker", "admin");
        let mut ada = Client::packed(&server, "ada", "user");
        let mut ben = Client::join_server(&server, "ben", "user");
        let steps = json!([{"step_id": "roof", "name": "Roof"}, {"step_id": "wall", "name": "Wall"}]);
        let start = json!({
            "operation_id": "scan", "kind": "document", "user_id": "ada", "notify_user": "all", "steps": steps,
        });
        done(&mut worker, "start", start);
        let begun = ada.expect("$processing_started");
        assert_eq!((&begun["room"], begun["offset"].as_u64()), (&json!("@user:ada"), Some(1)), "it is kept");
        let step = |status: &str| json!({"operation_id": "scan", "step_id": "roof", "status": status});
        done(&mut worker, "update_step", step("running"));
        let told = ada.expect("$zone_processing");
        assert_eq!((&told["data"]["step"]["step_id"], told.get("offset")), (&json!("roof"), None), "{told}");
        done(&mut worker, "update_step", step("completed"));
        done(&mut worker, "update", json!({"operation_id": "scan", "metadata": {"page": 7}}));
        let got = until(&mut ada, "$processing_progress");
        assert!(got.iter().all(|message| message.get("offset").is_none()), "{got:?}");
        let over = until(&mut ada, "$zone_completed").pop().unwrap();
        assert_eq!(over["data"]["progress_percentage"], 50.0, "{over}");
        done(&mut worker, "complete", json!({"operation_id": "scan"}));
        assert_eq!(until(&mut ada, "$processing_completed").pop().unwrap()["offset"], 2);
        // Without `all` only the start and the end are said there.
        done(&mut worker, "start", json!({"operation_id": "plain", "user_id": "ada", "notify_user": true}));
        ada.expect("$operation_started");
        done(&mut worker, "update", json!({"operation_id": "plain", "progress": 10}));
        ada.expect_nothing();
        ben.expect_nothing();
        // Who was away hears of start and end when it comes, of nothing in between.
        drop(ada);
        done(&mut worker, "fail", json!({"operation_id": "plain", "error": {"code": "E", "message": "m"}}));
        let start = json!({"operation_id": "away", "user_id": "cyd", "notify_user": "all"});
        done(&mut worker, "start", start);
        done(&mut worker, "update", json!({"operation_id": "away", "progress": 10}));
        let mut cyd = Client::join_server(&server, "cyd", "user");
        cyd.expect("$operation_started");
        cyd.expect_nothing();
        for (wrong, field) in [(json!("some"), "notify_user"), (json!(7), "notify_user")] {
            let (status, answer) =
                api(&server, "POST", PATH, Some(&json!({"operation_id": "bad", "notify_user": wrong})));
            assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
        }
    }
}

#[test]
fn an_owner_who_reads_too_slowly_gets_the_newest_of_each_operation() {
    const OPERATIONS: usize = 96;
    let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut worker = Client::join_server(&server, "worker", "admin");
    let mut ada = Client::join_server(&server, "ada", "user");
    for number in 0..OPERATIONS {
        let id = format!("job-{number}");
        let metadata = json!({"text": "x".repeat(4_000)});
        let start = json!({"operation_id": id, "user_id": "ada", "notify_user": "all", "metadata": metadata});
        done(&mut worker, "start", start);
        ada.expect("$operation_started");
    }
    // Ten times a second for each of them, and nobody reads: the kernel's buffers and then the backlog are full.
    let shed = || server.metric("fanfare_shed_total") > 100.0;
    let mut percent = 0;
    while !shed() {
        percent += 1;
        assert!(percent < 90, "nothing was ever left out");
        for number in 0..OPERATIONS {
            done(
                &mut worker,
                "update",
                json!({"operation_id": format!("job-{number}"), "progress": percent}),
            );
        }
        std::thread::sleep(std::time::Duration::from_millis(110));
    }
    for number in 0..OPERATIONS {
        done(&mut worker, "update", json!({"operation_id": format!("job-{number}"), "progress": 95}));
    }
    let mut newest = std::collections::BTreeMap::new();
    while newest.len() < OPERATIONS || newest.values().any(|percent| *percent < 95.0) {
        let message = ada.receive().expect("it is not let go");
        let data = &message["data"];
        let id = data["operation_id"].as_str().unwrap().to_owned();
        let percent = data["progress_percentage"].as_f64().unwrap();
        let before = newest.insert(id, percent);
        assert!(before.is_none_or(|before| before <= percent), "{message}");
    }
    assert_eq!(server.metric("fanfare_slow_disconnects_total"), 0.0);
}
