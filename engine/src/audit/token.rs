//! What may be told of a token: which key signed it, and a hash of its id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::chain::hex;
use super::record::clip;
use crate::auth::token_id;

const KID_BYTES_MAX: usize = 64;

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    jti: Option<Value>,
}

/// The `kid` and the SHA-256 of the `jti` of a token that was checked already.
pub(super) fn shown(token: &str) -> (Option<Box<str>>, Option<Box<str>>) {
    let header = jsonwebtoken::decode_header(token).ok();
    let kid = header.and_then(|header| header.kid).map(|kid| clip(&kid, KID_BYTES_MAX));
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    let jti = claims.and_then(|claims| token_id(&claims.jti?));
    (kid, jti.map(|jti| hex(&Sha256::digest(jti.as_bytes())).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};

    #[test]
    fn a_token_is_told_by_its_key_and_a_hash() {
        let header = Header { kid: Some("2026-11".into()), ..Header::default() };
        let key = EncodingKey::from_secret(&[7; 32]);
        let token = encode(&header, &serde_json::json!({"sub": "ada", "jti": "abc"}), &key).unwrap();
        let (kid, jti) = shown(&token);
        assert_eq!(kid.as_deref(), Some("2026-11"));
        // printf abc | sha256sum
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(jti.as_deref(), Some(hash));
        let token = encode(&Header::default(), &serde_json::json!({"sub": "ada", "jti": 123}), &key).unwrap();
        assert_eq!(shown(&token).1, Some(hex(&Sha256::digest("123")).into()));
        let token = encode(&Header::default(), &serde_json::json!({"sub": "ada"}), &key).unwrap();
        assert_eq!((shown(&token), shown("no token")), ((None, None), (None, None)));
    }
}
