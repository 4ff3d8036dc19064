//! What the query of an upgrade asks for.

use fanfare_core::Opening;
use fanfare_protocol::limits::EPOCH_BYTES_MAX;
use fanfare_protocol::name::{RoomName, check_id};
use fanfare_protocol::wire::{Join, Position};

use super::Failed;
use crate::http::respond::Response;

/// Rooms that a query may name.
const QUERY_ROOMS_MAX: usize = 32;
/// What follows the client id in a text to come back with.
const RESUME_WORD_BYTES_MAX: usize = 32;
/// Longest metadata in a query, decoded.
pub(crate) const METADATA_BYTES_MAX: usize = 4_096;

/// Client id, rooms and metadata of the query, as far as its parameters are read. Metadata is checked and not kept: nothing reads
/// it yet.
pub(super) fn with_query(
    mut opening: Opening,
    query: &str,
    reads: &dyn Fn(&str) -> bool,
) -> Result<Opening, Failed> {
    for (name, value) in crate::percent::pairs(query).filter(|(name, _)| reads(name)) {
        let bad = |message: &str| ("query", Response::invalid(&name, message));
        match name.as_str() {
            "client_id" => {
                check_id("client_id", &value).map_err(|error| bad(&error.to_string()))?;
                opening.client_id = Some(value.into());
            }
            "room" => {
                if opening.rooms.len() == QUERY_ROOMS_MAX {
                    return Err(bad(&format!("`room` may be given {QUERY_ROOMS_MAX} times at most")));
                }
                let room = RoomName::parse(&value).map_err(|error| bad(&error.to_string()))?;
                opening.rooms.push(Join { room, recover: None, last: None });
            }
            "recover" => {
                let (room, position) = place(&value).map_err(|message| bad(&message))?;
                if room.is_inbox() {
                    opening.inbox = Some(position);
                } else if opening.rooms.len() == QUERY_ROOMS_MAX {
                    let message =
                        format!("`recover` and `room` may be given {QUERY_ROOMS_MAX} times at most");
                    return Err(bad(&message));
                } else {
                    opening.rooms.push(Join { room, recover: Some(position), last: None });
                }
            }
            "health" => {
                opening.health = match value.as_str() {
                    "1" | "true" => true,
                    "0" | "false" => false,
                    _ => return Err(bad("`health` must be 1 or 0")),
                };
            }
            "resume" => {
                let (client_id, word) = value.rsplit_once('.').unwrap_or((&value, ""));
                check_id("resume", client_id).map_err(|error| bad(&error.to_string()))?;
                if word.len() > RESUME_WORD_BYTES_MAX {
                    return Err(bad("`resume` must be what a `welcome` gave"));
                }
                opening.resume = Some(value.into());
            }
            "metadata" => {
                let json = serde_json::from_str::<serde_json::Value>(&value);
                if value.len() > METADATA_BYTES_MAX || !json.is_ok_and(|json| json.is_object()) {
                    return Err(bad("`metadata` must be a JSON object of 4,096 bytes at most"));
                }
            }
            _ => {}
        }
    }
    Ok(opening)
}

/// `room,epoch,offset`.
fn place(text: &str) -> Result<(RoomName, Position), String> {
    let rule = || "`recover` must be room,epoch,offset, like chat:42,k3f9,17".to_owned();
    let (rest, offset) = text.rsplit_once(',').ok_or_else(rule)?;
    let (room, epoch) = rest.rsplit_once(',').ok_or_else(rule)?;
    let offset = offset.parse().map_err(|_| rule())?;
    if epoch.is_empty() || epoch.len() > EPOCH_BYTES_MAX {
        return Err(rule());
    }
    let room = match room.strip_prefix("@user:") {
        Some(user_id) => check_id("recover", user_id).map(|()| RoomName::of_user(user_id)),
        None => RoomName::parse(room),
    };
    Ok((room.map_err(|error| format!("`recover`: {error}"))?, Position { epoch: epoch.into(), offset }))
}
