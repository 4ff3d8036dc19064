//! `POST /v1/profiles/{name}/events`: what a backend has to say in the application's own words.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::api::{access, service};
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::{Next, not_allowed};
use crate::process::Process;
use crate::shard::Handle;

use super::cors;
use super::perform::Doer;

/// Events of one request.
const EVENTS_MAX: usize = 100;

/// Takes one event or a list of them.
pub(crate) async fn events(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: &Head,
    name: &str,
) -> Next {
    let Some(profile) = process.config.profiles.find(name) else {
        let response = Response::error(StatusCode::NOT_FOUND, "no profile of this name is on");
        return Next::Respond(response.closing());
    };
    let cors = process.config.profiles.get(profile).cors.as_ref();
    if head.method == Method::OPTIONS {
        return Next::Respond(cors::preflight(cors, head));
    }
    match take(handle, process, connection, head, profile).await {
        Next::Respond(response) => Next::Respond(cors::allowing(cors, head, response)),
        other => other,
    }
}

async fn take(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: &Head,
    profile: usize,
) -> Next {
    if head.method != Method::POST {
        return Next::Respond(not_allowed("POST").closing());
    }
    let caller = match access::check(process, head) {
        Ok(caller) => caller,
        Err(response) => return Next::Respond(response.closing()),
    };
    let body = match super::read(process, connection, head).await {
        Ok(body) => body,
        Err(next) => return next,
    };
    let doer = Doer { handle, process, head, caller: &caller, public: false };
    let Value::Array(events) = body else {
        return Next::Respond(match event(&doer, profile, body).await {
            Ok(answers) => Response::json(StatusCode::OK, &told(answers)),
            Err(response) => response,
        });
    };
    if events.len() > EVENTS_MAX {
        let message = format!("a request may have {EVENTS_MAX} events at most");
        return Next::Respond(Response::error(StatusCode::BAD_REQUEST, &message));
    }
    let mut answers = Vec::new();
    let (mut done, mut refused) = (false, false);
    for one in events {
        answers.push(match event(&doer, profile, one).await {
            Ok(said) => {
                done = true;
                told(said)
            }
            // Those after it are other events: each is done or refused by itself.
            Err(response) => {
                refused = true;
                response.value()
            }
        });
    }
    let status = match (done, refused) {
        (_, false) => StatusCode::OK,
        (true, true) => StatusCode::MULTI_STATUS,
        (false, true) => StatusCode::BAD_REQUEST,
    };
    Next::Respond(Response::json(status, &answers.into()))
}

/// What a backend is told of one event.
fn told((done, reply): (Vec<Value>, Option<Value>)) -> Value {
    reply.unwrap_or_else(|| json!({ "done": done }))
}

/// Does what an event means: the engine's answers, and what the backend is answered.
pub(super) async fn event(
    doer: &Doer<'_>,
    profile: usize,
    event: Value,
) -> Result<(Vec<Value>, Option<Value>), Response> {
    let profiles = &doer.process.config.profiles;
    let now_unix_ms = doer.process.clock.now().unix_ms;
    let mut understood =
        profiles.understand(profile, event, now_unix_ms).map_err(|refusal| service::refused(&refusal))?;
    let mut done = Vec::new();
    for mut command in std::mem::take(&mut understood.commands) {
        let members = command.as_object_mut();
        let is_optional = members.and_then(|members| members.remove("optional")) == Some(true.into());
        let told =
            |refused: Response| refused.changed(|error| profiles.tell_as_sent(profile, &understood, error));
        match doer.command(command).await.map_err(told) {
            Err(refused) if is_optional => done.push(refused.value()),
            answer => done.push(answer?),
        }
    }
    let reply = profiles.reply(profile, understood, &done);
    Ok((done, reply))
}
