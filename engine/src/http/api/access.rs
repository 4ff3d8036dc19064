//! Who may use the API: an API key, or a JWT whose role may.

use fanfare_core::Identity;
use http::{StatusCode, header};

use crate::http::head::Head;
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

/// Finds out who calls, unless nothing may be done now because it could not be written down.
pub(crate) fn check(process: &Process, head: &Head) -> Result<Caller, Response> {
    if process.audit.refuses() {
        let message = "the audit log cannot be written; try again";
        return Err(Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", "1"));
    }
    caller(process, head)
}

/// Finds out who calls. Messages go on also when [`check`] lets nobody in.
pub(crate) fn caller(process: &Process, head: &Head) -> Result<Caller, Response> {
    let refuse = |message: &str| refuse(process, head, message);
    let value = head.headers.get(header::AUTHORIZATION);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return Err(refuse("`authorization: Bearer` with an API key or a token is missing"));
    };
    let Some(presented) = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")) else {
        return Err(refuse("`authorization` must be of the scheme Bearer"));
    };
    admit(process, head, value[presented.len()..].trim())
}

/// Whose API key or token this is.
pub(crate) fn admit(process: &Process, head: &Head, presented: &str) -> Result<Caller, Response> {
    if let Some(name) = process.api_keys.check(presented) {
        return Ok(Caller::Key(name.to_owned()));
    }
    let identity = process.identify(presented, process.clock.now().unix_ms);
    let identity = identity.map_err(|message| refuse(process, head, &message))?;
    if process.config.auth.api_roles.iter().any(|role| **role == *identity.role) {
        return Ok(Caller::User(identity));
    }
    let (status, message) = (StatusCode::FORBIDDEN, "the token's role may not use the HTTP API");
    process.audit.caller_denied(head, &identity.user_id, status, message);
    Err(Response::error(status, message))
}

/// Tells somebody who showed nothing good.
pub(crate) fn refuse(process: &Process, head: &Head, message: &str) -> Response {
    let status = StatusCode::UNAUTHORIZED;
    process.audit.caller_denied(head, "", status, message);
    Response::error(status, message).with("www-authenticate", "Bearer")
}
