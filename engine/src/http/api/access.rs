//! Who may use the API: an API key, or a JWT whose role may.

use fanfare_core::{Close, Identity, Permission};
use fanfare_protocol::Code;
use http::{StatusCode, header};

use crate::auth::Rejection;
use crate::config::ApiKey;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::live::Live;
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

/// What an operator may stay by who came in over HTTP and is served for longer than a request.
#[derive(Debug)]
pub(crate) enum Pass {
    /// This API key.
    Key(ApiKey),
    /// The token's role; when the token ends, the core knows.
    Role(Box<str>),
}

impl Pass {
    /// The pass of a caller who was let in with this API key or token.
    pub(crate) fn of(process: &Process, presented: &str, caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Key(_) => process.live().api_keys.check(presented).cloned().map(Self::Key),
            Caller::User(identity) => Some(Self::Role(identity.role.clone())),
        }
    }

    /// How it ends, once it counts no longer.
    pub(crate) fn end(&self, live: &Live) -> Option<Close> {
        match self {
            Self::Key(key) if live.api_keys.has(key) => None,
            Self::Key(_) => Some(Close::code(Code::TokenExpired, "the API key was taken away")),
            Self::Role(role) if !live.config.auth.api_roles.iter().any(|of| **of == **role) => {
                Some(Close::code(Code::Forbidden, NO_ROLE))
            }
            Self::Role(role) if !live.options.permissions_of(role).has(Permission::Admin) => {
                Some(Close::code(Code::Forbidden, NO_ADMIN))
            }
            Self::Role(_) => None,
        }
    }
}

const NO_ROLE: &str = "the token's role may not use the HTTP API";
const NO_ADMIN: &str = "the token's role has not the permission `admin`";

/// Finds out who calls, unless nothing may be done now because it could not be written down.
pub(crate) fn check(process: &Process, head: &Head) -> Result<Caller, Response> {
    if head.trusted {
        return Ok(Caller::Key("profile".to_owned()));
    }
    writable(process)?;
    caller(process, head)
}

/// Finds out who calls, if it is an operator: a backend with a key, or a user whose role has the permission `admin`. They may act also
/// while nothing can be written down, or nobody could help the server.
pub(crate) fn operator(process: &Process, head: &Head) -> Result<Caller, Response> {
    let caller = identify(process, head, presented(process, head)?)?;
    may_operate(process, head, &caller)?;
    Ok(caller)
}

/// Whether a caller is an operator.
pub(crate) fn may_operate(process: &Process, head: &Head, caller: &Caller) -> Result<(), Response> {
    let live = process.live();
    match caller {
        Caller::User(identity) if !live.options.permissions_of(&identity.role).has(Permission::Admin) => {
            Err(denied(process, head, identity, NO_ADMIN))
        }
        _ => Ok(()),
    }
}

/// Finds out who calls. Messages go on also when [`check`] lets nobody in.
pub(crate) fn caller(process: &Process, head: &Head) -> Result<Caller, Response> {
    admit(process, head, presented(process, head)?)
}

fn writable(process: &Process) -> Result<(), Response> {
    if process.audit.refuses() {
        let message = "the audit log cannot be written; try again";
        return Err(Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", "1"));
    }
    Ok(())
}

/// The API key or the token of a request.
fn presented<'h>(process: &Process, head: &'h Head) -> Result<&'h str, Response> {
    let refuse = |message: &str| refuse(process, head, message);
    let value = head.headers.get(header::AUTHORIZATION);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return Err(refuse("`authorization: Bearer` with an API key or a token is missing"));
    };
    let Some(presented) = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")) else {
        return Err(refuse("`authorization` must be of the scheme Bearer"));
    };
    Ok(value[presented.len()..].trim())
}

/// Whose API key or token this is, if the role may use the HTTP API.
pub(crate) fn admit(process: &Process, head: &Head, presented: &str) -> Result<Caller, Response> {
    let caller = identify(process, head, presented)?;
    let live = process.live();
    match &caller {
        Caller::User(identity) if !live.config.auth.api_roles.iter().any(|role| **role == *identity.role) => {
            Err(denied(process, head, identity, NO_ROLE))
        }
        _ => Ok(caller),
    }
}

fn identify(process: &Process, head: &Head, presented: &str) -> Result<Caller, Response> {
    if let Some(key) = process.live().api_keys.check(presented) {
        return Ok(Caller::Key(key.name.clone()));
    }
    match process.identify(presented, process.clock.now().unix_ms) {
        Ok(identity) => Ok(Caller::User(identity)),
        Err(Rejection { code: Code::AuthenticationFailed, message }) => Err(refuse(process, head, &message)),
        Err(Rejection { code, message }) => {
            process.audit.caller_denied(head, "", StatusCode::FORBIDDEN, "banned");
            Err(Response::refused(StatusCode::FORBIDDEN, code, &message, None))
        }
    }
}

fn denied(process: &Process, head: &Head, identity: &Identity, message: &str) -> Response {
    let status = StatusCode::FORBIDDEN;
    process.audit.caller_denied(head, &identity.user_id, status, message);
    Response::error(status, message)
}

/// Tells somebody who showed nothing good.
pub(crate) fn refuse(process: &Process, head: &Head, message: &str) -> Response {
    let status = StatusCode::UNAUTHORIZED;
    process.audit.caller_denied(head, "", status, message);
    Response::error(status, message).with("www-authenticate", "Bearer")
}
