//! `GET /v1/rooms/{room}/history`: what a room keeps of its messages.

use fanfare_core::{Answer, Input, service};
use fanfare_protocol::RoomName;
use fanfare_protocol::wire::{History, Position};
use http::{Method, StatusCode};

use crate::http::api::query::late;
use crate::http::api::service::refused;
use crate::http::api::wait;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::not_allowed;
use crate::shard::Handle;

/// Answers with the same object as the `history` command.
pub(super) async fn answer(
    handle: &Handle,
    head: &Head,
    room: &str,
    caller: Option<Box<service::Caller>>,
) -> Response {
    if head.method != Method::GET && head.method != Method::HEAD {
        return not_allowed("GET");
    }
    let room = match RoomName::parse(room) {
        Ok(room) => room,
        Err(error) => return Response::invalid("room", &format!("the room in the path: {error}")),
    };
    let history = match question(room, head.uri.query().unwrap_or_default()) {
        Ok(history) => history,
        Err((field, message)) => return Response::invalid(field, message),
    };
    let request = handle.borrow_mut().ask(1, |request| Input::History(request, history, caller));
    match wait::answers(handle, request).await.as_deref() {
        Some([Answer::Kept(body)]) => Response::new(StatusCode::OK, "application/json", body.to_vec()),
        Some([Answer::Done(Err(refusal))]) => refused(refusal),
        _ => late(),
    }
}

/// `since`, `epoch`, `limit`, `reverse`; or which of them is wrong, and how.
fn question(room: RoomName, query: &str) -> Result<History, (&'static str, &'static str)> {
    let mut history = History { room, since: None, limit: None, reverse: false };
    let (mut since, mut epoch): (Option<u64>, Option<&str>) = (None, None);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "since" => match value.parse() {
                Ok(offset) => since = Some(offset),
                Err(_) => return Err(("since", "`since` must be an offset: a whole number from 0 on")),
            },
            "epoch" if value.len() <= 32 => epoch = Some(value),
            "epoch" => return Err(("epoch", "`epoch` has 32 bytes at most")),
            "limit" => match value.parse() {
                Ok(limit @ 1..=1_000) => history.limit = Some(limit),
                _ => return Err(("limit", "`limit` must be 1 to 1000")),
            },
            "reverse" => match value {
                "true" | "1" => history.reverse = true,
                "false" | "0" => {}
                _ => return Err(("reverse", "`reverse` must be true or false")),
            },
            _ => {}
        }
    }
    if epoch.is_some() && since.is_none() {
        return Err(("epoch", "`epoch` says which count `since` belongs to, and `since` is missing"));
    }
    // Without an epoch the offset is taken as one of the room's present count.
    history.since = since.map(|offset| Position { epoch: epoch.unwrap_or_default().into(), offset });
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<History, (&'static str, &'static str)> {
        question(RoomName::parse("chat:1").unwrap(), query)
    }

    #[test]
    fn a_query_is_read_or_refused_by_name() {
        let history = read("since=7&epoch=k3f9&limit=50&reverse=1&other=x").unwrap();
        assert_eq!(history.since, Some(Position { epoch: "k3f9".into(), offset: 7 }));
        assert_eq!((history.limit, history.reverse), (Some(50), true));
        assert_eq!(read("").unwrap().since, None);
        for (bad, name) in [
            ("since=-1", "since"),
            ("since=x", "since"),
            ("since=", "since"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("reverse=yes", "reverse"),
            ("epoch=k", "epoch"),
            ("since=1&epoch=012345678901234567890123456789012", "epoch"),
        ] {
            let (field, message) = read(bad).unwrap_err();
            assert!(field == name && message.contains(name), "{bad}");
        }
    }
}
