//! `POST /v1/publish`: one message or an array of them.

use std::sync::Arc;

use fanfare_core::{Answer, Input, Options, Permissions, may_speak_for};
use fanfare_protocol::{Code, Publish, Refusal, RoomName, Target, json};
use http::StatusCode;
use serde_json::{Value, json as object};

use crate::http::api::access::{self, Caller};
use crate::http::api::{inquire, json_body, wait};
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::{Response, limited, refusal};
use crate::http::route::Next;
use crate::process::Process;
use crate::shard::Handle;

/// Answers when every message has its place.
pub(crate) async fn publish(
    handle: &Handle,
    process: &Process,
    connection: &mut Connection,
    head: &Head,
) -> Next {
    let caller = match access::caller(process, head) {
        Ok(caller) => caller,
        // The body is not read for somebody who may not.
        Err(response) => return Next::Respond(response.closing()),
    };
    let body = match json_body::read(process, connection, head).await {
        Ok(body) => body,
        Err(next) => return next,
    };
    Next::Respond(perform(handle, process, head, &caller, true, &body).await)
}

/// Publishes with a caller's rights; `named`: in its name, where it is a user.
pub(crate) async fn perform(
    handle: &Handle,
    process: &Process,
    head: &Head,
    caller: &Caller,
    named: bool,
    body: &[u8],
) -> Response {
    let mut items: Vec<Result<Publish, Refusal>> = Vec::new();
    json::decode_publishes(body, &mut |item| items.push(item));
    let single = !body.trim_ascii_start().starts_with(b"[");
    let mut denied = Vec::new();
    let options = Arc::clone(&process.live().options);
    let outcomes: Vec<Result<Publish, Refusal>> = items
        .into_iter()
        .map(|item| item.and_then(|publish| allowed(&options, caller, publish, &mut denied)))
        .collect();
    if let [(why, first), ..] = &denied[..] {
        process.audit.publishes_denied(head, caller.name(), why, first.as_deref(), denied.len());
    }
    let outcomes = inquire::inquire(handle, process, head, caller, outcomes).await;
    let (request, outcomes) = {
        let mut state = handle.borrow_mut();
        if state.paused() {
            let message = "the server is overloaded; try again";
            return Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", "1");
        }
        let now = state.now();
        let request = state.request(outcomes.iter().filter(|outcome| outcome.is_ok()).count());
        let user = match caller {
            Caller::User(identity) if named => {
                Some((RoomName::of_user(&identity.user_id), identity.role.clone()))
            }
            _ => None,
        };
        let state = &mut *state;
        let mut hand_over = |index, publish| {
            let input = Input::Publish { request, index, publish: Box::new(publish), user: user.clone() };
            state.core.handle(now, input, &mut state.effects);
        };
        let outcomes: Vec<Result<(), Refusal>> =
            (0..).zip(outcomes).map(|(index, of)| of.map(|publish| hand_over(index, publish))).collect();
        state.port.rouse();
        (request, outcomes)
    };
    let Some(answers) = wait::answers(handle, request).await else {
        return Response::error(StatusCode::SERVICE_UNAVAILABLE, "a shard did not answer in time");
    };
    respond(single, outcomes, answers)
}

const NOT_ALLOWED: &str = "the token does not allow to publish to this target";
/// In the audit.
const FOR_OTHERS: &str = "the token does not allow to publish on behalf of another user";

/// Whether the caller may send this message.
fn allowed(
    options: &Options,
    caller: &Caller,
    publish: Publish,
    denied: &mut Vec<(&'static str, Option<Box<str>>)>,
) -> Result<Publish, Refusal> {
    options.mode.takes_publish(publish.priority.unwrap_or(0), || match caller {
        Caller::Key(_) => Permissions::ALL,
        Caller::User(identity) => options.permissions_of(&identity.role),
    })?;
    let Caller::User(identity) = caller else { return Ok(publish) };
    let (why, refusal) = if !options.may_publish(identity.bearer(), &publish.target) {
        (NOT_ALLOWED, Refusal::new(Code::Forbidden, NOT_ALLOWED))
    } else if let Err(refusal) = may_speak_for(&identity.user_id, &publish) {
        (FOR_OTHERS, refusal)
    } else {
        return Ok(publish);
    };
    let room = match &publish.target {
        Target::Room(room) => Some(room.as_str().into()),
        _ => None,
    };
    denied.push((why, room));
    Err(refusal)
}

fn respond(single: bool, outcomes: Vec<Result<(), Refusal>>, answers: Vec<Answer>) -> Response {
    let refused = |refused: Refusal| {
        (refused.code.http_status(), refusal(refused.code, &refused.message, refused.field))
    };
    let mut results: Vec<Result<Value, (u16, Value)>> =
        outcomes.into_iter().map(|outcome| outcome.map(|()| Value::Null).map_err(refused)).collect();
    for answer in answers {
        let (index, placed) = match answer {
            Answer::Published(index, placed) => (index, placed),
            Answer::Limited(_, message, retry_after_ms) if single => {
                return Response::limited(&message, retry_after_ms);
            }
            Answer::Limited(index, message, retry_after_ms) => {
                let status = Code::RateLimitExceeded.http_status();
                results[index as usize] = Err((status, limited(&message, retry_after_ms)));
                continue;
            }
            _ => continue,
        };
        results[index as usize] = placed.map_err(refused).map(|placed| {
            let mut answer = object!({
                "room": placed.room.as_str(),
                "epoch": placed.epoch.to_string(),
                "offset": placed.offset,
                "message_id": placed.message_id,
            });
            if let Some(members) = placed.members {
                answer["members"] = members.into();
            }
            answer
        });
    }
    if single {
        return match results.pop() {
            Some(Ok(placed)) => Response::json(StatusCode::OK, &placed),
            Some(Err((status, refused))) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                Response::json(status, &refused)
            }
            None => Response::error(StatusCode::BAD_REQUEST, "the body holds no message"),
        };
    }
    let codes: Vec<u16> = results.iter().filter_map(|of| Some(of.as_ref().err()?.0)).collect();
    let refused = codes.len();
    let status = match results.len() {
        0 => StatusCode::OK,
        // When the server could do nothing for any of them, it is not the request that is bad.
        all if refused == all && codes.iter().all(|code| *code >= 500) => StatusCode::SERVICE_UNAVAILABLE,
        all if refused == all => StatusCode::BAD_REQUEST,
        _ if refused > 0 => StatusCode::MULTI_STATUS,
        _ => StatusCode::OK,
    };
    let results = results.into_iter().map(|result| result.unwrap_or_else(|(_, refused)| refused));
    Response::json(status, &Value::Array(results.collect()))
}
