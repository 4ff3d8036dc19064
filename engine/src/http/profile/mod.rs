//! What profiles have over HTTP: their own endpoints, in terms of the engine's, and what backends say in their words.

mod cors;
mod entry;
mod events;
mod guarded;
mod perform;

use std::sync::Arc;

use bytes::Bytes;
use fanfare_profile::Place;
use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Refusal, json as codec};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::http::api::access::{self, Caller};
use crate::http::api::{json_body, service};
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::{Next, not_allowed};
use crate::percent;
use crate::process::Process;
use crate::shard::Handle;

pub(crate) use entry::{Entry, Introduction, Refused, claims, entry, first_token, frames, known};
pub(crate) use events::events;
pub(crate) use guarded::{guarded, unsaid};

/// Whether some profile answers at a path.
pub(crate) fn is_at(process: &Process, path: &str) -> bool {
    let profiles = &process.config.profiles;
    !profiles.is_empty() && profiles.at(&borrowed(&percent::segments(path))).is_some()
}

/// The WebSocket endpoint of a profile at a path.
pub(crate) fn endpoint_at(process: &Process, path: &str) -> Option<Place> {
    let profiles = &process.config.profiles;
    if profiles.is_empty() { None } else { profiles.endpoint(&borrowed(&percent::segments(path))) }
}

fn borrowed(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

/// Answers a request at a profile's path.
pub(crate) async fn answer(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: &Head,
) -> Next {
    let profiles = &process.config.profiles;
    let parts = percent::segments(head.uri.path());
    let parts = borrowed(&parts);
    let cors = profiles.at(&parts).and_then(|number| profiles.get(number).cors.as_ref());
    if head.method == Method::OPTIONS {
        return Next::Respond(cors::preflight(cors, head));
    }
    let methods = profiles.methods(&parts);
    let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
    if !methods.contains(&method) {
        let response = not_allowed(&methods.join(", "));
        return Next::Respond(if head.has_body() { response.closing() } else { response });
    }
    match visit(handle, process, connection, head, &parts).await {
        Next::Respond(response) => Next::Respond(cors::allowing(cors, head, response)),
        other => other,
    }
}

async fn visit(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: &Head,
    parts: &[&str],
) -> Next {
    // Who calls comes first: nothing is read, let alone understood, for somebody who may not.
    let is_public = process.config.profiles.is_public(head.method.as_str(), parts);
    let called = if is_public { Ok(None) } else { access::check(process, head).map(Some) };
    let caller = match called {
        Ok(_) if is_public && head.has_body() => {
            let message = "this request takes no body";
            return Next::Respond(Response::error(StatusCode::BAD_REQUEST, message).closing());
        }
        Ok(caller) => caller,
        Err(response) if head.has_body() => return Next::Respond(response.closing()),
        Err(response) => return Next::Respond(response),
    };
    let body = match read(process, connection, head).await {
        Ok(body) => body,
        Err(next) => return next,
    };
    let query: Map<String, Value> = percent::pairs(head.uri.query().unwrap_or_default())
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    let now = rfc3339_text(process.clock.now().unix_ms);
    let mut names = Map::new();
    names.insert("body".to_owned(), body);
    names.insert("query".to_owned(), query.clone().into());
    names.insert("now".to_owned(), now.into());
    let Some(mut visit) = process.config.profiles.visit(head.method.as_str(), parts, &names) else {
        return Next::Respond(Response::error(StatusCode::NOT_FOUND, "there is nothing at this path"));
    };
    // What everybody may ask must not lead anywhere else than the table says.
    let is_plain = |text: &str| !text.contains(['/', '?', '#', '%', '\\']) && text != "..";
    let mut values = parts.iter().copied().chain(query.values().filter_map(Value::as_str));
    if visit.route.public && !values.all(is_plain) {
        return Next::Respond(Response::error(
            StatusCode::BAD_REQUEST,
            "the path and the query must be plain",
        ));
    }
    // What the engine is asked it answers as the caller may; a route that asks nothing answers everybody who may use the API.
    let caller = caller.filter(|_| !visit.route.public).unwrap_or_else(|| Caller::Key("profile".to_owned()));
    let asks = match visit.begin() {
        Ok(asks) => asks,
        Err(refusal) => return Next::Respond(service::refused(&refusal)),
    };
    let doer = perform::Doer { handle, process, head, caller: &caller, public: visit.route.public };
    let mut got = Map::new();
    for (name, path) in asks {
        match doer.call(connection, "GET", &path, None).await {
            Ok(answer) => got.insert(name, answer),
            Err(response) => return Next::Respond(response),
        };
    }
    let Some(work) = visit.work(got) else {
        return Next::Respond(Response::error(StatusCode::NOT_FOUND, "there is nothing of this name here"));
    };
    let (mut done, mut reply) = (Vec::new(), None);
    for event in work.events {
        match events::event(&doer, visit.profile, event).await {
            Ok((answers, said)) => {
                done.extend(answers);
                reply = said;
            }
            Err(refused) => return Next::Respond(refused.changed(|error| visit.tell_as_sent(error))),
        }
    }
    for command in work.commands {
        match doer.command(command).await {
            Ok(answer) => done.push(answer),
            Err(refused) => return Next::Respond(refused.changed(|error| visit.tell_as_sent(error))),
        }
    }
    for call in work.calls {
        match doer.call(connection, &call.method, &call.path, call.body.as_ref()).await {
            Ok(answer) => done.push(answer),
            Err(response) => return Next::Respond(response),
        }
    }
    let (status, answer) = visit.answer(done, reply);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Next::Respond(Response::json(status, &answer))
}

/// The body as JSON; an empty one is an empty object.
async fn read(process: &Process, connection: &mut Connection, head: &Head) -> Result<Value, Next> {
    let body: Bytes = json_body::read(process, connection, head).await?;
    if body.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    let refused = |refusal: Refusal| Next::Respond(service::refused(&refusal));
    codec::check(&body).map_err(refused)?;
    let read = serde_json::from_slice(&body);
    read.map_err(|_| refused(Refusal::invalid(None, Some("body"), "the body is no JSON that can be read")))
}
