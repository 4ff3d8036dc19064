//! The HTTP API: what it tells, whom it tells, and how it refuses.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Answer, Client, Ended, Options, Server, eventually, request, token};

fn get(server: &Server, path: &str) -> Answer {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    request(server, "GET", path, &[("authorization", &bearer)], "")
}

#[test]
fn health_and_metrics_tell_which_driver_serves_and_why() {
    for (driver, name) in [("uring", "io_uring"), ("epoll", "epoll")] {
        let server = Server::start(Options { driver, ..Options::default() });
        let health = request(&server, "GET", "/healthz", &[], "");
        assert_eq!((health.status, &health.json()["driver"]), (200, &json!(name)));
        assert_eq!(health.json()["driver_reason"], "asked for");
        assert!(server.log().contains(name));
        let metrics = request(&server, "GET", "/metrics", &[], "").body;
        assert!(metrics.contains(&format!("driver=\"{name}\"")), "{metrics}");
        assert!(metrics.ends_with("# EOF\n"));
    }
}

#[test]
fn connections_users_and_rooms_are_listed_and_one_can_be_ended() {
    for shards in [1, 4] {
        let server = Server::start(Options { shards, ..Options::default() });
        let mut clients: Vec<Client> =
            (0..6).map(|n| Client::join_server(&server, &format!("u{}", n % 3), "user")).collect();
        clients.iter_mut().for_each(|client| drop(client.join("room:1")));
        let listed = get(&server, "/v1/connections").json();
        assert_eq!(listed["connections"].as_array().unwrap().len(), 6, "{listed}");
        let active = get(&server, "/v1/users/active").json();
        assert_eq!(active["users"].as_array().unwrap().len(), 3, "{active}");
        let own = get(&server, "/v1/users/u1/connections").json();
        assert_eq!(own["connections"].as_array().unwrap().len(), 2, "{own}");
        let path = format!("/v1/connections/{}", own["connections"][0]["client_id"].as_str().unwrap());
        for row in [&listed["connections"][0], &own["connections"][0], &get(&server, &path).json()] {
            let unix_ms = row["connected_at_unix_ms"].as_u64().unwrap();
            let text = String::from_utf8(fanfare_protocol::timestamp::rfc3339(unix_ms).to_vec()).unwrap();
            assert_eq!(row["connected_at"], text, "{row}");
        }
        let rooms = get(&server, "/v1/rooms").json();
        let room =
            rooms["rooms"].as_array().unwrap().iter().find(|room| room["room"] == "room:1").unwrap().clone();
        assert_eq!(room["members"], 6, "{rooms}");
        let statistics = get(&server, "/v1/statistics").json();
        assert_eq!(statistics["connections"], 6, "{statistics}");
        assert_eq!(statistics["shards"].as_array().unwrap().len(), shards as usize);
        let id = own["connections"][0]["client_id"].as_str().unwrap();
        let one = get(&server, &format!("/v1/connections/{id}"));
        assert_eq!((one.status, &one.json()["user_id"]), (200, &json!("u1")), "{}", one.body);
        let bearer = format!("Bearer {}", token("root", "admin", json!({})));
        let path = format!("/v1/connections/{id}");
        let ended = request(&server, "DELETE", &path, &[("authorization", &bearer)], "");
        assert!([200, 204].contains(&ended.status), "{}", ended.body);
        eventually("it is gone", || (get(&server, &path).status == 404).then_some(()));
        let ended = clients.iter_mut().filter_map(|client| {
            client.send(&json!({"type": "heartbeat", "id": 1}));
            (client.receive().unwrap()["type"] == "error").then(|| client.end().1)
        });
        assert_eq!(ended.collect::<Vec<_>>(), [Ended::Code(4011)]);
        assert_eq!(request(&server, "DELETE", &path, &[("authorization", &bearer)], "").status, 404);
    }
}

#[test]
fn statistics_tell_what_was_done_and_how_fast() {
    for shards in [1, 4] {
        let server = Server::start(Options { shards, ..Options::default() });
        let statistics = || get(&server, "/v1/statistics").json();
        let number = |of: &serde_json::Value, name: &str| {
            of[name].as_f64().unwrap_or_else(|| panic!("no number `{name}`: {of}"))
        };
        let idle = statistics();
        for name in ["connections_peak", "connections_made", "messages_received", "published_per_second"] {
            assert_eq!(number(&idle, name), 0.0, "{name}: {idle}");
        }
        assert_eq!(idle["publish_to_flush_ms"], json!({"mean": 0.0, "p50": 0.0, "p99": 0.0, "p999": 0.0}));
        let mut clients: Vec<Client> =
            (0..5).map(|n| Client::join_server(&server, &format!("u{n}"), "user")).collect();
        clients.truncate(3);
        clients.iter_mut().for_each(|client| drop(client.join("room:1")));
        for number in 0..40 {
            clients[0].publish("room:1", json!(number));
        }
        // Over HTTP nothing is received, but published.
        let bearer = format!("Bearer {}", token("root", "admin", json!({})));
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let sent = request(&server, "POST", "/v1/publish", &headers, r#"{"room":"room:1","event":"say"}"#);
        assert_eq!(sent.status, 200);
        let counts =
            [("published", 41), ("messages_received", 43), ("connections_made", 5), ("connections_peak", 5)];
        eventually("the counts", || {
            let told = statistics();
            counts.iter().all(|(name, count)| told[*name] == *count).then_some(())
        });
        eventually("two went", || (statistics()["connections"] == 3).then_some(()));
        assert_eq!(statistics()["connections_peak"], 5);
        let done = eventually("deliveries", || Some(statistics()).filter(|of| of["delivered"] == 123));
        // All of it was done since the server began, and the server began less than a few seconds ago.
        let seconds = number(&done, "uptime_seconds");
        if seconds < 3.0 {
            let (published, delivered) =
                (number(&done, "published_per_second"), number(&done, "delivered_per_second"));
            assert!(published >= 41.0 / (seconds + 0.5), "{published} in {seconds} s: {done}");
            assert!(delivered > published, "{done}");
        }
        let latency = &done["publish_to_flush_ms"];
        assert!(
            0.0 < number(latency, "mean") && number(latency, "mean") <= number(latency, "p999"),
            "{done}"
        );
        let cpu = number(&done, "cpu_percent");
        assert!((0.0..=100.0 * f64::from(shards + 8)).contains(&cpu), "{done}");
    }
}

#[test]
fn what_was_done_long_ago_is_not_done_now() {
    let server = Server::start(Options::default());
    let mut client = Client::join_server(&server, "ada", "user");
    client.join("room:1");
    for number in 0..20 {
        client.publish("room:1", json!(number));
    }
    let rate = |name: &str| get(&server, "/v1/statistics").json()[name].as_f64().unwrap();
    eventually("it is counted", || (rate("published_per_second") > 0.0).then_some(()));
    let began = std::time::Instant::now();
    eventually("it is forgotten", || (rate("published_per_second") == 0.0).then_some(()));
    assert!(began.elapsed() < std::time::Duration::from_secs(8));
    assert_eq!(rate("delivered_per_second"), 0.0);
}

#[test]
fn only_keys_and_trusted_roles_get_in() {
    let key = "k".repeat(40);
    let sha256: String = Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
    let server = Server::with(&format!("[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n"));
    let status =
        |value: &str| request(&server, "GET", "/v1/statistics", &[("authorization", value)], "").status;
    assert_eq!(status(&format!("Bearer {key}")), 200);
    assert_eq!(status(&format!("Bearer {key}x")), 401);
    assert_eq!(status(&format!("Basic {key}")), 401);
    assert_eq!(status("Bearer"), 401);
    assert_eq!(status(&format!("Bearer {}", token("a", "service", json!({})))), 200);
    assert_eq!(status(&format!("Bearer {}", token("a", "user", json!({})))), 403);
    let without = request(&server, "GET", "/v1/statistics", &[], "");
    assert_eq!(without.status, 401);
    assert!(without.head.contains("www-authenticate: bearer"));
    assert_eq!(without.json()["code"], 4001, "{}", without.body);
}

#[test]
fn what_cannot_be_published_is_told() {
    let server = Server::with("[limits]\nhttp_body = 4096\n");
    let bearer = format!("Bearer {}", token("svc", "service", json!({})));
    let post = |kind: &str, body: &str| {
        request(&server, "POST", "/v1/publish", &[("authorization", &bearer), ("content-type", kind)], body)
    };
    let json = "application/json";
    assert_eq!(post(json, r#"{"room":"a","event":"say","data":1}"#).status, 200);
    for (body, field) in [
        ("{", None),
        (r#"{"room":"a"}"#, Some("event")),
        (r#"{"room":"a b","event":"say"}"#, Some("room")),
        (r#"{"event":"say"}"#, Some("room")),
        (r#"{"room":"a","event":"ack"}"#, Some("event")),
    ] {
        let answer = post(json, body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        let error = answer.json();
        assert_eq!(
            (&error["code"], &error["name"]),
            (&serde_json::json!(4005), &serde_json::json!("INVALID_MESSAGE"))
        );
        assert_eq!(error["details"]["field"].as_str(), field, "{error}");
    }
    let mixed = post(json, r#"[1,{"room":"a","event":"say"}]"#);
    assert_eq!(mixed.json()[0]["code"], 4005, "{}", mixed.body);
    assert_eq!(mixed.json()[1]["offset"], 2, "one bad message does not hold up the others");
    assert_eq!(post(json, &format!("\"{}\"", "x".repeat(5_000))).status, 413);
    assert_eq!(post("text/plain", "{}").status, 415);
    assert_eq!(request(&server, "POST", "/v1/publish", &[("content-type", json)], "{}").status, 401);
    assert_eq!(request(&server, "GET", "/v1/publish", &[("authorization", &bearer)], "").status, 405);
}

#[test]
fn the_live_page_is_there() {
    let server = Server::start(Options::default());
    let page = request(&server, "GET", "/", &[], "");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy") && page.head.contains("text/html"));
    assert!(page.body.contains("<html") && page.body.trim_end().ends_with("</html>"));
    assert!(!page.body.contains("http://") || !page.body.contains("src=\"http"), "nothing from elsewhere");
    let token = request(&server, "GET", "/dev/token", &[], "").json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    assert_eq!(request(&server, "GET", "/v1/statistics", &[("authorization", &bearer)], "").status, 200);
}

#[test]
fn a_query_is_read_where_it_may_stand_and_refused_elsewhere() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("chat:1");
    let sent = ada.ask(json!({"type": "chat.send", "room": "chat:1", "data": {"text": "hi"}}));
    ada.expect("$chat_message");
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let ask = |method: &str, path: &str| request(&server, method, path, &[("authorization", &bearer)], "");
    let path = format!("/v1/rooms/chat:1/chat/messages/{}", sent["data"]["offset"]);
    let refused = ask("DELETE", &format!("{path}?epoch=another"));
    assert_ne!(refused.status, 200, "the epoch guards: {}", refused.body);
    let refused = ask("PUT", "/v1/rooms/chat:1/presence?status=busy");
    assert_eq!((refused.status, &refused.json()["details"]["field"]), (400, &json!("status")));
    assert!(refused.json()["message"].as_str().unwrap().contains("body"), "{}", refused.body);
    let refused = ask("POST", "/v1/admin/disconnect?user_id=ada");
    assert_eq!((refused.status, &refused.json()["details"]["field"]), (400, &json!("user_id")));
    let refused = ask("DELETE", "/v1/rooms/chat:1?reason=moved%20away&raeson=1");
    assert_eq!((refused.status, &refused.json()["details"]["field"]), (400, &json!(null)));
    assert!(refused.body.contains("did you mean `reason`?"), "{}", refused.body);
    assert_eq!(ask("DELETE", "/v1/rooms/chat:1?reason=moved%20away").status, 200);
    assert_eq!(ada.until("$room_closed")["data"]["reason"], "moved away");
}

#[test]
fn metrics_are_for_this_machine_and_who_has_a_key() {
    let (key, sha256) = ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
    for (setting, locally, through_a_proxy) in
        [("", 200, 401), ("metrics = \"key\"", 401, 401), ("metrics = \"all\"", 200, 200)]
    {
        let server = Server::with(&format!(
            "[auth]\n{setting}\n[[auth.api_key]]\nname = \"scraper\"\nsha256 = \"{sha256}\"\n"
        ));
        let status = |headers: &[(&str, &str)]| request(&server, "GET", "/metrics", headers, "").status;
        assert_eq!(status(&[]), locally, "{setting}");
        for name in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
            let forwarded = (name, "192.0.2.1");
            assert_eq!(status(&[forwarded]), through_a_proxy, "{setting} {name}");
            assert_eq!(status(&[forwarded, ("authorization", &format!("Bearer {key}"))]), 200, "{setting}");
        }
        assert_eq!(request(&server, "GET", "/healthz", &[("via", "x")], "").status, 200);
    }
}
