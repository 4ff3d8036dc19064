//! Who may look, with which filters, and what is there where it is off.

use serde_json::json;

use super::{bearer, get, with};
use crate::support::{Client, Options, Server, request, signed, token};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn only_who_may_use_the_api_sees_anything() {
    let server = Server::with(&format!(
        "[inspector]\nenabled = true\n[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ));
    let status = |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let http =
            request(&server, "GET", &format!("/v1/inspector{path}"), &[("authorization", &bearer)], "")
                .status;
        let path = format!("/v1/inspector/tail?token={token}");
        (http, Client::connect(&server, &path, &[]).map(drop))
    };
    let (user, admin) = (signed(SECRET, "ada", "user", json!({})), signed(SECRET, "ada", "admin", json!({})));
    let foreign = token("root", "admin", json!({}));
    for path in ["", "/messages", "/events", "/errors", "/rooms", "/rooms/a", "/export"] {
        assert_eq!(status(path, &foreign), (401, Err(401)), "{path}");
        assert_eq!(status(path, &user), (403, Err(403)), "{path}");
    }
    assert_eq!(status("/messages", &admin), (200, Ok(())));
    // A token for some rooms would show all.
    let narrow = signed(SECRET, "ada", "admin", json!({"rooms": ["chat:*"]}));
    for path in ["", "/messages", "/events", "/errors", "/rooms", "/rooms/chat:1", "/export"] {
        assert_eq!(status(path, &narrow), (403, Err(403)), "{path}");
    }
    let letters = |method: &str, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let path = format!("/v1/users/{path}");
        request(&server, method, &path, &[("authorization", &bearer)], "").status
    };
    for (method, path) in [
        ("GET", "ben/dead_letters"),
        ("DELETE", "ben/dead_letters"),
        ("DELETE", "ben/dead_letters/*"),
        ("POST", "ben/dead_letters/*/requeue"),
    ] {
        assert_eq!((letters(method, path, &narrow), letters(method, path, &admin)), (403, 200), "{path}");
    }
    assert_eq!(request(&server, "GET", "/v1/inspector", &[], "").status, 401);
    assert_eq!(Client::connect(&server, "/v1/inspector/tail", &[]).map(drop), Err(401));
    let path = format!("/v1/inspector/tail?token={admin}");
    let origin = Client::connect(&server, &path, &[("origin", "https://evil.example")]).map(drop);
    assert_eq!(origin, Err(403));
    let posted = request(
        &server,
        "POST",
        "/v1/inspector/export",
        &[("authorization", &format!("Bearer {admin}"))],
        "",
    );
    assert_eq!((posted.status, posted.head.contains("allow: get")), (405, true));
}

#[test]
fn bad_filters_are_named() {
    let server = Server::start(Options::default());
    for (path, field) in [
        ("messages?rom=MARKER", "rom"),
        ("messages?client=MARKER", "client"),
        ("messages?limit=0", "limit"),
        ("events?code=MARKER", "code"),
        ("events?since=MARKER", "since"),
        ("errors?user=", "user"),
        ("errors?room=a&room=MARKER", "room"),
        ("rooms?room=MARKER", "room"),
        ("export?limit=5", "limit"),
    ] {
        let answer = get(&server, &format!("/v1/inspector/{path}"));
        let error = answer.json();
        assert_eq!((answer.status, &error["code"]), (400, &json!(4005)), "{path}: {error}");
        assert_eq!(error["details"]["field"], field, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(field) && !answer.body.contains("MARKER"),
            "{error}"
        );
    }
    for query in ["kind=colours", "since=1", "room="] {
        let path = format!("/v1/inspector/tail?{query}");
        assert_eq!(
            Client::connect(&server, &path, &[("authorization", &bearer())]).map(drop),
            Err(400),
            "{query}"
        );
    }
    assert_eq!(get(&server, "/v1/inspector/colours").status, 404);
    assert_eq!(get(&server, "/v1/inspector/messages/1").status, 404);
    assert_eq!(get(&server, "/v1/inspector/tail").status, 426, "no upgrade was asked for");
}

#[test]
fn where_it_is_off_there_is_nothing_but_a_hint() {
    let off = with("enabled = false\n");
    let keyed = Server::with(&format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"));
    let admin = signed(SECRET, "root", "admin", json!({}));
    for (server, bearer) in [(&off, bearer()), (&keyed, format!("Bearer {admin}"))] {
        for path in ["", "/messages", "/rooms", "/export"] {
            let answer =
                request(server, "GET", &format!("/v1/inspector{path}"), &[("authorization", &bearer)], "");
            assert_eq!(answer.status, 404);
            assert!(answer.body.contains("FANFARE_INSPECTOR_ENABLED=true"), "{}", answer.body);
        }
        let tail = Client::connect(server, "/v1/inspector/tail", &[("authorization", &bearer)]).map(drop);
        assert_eq!(tail, Err(404));
        assert!(!request(server, "GET", "/metrics", &[], "").body.contains("inspector"));
    }
}
