//! `GET /v1/…` and `DELETE /v1/connections/{client_id}`: what is there, over all shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_core::{
    Answer, Close, ConnectionRow, ConnectionState, Ending, Identity, Input, Permission, Question, Rows, Who,
};
use fanfare_protocol::name::check_id;
use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Code, RoomName};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ended::Wanted;
use crate::http::api::access::{self, Caller};
use crate::http::api::{connections, history, inspector, receipts, service, wait, webhooks};
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::not_allowed;
use crate::process::Process;
use crate::shard::Handle;

/// Rows of an answer when the query names no limit, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 10_000;

/// Answers one request of the API.
pub(crate) async fn answer(handle: &Handle, process: &Process, head: &Head, path: &str) -> Option<Response> {
    let caller = match access::check(process, head) {
        Ok(caller) => caller,
        Err(response) => return Some(response),
    };
    let segments = crate::percent::segments(path.strip_prefix("/v1").unwrap_or_default());
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let response = match refused(process, &caller, &segments) {
        Some(response) => response,
        None => look_up(handle, process, head, &caller, &segments).await?,
    };
    process.audit.called(head, caller.name(), response.status(), &segments);
    Some(response)
}

/// What is answered to a user who may not ask this. A key may ask everything.
fn refused(process: &Process, caller: &Caller, segments: &[&str]) -> Option<Response> {
    let Caller::User(identity) = caller else { return None };
    let live = process.live();
    let forbidden =
        |message, field| Some(Response::refused(StatusCode::FORBIDDEN, Code::Forbidden, message, field));
    let (wanted, message) = match segments {
        ["rooms", room, "history" | "receipts"] => {
            // What is no room is refused for that.
            let room = RoomName::restore(room).ok()?;
            if live.options.may_read(identity.bearer(), &room) {
                return None;
            }
            return forbidden("the token does not allow to read this `room`", Some("room"));
        }
        ["users", user_id, "connections" | "dead_letters", ..] if **user_id == *identity.user_id => {
            return None;
        }
        ["users", user_id, "dead_letters", ..]
            if RoomName::restore(&format!("@user:{user_id}"))
                .is_ok_and(|room| !live.options.reaches(identity.bearer(), &room)) =>
        {
            return forbidden("the token does not allow to read what waits for this user", Some("user_id"));
        }
        ["inspector", ..] if !inspector::shows_all_to(caller) => {
            return forbidden(inspector::FOR_ALL_ROOMS, None);
        }
        ["users", _, "dead_letters", ..] | ["inspector", ..] => {
            (Permission::Admin, "the token's role has not the permission `admin`")
        }
        ["statistics" | "webhooks" | "connections" | "rooms"]
        | ["connections", "ended"]
        | ["users", "active"]
        | ["users", _, "connections"] => {
            (Permission::Metrics, "the token's role has not the permission `metrics`")
        }
        // Nothing is there, or a connection: every user may look at its own and end it.
        _ => return None,
    };
    (!may(process, identity, wanted)).then(|| Response::error(StatusCode::FORBIDDEN, message))
}

fn may(process: &Process, identity: &Identity, permission: Permission) -> bool {
    let permissions = process.live().options.permissions_of(&identity.role);
    permissions.has(permission) || permissions.has(Permission::Admin)
}

/// Whether a connection is one that a user has or, if there is none, had last.
async fn is_own(
    handle: &Handle,
    process: &Process,
    identity: &Identity,
    client_id: &str,
) -> Result<bool, Response> {
    let question = Question::Connections {
        user_id: None,
        client_id: Some(client_id.into()),
        state: None,
        limit: LIMIT_MAX,
    };
    let rows = connection_rows(ask(handle, process, question).await.ok_or_else(late)?);
    let wanted = Wanted { client: Some(client_id.to_owned()), ..Wanted::default() };
    Ok(match rows.is_empty() {
        false => rows.iter().all(|row| *row.user_id == *identity.user_id),
        true => process.ended.find(&wanted, 1).first().is_some_and(|of| *of.user_id == *identity.user_id),
    })
}

async fn look_up(
    handle: &Handle,
    process: &Process,
    head: &Head,
    caller: &Caller,
    segments: &[&str],
) -> Option<Response> {
    let reader = || match caller {
        Caller::Key(_) => None,
        Caller::User(identity) => Some(Box::new(service::reader(process, identity))),
    };
    if let ["rooms", room, "history"] = *segments {
        return Some(history::answer(handle, head, room, reader()).await);
    }
    if let ["inspector", ref rest @ ..] = *segments {
        return Some(inspector::answer(process, head, rest));
    }
    let limit = match limit(head.uri.query().unwrap_or_default()) {
        Ok(limit) => limit,
        Err(response) => return Some(response),
    };
    match *segments {
        ["rooms", room, "receipts"] => {
            return Some(receipts::readers(handle, head, room, limit, reader()).await);
        }
        ["users", user_id, "dead_letters", ref rest @ ..] => {
            return Some(receipts::dead_letters(handle, head, (user_id, rest), limit).await);
        }
        _ => {}
    }
    let named = match *segments {
        ["connections", client_id] => Some(("client_id", client_id)),
        ["users", user_id, "connections"] => Some(("user_id", user_id)),
        _ => None,
    };
    if let Some((field, id)) = named
        && let Err(error) = check_id(field, id)
    {
        return Some(Response::invalid(field, &error.to_string()));
    }
    let get = head.method == Method::GET || head.method == Method::HEAD;
    if let (["connections", client_id] | ["connections", client_id, "health"], Caller::User(identity)) =
        (segments, caller)
        && *client_id != "ended"
    {
        let (permission, message) = match get {
            true => (Permission::Metrics, "the connection is not the caller's own, and `metrics` is missing"),
            false => (Permission::Admin, "the connection is not the caller's own, and `admin` is missing"),
        };
        if !may(process, identity, permission) {
            match is_own(handle, process, identity, client_id).await {
                Ok(true) => {}
                Ok(false) => return Some(Response::error(StatusCode::FORBIDDEN, message)),
                Err(response) => return Some(response),
            }
        }
    }
    let of = |user_id: Option<&str>, client_id: Option<&str>| {
        let (user_id, client_id) = (user_id.map(Into::into), client_id.map(Into::into));
        Question::Connections { user_id, client_id, state: None, limit }
    };
    let in_state = |state: Option<ConnectionState>| Question::Connections {
        user_id: None,
        client_id: None,
        state,
        limit,
    };
    Some(match *segments {
        ["statistics"] if get => crate::metrics::statistics(process),
        ["webhooks"] if get => webhooks::answer(process),
        ["connections"] if get => match connections::state(&head.uri) {
            Ok(state) => list(process, ask(handle, process, in_state(state)).await, limit),
            Err(response) => response,
        },
        ["connections", "ended"] if get => connections::ended(process, &head.uri, limit),
        ["connections", "ended"] => not_allowed("GET"),
        ["connections", client_id, "health"] if get => {
            match ask(handle, process, of(None, Some(client_id))).await {
                Some(answers) => connections::health(process, client_id, &connection_rows(answers)),
                None => late(),
            }
        }
        ["connections", client_id] if get => {
            one(process, ask(handle, process, of(None, Some(client_id))).await)
        }
        ["connections", client_id] if head.method == Method::DELETE => {
            disconnect(handle, process, client_id).await
        }
        ["connections", _] => not_allowed("GET, DELETE"),
        ["users", "active"] if get => users(ask(handle, process, Question::Users { limit }).await, limit),
        ["users", user_id, "connections"] if get => {
            list(process, ask(handle, process, of(Some(user_id), None)).await, limit)
        }
        ["rooms"] if get => rooms(ask(handle, process, Question::Rooms { limit }).await, limit),
        ["statistics" | "webhooks" | "connections" | "rooms"]
        | ["users", "active"]
        | ["users", _, "connections"]
        | ["connections", _, "health"] => not_allowed("GET"),
        _ => return None,
    })
}

fn limit(query: &str) -> Result<u32, Response> {
    let given = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
    let Some(given) = given else { return Ok(LIMIT) };
    match given.parse() {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err(Response::invalid("limit", "`limit` must be 1 to 10000")),
    }
}

async fn ask(handle: &Handle, process: &Process, question: Question) -> Option<Vec<Rows>> {
    let shards = usize::from(process.options.shards);
    let request = handle.borrow_mut().ask(shards, |request| Input::Ask(request, question));
    let answers = wait::answers(handle, request).await?;
    let rows = answers.into_iter().filter_map(|answer| match answer {
        Answer::Rows(rows) => Some(rows),
        _ => None,
    });
    Some(rows.collect())
}

pub(super) fn late() -> Response {
    Response::error(StatusCode::SERVICE_UNAVAILABLE, "a shard did not answer in time")
}

fn connection_rows(answers: Vec<Rows>) -> Vec<ConnectionRow> {
    let rows = answers.into_iter().flat_map(|rows| match rows {
        Rows::Connections(rows) => rows,
        _ => Vec::new(),
    });
    rows.collect()
}

fn list(process: &Process, answers: Option<Vec<Rows>>, limit: u32) -> Response {
    let Some(answers) = answers else { return late() };
    let rows = connection_rows(answers);
    let listed: Vec<Value> =
        rows.iter().take(limit as usize).map(|row| connections::row(process, row)).collect();
    Response::json(StatusCode::OK, &json!({ "connections": listed }))
}

fn one(process: &Process, answers: Option<Vec<Rows>>) -> Response {
    let Some(answers) = answers else { return late() };
    match connection_rows(answers).first() {
        Some(row) => Response::json(StatusCode::OK, &connections::row(process, row)),
        None => Response::error(StatusCode::NOT_FOUND, "no connection has this client id"),
    }
}

/// Ends connections on all shards, or counts them; gives how many.
pub(super) async fn end(handle: &Handle, process: &Process, ending: Ending) -> Option<u32> {
    let answers = ask(handle, process, Question::Disconnect(Arc::new(ending))).await?;
    let count = |rows: &Rows| if let Rows::Disconnected(count) = rows { *count } else { 0 };
    Some(answers.iter().map(count).sum())
}

async fn disconnect(handle: &Handle, process: &Process, client_id: &str) -> Response {
    let close = Close::code(Code::DisconnectedByAdmin, "an operator ended this connection");
    let ending = Ending { who: Who::Client(client_id.into()), close, count_only: false };
    let Some(ended) = end(handle, process, ending).await else { return late() };
    if ended == 0 {
        return Response::error(StatusCode::NOT_FOUND, "no connection has this client id");
    }
    Response::json(StatusCode::OK, &json!({ "disconnected": ended }))
}

fn users(answers: Option<Vec<Rows>>, limit: u32) -> Response {
    let Some(answers) = answers else { return late() };
    let mut users: BTreeMap<String, u32> = BTreeMap::new();
    for rows in answers {
        let Rows::Users(rows) = rows else { continue };
        for row in rows {
            *users.entry(row.user_id).or_default() += row.connections;
        }
    }
    let listed: Vec<Value> = users
        .into_iter()
        .take(limit as usize)
        .map(|(user_id, connections)| json!({ "user_id": user_id, "connections": connections }))
        .collect();
    Response::json(StatusCode::OK, &json!({ "users": listed }))
}

fn rooms(answers: Option<Vec<Rows>>, limit: u32) -> Response {
    let Some(answers) = answers else { return late() };
    let rows =
        answers.into_iter().flat_map(|rows| if let Rows::Rooms(rows) = rows { rows } else { Vec::new() });
    let listed: Vec<Value> = rows
        .take(limit as usize)
        .map(|row| {
            json!({
                "room": row.room,
                "members": row.members,
                "epoch": row.epoch,
                "offset": row.offset,
                "last_activity": rfc3339_text(row.last_activity_unix_ms),
            })
        })
        .collect();
    Response::json(StatusCode::OK, &json!({ "rooms": listed }))
}
