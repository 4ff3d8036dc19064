//! Bans and revocations.

use serde_json::{Value, json};

use super::{done, ended_soon, turned_away};
use crate::support::{
    Client, Ended, Folder, Options, Server, api, deployments, eventually, request, signed, token,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_banned_user_is_cut_off_and_kept_out_until_the_ban_is_lifted() {
    for options in deployments() {
        let server = Server::start(options);
        let mut of_ada: Vec<Client> =
            (0..4).map(|_| Client::join_server(&server, "ada", "service")).collect();
        let mut bob = Client::join_server(&server, "bob", "user");
        let path = "/v1/admin/bans/users/ada";
        let answer = done(&server, "PUT", path, json!({"reason": "spam", "dry_run": true}));
        assert_eq!(answer, json!({"connections": 4}));
        of_ada.iter_mut().for_each(Client::expect_nothing);
        assert_eq!(done(&server, "PUT", path, json!({"reason": "spam"})), json!({"connections": 4}));
        for client in &mut of_ada {
            let (ended, error) = ended_soon(client);
            assert_eq!((ended, &error["message"]), (Ended::Code(4011), &json!("banned: spam")));
        }
        // Whichever shard is asked.
        let of_ada = token("ada", "service", json!({}));
        for _ in 0..8 {
            assert_eq!(turned_away(&server, "/v1/ws", &of_ada), (Ended::Code(4011), "banned: spam".into()));
        }
        let mut late = Client::connect(&server, "/v1/ws", &[]).unwrap();
        late.send(&json!({"type": "auth", "token": of_ada}));
        assert_eq!(late.end().1, Ended::Code(4011));
        let headers = [("authorization", &*bearer(&of_ada))];
        let refused = request(&server, "GET", "/v1/statistics", &headers, "");
        assert_eq!((refused.status, &refused.json()["code"]), (403, &json!(4011)), "{}", refused.body);
        bob.expect_nothing();
        let bans = done(&server, "GET", "/v1/admin/bans", Value::Null);
        assert_eq!((&bans["total"], &bans["bans"][0]["user_id"]), (&json!(1), &json!("ada")), "{bans}");
        assert_eq!(bans["bans"][0]["by"], "operator");
        assert_eq!(done(&server, "DELETE", path, Value::Null), json!({"removed": true}));
        assert_eq!(done(&server, "DELETE", path, Value::Null), json!({"removed": false}));
        Client::join_server(&server, "ada", "user").expect_nothing();
        assert_eq!(done(&server, "GET", "/v1/admin/bans", Value::Null)["total"], 0);
    }
}

#[test]
fn clients_and_addresses_can_be_banned_and_a_ban_runs_out() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let ada = token("ada", "user", json!({}));
    let headers = [("authorization", &*bearer(&ada))];
    let mut phone = Client::welcomed(&server, "/v1/ws?client_id=phone", &headers);
    let mut laptop = Client::welcomed(&server, "/v1/ws?client_id=laptop", &headers);
    let path = "/v1/admin/bans/clients/phone";
    assert_eq!(done(&server, "PUT", path, json!({"seconds": 1})), json!({"connections": 1}));
    assert_eq!(ended_soon(&mut phone).0, Ended::Code(4011));
    assert_eq!(turned_away(&server, "/v1/ws?client_id=phone", &ada).0, Ended::Code(4011));
    laptop.expect_nothing();
    eventually("it runs out", || {
        let mut phone = Client::connect(&server, "/v1/ws?client_id=phone", &headers).unwrap();
        (phone.receive().unwrap()["type"] == "welcome").then_some(())
    });
    eventually("and is forgotten", || (server.metric("fanfare_bans") == 0.0).then_some(()));
    let path = "/v1/admin/bans/networks/127.0.0.0%2F8";
    // The laptop, and the phone that has come back or has just gone.
    let would_end = done(&server, "PUT", path, json!({"dry_run": true}))["connections"].as_u64().unwrap();
    assert!((1..=2).contains(&would_end), "{would_end}");
    laptop.expect_nothing();
    done(&server, "PUT", path, json!({}));
    assert_eq!(ended_soon(&mut laptop).0, Ended::Code(4011));
    assert_eq!(turned_away(&server, "/v1/ws", &ada), (Ended::Code(4011), "banned by an operator".into()));
    // The operator's own way back in.
    assert_eq!(done(&server, "DELETE", path, Value::Null), json!({"removed": true}));
    Client::join_server(&server, "ada", "user").expect_nothing();
}

#[test]
fn bans_and_revocations_outlive_the_process_and_other_numbers_of_shards() {
    let folder = Folder::new();
    let config = format!("[store]\npath = \"{}\"\n", folder.0.join("fanfare.redb").display());
    let mut options = Options { shards: 3, config, ..Options::default() };
    {
        let mut server = Server::start(options.clone());
        done(&server, "PUT", "/v1/admin/bans/users/ada", json!({"reason": "spam"}));
        done(&server, "PUT", "/v1/admin/bans/users/eve", json!({"seconds": 1}));
        done(&server, "PUT", "/v1/admin/bans/networks/10.0.0.0%2F8", json!({}));
        done(&server, "PUT", "/v1/admin/revocations/users/bob", json!({"token_id": "lost"}));
        server.signal("TERM");
        assert!(server.ended().success());
    }
    options.shards = 2;
    let server = Server::start(options);
    assert_eq!(turned_away(&server, "/v1/ws", &token("ada", "user", json!({}))).0, Ended::Code(4011));
    assert_eq!(
        turned_away(&server, "/v1/ws", &token("bob", "user", json!({"jti": "lost"}))).0,
        Ended::Code(4001)
    );
    Client::join_server(&server, "bob", "user").expect_nothing();
    eventually("the short one is over", || {
        let listed = done(&server, "GET", "/v1/admin/bans", Value::Null);
        (listed["total"] == 2).then_some(())
    });
    done(&server, "DELETE", "/v1/admin/bans/users/ada", Value::Null);
    Client::join_server(&server, "ada", "user").expect_nothing();
}

#[test]
fn a_revoked_tokens_connection_ends_within_a_second_and_a_good_one_gets_back_in() {
    for options in deployments() {
        let server = Server::start(options);
        let with = |id: &str| token("ada", "service", json!({"jti": id, "iat": now()}));
        let (lost, good) = (with("lost"), with("good"));
        let connect = |token: &str| Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer(token))]);
        let (mut one, mut two) = (connect(&lost), connect(&good));
        let path = "/v1/admin/revocations/users/ada";
        assert_eq!(done(&server, "PUT", path, json!({"token_id": "lost"})), json!({"connections": 2}));
        for client in [&mut one, &mut two] {
            assert_eq!(ended_soon(client).0, Ended::Code(4012));
        }
        assert_eq!(
            turned_away(&server, "/v1/ws", &lost),
            (Ended::Code(4001), "the token was revoked".into())
        );
        let api = |token: &str| {
            request(&server, "GET", "/v1/statistics", &[("authorization", &bearer(token))], "").status
        };
        assert_eq!((api(&lost), api(&good)), (401, 200));
        let mut back = connect(&good);
        let refreshed = back.ask(json!({"type": "refresh", "token": lost}));
        assert_eq!((&refreshed["type"], &refreshed["code"]), (&json!("error"), &json!(4001)), "{refreshed}");
        back.expect_nothing();
        assert_eq!(done(&server, "DELETE", path, json!({"token_id": "lost"})), json!({"removed": true}));
        connect(&lost).expect_nothing();
    }
}

#[test]
fn all_older_tokens_of_a_user_can_be_revoked() {
    let server = Server::start(Options { shards: 4, ..Options::default() });
    let issued = |at: u64| token("ada", "user", json!({"iat": at}));
    let mut old = Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer(&issued(now() - 60)))]);
    done(&server, "PUT", "/v1/admin/revocations/users/ada", json!({}));
    assert_eq!(ended_soon(&mut old).0, Ended::Code(4012));
    assert_eq!(turned_away(&server, "/v1/ws", &issued(now() - 60)).0, Ended::Code(4001));
    assert_eq!(
        turned_away(&server, "/v1/ws", &token("ada", "user", json!({}))).0,
        Ended::Code(4001),
        "no `iat`"
    );
    Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer(&issued(now() + 1)))]).expect_nothing();
    Client::join_server(&server, "bob", "user").expect_nothing();
    let listed = done(&server, "GET", "/v1/admin/revocations", Value::Null);
    assert_eq!(listed["revocations"][0]["user_id"], "ada", "{listed}");
}

#[test]
fn a_token_with_a_number_is_revoked_by_it_and_a_key_is_named_as_who_did_it() {
    let (key, sha256) = ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
    let config = format!(
        "[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"
    );
    let server = Server::start(Options { config, ..Options::default() });
    let as_backend = |method: &str, path: &str, body: &str| {
        let headers = [("authorization", &*bearer(key)), ("content-type", "application/json")];
        request(&server, method, path, &headers, body)
    };
    let numbered = signed(SECRET, "ada", "user", json!({"jti": 123}));
    let mut ada = Client::welcomed(&server, "/v1/ws", &[("authorization", &bearer(&numbered))]);
    let path = "/v1/admin/revocations/users/ada";
    assert_eq!(as_backend("PUT", path, r#"{"token_id": "123"}"#).status, 200);
    assert_eq!(ended_soon(&mut ada).0, Ended::Code(4012));
    assert_eq!(turned_away(&server, "/v1/ws", &numbered).0, Ended::Code(4001));
    let listed = as_backend("GET", "/v1/admin/revocations", "").json();
    assert_eq!(listed["revocations"][0]["by"], "backend", "{listed}");
    let both = as_backend("PUT", path, r#"{"token_id": "1", "issued_before": "2026-11-20T10:30:00Z"}"#);
    assert_eq!(both.status, 400, "{}", both.body);
}

#[test]
fn over_a_websocket_only_an_operator_bans() {
    let server = Server::start(Options { shards: 2, ..Options::default() });
    let mut user = Client::join_server(&server, "eve", "user");
    let command = json!({"type": "access.ban_user", "data": {"user_id": "ada"}});
    assert_eq!(user.ask(command.clone())["code"], 4013);
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut operator = Client::join_server(&server, "root", "admin");
    assert_eq!(operator.ask(command)["data"], json!({"connections": 1}));
    assert_eq!(ended_soon(&mut ada).0, Ended::Code(4011));
    assert_eq!(api(&server, "GET", "/v1/admin/bans", None).1["bans"][0]["by"], "root");
    assert!(server.log().contains("command"), "audited");
}
