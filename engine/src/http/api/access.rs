//! Who may use the API: an API key, or a JWT whose role may.

use fanfare_core::Identity;
use http::{HeaderMap, StatusCode, header};

use crate::http::respond::Response;
use crate::process::Process;

/// A caller who may.
pub(crate) enum Caller {
    /// A backend with an API key of this name.
    Key(String),
    /// A user.
    User(Identity),
}

impl Caller {
    /// Who did it, for the audit.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Key(name) => name,
            Self::User(identity) => &identity.user_id,
        }
    }
}

/// Finds out who calls.
pub(crate) fn check(process: &Process, headers: &HeaderMap) -> Result<Caller, Response> {
    let refuse = |message: &str| {
        tracing::info!(target: "audit", action = "api_denied", reason = message);
        Response::error(StatusCode::UNAUTHORIZED, message).with("www-authenticate", "Bearer")
    };
    let value = headers.get(header::AUTHORIZATION);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return Err(refuse("`authorization: Bearer` with an API key or a token is missing"));
    };
    let Some(presented) = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")) else {
        return Err(refuse("`authorization` must be of the scheme Bearer"));
    };
    let presented = value[presented.len()..].trim();
    if let Some(name) = process.api_keys.check(presented) {
        return Ok(Caller::Key(name.to_owned()));
    }
    let identity =
        process.identify(presented, process.clock.now().unix_ms).map_err(|message| refuse(&message))?;
    if process.config.auth.api_roles.iter().any(|role| **role == *identity.role) {
        return Ok(Caller::User(identity));
    }
    tracing::info!(target: "audit", action = "api_denied", user_id = %identity.user_id, reason = "role");
    Err(Response::error(StatusCode::FORBIDDEN, "the token's role may not use the HTTP API"))
}
