//! What a connection shows to be let in.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Lifetime of signed tokens in seconds.
const LIFETIME_S: u64 = 3_600;

/// How connections authenticate.
pub(crate) struct Credentials {
    proof: Proof,
    /// Users who share the connections.
    users: u32,
}

enum Proof {
    None,
    Fixed(String),
    /// Signed here with HS256, for each connection anew.
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
    /// No token at all.
    pub(crate) fn none() -> Self {
        Self { proof: Proof::None, users: u32::MAX }
    }

    /// One token for all connections.
    pub(crate) fn fixed(token: String) -> Self {
        Self { proof: Proof::Fixed(token), users: u32::MAX }
    }

    /// A token for each connection, signed with this HS256 secret.
    pub(crate) fn signed_with(secret: &str) -> Self {
        Self { proof: Proof::Signed(EncodingKey::from_secret(secret.as_bytes())), users: u32::MAX }
    }

    /// Shared by so many users (at least one) instead of one user for each connection.
    pub(crate) fn shared_by(self, users: u32) -> Self {
        Self { users: users.max(1), ..self }
    }

    /// The user of connection `index`.
    pub(crate) fn user(&self, index: u32) -> String {
        format!("load-{}", index % self.users)
    }

    /// The token of connection `index`: its user, role `admin`, valid for an hour.
    ///
    /// # Errors
    /// The signature could not be made.
    pub(crate) fn token(&self, index: u32) -> Result<Option<String>, String> {
        match &self.proof {
            Proof::None => Ok(None),
            Proof::Fixed(token) => Ok(Some(token.clone())),
            Proof::Signed(key) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                let sub = self.user(index);
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
        assert_eq!(Credentials::none().token(1), Ok(None));
        assert_eq!(Credentials::fixed("x.y.z".into()).token(1), Ok(Some("x.y.z".into())));
    }

    #[test]
    fn users_share_the_connections_in_turn() {
        let credentials = Credentials::none().shared_by(3);
        let users: Vec<String> = (0..4).map(|index| credentials.user(index)).collect();
        assert_eq!(users, ["load-0", "load-1", "load-2", "load-0"]);
    }
}
