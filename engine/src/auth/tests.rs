use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::config::{ApiKey, Config};

const NOW: u64 = 1_800_000_000;

fn verifier(config: &str) -> Verifier {
    Verifier::new(&Config::parse(config, &|_| None, &|_| None).unwrap().auth)
}

fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(fanfare_protocol::DEVELOPMENT_SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

#[test]
fn times_are_checked_to_the_second_with_their_leeway() {
    let verifier = verifier("[auth]\nleeway = \"5s\"\n");
    let reason = |claims: Value| verifier.verify(&sign(&claims), NOW).map_err(|error| error.reason);
    assert!(reason(json!({"sub": "a", "exp": NOW - 4})).is_ok());
    assert_eq!(reason(json!({"sub": "a", "exp": NOW - 5})), Err(AuthReason::Expired));
    assert!(reason(json!({"sub": "a", "exp": NOW + 9, "nbf": NOW + 5})).is_ok());
    assert_eq!(reason(json!({"sub": "a", "exp": NOW + 9, "nbf": NOW + 6})), Err(AuthReason::NotYetValid));
    for exp in
        [json!(null), json!("1900000000"), json!(-1), json!(1.9e9), json!(1e308), json!([1_900_000_000])]
    {
        assert_eq!(reason(json!({"sub": "a", "exp": exp})), Err(AuthReason::Claims), "{exp}");
    }
    assert_eq!(reason(json!({"sub": "a", "exp": NOW + 9, "nbf": "0"})), Err(AuthReason::Claims));
    assert_eq!(reason(json!({"sub": 7, "exp": NOW + 9})), Err(AuthReason::Claims));
    assert_eq!(reason(json!({"exp": NOW + 9})), Err(AuthReason::Claims));
}

#[test]
fn claims_become_an_identity() {
    let verifier = verifier("");
    let claims = verifier.verify(&sign(&json!({"sub": "a", "exp": NOW + 9})), NOW).unwrap();
    assert_eq!(
        (&*claims.user_id, &*claims.role, claims.rooms, claims.expires_at_unix_s),
        ("a", "user", None, NOW + 9)
    );
    let claims = verifier
        .verify(&sign(&json!({"sub": "a", "role": "r", "exp": NOW + 9, "rooms": ["x:*"]})), NOW)
        .unwrap();
    assert!(claims.rooms.unwrap()[0].matches("x:1"));
    let numbered = verifier.verify(&sign(&json!({"sub": "a", "exp": NOW + 9, "jti": 123})), NOW).unwrap();
    assert_eq!(numbered.token_id.as_deref(), Some("123"));
    let many = verifier.verify(&sign(&json!({"sub": "a", "exp": NOW + 9, "rooms": vec!["x"; 257]})), NOW);
    assert_eq!(many.unwrap_err().reason, AuthReason::Claims);
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let verifier = verifier("");
    let good = sign(&json!({"sub": "a", "exp": NOW + 9}));
    let rest = good.split_once('.').unwrap().1;
    for header in [
        json!({"alg": "HS256", "crit": ["exp"]}),
        json!({"alg": "HS256", "zip": "DEF"}),
        json!({"alg": "HS256", "enc": "A128GCM"}),
        json!({"alg": "none"}),
        json!({"alg": "nOnE"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS512"}),
        json!({}),
    ] {
        let token = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert!(verifier.verify(&token, NOW).is_err(), "{header}");
    }
}

#[test]
fn a_remembered_token_still_expires() {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    let verifier = verifier(&format!(
        "[auth]\nleeway = \"0s\"\n[[auth.key]]\nalgorithm = \"ES256\"\npublic_key_file = \"{keys}/ec.pub.pem\"\n"
    ));
    let key = EncodingKey::from_ec_pem(&std::fs::read(format!("{keys}/ec.pem")).unwrap()).unwrap();
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &json!({"sub": "a", "exp": NOW + 9}), &key)
            .unwrap();
    let mut cache = VerifiedCache::default();
    let first = cache.verify(&verifier, &token, NOW).unwrap();
    assert_eq!(cache.verify(&verifier, &token, NOW + 8).unwrap(), first);
    assert_eq!(cache.verify(&verifier, &token, NOW + 9).unwrap_err().reason, AuthReason::Expired);
    assert!(cache.verify(&verifier, &format!("{token}x"), NOW).is_err());
}

#[test]
fn origins_must_be_the_same_in_every_part() {
    let config = |text: &str| Config::parse(text, &|_| None, &|_| None).unwrap();
    let secret = "[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    let open = config(&format!("[auth]\nallowed_origins = [\"https://App.example\"]\n{secret}"));
    let allowed = |origin: &str| origin::allowed(Some(origin), Some("api.example:8443"), &open, &[]);
    assert!(origin::allowed(None, None, &open, &[]));
    for good in ["https://app.example", "https://APP.example:443", "https://api.example:8443"] {
        assert!(allowed(good), "{good}");
    }
    for bad in [
        "null",
        "",
        "https://app.example:8443",
        "http://app.example",
        "https://app.example.evil",
        "https://api.example",
        "http://127.0.0.1",
        "file://",
    ] {
        assert!(!allowed(bad), "{bad}");
    }
    let besides = ["https://page.example".to_owned()];
    assert!(origin::allowed(Some("https://page.example"), Some("x"), &open, &besides));
    assert!(!origin::allowed(Some("https://page.example.evil"), Some("x"), &open, &besides));
    let development = config("");
    for good in ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8080"] {
        assert!(origin::allowed(Some(good), Some("x"), &development, &[]), "{good}");
    }
    for bad in ["https://evil.example", "http://localhost.evil.example", "null", "http://128.0.0.1"] {
        assert!(!origin::allowed(Some(bad), Some("x"), &development, &[]), "{bad}");
    }
}

#[test]
fn keys_of_the_api_are_known_by_their_hash() {
    let sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"; // of "secret"
    let text = format!("[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n");
    let keys = ApiKeys::new(&Config::parse(&text, &|_| None, &|_| None).unwrap().auth);
    let found = keys.check("secret").unwrap();
    assert_eq!(found.name, "backend");
    assert!(keys.has(found) && !keys.has(&ApiKey { sha256: [0; 32], ..found.clone() }));
    assert_eq!(keys.check("Secret"), None);
    assert_eq!(keys.check(""), None);
}

#[test]
fn hosts_are_loopback_in_development_and_else_those_that_are_listed() {
    let config = |text: &str| Config::parse(text, &|_| None, &|_| None).unwrap();
    let key = "[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    let development = config("[auth]\nhosts = [\"Box.example\"]\n");
    let (open, listed) =
        (config(key), config(&format!("[auth]\nhosts = [\"app.example\", \"[::5]\"]\n{key}")));
    for (host, answered) in [
        (None, [true, true, true]),
        (Some("localhost:8080"), [true, true, false]),
        (Some("[::1]"), [true, true, false]),
        (Some("box.example:1"), [true, true, false]),
        (Some("APP.example"), [false, true, true]),
        (Some("[::5]:80"), [false, true, true]),
        (Some("localhost.example"), [false, true, false]),
        (Some("a@localhost"), [false, true, false]),
        (Some("localhost/x"), [false, true, false]),
    ] {
        let given = [&development, &open, &listed].map(|config| origin::is_for_us(host, config));
        assert_eq!(given, answered, "{host:?}");
    }
    for wrong in ["app.example:80", "http://app.example", "a b", "", "x/y"] {
        assert!(
            Config::parse(&format!("[auth]\nhosts = [\"{wrong}\"]\n"), &|_| None, &|_| None).is_err(),
            "{wrong}"
        );
    }
}
