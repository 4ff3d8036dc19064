//! A live tail ends with the right to look.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tail;
use crate::support::{Client, Ended, Options, Server, api, eventually, request, signed, token};

const SOON: Duration = Duration::from_secs(1);
const OWN: &str = "own-own-own-own-own-own-own-own-own";
const OTHER: &str = "other-other-other-other-other-other";
const KEY: &str = "the-key-of-a-backend";

/// A tail of who shows this token or key.
fn by(server: &Server, presented: &str) -> Client {
    let headers = [("authorization", &*format!("Bearer {presented}"))];
    Client::connect(server, "/v1/inspector/tail", &headers).unwrap_or_else(|status| panic!("HTTP {status}"))
}

/// The code with which it ends, soon.
fn code(tail: &mut Client) -> u16 {
    let began = Instant::now();
    let (_, Ended::Code(code)) = tail.end() else { panic!("cut") };
    assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
    code
}

fn call(server: &Server, method: &str, path: &str, body: &Value) {
    let (status, answer) = api(server, method, path, Some(body));
    assert_eq!(status, 200, "{method} {path}: {answer}");
}

#[test]
fn a_tail_ends_with_its_users_connections() {
    for driver in ["uring", "epoll"] {
        let server = Server::start(Options { driver, shards: 4, ..Options::default() });
        let mut other = tail(&server, "kind=errors");
        for (method, path, body, ends) in [
            ("PUT", "/v1/admin/bans/users/eve", json!({}), 4011),
            ("PUT", "/v1/admin/revocations/users/eve", json!({"token_id": "t"}), 4012),
            ("PUT", "/v1/admin/revocations/users/eve", json!({}), 4012),
            ("POST", "/v1/admin/disconnect", json!({"user_id": "eve"}), 4011),
        ] {
            // On several shards.
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let claims = json!({"jti": "t", "iat": now + 60});
            let mut tails: Vec<Client> =
                (0..3).map(|_| by(&server, &token("eve", "admin", claims.clone()))).collect();
            call(&server, method, path, &body);
            for tail in &mut tails {
                assert_eq!(code(tail), ends, "{path} {body}");
            }
            for subject in ["bans", "revocations"] {
                api(&server, "DELETE", &format!("/v1/admin/{subject}/users/eve"), None);
            }
            api(&server, "DELETE", "/v1/admin/revocations/users/eve", Some(&json!({"token_id": "t"})));
        }
        assert_eq!(server.metric("fanfare_inspector_tails"), 1.0);
        // The others go on.
        Client::connect(&server, "/v1/ws?token=bad", &[]).unwrap().end();
        assert_eq!(other.receive().unwrap()["type"], "AUTHENTICATION_FAILED");
        call(&server, "PUT", "/v1/admin/bans/networks/127.0.0.1", &json!({}));
        assert_eq!(code(&mut other), 4011);
    }
}

#[test]
fn a_tail_ends_when_its_token_runs_out() {
    let server = Server::with("[auth]\nleeway = \"0s\"\n");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut brief = by(&server, &token("eve", "admin", json!({"exp": now + 2})));
    let began = Instant::now();
    assert_eq!(brief.end().1, Ended::Code(4012), "as every connection's");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_tail_ends_when_a_reload_takes_its_key_or_its_right_away() {
    let sha256 = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = |id: &str, secret: &str| {
        format!("[[auth.key]]\nalgorithm = \"HS256\"\nid = \"{id}\"\nsecret = \"{secret}\"\n")
    };
    let api_key = format!("[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n");
    let role = |name: &str, permission: &str| {
        format!("[[role]]\nname = \"{name}\"\npermissions = [\"{permission}\"]\n")
    };
    let roles = |roles: &str, permission: &str| {
        let of = [role("watcher", "admin"), role("guard", permission)].concat();
        format!("{of}[inspector]\nenabled = true\n[auth]\napi_roles = [\"admin\", \"guard\"{roles}]\n")
    };
    let roles_of_all = roles(", \"watcher\"", "admin");
    let all = format!("{roles_of_all}{}{}{api_key}", key("a", OWN), key("b", OTHER));
    let server = Server::start(Options { shards: 4, config: all, ..Options::default() });
    let operator = format!("Bearer {}", signed(OWN, "operator", "admin", json!({})));
    let reload = |config: &str| {
        server.reconfigure(config);
        let headers = [("authorization", &*operator), ("content-type", "application/json")];
        let answer = request(&server, "POST", "/v1/admin/reload", &headers, "{}");
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let mut by_key = by(&server, KEY);
    let mut by_watcher = by(&server, &signed(OWN, "eve", "watcher", json!({})));
    let mut by_guard = by(&server, &signed(OWN, "max", "guard", json!({})));
    let mut by_other = by(&server, &signed(OTHER, "root", "admin", json!({})));
    let _stays = by(&server, &signed(OWN, "root", "admin", json!({})));
    reload(&format!("{roles_of_all}{}{}", key("a", OWN), key("b", OTHER)));
    assert_eq!(code(&mut by_key), 4012, "the API key is gone");
    reload(&format!("{roles_of_all}{}", key("a", OWN)));
    assert_eq!(code(&mut by_other), 4012, "the key that signed its token is gone");
    reload(&format!("{}{}", roles("", "admin"), key("a", OWN)));
    assert_eq!(code(&mut by_watcher), 4013, "its role may not use the API any more");
    reload(&format!("{}{}", roles("", "metrics"), key("a", OWN)));
    assert_eq!(code(&mut by_guard), 4013, "its role may not look any more");
    eventually("one stays", || (server.metric("fanfare_inspector_tails") == 1.0).then_some(()));
}
