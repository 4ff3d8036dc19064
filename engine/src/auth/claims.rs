//! What a token says, once its signature is known to be right.

use fanfare_core::RoomPattern;
use fanfare_protocol::name::check_id;
use serde::Deserialize;

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
}

/// The claims as they are written. Times must be whole numbers: a reader that takes text or rounds is how
/// tokens become immortal.
#[derive(Deserialize)]
pub(super) struct Written {
    sub: String,
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

impl Written {
    /// Checks times and names.
    pub(super) fn check(self, now_unix_s: u64, leeway_s: u64) -> Result<Claims, AuthError> {
        if self.exp.saturating_add(leeway_s) <= now_unix_s {
            return Err(AuthError::new(AuthReason::Expired, "the token has expired"));
        }
        if self.nbf.is_some_and(|nbf| nbf > now_unix_s.saturating_add(leeway_s)) {
            return Err(AuthError::new(AuthReason::NotYetValid, "the token is not valid yet"));
        }
        let wrong = |message| AuthError::new(AuthReason::Claims, message);
        check_id("sub", &self.sub).map_err(|_| {
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
        Ok(Claims { user_id: self.sub.into(), role: role.into(), rooms, expires_at_unix_s: self.exp })
    }
}
