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
