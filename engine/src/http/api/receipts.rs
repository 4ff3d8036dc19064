//! `/v1/rooms/{room}/receipts` and `/v1/users/{id}/dead_letters`: how far readers have come, and what they never acknowledged.

use fanfare_core::{Answer, DeadLetter, HomeQuestion, Input, Rows, service};
use fanfare_protocol::name::check_id;
use fanfare_protocol::{RoomName, json};
use http::{Method, StatusCode};
use serde_json::{Value, json, value::RawValue};

use crate::http::api::query::late;
use crate::http::api::service::refused;
use crate::http::api::wait;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::not_allowed;
use crate::shard::Handle;

/// `GET /v1/rooms/{room}/receipts`, also of a user's own room, `@user:{id}`.
pub(super) async fn readers(
    handle: &Handle,
    head: &Head,
    room: &str,
    limit: u32,
    caller: Option<Box<service::Caller>>,
) -> Response {
    if head.method != Method::GET && head.method != Method::HEAD {
        return not_allowed("GET");
    }
    let name = match room.strip_prefix("@user:") {
        Some(user_id) => check_id("room", user_id).map(|()| RoomName::of_user(user_id)),
        None => RoomName::parse(room),
    };
    let name = match name {
        Ok(name) => name,
        Err(error) => {
            return Response::invalid("room", &format!("the room in the path: {error}"));
        }
    };
    let question = HomeQuestion::Readers { room: name, limit, caller };
    let Some(rows) = ask(handle, question).await else { return late() };
    let (epoch, offset, rows) = match rows {
        Rows::Readers(Some((epoch, offset)), rows) => (epoch, offset, rows),
        Rows::Refused(refusal) => return refused(&refusal),
        _ => return Response::error(StatusCode::NOT_FOUND, "there is no such room"),
    };
    let readers: Vec<Value> = rows
        .iter()
        .map(|row| {
            let user_id = row.reader.user.as_str().trim_start_matches("@user:");
            let mut reader =
                json!({ "user_id": user_id, "offset": row.offset, "connections": row.connections });
            if let Some(device) = &row.reader.device {
                reader["client_id"] = json!(device);
            }
            reader
        })
        .collect();
    let body = json!({ "room": room, "epoch": epoch.to_string(), "offset": offset, "readers": readers });
    Response::json(StatusCode::OK, &body)
}

/// `GET`, `DELETE /v1/users/{id}/dead_letters`, `DELETE …/{letter}`, `POST …/{letter}/requeue`; `*` means all.
pub(super) async fn dead_letters(
    handle: &Handle,
    head: &Head,
    (user_id, rest): (&str, &[&str]),
    limit: u32,
) -> Response {
    if let Err(error) = check_id("user_id", user_id) {
        return Response::invalid("user_id", &format!("the user in the path: {error}"));
    }
    let user = RoomName::of_user(user_id);
    let get = head.method == Method::GET || head.method == Method::HEAD;
    let letter = match rest.first().map(|text| letter(text)) {
        None | Some(Ok(None)) => None,
        Some(Ok(Some(id))) => Some(id),
        Some(Err(response)) => return response,
    };
    let question = match (rest, &head.method) {
        ([], _) if get => {
            let rows = ask(handle, HomeQuestion::DeadLetters { user, limit }).await;
            let Some(Rows::DeadLetters(letters)) = rows else { return late() };
            let letters: Vec<Value> = letters.iter().map(row).collect();
            return Response::json(StatusCode::OK, &json!({ "dead_letters": letters }));
        }
        ([] | [_], &Method::DELETE) => HomeQuestion::Drop { user, letter },
        ([_, "requeue"], &Method::POST) => HomeQuestion::Requeue { user, letter },
        ([], _) => return not_allowed("GET, DELETE"),
        ([_], _) => return not_allowed("DELETE"),
        ([_, "requeue"], _) => return not_allowed("POST"),
        _ => return Response::error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    };
    let count = match ask(handle, question).await {
        Some(Rows::Exhumed(count)) => count,
        Some(Rows::Refused(refusal)) => return refused(&refusal),
        _ => return late(),
    };
    if count == 0 && letter.is_some() {
        return Response::error(StatusCode::NOT_FOUND, "this user has no such dead letter");
    }
    Response::json(StatusCode::OK, &json!({ "dead_letters": count }))
}

/// One letter by its id, or all.
fn letter(text: &str) -> Result<Option<u64>, Response> {
    if text == "*" {
        return Ok(None);
    }
    let wrong = || {
        Response::error(StatusCode::BAD_REQUEST, "a dead letter's id has 16 digits of 0-9 a-f; `*` means all")
    };
    if text.len() != 16 {
        return Err(wrong());
    }
    u64::from_str_radix(text, 16).map(Some).map_err(|_| wrong())
}

fn row(letter: &DeadLetter) -> Value {
    let DeadLetter { id, room, epoch, entry, deliveries, .. } = letter;
    let mut message = Vec::new();
    json::encode_message(&entry.message(room, &epoch.to_string()), &mut message);
    let message = String::from_utf8(message).ok().and_then(|text| RawValue::from_string(text).ok());
    json!({ "id": format!("{id:016x}"), "deliveries": deliveries, "message": message })
}

async fn ask(handle: &Handle, question: HomeQuestion) -> Option<Rows> {
    let request = handle.borrow_mut().ask(1, |request| Input::AskHome(request, question));
    match wait::answers(handle, request).await?.pop()? {
        Answer::Rows(rows) => Some(rows),
        _ => None,
    }
}
