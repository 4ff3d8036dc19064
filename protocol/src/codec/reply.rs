//! Which members replies and messages have, in which order.

use crate::Code;
use crate::codec::object::Object;
use crate::wire::{CommandId, Message, Position, Reply};

/// What `welcome` says; rises when the contract grows.
const PROTOCOL_VERSION: &str = "1.0";

/// Writes a message as members receive it.
#[inline]
pub(crate) fn write_message(message: &Message<'_>, mut object: impl Object) {
    object.text("type", message.event);
    object.text("room", message.room);
    if message.offset > 0 {
        object.unsigned("offset", message.offset);
        object.text("epoch", message.epoch);
        object.text("message_id", message.message_id);
    }
    object.time("timestamp", message.timestamp_unix_ms);
    if let Some(user_id) = message.user_id {
        object.text("user_id", user_id);
    }
    if message.priority > 0 {
        object.unsigned("priority", u64::from(message.priority));
    }
    object.body("data", message.body);
    object.end();
}

/// Writes a reply; `id` is the command's.
pub(crate) fn write_reply(reply: &Reply<'_>, id: Option<&CommandId>, mut object: impl Object) {
    object.text("type", name(reply));
    match id {
        Some(CommandId::Number(number)) => object.signed("id", *number),
        Some(CommandId::Text(text)) => object.text("id", text),
        None => {}
    }
    match *reply {
        Reply::Welcome {
            client_id,
            user_id,
            role,
            server_time_unix_ms,
            heartbeat_interval_ms,
            max_message_size,
            resumed,
            resume,
        } => {
            object.text("client_id", client_id);
            object.text("user_id", user_id);
            object.text("role", role);
            object.text("protocol_version", PROTOCOL_VERSION);
            object.time("server_time", server_time_unix_ms);
            object.unsigned("heartbeat_interval", heartbeat_interval_ms);
            object.unsigned("max_message_size", max_message_size as u64);
            object.flag("resumed", resumed);
            object.text("resume", resume);
        }
        Reply::Joined { room, position, recovered, members, state } => {
            place(&mut object, room, position);
            object.flag("recovered", recovered);
            if let Some(members) = members {
                object.unsigned("members", members);
            }
            if let Some(state) = state {
                object.body("state", state);
            }
        }
        Reply::Left { room, member } => {
            object.text("room", room);
            object.flag("member", member);
        }
        Reply::Gap { room, epoch, from, to } => {
            object.text("room", room);
            object.text("epoch", epoch);
            object.unsigned("from", from);
            object.unsigned("to", to);
        }
        Reply::Receipt { room, position, message_id, user_id, client_id } => {
            place(&mut object, room, position);
            object.text("message_id", message_id);
            object.text("user_id", user_id);
            if let Some(client_id) = client_id {
                object.text("client_id", client_id);
            }
        }
        Reply::Published { room, position, message_id, members } => {
            place(&mut object, room, position);
            object.text("message_id", message_id);
            if let Some(members) = members {
                object.unsigned("members", members);
            }
        }
        Reply::Ok => {}
        Reply::Done { data } => object.body("data", data),
        Reply::History { room, position, messages } => {
            place(&mut object, room, position);
            object.objects("messages", messages);
        }
        Reply::Presence { room, count, members } => {
            object.text("room", room);
            object.unsigned("count", count);
            object.body("members", members);
        }
        Reply::HeartbeatAck { server_time_unix_ms, data } => {
            object.time("server_time", server_time_unix_ms);
            if let Some(body) = data {
                object.body("data", body);
            }
        }
        Reply::Error { code, message, field } => {
            object.unsigned("code", u64::from(code.number()));
            object.text("name", code.name());
            object.text("message", message);
            object.object("details", field.map(|field| ("field", field)));
        }
        Reply::Limited { message, retry_after_ms } => {
            let code = Code::RateLimitExceeded;
            object.unsigned("code", u64::from(code.number()));
            object.text("name", code.name());
            object.text("message", message);
            object.counts("details", "retry_after_ms", retry_after_ms);
        }
        Reply::HeartbeatPing { sequence_number, timestamp_unix_ms } => {
            object.unsigned("sequence_number", sequence_number);
            object.time("timestamp", timestamp_unix_ms);
        }
        Reply::Health { sequence_number, round_trip_us, quality, timestamp_unix_ms } => {
            object.unsigned("sequence_number", sequence_number);
            object.milliseconds("rtt_ms", round_trip_us);
            object.text("quality", quality);
            object.time("timestamp", timestamp_unix_ms);
        }
        Reply::ConnectionTimeout { reason, timestamp_unix_ms } => {
            object.text("reason", reason);
            object.time("timestamp", timestamp_unix_ms);
        }
    }
    object.end();
}

fn place(object: &mut impl Object, room: &str, position: &Position) {
    object.text("room", room);
    object.text("epoch", &position.epoch);
    object.unsigned("offset", position.offset);
}

const fn name(reply: &Reply<'_>) -> &'static str {
    match reply {
        Reply::Welcome { .. } => "welcome",
        Reply::Joined { .. } => "joined",
        Reply::Left { .. } => "left",
        Reply::Gap { .. } => "gap",
        Reply::Receipt { .. } => "receipt",
        Reply::Published { .. } => "published",
        Reply::Ok | Reply::Done { .. } => "ok",
        Reply::History { .. } => "history",
        Reply::Presence { .. } => "presence",
        Reply::HeartbeatAck { .. } => "heartbeat_ack",
        Reply::Error { .. } | Reply::Limited { .. } => "error",
        Reply::HeartbeatPing { .. } => "heartbeat_ping",
        Reply::Health { .. } => "connection_health",
        Reply::ConnectionTimeout { .. } => "connection_timeout",
    }
}
