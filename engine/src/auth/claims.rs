//! What a token says, once its signature is known to be right.

use fanfare_core::RoomPattern;
use fanfare_protocol::name::check_id;
use serde::Deserialize;
use serde_json::Value;

use super::{AuthError, AuthReason};

/// Most room patterns in one token.
const ROOMS_MAX: usize = 256;
/// The role of a token that names none.
const ROLE: &str = "user";

/// The claims of a token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`.
    pub user_id: Box<str>,
    /// `role`, or `user`.
    pub role: Box<str>,
    /// `rooms`: the rooms that it lets its bearer join; nothing: as the room types say.
    pub rooms: Option<Box<[RoomPattern]>>,
    /// `exp`, in seconds since 1970.
    pub expires_at_unix_s: u64,
    /// `jti`, where there is one.
    pub token_id: Option<Box<str>>,
    /// `iat`, in seconds since 1970, where there is one.
    pub issued_at_unix_s: Option<u64>,
    /// The number of the key that signed it.
    pub key: u16,
}

/// The claims as they are written. Times must be whole numbers: a reader that takes text or rounds is how
/// tokens become immortal.
#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    sub: Option<String>,
    // Tokens of some systems have this instead.
    #[serde(default)]
    user_id: Option<Value>,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    rooms: Option<Vec<String>>,
    #[serde(default)]
    pub(super) aud: Option<Names>,
    #[serde(default)]
    pub(super) iss: Option<String>,
    // Only revocations ask for these two; what is no text and no number is not there.
    #[serde(default)]
    jti: Option<Value>,
    #[serde(default)]
    iat: Option<Value>,
}

/// One name or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn any(&self, wanted: &[String]) -> bool {
        match self {
            Self::One(name) => wanted.contains(name),
            Self::Many(names) => names.iter().any(|name| wanted.contains(name)),
        }
    }
}

/// A time in seconds; a fraction is cut off (RFC 7519 §2 allows one).
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64))
}

/// Some systems number their tokens; whoever revokes one writes the number as text.
pub(crate) fn token_id(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

impl Written {
    /// Checks times and names.
    pub(super) fn check(self, key: u16, now_unix_s: u64, leeway_s: u64) -> Result<Claims, AuthError> {
        if self.exp.saturating_add(leeway_s) <= now_unix_s {
            return Err(AuthError::new(AuthReason::Expired, "the token has expired"));
        }
        if self.nbf.is_some_and(|nbf| nbf > now_unix_s.saturating_add(leeway_s)) {
            return Err(AuthError::new(AuthReason::NotYetValid, "the token is not valid yet"));
        }
        let wrong = |message| AuthError::new(AuthReason::Claims, message);
        let sub = self.sub.or_else(|| match self.user_id? {
            Value::String(user_id) => Some(user_id),
            Value::Number(user_id) => user_id.as_u64().map(|user_id| user_id.to_string()),
            _ => None,
        });
        let sub = sub.ok_or_else(|| wrong("the token's `sub` is missing"))?;
        check_id("sub", &sub).map_err(|_| {
            wrong(
                "the token's `sub` must be 1 to 128 characters without control characters, quotes or backslashes",
            )
        })?;
        let role = self.role.unwrap_or_else(|| ROLE.to_owned());
        check_id("role", &role).map_err(|_| {
            wrong(
                "the token's `role` must be 1 to 128 characters without control characters, quotes or backslashes",
            )
        })?;
        let rooms = match self.rooms {
            None => None,
            Some(rooms) if rooms.len() > ROOMS_MAX => {
                return Err(wrong("the token's `rooms` has more than 256 patterns"));
            }
            Some(rooms) => {
                let patterns: Option<Box<[_]>> = rooms.iter().map(|room| RoomPattern::new(room)).collect();
                Some(
                    patterns.ok_or_else(|| {
                        wrong("the token's `rooms` must be patterns of 1 to 128 characters")
                    })?,
                )
            }
        };
        Ok(Claims {
            user_id: sub.into(),
            role: role.into(),
            rooms,
            expires_at_unix_s: self.exp,
            token_id: self.jti.as_ref().and_then(token_id),
            issued_at_unix_s: self.iat.as_ref().and_then(seconds),
            key,
        })
    }
}
