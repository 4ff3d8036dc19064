//! What a profile's endpoints and paths let nobody do who may not: whatever was asked, and however it was refused.

use serde_json::{Value, json};

use super::with_table;
use crate::support::{
    Backend, Client, Ended, Options, Raw, SECRET, Said, Server, deployments, eventually, token,
};

const PORT: &str = r#"
name = "port"
about = "Ships that need their berth"

[[endpoint]]
path = "/port/{ship}"
client_id = "=path.ship"
rooms = ["='berth:' ~ query.berth"]
required = true
token = { query = ["pass"], first_message = true }

[[in]]
type = "horn"
do = [{ type = "publish", room = "='berth:' ~ query.berth", event = "heard", data = {} }]

[[out]]
of = "joined"
message = { type = "joined", room = "=reply.room", recovered = "=reply.recovered" }
[[out]]
of = "heard"
message = { type = "heard" }

[[http]]
method = "GET"
path = "/port/tides"
public = true
answer = { tide = "low" }
[[http]]
method = "POST"
path = "/port/horns"
fields = { berth = "text" }
do = [{ type = "publish", room = "='berth:' ~ body.berth", event = "heard", data = {} }]
"#;

fn ship(server: &Server, user: &str, more: &str) -> Client {
    let path = format!("/port/{user}?berth=7&pass={}{more}", token(user, "user", json!({})));
    Client::connect(server, &path, &[]).unwrap()
}

#[test]
fn a_room_that_is_needed_ends_the_connection_also_where_a_backend_refuses_it() {
    for options in deployments() {
        let backend = Backend::answering(|post| {
            Said::Json(match post.body["user_id"].as_str() {
                Some("wreck") => json!({ "allow": false, "reason": "unsafe" }),
                _ => json!({ "allow": true }),
            })
        });
        let config = format!(
            "[hooks]\nurl = \"http://{}/ask\"\nsecret = \"{SECRET}\"\nask = [\"join\"]\nrooms = [\"berth:*\"]\n",
            backend.address
        );
        let (server, _folder) = with_table(PORT, Options { config, ..options });
        let mut sound = ship(&server, "sound", "");
        sound.until("joined");
        let mut wreck = ship(&server, "wreck", "");
        assert!(wreck.try_send(&json!({ "type": "horn" })));
        let (told, ended) = wreck.end();
        assert_eq!(ended, Ended::Code(4013), "{told:?}");
        sound.send(&json!({ "type": "horn" }));
        sound.until("heard");
        sound.send(&json!({ "type": "horn" }));
        sound.until("heard");
        let told = crate::support::api(&server, "GET", "/v1/rooms", None).1;
        let berth = told["rooms"].as_array().unwrap().iter().find(|row| row["room"] == "berth:7").unwrap();
        assert_eq!(berth["offset"], 2, "nothing of the one that was denied");
    }
}

/// Who fails a check is told the same, whether the token comes with the upgrade or in the first message.
#[test]
fn a_check_says_its_own_code_and_field_wherever_the_token_is() {
    let checked = r#"
[[endpoint.check]]
that = "=claims.flag != 'black'"
code = 4013
close = 3403
reason = "='no port for ' ~ claims.flag"
field = "flag"

[close]
3403 = { code = 4444, reason = "remapped" }
any = { code = 4445 }

[[in]]
type = "horn"
"#;
    let table = PORT.replace("\n[[in]]\ntype = \"horn\"\n", checked);
    let (server, _folder) = with_table(&table, Options::default());
    let pass = token("hook", "user", json!({ "flag": "black" }));
    let mut with_upgrade = Client::connect(&server, &format!("/port/a?berth=7&pass={pass}"), &[]).unwrap();
    let mut later = Client::connect(&server, "/port/b?berth=7", &[]).unwrap();
    later.send(&json!({ "type": "auth", "token": pass }));
    for client in [&mut with_upgrade, &mut later] {
        let (told, ended) = client.end();
        assert_eq!(ended, Ended::Code(3403), "{told:?}");
        let error = told.last().unwrap();
        assert_eq!((&error["code"], &error["details"]["field"]), (&json!(4013), &json!("flag")), "{error}");
        assert_eq!(error["message"], "no port for black");
    }
}

#[test]
fn what_a_client_has_of_other_rooms_opens_none_of_them() {
    let (server, _folder) = with_table(PORT, Options { shards: 4, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let place = ada.join("office:1");
    ada.join("berth:7");
    ada.publish("office:1", json!("for the office"));
    let berth = ada.publish("berth:7", json!(1));
    let recover = |room: &str, offset: u64, epoch: &Value| {
        format!("&recover={room},{},{offset}", epoch.as_str().unwrap())
    };
    let of_office = recover("office:1", 0, &place["epoch"]);
    let epoch = ada.join("berth:7")["epoch"].clone();
    // In its own room it goes on from where it says.
    let mut with_token = ship(&server, "a", &format!("{of_office}{}", recover("berth:7", berth, &epoch)));
    let joined = with_token.until("joined");
    assert_eq!((&joined["room"], &joined["recovered"]), (&json!("berth:7"), &json!(true)), "{joined}");
    // And so where the token comes later.
    let path = format!("/port/b?berth=7{of_office}{}", recover("berth:7", berth, &epoch));
    let mut later = Client::connect(&server, &path, &[]).unwrap();
    later.send(&json!({ "type": "auth", "token": token("b", "user", json!({})) }));
    let joined = later.until("joined");
    assert_eq!((&joined["room"], &joined["recovered"]), (&json!("berth:7"), &json!(true)), "{joined}");
    let members = |room: &str| {
        let (_, told) = crate::support::api(&server, "GET", "/v1/rooms", None);
        let rooms = told["rooms"].as_array().unwrap().clone();
        let found = rooms.into_iter().find(|row| row["room"] == room);
        found.map(|row| row["members"].as_u64().unwrap())
    };
    eventually("three at the berth", || (members("berth:7") == Some(3)).then_some(()));
    assert_eq!(members("office:1"), Some(1));
}

#[test]
fn nothing_is_read_of_who_may_not_call() {
    let (server, _folder) = with_table(PORT, Options::default());
    let head = |path: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n{more}\r\n"
        )
    };
    for (path, more, status) in [
        ("/port/horns", String::new(), 401),
        ("/port/horns", format!("Authorization: Bearer {}\r\n", token("a", "user", json!({}))), 403),
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(head(path, &more).as_bytes());
        // The body is never sent.
        assert_eq!(raw.head().status, status, "{path}");
    }
    let mut raw = Raw::connect(&server);
    raw.send(head("/port/tides", "").replace("POST", "GET").as_bytes());
    assert_eq!(raw.head().status, 400, "what everybody may ask has no body");
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        crate::support::request(&server, method, path, headers, body).status
    };
    assert_eq!(ask("POST", "/port/horns", &headers, "{bad"), 400);
    assert_eq!(ask("POST", "/port/horns", &headers, "{\"berth\":\"7\"}"), 200);
    assert_eq!(ask("GET", "/port/tides", &[], ""), 200);
}
