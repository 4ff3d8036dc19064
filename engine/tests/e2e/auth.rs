//! Who is let in, as whom, and for how long.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Client, Ended, Server, eventually, request, token};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn refused(server: &Server, token: &str) {
    let mut client =
        Client::connect(server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]).unwrap();
    let (messages, ended) = client.end();
    assert_eq!(ended, Ended::Code(4001), "{messages:?}");
    assert_eq!(messages[0]["type"], "error", "{messages:?}");
    assert_eq!(messages[0]["name"], "AUTHENTICATION_FAILED");
    let told = messages[0]["message"].as_str().unwrap();
    assert!(
        !told.is_empty() && !token.split('.').any(|part| part.len() > 5 && told.contains(part)),
        "{told}"
    );
}

#[test]
fn a_token_may_be_in_the_header_the_query_the_subprotocol_or_the_first_message() {
    let server = Server::start(Default::default());
    let token = token("ada", "user", json!({}));
    Client::welcomed(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]);
    Client::welcomed(&server, &format!("/v1/ws?token={token}"), &[]);
    let encoded = URL_SAFE_NO_PAD.encode(&token);
    let offered = format!("fanfare.v1.json, base64url.bearer.fanfare.{encoded}");
    Client::welcomed(&server, "/v1/ws", &[("sec-websocket-protocol", &offered)]);
    let mut client = Client::connect(&server, "/v1/ws", &[]).unwrap();
    client.send(&json!({"type": "auth", "id": 1, "token": token}));
    let welcome = client.expect("welcome");
    assert_eq!((&welcome["user_id"], &welcome["role"]), (&json!("ada"), &json!("user")));
    assert_eq!(welcome["protocol_version"], "1.0");
    assert_eq!(welcome["max_message_size"], 65_536);
}

#[test]
fn what_is_no_token_of_ours_is_told_and_closed_with_4001() {
    let server = Server::with("[auth]\nleeway = \"0s\"\n");
    let good = token("ada", "user", json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for (what, bad) in [
        ("expired", token("ada", "user", json!({"exp": now() - 1}))),
        ("not yet valid", token("ada", "user", json!({"nbf": now() + 60}))),
        ("times as text", token("ada", "user", json!({"exp": "9999999999"}))),
        ("times as fractions", token("ada", "user", json!({"exp": 9_999_999_999.5}))),
        ("no end", token("ada", "user", json!({"exp": null}))),
        ("nobody's", token("", "user", json!({}))),
        ("a role that is no name", token("ada", "a\"b", json!({}))),
        ("rooms that are no patterns", token("ada", "user", json!({"rooms": [""]}))),
        ("unsigned", format!("{}.{}.", encode(json!({"alg": "none", "typ": "JWT"})), parts[1])),
        ("unsigned, loudly", format!("{}.{}.", encode(json!({"alg": "NONE"})), parts[1])),
        ("signature cut off", format!("{}.{}.", parts[0], parts[1])),
        (
            "changed",
            format!(
                "{}.{}.{}",
                parts[0],
                encode(json!({"sub": "root", "role": "admin", "exp": now() + 9})),
                parts[2]
            ),
        ),
        ("cut", good[..good.len() - 3].to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("endless", "a".repeat(9_000)),
        ("of another algorithm", {
            let key = EncodingKey::from_secret(fanfare_protocol::DEVELOPMENT_SECRET.as_bytes());
            let claims = json!({"sub": "ada", "exp": now() + 60});
            jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims, &key).unwrap()
        }),
        ("of another secret", {
            let key = EncodingKey::from_secret(b"somebody else's secret, long enough");
            jsonwebtoken::encode(&Header::default(), &json!({"sub": "ada", "exp": now() + 60}), &key).unwrap()
        }),
    ] {
        eprintln!("{what}");
        refused(&server, &bad);
    }
    assert!(server.metric("fanfare_auth_failures_total{reason=\"expired\"}") >= 1.0);
}

#[test]
fn a_first_message_that_is_no_token_is_refused() {
    let server = Server::with("[timeouts]\nauth = \"300ms\"\n");
    let mut client = Client::connect(&server, "/v1/ws", &[]).unwrap();
    client.send(&json!({"type": "auth", "token": "nonsense"}));
    assert_eq!(client.end().1, Ended::Code(4001));
    let mut impatient = Client::connect(&server, "/v1/ws", &[]).unwrap();
    impatient.send(&json!({"type": "join", "id": 1, "room": "a"}));
    assert_eq!(impatient.end().1, Ended::Code(4001));
    let mut silent = Client::connect(&server, "/v1/ws", &[]).unwrap();
    assert_eq!(silent.end().1, Ended::Code(4001));
}

#[test]
fn an_expired_token_ends_the_connection_with_4012_and_a_refreshed_one_does_not() {
    let server = Server::with("[auth]\nleeway = \"0s\"\n");
    let short = || token("ada", "user", json!({"exp": now() + 2}));
    let connect =
        |token: &str| Client::welcomed(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]);
    let mut expires = connect(&short());
    let mut stays = connect(&short());
    let answer = stays.ask(json!({"type": "refresh", "token": token("bob", "user", json!({}))}));
    assert_eq!(answer["type"], "error", "another user's token: {answer}");
    let answer = stays.ask(json!({"type": "refresh", "token": "nonsense"}));
    assert_eq!(answer["type"], "error", "{answer}");
    let answer = stays.ask(json!({"type": "refresh", "token": token("ada", "user", json!({}))}));
    assert_eq!(answer["type"], "ok", "{answer}");
    assert_eq!(expires.end().1, Ended::Code(4012));
    stays.expect_nothing();
}

#[test]
fn a_token_opens_the_rooms_it_names() {
    let server = Server::start(Default::default());
    let token = token("ada", "user", json!({"rooms": ["team:7", "chat:*"]}));
    let mut client = Client::welcomed(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]);
    client.join("team:7");
    client.join("chat:anything");
    for room in ["team:77", "other"] {
        let answer = client.ask(json!({"type": "join", "room": room}));
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(4013)), "{answer}");
        let answer = client.ask(json!({"type": "publish", "room": room, "event": "say"}));
        assert_eq!(answer["code"], 4013, "{answer}");
    }
}

#[test]
fn room_types_say_which_roles_may_do_what() {
    let config = "[[room_type]]\nname = \"ward\"\njoin = [\"nurse\", \"doctor\"]\npublish = [\"doctor\"]\nmax_members = 2\n";
    let server = Server::with(config);
    let mut doctor = Client::join_server(&server, "d", "doctor");
    let mut nurse = Client::join_server(&server, "n", "nurse");
    let mut visitor = Client::join_server(&server, "v", "visitor");
    doctor.join("ward:1");
    nurse.join("ward:1");
    assert_eq!(visitor.ask(json!({"type": "join", "room": "ward:1"}))["code"], 4013);
    assert_eq!(nurse.ask(json!({"type": "publish", "room": "ward:1", "event": "say"}))["code"], 4013);
    doctor.publish("ward:1", json!(1));
    nurse.expect("say");
    let mut third = Client::join_server(&server, "t", "nurse");
    assert_eq!(third.ask(json!({"type": "join", "room": "ward:1"}))["code"], 4003, "the room is full");
}

#[test]
fn the_first_entry_of_a_list_that_fits_a_role_decides() {
    let config = r#"
        [auth]
        broadcast_roles = ["!nurse", "*"]
        api_roles = ["admin", "nurse", "anonymous"]
        [[room_type]]
        name = "forum"
        join = ["!banned", "*"]
        publish = ["!anonymous", "*"]
        create = ["!anonymous", "!nurse", "*"]
        [[room_type]]
        name = "late"
        publish = ["*", "!anonymous"]
        "#;
    let server = Server::with(config);
    let publish = |client: &mut Client, target: Value| {
        let mut command = json!({"type": "publish", "event": "say", "data": 1});
        command.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
        client.ask(command)["code"].clone()
    };
    let mut banned = Client::join_server(&server, "b", "banned");
    for kind in ["join", "history", "presence"] {
        assert_eq!(banned.ask(json!({"type": kind, "room": "forum:1"}))["code"], 4013, "{kind}");
    }
    let mut anonymous = Client::join_server(&server, "a", "anonymous");
    anonymous.join("forum:1");
    assert_eq!(publish(&mut anonymous, json!({"room": "forum:1"})), 4013);
    assert_eq!(publish(&mut anonymous, json!({"room": "late:1"})), Value::Null, "the star stands before it");
    assert_eq!(publish(&mut anonymous, json!({"user": "b"})), Value::Null);
    let mut nurse = Client::join_server(&server, "n", "nurse");
    assert_eq!(publish(&mut nurse, json!({"room": "forum:1"})), Value::Null);
    anonymous.expect("say");
    assert_eq!(publish(&mut nurse, json!({"user": "b"})), 4013);
    // Services and HTTP go by the same lists.
    let send = json!({"type": "chat.send", "room": "forum:1", "data": {"text": "hi"}});
    assert_eq!(anonymous.ask(send.clone())["code"], 4013);
    assert_eq!(nurse.ask(send)["type"], "ok");
    let create = json!({"type": "room.create", "room": "forum:2"});
    assert_eq!(
        [anonymous.ask(create.clone())["code"].clone(), nurse.ask(create.clone())["code"].clone()],
        [4013, 4013]
    );
    assert_eq!(Client::join_server(&server, "u", "user").ask(create)["type"], "ok");
    let over_http = |role: &str| {
        let bearer = format!("Bearer {}", token("h", role, json!({})));
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let body = json!({"room": "forum:1", "event": "say", "data": 1}).to_string();
        request(&server, "POST", "/v1/publish", &headers, &body).status
    };
    assert_eq!([over_http("anonymous"), over_http("nurse")], [403, 200]);
}

#[test]
fn foreign_pages_are_turned_away_before_the_upgrade() {
    let config = "[auth]\nallowed_origins = [\"https://app.example\"]\n[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"a secret of at least thirty-two bytes\"\n";
    let server = Server::with(config);
    let key = EncodingKey::from_secret(b"a secret of at least thirty-two bytes");
    let token =
        jsonwebtoken::encode(&Header::default(), &json!({"sub": "ada", "exp": now() + 60}), &key).unwrap();
    let path = format!("/v1/ws?token={token}");
    let own = format!("http://{}", server.address);
    for origin in ["https://app.example", "https://app.example:443", own.as_str()] {
        Client::welcomed(&server, &path, &[("origin", origin)]);
    }
    for origin in [
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.example",
        "https://xapp.example",
        "http://localhost",
        "https://app.example/",
        "https://app.example@evil.example",
        "",
    ] {
        assert_eq!(Client::connect(&server, &path, &[("origin", origin)]).err(), Some(403), "{origin}");
    }
    // Outside development nobody gets a token for the asking, and the development secret is worth nothing.
    assert_eq!(request(&server, "GET", "/dev/token", &[], "").status, 404);
    refused(&server, &crate::support::token("ada", "admin", json!({})));
}

#[test]
fn keys_of_every_algorithm_are_pinned_to_it() {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    let secret = "the shared secret of this very test, long enough for HS512: 64 bytes";
    let mut config = format!(
        "[auth]\naudience = [\"fanfare\"]\nissuer = [\"idp\"]\n[[auth.key]]\nalgorithm = \"HS512\"\nid = \"shared\"\nsecret = \"{secret}\"\n"
    );
    for (algorithm, file) in [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")] {
        config += &format!(
            "[[auth.key]]\nalgorithm = \"{algorithm}\"\npublic_key_file = \"{keys}/{file}.pub.pem\"\n"
        );
    }
    let server = Server::with(&config);
    let read = |name: &str| std::fs::read(format!("{keys}/{name}")).unwrap();
    let claims = json!({"sub": "ada", "exp": now() + 60, "aud": ["other", "fanfare"], "iss": "idp"});
    let sign = |algorithm, key: &EncodingKey, claims: &Value, kid: Option<&str>| {
        let header = Header { kid: kid.map(Into::into), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, key).unwrap()
    };
    let shared = EncodingKey::from_secret(secret.as_bytes());
    let rsa = EncodingKey::from_rsa_pem(&read("rsa.pem")).unwrap();
    let ec = EncodingKey::from_ec_pem(&read("ec.pem")).unwrap();
    let ed = EncodingKey::from_ed_pem(&read("ed.pem")).unwrap();
    for (algorithm, key) in [
        (Algorithm::HS512, &shared),
        (Algorithm::RS256, &rsa),
        (Algorithm::ES256, &ec),
        (Algorithm::EdDSA, &ed),
    ] {
        let token = sign(algorithm, key, &claims, None);
        for _ in 0..2 {
            // The second time it is known already.
            Client::welcomed(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]);
        }
        for (claim, wrong) in
            [("aud", json!("other")), ("aud", Value::Null), ("iss", json!("evil")), ("exp", json!(1))]
        {
            let mut claims = claims.clone();
            claims[claim] = wrong;
            refused(&server, &sign(algorithm, key, &claims, None));
        }
    }
    refused(&server, &sign(Algorithm::HS512, &shared, &claims, Some("another")));
    refused(&server, &sign(Algorithm::HS256, &EncodingKey::from_secret(&read("rsa.pub.pem")), &claims, None));
    refused(&server, &sign(Algorithm::HS512, &EncodingKey::from_secret(&read("ec.pub.pem")), &claims, None));
    refused(&server, &sign(Algorithm::RS512, &rsa, &claims, None));
    eventually("failures are counted", || {
        (server.metric("fanfare_auth_failures_total{reason=\"signature\"}") >= 1.0).then_some(())
    });
}
