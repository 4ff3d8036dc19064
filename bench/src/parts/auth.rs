//! Checking a token, as each connection's first step does.

use std::hint::black_box;

use fanfare::auth::Verifier;
use fanfare::config::{Auth, Config, Key, Material};
use fanfare_protocol::DEVELOPMENT_SECRET;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::{Make, Part};

pub(super) const PARTS: &[Make] = &[verify_hs256, verify_es256];

/// When the tokens are checked, so that they never expire.
const NOW_UNIX_S: u64 = 1_800_000_000;

/// Made for this benchmark, public with it, and accepted by no server.
const BENCHMARK_PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1Bnm8ZDIt7hTqks0
RgOdwqOSf8ZNEdLOlRa9STKiKHmhRANCAAR8dGFa+m1BV6Otvqo7F2hXvGSV8jwm
nw7YUKVRX780vJbxN9oDWwwkEL5YhFkAHABhGkRBGakA3GHywgfDE3A2
-----END PRIVATE KEY-----
";
/// The other half of [`BENCHMARK_PRIVATE_KEY`].
const BENCHMARK_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfHRhWvptQVejrb6qOxdoV7xklfI8
Jp8O2FClUV+/NLyW8TfaA1sMJBC+WIRZABwAYRpEQRmpANxh8sIHwxNwNg==
-----END PUBLIC KEY-----
";

fn verify_hs256() -> Part {
    let key = EncodingKey::from_secret(DEVELOPMENT_SECRET.as_bytes());
    verify("auth/verify_hs256", &settings(), Algorithm::HS256, &key)
}

/// What the first connection with a token costs: the shards keep the result for the next one with the same.
fn verify_es256() -> Part {
    let (auth, key) = es256();
    verify("auth/verify_es256", &auth, Algorithm::ES256, &key)
}

/// Settings with the benchmark's key, and what signs for it.
fn es256() -> (Auth, EncodingKey) {
    let mut auth = settings();
    let material = Material::Public(BENCHMARK_PUBLIC_KEY.into());
    auth.keys = vec![Key { algorithm: Algorithm::ES256, id: None, material }];
    (auth, EncodingKey::from_ec_pem(BENCHMARK_PRIVATE_KEY.as_bytes()).expect("the key is right"))
}

/// `[auth]` as it is when nothing is set.
fn settings() -> Auth {
    Config::parse("", &|_| None, &|_| None).expect("the defaults are right").auth
}

fn verify(name: &'static str, auth: &Auth, algorithm: Algorithm, key: &EncodingKey) -> Part {
    let (verifier, token) = (Verifier::new(auth), token(algorithm, key));
    Part::new(name, None, move || {
        assert!(verifier.verify(black_box(&token), NOW_UNIX_S).is_ok());
    })
}

fn token(algorithm: Algorithm, key: &EncodingKey) -> String {
    let claims = serde_json::json!({"sub": "u-42", "role": "nurse", "exp": 4_000_000_000_u64});
    jsonwebtoken::encode(&Header::new(algorithm), &claims, key).expect("a token can be signed")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the part would measure a look at something that nobody checks.
    #[test]
    fn a_changed_signature_is_refused() {
        let (auth, key) = es256();
        let (verifier, token) = (Verifier::new(&auth), token(Algorithm::ES256, &key));
        assert!(verifier.verify(&token, NOW_UNIX_S).is_ok());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{signed}.{other}{}", &signature[1..]);
        assert!(verifier.verify(&forged, NOW_UNIX_S).is_err());
    }
}
