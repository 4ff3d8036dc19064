//! What backends and clients say, and how a table keeps it apart: fields by their own names, messages of nobody, other origins' pages.

use serde_json::json;

use super::with_table;
use crate::support::{Client, Ended, Options, api, deployments, request, token};

const TRAM: &str = r#"
name = "tram"

[[endpoint]]
path = "/tram/{car}"
client_id = "=path.car"
rooms = ["line:7"]
[[endpoint.check]]
that = "=not query.seat or query.seat is matching('^[0-9]+$')"
code = 4005
close = 1008
reason = "Which seat?"
field = "seat"

[[in]]
type = "board"
fields = { line = "text 1..20" }
fields_of = { room = "line" }
do = [{ type = "join", room = "='line:' ~ message.line" }]

[[in]]
type = "note"
from = ["client", "backend"]
fields_of = { event = "word" }
do = [{ type = "publish", room = "line:7", event = "=message.word", data = {} }]

[[in]]
type = "announce"
from = ["backend"]
fields = { line = "text 1..", "stops[].minutes" = "integer 0..60" }
fields_of = { room = "line", poll_id = "vote" }
do = [
  { type = "publish", as = false, room = "='line:' ~ message.line", event = "announced", data = {} },
  { when = "=message.vote", type = "poll.close", as = false, room = "line:7", data = { poll_id = "=message.vote" } },
]

[[in]]
type = ["stop", "go"]
from = ["backend"]
do = [
  { type = "poll.remove", optional = true, room = "line:7", data = { poll_id = "none" } },
  { type = "publish", room = "line:7", event = "=message.type", data = {} },
]

[[out]]
of = "joined"
message = { type = "riding" }
[[out]]
of = "announced"
when = "=not user_id"
type = "announcement"

[cors]
origins = ["https://page.example"]
credentials = true
methods = ["POST"]
headers = ["*"]
expose = ["*"]

[[http]]
method = "GET"
path = "/tram"
answer = {}
"#;

fn rider(server: &crate::support::Server, name: &str) -> Client {
    let bearer = format!("Bearer {}", token(name, "user", json!({})));
    let mut rider = Client::connect(server, &format!("/tram/{name}"), &[("authorization", &bearer)]).unwrap();
    rider.until("riding");
    rider
}

#[test]
fn errors_name_fields_as_they_were_sent() {
    let (server, _folder) = with_table(TRAM, Options::default());
    let mut rider = rider(&server, "ada");
    for message in [json!({"type": "board", "line": "a b"}), json!({"type": "board", "line": ""})] {
        rider.send(&message);
        let error = rider.until("error");
        assert_eq!(error["details"]["field"], "line", "{error}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains("`line`") && !text.contains("`room`"), "{error}");
    }
    let event = json!({"type": "announce", "line": "a b"});
    let (status, error) = api(&server, "POST", "/v1/profiles/tram/events", Some(&event));
    assert_eq!((status, &error["details"]["field"]), (400, &json!("line")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("`line`"), "{error}");
    let event = json!({"type": "announce", "line": "7", "vote": "none"});
    let (status, error) = api(&server, "POST", "/v1/profiles/tram/events", Some(&event));
    assert_eq!((status, &error["details"]["field"]), (404, &json!("vote")), "{error}");
    let event = json!({"type": "announce", "line": "7", "stops": [{"minutes": 1}, {"minutes": 61}]});
    let (status, error) = api(&server, "POST", "/v1/profiles/tram/events", Some(&event));
    assert_eq!((status, &error["details"]["field"]), (400, &json!("stops[].minutes")), "{error}");
}

#[test]
fn what_the_application_itself_says_is_nobodys_whoever_hands_it_in() {
    for options in deployments() {
        let (server, _folder) = with_table(TRAM, options);
        let mut rider = rider(&server, "ada");
        let said = |event| api(&server, "POST", "/v1/profiles/tram/events", Some(&event)).0;
        // By a token: what clients of the same name say is told apart from it.
        assert_eq!(said(json!({"type": "announce", "line": "7"})), 200);
        assert_eq!(rider.until("announcement").get("user_id"), None);
        assert_eq!(said(json!({"type": "note", "word": "announced"})), 200);
        rider.send(&json!({"type": "note", "word": "announced"}));
        rider.until("announced");
        rider.until("announced");
    }
}

#[test]
fn what_may_be_refused_does_not_end_an_event_and_one_entry_takes_several_types() {
    let (server, _folder) = with_table(TRAM, Options::default());
    let mut rider = rider(&server, "ada");
    for kind in ["stop", "go"] {
        let (status, answer) = api(&server, "POST", "/v1/profiles/tram/events", Some(&json!({"type": kind})));
        assert_eq!((status, &answer["done"][0]["code"]), (200, &json!(4002)), "{answer}");
        rider.until(kind);
    }
}

#[test]
fn who_is_not_let_in_is_told_what_is_at_fault() {
    let (server, _folder) = with_table(TRAM, Options::default());
    let bearer = format!("Bearer {}", token("ada", "user", json!({})));
    let mut rider = Client::connect(&server, "/tram/ada?seat=x", &[("authorization", &bearer)]).unwrap();
    let error = rider.receive().unwrap();
    assert_eq!((&error["code"], &error["details"]["field"]), (&json!(4005), &json!("seat")), "{error}");
    assert_eq!(rider.receive(), Err(Ended::Code(1008)));
}

#[test]
fn pages_of_listed_origins_may_post_events_and_read_the_answers() {
    let (server, _folder) = with_table(TRAM, Options::default());
    let path = "/v1/profiles/tram/events";
    let asking = [
        ("origin", "https://page.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let answer = request(&server, "OPTIONS", path, &asking, "");
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(answer.head.contains("access-control-allow-methods: post"), "{answer:?}");
    let answer = request(&server, "POST", path, &asking[..1], "{}");
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("access-control-allow-origin: https://page.example"), "{answer:?}");
    // With credentials a star would be a name: what there is to read is named.
    assert!(answer.head.contains("access-control-expose-headers: www-authenticate"), "{answer:?}");
    let foreign = [("origin", "https://evil.example"), asking[1]];
    assert_eq!(request(&server, "OPTIONS", path, &foreign, "").status, 403);
    let answer = request(&server, "POST", path, &foreign[..1], "{}");
    assert!(!answer.head.contains("access-control"), "{answer:?}");
}
