//! What a connection shows to be let in.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Lifetime of signed tokens in seconds.
const LIFETIME_S: u64 = 3_600;

/// How connections authenticate.
pub(crate) enum Credentials {
    /// No token at all.
    None,
    /// One token for all connections.
    Fixed(String),
    /// A token of its own for each connection, signed here with HS256.
    Signed(EncodingKey),
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    role: &'a str,
    iat: u64,
    exp: u64,
}

impl Credentials {
    /// Signs with this HS256 secret.
    pub(crate) fn signed_with(secret: &str) -> Self {
        Self::Signed(EncodingKey::from_secret(secret.as_bytes()))
    }

    /// The token of connection `index`: user `load-<index>`, role `admin`, valid for an hour.
    ///
    /// # Errors
    /// The signature could not be made.
    pub(crate) fn token(&self, index: u32) -> Result<Option<String>, String> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => Ok(Some(token.clone())),
            Self::Signed(key) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                let sub = format!("load-{index}");
                let claims = Claims { sub: &sub, role: "admin", iat: now, exp: now + LIFETIME_S };
                jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key)
                    .map(Some)
                    .map_err(|error| format!("cannot sign a token: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_protocol::DEVELOPMENT_SECRET;
    use jsonwebtoken::{DecodingKey, Validation};

    #[test]
    fn a_signed_token_names_the_connection_and_verifies_only_with_its_secret() {
        let token = Credentials::signed_with(DEVELOPMENT_SECRET).token(7).unwrap().unwrap();
        let validation = Validation::new(Algorithm::HS256);
        let decode = |secret: &str| {
            jsonwebtoken::decode::<serde_json::Value>(
                &token,
                &DecodingKey::from_secret(secret.as_bytes()),
                &validation,
            )
        };
        let claims = decode(DEVELOPMENT_SECRET).unwrap().claims;
        assert_eq!((claims["sub"].as_str(), claims["role"].as_str()), (Some("load-7"), Some("admin")));
        assert!(decode("another secret of at least 32 bytes, as it must be").is_err());
    }

    #[test]
    fn other_credentials_are_given_as_they_are() {
        assert_eq!(Credentials::None.token(1), Ok(None));
        assert_eq!(Credentials::Fixed("x.y.z".into()).token(1), Ok(Some("x.y.z".into())));
    }
}
