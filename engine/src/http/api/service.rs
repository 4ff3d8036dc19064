//! Commands of services over HTTP: paths, methods and arguments are as the services declare them.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_core::service::{self, Access, Args, Method, Path, Spec, unknown_argument};
use fanfare_core::{Answer, Identity, Input, RoomPattern};
use fanfare_protocol::{Body, Refusal, RoomName, json};
use http::StatusCode;

use crate::http::api::access::{self, Caller};
use crate::http::api::query::late;
use crate::http::api::{admin, json_body, wait};
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::Next;
use crate::percent;
use crate::process::Process;
use crate::shard::Handle;

/// The command at a path, or the methods that would do there.
///
/// # Errors
/// As [`service::route`].
pub(crate) fn route(head: &Head) -> Result<Path, Vec<&'static str>> {
    let parts = percent::segments(head.uri.path().strip_prefix("/v1").unwrap_or_default());
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    service::route(head.method.as_str(), &parts)
}

/// Does a command and answers with what the service says.
pub(crate) async fn call(
    handle: &Handle,
    process: &Process,
    connection: &mut Connection,
    head: &Head,
    path: Path,
) -> Next {
    let caller = access::check(process, head);
    let (caller, body) = match json_body::of_caller(caller, process, connection, head).await {
        Ok(of_caller) => of_caller,
        Err(next) => return next,
    };
    let (actor, spec) = (caller.name().to_owned(), path.spec);
    let about: Vec<(&'static str, String)> =
        path.room.iter().map(|room| ("room", room.clone())).chain(path.args.clone()).collect();
    let response = perform(handle, process, caller, head, path, body).await;
    if spec.steers() {
        process.audit.operated(head, &actor, response.status(), spec.name, &about);
    } else {
        process.audit.service_called(head, &actor, response.status(), spec.name);
    }
    Next::Respond(response)
}

/// Does a command that a table says, for the caller or for a user on whose behalf it speaks.
pub(crate) async fn commanded(
    handle: &Handle,
    process: &Process,
    caller: &Caller,
    behalf: Option<RoomName>,
    head: &Head,
    path: Path,
    body: Bytes,
) -> Response {
    let (spec, about) = (path.spec, path.room.iter().map(|room| ("room", room.clone())).collect::<Vec<_>>());
    let (who, patterns) = identified(process, caller);
    let who = service::Caller { user: behalf.or(who.user), ..who };
    // The query is the request's own, which the table has read; what only asks may have more in it.
    let query = if spec.method == Method::Get { head.uri.query() } else { None };
    let response = match read(query, &path, body) {
        Ok((room, args)) => asked(handle, spec, room, args, who, patterns).await,
        Err(refusal) => refused(&refusal),
    };
    if spec.steers() {
        process.audit.operated(head, caller.name(), response.status(), spec.name, &about);
    } else {
        process.audit.service_called(head, caller.name(), response.status(), spec.name);
    }
    response
}

/// Who somebody is to services, and the rooms that its token covers.
fn identified(process: &Process, caller: &Caller) -> (service::Caller, Option<Arc<[RoomPattern]>>) {
    match caller {
        Caller::Key(name) => {
            (service::Caller { key: Some(name.as_str().into()), ..service::Caller::key() }, None)
        }
        Caller::User(identity) => (reader(process, identity), identity.rooms.clone()),
    }
}

/// Who a user is to services.
pub(super) fn reader(process: &Process, identity: &Identity) -> service::Caller {
    let permissions = process.live().options.permissions_of(&identity.role);
    service::Caller::user(RoomName::of_user(&identity.user_id), identity.role.clone(), permissions)
}

/// Asks the core.
async fn asked(
    handle: &Handle,
    spec: &'static Spec,
    room: Option<RoomName>,
    args: Args,
    caller: service::Caller,
    patterns: Option<Arc<[RoomPattern]>>,
) -> Response {
    if handle.borrow().paused() {
        let message = "the server is overloaded; try again";
        return Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", "1");
    }
    let input = |request| Input::Call { request, spec, room, args, caller, patterns };
    let request = handle.borrow_mut().ask(1, input);
    match wait::answers(handle, request).await.and_then(|mut answers| answers.pop()) {
        Some(Answer::Done(Ok(Body::Json(body)))) => {
            Response::new(StatusCode::OK, "application/json", body.to_vec())
        }
        Some(Answer::Done(Err(refusal))) => refused(&refusal),
        Some(Answer::Limited(_, message, retry_after_ms)) => Response::limited(&message, retry_after_ms),
        _ => late(),
    }
}

pub(super) async fn perform(
    handle: &Handle,
    process: &Process,
    caller: Caller,
    head: &Head,
    path: Path,
    body: Bytes,
) -> Response {
    let (room, args) = match read(head.uri.query(), &path, body) {
        Ok(read) => read,
        Err(refusal) => return refused(&refusal),
    };
    let (who, patterns) = identified(process, &caller);
    let reached = admin::reached(handle, process, path.spec, &args).await;
    let response = asked(handle, path.spec, room, args, who, patterns).await;
    match reached {
        Some(connections) if response.status() == StatusCode::OK => {
            Response::json(StatusCode::OK, &serde_json::json!({ "connections": connections }))
        }
        _ => response,
    }
}

/// The room and the arguments: of the path, of the query, and of the body.
fn read(query: Option<&str>, path: &Path, body: Bytes) -> Result<(Option<RoomName>, Args), Refusal> {
    let invalid = |field, message: String| Refusal::invalid(None, Some(field), message);
    let room = path.room.as_deref().map(RoomName::parse).transpose();
    let room = room.map_err(|error| invalid("room", error.to_string()))?;
    let mut given = of_query(path.spec, query)?;
    // What the path says wins.
    given.extend(path.args.iter().cloned());
    Ok((room, Args::read_unclean(path.spec, object(body)?.as_ref(), &given)?))
}

/// The arguments in a query: of requests that have no body as a rule. Others have theirs in the body alone, and one that would be
/// passed over is refused: with `?dry_run=true` a command would do what was only to be tried. What an operator asks for must all be
/// known, and be said once.
pub(super) fn of_query(
    spec: &'static Spec,
    query: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let is_strict = spec.steers() || spec.access == Access::Admin;
    let refuse = |name, rule: &str| Err(Refusal::invalid(None, Some(name), format!("`{name}` {rule}")));
    let mut given: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in percent::pairs(query.unwrap_or_default()) {
        match spec.field(&name).map(|field| field.name) {
            None if is_strict => return Err(unknown_argument(spec.fields, &name)),
            None => {}
            Some(name) if !matches!(spec.method, Method::Get | Method::Delete) => {
                return refuse(name, "belongs into the body here, not into the query");
            }
            Some(name) if is_strict && given.iter().any(|(of, _)| *of == name) => {
                return refuse(name, "is given twice");
            }
            Some(name) => given.push((name, value)),
        }
    }
    Ok(given)
}

/// The arguments in a body, if there is one.
pub(super) fn object(body: Bytes) -> Result<Option<Body>, Refusal> {
    match body.trim_ascii() {
        [] => Ok(None),
        [first, ..] if *first != b'{' && json::check(&body).is_ok() => {
            Err(Refusal::invalid(None, Some("body"), "the body must be an object"))
        }
        _ => {
            json::check(&body)?;
            Ok(Some(Body::Json(body)))
        }
    }
}

pub(crate) fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    Response::refused(status, refusal.code, &refusal.message, refusal.field)
}
