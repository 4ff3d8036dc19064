//! `GET /v1/connections/{client_id}/health` and `GET /v1/connections/ended`: how connections are, and how they ended.

use fanfare_core::{ConnectionRow, ConnectionState, HealthRow, Quality};
use fanfare_protocol::Code;
use fanfare_protocol::timestamp::rfc3339_text;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use crate::ended::{Ended, Wanted};
use crate::http::respond::Response;
use crate::percent;
use crate::process::Process;

/// A row of `GET /v1/connections`.
pub(super) fn row(process: &Process, row: &ConnectionRow) -> Value {
    let last_us = row.health.and_then(|health| health.last_us);
    json!({
        "profile": profile(process, row),
        "client_id": row.client_id,
        "user_id": row.user_id,
        "role": row.role,
        "shard": row.shard,
        "state": row.state.name(),
        "connected_at": rfc3339_text(row.connected_at_unix_ms),
        "connected_at_unix_ms": row.connected_at_unix_ms,
        "last_activity": rfc3339_text(row.last_activity_unix_ms),
        "idle_seconds": row.idle_ms / 1_000,
        "rooms": row.rooms,
        "commands": row.commands,
        "backlog_bytes": row.backlog_bytes,
        "rtt_ms": last_us.map(milliseconds),
        "quality": quality(last_us),
    })
}

/// The profile at whose endpoint it is, if it is one's.
fn profile<'p>(process: &'p Process, row: &ConnectionRow) -> Option<&'p str> {
    process.config.profiles.of_dialect(row.dialect).map(|(_, profile)| &*profile.name)
}

/// `?state=`, if it is given.
pub(super) fn state(uri: &Uri) -> Result<Option<ConnectionState>, Response> {
    let given = percent::pairs(uri.query().unwrap_or_default()).into_iter().find(|(name, _)| name == "state");
    let Some((_, given)) = given else { return Ok(None) };
    let found = ConnectionState::ALL.into_iter().find(|state| state.name() == given);
    found.map(Some).ok_or_else(|| {
        let names = ConnectionState::ALL.map(ConnectionState::name).join(", ");
        Response::invalid("state", &format!("`state` must be one of {names}"))
    })
}

/// How a client's newest connection is, or how its last one ended.
pub(super) fn health(process: &Process, client_id: &str, rows: &[ConnectionRow]) -> Response {
    if let Some(row) = rows.iter().max_by_key(|row| row.connected_at_unix_ms) {
        let mut told = of_living(row);
        told["profile"] = profile(process, row).into();
        return Response::json(StatusCode::OK, &told);
    }
    let wanted = Wanted { client: Some(client_id.to_owned()), ..Wanted::default() };
    match process.ended.find(&wanted, 1).first() {
        Some(ended) => {
            let mut told = of_ended(ended);
            told["state"] = "closed".into();
            Response::json(StatusCode::OK, &told)
        }
        None => {
            Response::error(StatusCode::NOT_FOUND, "no connection has this client id, nor had one lately")
        }
    }
}

fn of_living(row: &ConnectionRow) -> Value {
    let HealthRow { sequence_number, last_us, min_us, mean_us, max_us, last_pong_unix_ms } =
        row.health.unwrap_or_default();
    json!({
        "client_id": row.client_id,
        "user_id": row.user_id,
        "state": row.state.name(),
        "quality": quality(last_us),
        "rtt_ms": {
            "last": last_us.map(milliseconds),
            "min": min_us.map(milliseconds),
            "mean": mean_us.map(milliseconds),
            "max": max_us.map(milliseconds),
        },
        "measured": row.health.is_some(),
        "sequence_number": sequence_number,
        "last_pong": last_pong_unix_ms.map(rfc3339_text),
        "last_activity": rfc3339_text(row.last_activity_unix_ms),
        "idle_seconds": row.idle_ms / 1_000,
        "connected_at": rfc3339_text(row.connected_at_unix_ms),
        "commands": row.commands,
        "backlog_bytes": row.backlog_bytes,
    })
}

/// The latest connections that ended, newest first: `?user=&client=&code=`.
pub(super) fn ended(process: &Process, uri: &Uri, limit: u32) -> Response {
    let mut wanted = Wanted::default();
    for (name, value) in percent::pairs(uri.query().unwrap_or_default()) {
        match name.as_str() {
            "user" => wanted.user = Some(value),
            "client" => wanted.client = Some(value),
            "code" => match value.parse() {
                Ok(code @ 1_000..=4_999) => wanted.code = Some(code),
                _ => {
                    return Response::invalid("code", "`code` must be a close code: 1000 to 4999");
                }
            },
            _ => {}
        }
    }
    let found = process.ended.find(&wanted, limit as usize);
    let rows: Vec<Value> = found.iter().map(of_ended).collect();
    Response::json(StatusCode::OK, &json!({ "ended": rows }))
}

fn of_ended(ended: &Ended) -> Value {
    json!({
        "client_id": &*ended.client_id,
        "user_id": &*ended.user_id,
        "role": &*ended.role,
        "shard": ended.shard,
        "code": ended.code,
        "name": name(ended.code),
        "reason": ended.reason,
        "connected_at": rfc3339_text(ended.connected_at_unix_ms),
        "ended_at": rfc3339_text(ended.ended_at_unix_ms),
        "duration_ms": ended.ended_at_unix_ms.saturating_sub(ended.connected_at_unix_ms),
    })
}

/// The name of one of our codes.
fn name(number: u16) -> Option<&'static str> {
    fanfare_protocol::code::CODES.into_iter().find(|code| code.number() == number).map(Code::name)
}

fn quality(last_us: Option<u64>) -> &'static str {
    last_us.map_or("unknown", |us| Quality::of(us).name())
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}
