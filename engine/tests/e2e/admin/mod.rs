//! What an operator does: over HTTP and by `fanfare admin`.

mod access;
mod cli;
mod disconnect;
mod drain;
mod mode;
mod quotas;
mod reload;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Ended, Server, api};

/// What an operator does must be felt everywhere within this.
const SOON: Duration = Duration::from_secs(1);

/// A call that must be done.
fn done(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = api(server, method, path, (!body.is_null()).then_some(&body));
    assert_eq!(status, 200, "{method} {path} {body}: {answer}");
    answer
}

/// Reads to the end, which must come soon; gives the code and the last `error`.
fn ended_soon(client: &mut Client) -> (Ended, Value) {
    let began = Instant::now();
    let (messages, ended) = client.end();
    assert!(began.elapsed() < SOON, "{:?} after the call", began.elapsed());
    let error = messages.into_iter().rfind(|message| message["type"] == "error");
    (ended, error.unwrap_or(Value::Null))
}

/// How somebody with this token is turned away.
fn turned_away(server: &Server, path: &str, token: &str) -> (Ended, String) {
    let bearer = format!("Bearer {token}");
    let mut client = Client::connect(server, path, &[("authorization", &bearer)]).unwrap();
    let (messages, ended) = client.end();
    assert_eq!(messages[0]["type"], "error", "{messages:?}");
    (ended, messages[0]["message"].as_str().unwrap().to_owned())
}

#[test]
fn only_keys_and_the_permission_admin_get_in() {
    use crate::support::{request, token};
    let server = Server::with(
        "[auth]\napi_roles = [\"admin\", \"reader\"]\n[[role]]\nname = \"chief\"\npermissions = [\"admin\"]\n\
         [[role]]\nname = \"service\"\npermissions = [\"publish\"]\n",
    );
    let paths = [
        ("GET", "/v1/admin/mode"),
        ("PUT", "/v1/admin/mode"),
        ("POST", "/v1/admin/disconnect"),
        ("GET", "/v1/admin/bans"),
        ("PUT", "/v1/admin/bans/users/ada"),
        ("DELETE", "/v1/admin/bans/users/ada"),
        ("GET", "/v1/admin/revocations"),
        ("PUT", "/v1/admin/revocations/keys/k"),
        ("POST", "/v1/admin/reload"),
        ("POST", "/v1/admin/drain"),
        ("DELETE", "/v1/admin/drain"),
    ];
    for (method, path) in paths {
        for role in ["user", "reader", "service"] {
            let bearer = format!("Bearer {}", token("x", role, json!({})));
            let answer = request(&server, method, path, &[("authorization", &bearer)], "");
            assert_eq!(answer.status, 403, "{role} {method} {path}: {}", answer.body);
        }
        assert_eq!(request(&server, method, path, &[], "").status, 401, "{method} {path}");
    }
    let bearer = format!("Bearer {}", token("x", "chief", json!({})));
    let as_chief =
        |method: &str, path: &str| request(&server, method, path, &[("authorization", &bearer)], "").status;
    assert_eq!(as_chief("GET", "/v1/admin/mode"), 200);
    assert_eq!(as_chief("PUT", "/v1/admin/bans/users/ada"), 200);
    assert_eq!(as_chief("GET", "/v1/admin/nothing"), 404);
    assert_eq!(as_chief("PUT", "/v1/admin/drain"), 405);
    let log = server.log();
    assert!(log.contains("command=\"access.ban_user\" by=\"x\" user_id=\"ada\" code=200"), "{log}");
}

#[test]
fn bad_input_names_the_field_and_nothing_happens() {
    let server = Server::with("");
    let mut client = Client::join_server(&server, "ada", "user");
    for (method, path, body, field) in [
        ("POST", "disconnect", json!({}), "user_id"),
        ("POST", "disconnect", json!({"all": true, "user_id": "ada"}), "user_id"),
        ("POST", "disconnect", json!({"user_id": 7}), "user_id"),
        ("POST", "disconnect", json!({"network": "10.0.0.0/99"}), "network"),
        ("POST", "disconnect", json!({"user_id": "ada", "reason": "x".repeat(101)}), "reason"),
        ("PUT", "bans/networks/host", json!({}), "network"),
        ("PUT", "bans/users/ada", json!({"seconds": 0}), "seconds"),
        ("PUT", "bans/users/%00", json!({}), "user_id"),
        ("PUT", "revocations/users/ada", json!({"issued_before": "soon"}), "issued_before"),
        ("PUT", "revocations/users/ada", json!({"issued_before": "2099-01-01T00:00:00Z"}), "issued_before"),
        ("PUT", "mode", json!({"shed": 4}), "shed"),
        ("PUT", "mode", json!({"read_only": "yes"}), "read_only"),
        ("PUT", "mode", json!({"log_level": "fanfare=loud"}), "log_level"),
        ("POST", "drain", json!({"seconds": 0}), "seconds"),
        ("POST", "disconnect?dry_run=true", json!({"all": true}), "dry_run"),
        ("PUT", "bans/users/eve?seconds=1", json!({}), "seconds"),
        ("GET", "bans?limit=1&limit=2", Value::Null, "limit"),
    ] {
        let body = (!body.is_null()).then_some(&body);
        let (status, answer) = api(&server, method, &format!("/v1/admin/{path}"), body);
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{path} {body:?}: {answer}");
    }
    // What is unknown is no field of ours: the message names it, and what was perhaps meant.
    for (method, path, body, unknown, meant) in [
        ("POST", "admin/disconnect", json!({"all": true, "dryrun": true}), "dryrun", "dry_run"),
        ("POST", "admin/disconnect?dryrun=true", json!({"all": true}), "dryrun", "dry_run"),
        ("PUT", "admin/bans/users/eve", json!({"secnods": 1}), "secnods", "seconds"),
        ("PUT", "admin/mode", json!({"shedd": 1}), "shedd", "shed"),
        ("POST", "admin/reload", json!({"dryrun": true}), "dryrun", "dry_run"),
        ("GET", "admin/bans?limt=1", Value::Null, "limt", "limit"),
        ("PUT", "rooms/room:1/frozen", json!({"frozn": false}), "frozn", "frozen"),
    ] {
        let body = (!body.is_null()).then_some(&body);
        let (status, answer) = api(&server, method, &format!("/v1/{path}"), body);
        let message = format!("`{unknown}` is unknown: did you mean `{meant}`?");
        assert_eq!((status, &answer["message"]), (400, &json!(message)), "{answer}");
        assert_eq!(answer["details"]["field"], Value::Null, "{answer}");
    }
    assert_eq!(api(&server, "GET", "/v1/admin/bans", None).1["total"], 0);
    assert_eq!(api(&server, "POST", "/v1/admin/disconnect", Some(&json!([1]))).0, 400);
    client.expect_nothing();
}
