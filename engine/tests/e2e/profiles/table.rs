//! A table that no one has compiled anything for.

use serde_json::{Value, json};

use super::with_table;
use crate::support::{Client, Ended, Options, Server, api, deployments, eventually, request, token};

const TAXI: &str = r#"
name = "taxi"
about = "Cars that tell where they are"

[setting.cars]
default = 3
env = "TAXI_CARS"

[[engine.room_type]]
name = "ride"
max_members = "$cars"
history = { size = 10, ttl = "1m" }
[[engine.room_type]]
name = "garage"
join = ["driver"]

[[endpoint]]
path = "/taxi/{car}"
client_id = "=path.car"
rooms = ["='ride:' ~ query.ride"]
required = true
tied = true
token = { query = ["badge"], cookie = ["badge"] }
[endpoint.role]
wanted = "=query.role"
ranks = ["guest", "driver", "admin"]
[[endpoint.check]]
that = "=query.ride is matching('^[a-z0-9]+$')"
code = 4005
close = 4400
reason = "which ride?"

[message]
body = "*"
members = { at = "=timestamp", number = "=offset" }

[[in]]
type = "where"
fields = { lat = "number", lon = "number" }
do = [{ type = "publish", room = "='ride:' ~ query.ride", event = "moved", data = { car = "=client_id", lat = "=message.lat", lon = "=message.lon" } }]
reply = { type = "noted", number = "=done[-1].offset", lat = "=message.lat" }
[[in]]
type = "park"
do = [{ type = "join", room = "garage:1" }, { type = "publish", room = "='ride:' ~ query.ride", event = "parked", data = {} }]
reply = { type = "parking" }
[[in]]
type = "over"
from = ["backend"]
fields = { ride = "text" }
do = [{ type = "room.close", room = "='ride:' ~ message.ride", data = { reason = "the ride is over" } }]
reply = { over = "=message.ride" }

[[out]]
of = "welcome"
message = { type = "hello", car = "=client_id", as = "=role" }
[[out]]
of = "joined"
message = { type = "riding", members = "=reply.members" }
[[out]]
of = "moved"
type = "position"

[close]
4001 = { code = 4401, reason = "=text" }
[errors]
4001 = "Show your badge."
[codes]
4003 = 77

[[http]]
method = "GET"
path = "/taxi/{car}/state"
get = { of = "='/v1/connections/' ~ (path.car|urlencode)" }
answer = { car = "=path.car", state = "=got.of.state", profile = "=got.of.profile" }
[[http]]
method = "GET"
path = "/taxi/count"
public = true
get = { all = "/v1/statistics" }
answer = { connections = "=got.all.connections" }
"#;

const CONFIG: &str = "[limits]\ncommands_per_minute = 0\n";

fn taxi(options: Options) -> (Server, impl Drop) {
    with_table(TAXI, Options { config: CONFIG.to_owned(), ..options })
}

fn path(car: &str, user: &str, role: &str, more: &str) -> String {
    format!("/taxi/{car}?ride=7&badge={}{more}", token(user, role, json!({})))
}

/// A car that rides.
fn car(server: &Server, name: &str, role: &str) -> Client {
    let mut car = Client::connect(server, &path(name, name, role, ""), &[]).unwrap();
    assert_eq!(car.receive().unwrap(), json!({"type": "hello", "car": name, "as": role}));
    assert_eq!(car.receive().unwrap()["type"], "riding");
    car
}

#[test]
fn clients_of_another_wire_and_of_the_engines_share_a_room() {
    for options in deployments() {
        let (server, _folder) = taxi(options);
        let mut native = Client::join_server(&server, "ada", "user");
        native.join("ride:7");
        let (mut one, mut two) = (car(&server, "one", "driver"), car(&server, "two", "driver"));
        one.send(&json!({"type": "where", "lat": 1.5, "lon": 2, "extra": "is not passed on"}));
        assert_eq!(one.until("noted"), json!({"type": "noted", "number": 1, "lat": 1.5}));
        let position = two.until("position");
        let at = position["at"].as_str().unwrap();
        assert_eq!(
            position,
            json!({"type": "position", "car": "one", "lat": 1.5, "lon": 2, "at": at, "number": 1})
        );
        let moved = native.until("moved");
        assert_eq!(moved["data"], json!({"car": "one", "lat": 1.5, "lon": 2}));
        // What was published passes as it was written, whatever stands around it.
        let odd = r#"{"big":12345678901234567890123,"dup":1.50,"type":"mine","at":0}"#;
        native
            .socket
            .send(tungstenite::Message::text(format!(
                r#"{{"type":"publish","room":"ride:7","event":"odd","data":{odd}}}"#
            )))
            .unwrap();
        let text = loop {
            let message = two.socket.read().unwrap().into_text().unwrap().to_string();
            if message.contains("\"odd\"") {
                break message;
            }
        };
        assert!(
            text.contains(r#""big":12345678901234567890123"#) && text.contains(r#""dup":1.50"#),
            "{text}"
        );
        assert!(
            !text.contains("mine") && !text.contains(r#""at":0"#),
            "the engine's own members win: {text}"
        );
    }
}

#[test]
fn a_message_is_encoded_once_for_each_form_and_never_for_each_client() {
    let (server, _folder) = taxi(Options { env: vec![("TAXI_CARS", "50".to_owned())], ..Options::default() });
    let mut natives: Vec<Client> =
        (0..5).map(|n| Client::join_server(&server, &format!("n{n}"), "user")).collect();
    natives.iter_mut().for_each(|native| drop(native.join("ride:7")));
    let mut cars: Vec<Client> = (0..20).map(|n| car(&server, &format!("c{n}"), "driver")).collect();
    let encoded = || server.metric("fanfare_encoded_total");
    // Counts are a quarter of a second old at most.
    let mut before = encoded();
    eventually("quiet", || {
        let now = encoded();
        let same = now == std::mem::replace(&mut before, now);
        same.then_some(())
    });
    for n in 0..10 {
        natives[0].publish("ride:7", json!({"n": n}));
    }
    cars.iter_mut().for_each(|car| drop((0..10).map(|_| car.until("say")).collect::<Vec<_>>()));
    let after = eventually("all counted", || Some(encoded()).filter(|now| *now >= before + 20.0));
    assert!(after <= before + 20.0, "two forms of ten messages: {before} -> {after}");
}

#[test]
fn a_role_that_is_asked_for_only_narrows() {
    let (server, _folder) = taxi(Options::default());
    for (granted, asked, got) in [
        ("driver", "guest", "guest"),
        ("driver", "admin", "driver"),
        ("guest", "driver", "guest"),
        ("driver", "king", "driver"),
    ] {
        let path = path("one", "ada", granted, &format!("&role={asked}"));
        let mut car = Client::connect(&server, &path, &[]).unwrap();
        assert_eq!(car.receive().unwrap()["as"], got, "{granted} asks for {asked}");
    }
}

#[test]
fn who_is_not_let_in_is_told_in_the_applications_words() {
    let (server, _folder) = taxi(Options::default());
    let good = token("ada", "driver", json!({}));
    let cookie = format!("theme=dark; badge={good}");
    for (path, headers, code, close, reason) in [
        ("/taxi/one?ride=7&badge=nonsense".to_owned(), vec![], 4001, 4401, "Show your badge."),
        (format!("/taxi/one?badge={good}"), vec![], 4005, 4400, "which ride?"),
        (format!("/taxi/one?ride=7.8&badge={good}"), vec![], 4005, 4400, "which ride?"),
        (format!("/taxi/{}?ride=7&badge={good}", "x".repeat(200)), vec![], 4005, 4005, "`client_id`"),
        ("/taxi/one?ride=7".to_owned(), vec![("cookie", "badge=nonsense")], 4001, 4401, "Show your badge."),
    ] {
        let mut car = Client::connect(&server, &path, &headers).unwrap();
        let error = car.receive().unwrap();
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{path}: {error}");
        let closed = loop {
            match car.socket.read() {
                Ok(tungstenite::Message::Close(frame)) => break frame.unwrap(),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(u16::from(closed.code), close, "{path}");
        assert!(closed.reason.contains(reason), "{path}: {}", closed.reason);
    }
    let mut car = Client::connect(&server, "/taxi/one?ride=7", &[("cookie", &cookie)]).unwrap();
    assert_eq!(car.receive().unwrap()["type"], "hello", "a cookie will do");
    let foreign = [("cookie", &*cookie), ("origin", "https://evil.example")];
    assert_eq!(
        Client::connect(&server, "/taxi/one?ride=7", &foreign).err(),
        Some(403),
        "but not to another's page"
    );
    let mut late = Client::connect(&server, "/taxi/two?ride=7", &[]).unwrap();
    late.send(&json!({"type": "auth", "token": good}));
    assert_eq!(
        (late.receive().unwrap()["type"].clone(), late.receive().unwrap()["type"].clone()),
        ("hello".into(), "riding".into())
    );
    assert_eq!(Client::connect(&server, "/taxi", &[]).err(), Some(404), "another path is none");
}

#[test]
fn a_room_that_is_needed_and_full_or_over_ends_the_connection() {
    for shards in [1, 4] {
        let (server, _folder) = taxi(Options { shards, ..Options::default() });
        let mut cars: Vec<Client> = (0..3).map(|n| car(&server, &format!("c{n}"), "driver")).collect();
        let mut fourth = Client::connect(&server, &path("c4", "c4", "driver", ""), &[]).unwrap();
        assert_eq!(fourth.receive().unwrap()["type"], "hello");
        assert_eq!(fourth.receive().unwrap()["code"], 77, "its own number for a full room");
        assert_eq!(fourth.receive(), Err(Ended::Code(4003)));
        let (status, answer) =
            api(&server, "POST", "/v1/profiles/taxi/events", Some(&json!({"type": "over", "ride": "7"})));
        assert_eq!((status, answer), (200, json!({"over": "7"})));
        for car in &mut cars {
            let ended = loop {
                if let Err(ended) = car.receive() {
                    break ended;
                }
            };
            assert_eq!(ended, Ended::Code(1000));
        }
    }
}

#[test]
fn nothing_is_done_after_a_command_that_was_refused() {
    for options in deployments() {
        let (server, _folder) = taxi(options);
        let (mut guest, mut driver) = (car(&server, "guest", "guest"), car(&server, "driver", "driver"));
        guest.send(&json!({"type": "park"}));
        guest.send(&json!({"type": "where", "lat": 1, "lon": 1}));
        assert_eq!(guest.until("error")["code"], 4013);
        assert_eq!(guest.until("noted")["number"], 1, "`parked` was not published");
        driver.send(&json!({"type": "park"}));
        driver.send(&json!({"type": "where", "lat": 1, "lon": 1}));
        assert_eq!(driver.until("parking"), json!({"type": "parking"}));
        assert_eq!(driver.until("noted")["number"], 3, "and what came later waited");
    }
}

#[test]
fn bad_messages_are_refused_by_field_and_rule_and_the_connection_lives_on() {
    let (server, _folder) = taxi(Options::default());
    let mut car = car(&server, "one", "driver");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for (text, field, word) in [
        (r#"{"type":"where","lat":"north","lon":1}"#, json!("lat"), "a number"),
        (r#"{"type":"where"}"#, json!("lat"), "`lat`, `lon`"),
        (r#"{"type":"dance"}"#, json!("type"), "none of those"),
        (r#"{"type":"over","ride":"7"}"#, json!("type"), "none of those"),
        (r#"{"type":"publish","room":"ride:7","event":"x","data":1}"#, json!("type"), "none of those"),
        (r#"{"kind":"where"}"#, json!("type"), "missing"),
        ("[]", json!("type"), "must be an object"),
        ("7", json!("type"), "must be an object"),
        ("{", Value::Null, ""),
        (&deep, Value::Null, ""),
    ] {
        car.socket.send(tungstenite::Message::text(text)).unwrap();
        let error = car.until("error");
        assert_eq!(
            (&error["code"], &error["details"]["field"]),
            (&json!(4005), &field),
            "{text:.60}: {error}"
        );
        assert!(error["message"].as_str().unwrap().contains(word), "{text:.60}: {error}");
    }
    car.socket.send(tungstenite::Message::binary(vec![1, 2, 3])).unwrap();
    assert!(car.until("error")["message"].as_str().unwrap().contains("texts"));
    car.send(&json!({"type": "where", "lat": 1, "lon": 1}));
    assert_eq!(car.until("noted")["number"], 1);
}

#[test]
fn its_http_endpoints_have_the_callers_rights() {
    let (server, _folder) = taxi(Options::default());
    let _car = car(&server, "one", "driver");
    let (status, answer) = api(&server, "GET", "/taxi/one/state", None);
    assert_eq!((status, answer), (200, json!({"car": "one", "state": "connected", "profile": "taxi"})));
    assert_eq!(api(&server, "GET", "/taxi/none/state", None).0, 404);
    assert_eq!(api(&server, "GET", "/taxi/a%2F..%2Fb/state", None).0, 404, "a part of a path stays one");
    assert_eq!(request(&server, "GET", "/taxi/one/state", &[], "").status, 401);
    assert_eq!(request(&server, "GET", "/taxi/count", &[], "").json(), json!({"connections": 1}));
    let answer = request(&server, "DELETE", "/taxi/count", &[], "");
    assert_eq!((answer.status, answer.head.contains("allow: get")), (405, true));
    for (body, status) in [
        (json!({"type": "over"}), 400),
        (json!({"type": "where", "lat": 1, "lon": 1}), 400),
        (json!([{"type": "over", "ride": "8"}, {"type": "over"}]), 207),
        (json!([{"type": "over"}, []]), 400),
        (json!(7), 400),
    ] {
        assert_eq!(api(&server, "POST", "/v1/profiles/taxi/events", Some(&body)).0, status, "{body}");
    }
    assert_eq!(api(&server, "POST", "/v1/profiles/none/events", Some(&json!({}))).0, 404);
    assert_eq!(request(&server, "POST", "/v1/profiles/taxi/events", &[], "{}").status, 401);
}
