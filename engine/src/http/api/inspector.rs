//! `/v1/inspector/…`: what passed through lately, counts for each room, a file of it all, and the way to a live tail.

use std::sync::Arc;

use fanfare_core::Identity;
use fanfare_protocol::Code;
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth;
use crate::http::api::access::{self, Caller, Pass};
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::not_allowed;
use crate::http::upgrade::Failed;
use crate::inspector::{Asked, Inspector, Kind, Query, Record, Records, Room, TAILS_MAX, Tail, Wrong};
use crate::process::Process;

/// Where a live tail is opened.
pub(crate) const TAIL: &str = "/v1/inspector/tail";
/// What a file holds of each kind at most.
const EXPORTED: [(Kind, usize); 3] = [(Kind::Message, 500), (Kind::Event, 500), (Kind::Error, 100)];

/// What somebody is told whose token is for some rooms.
pub(super) const FOR_ALL_ROOMS: &str =
    "the inspector shows all rooms, and the token is for some: it needs one without `rooms`, or an API key";

/// Whether somebody may see what passes through all rooms.
pub(super) fn shows_all_to(caller: &Caller) -> bool {
    match caller {
        Caller::Key(_) => true,
        Caller::User(identity) => identity.rooms.is_none(),
    }
}

/// Answers one request of a caller who may.
pub(super) fn answer(process: &Process, head: &Head, path: &[&str]) -> Response {
    if head.method != Method::GET && head.method != Method::HEAD {
        return not_allowed("GET");
    }
    let Some(inspector) = &process.inspector else { return off() };
    let asked = match path {
        [] | ["export"] | ["rooms", _] => Asked::Nothing,
        ["rooms"] => Asked::Rooms,
        [kind] => match Kind::of_plural(kind) {
            Some(kind) => Asked::Page(kind),
            None => return nothing_here(),
        },
        _ => return nothing_here(),
    };
    let query = match Query::read(head.uri.query().unwrap_or_default(), asked) {
        Ok(query) => query,
        Err(wrong) => return refused(&wrong),
    };
    match (asked, path) {
        (Asked::Page(kind), _) => page(inspector, kind, &query),
        (_, ["rooms"]) => {
            let rooms = counted(&inspector.records(), query.limit);
            ok(&json!({ "rooms": rows(&rooms) }))
        }
        (_, ["rooms", room]) => one(inspector, room),
        (_, ["export"]) => export(process, inspector),
        _ => ok(&summary(process, inspector, &inspector.records())),
    }
}

/// Who opens a live tail.
pub(crate) struct Watcher {
    pub(crate) tail: Tail,
    /// What they may stay by.
    pub(crate) pass: Pass,
    /// Where it was a token.
    pub(crate) identity: Option<Identity>,
}

/// Decides the upgrade of a live tail.
pub(crate) fn tail(process: &Process, head: &Head) -> Result<Watcher, Failed> {
    let query = head.uri.query().unwrap_or_default();
    let token = auth::token::find(&head.headers, query);
    let token = token.map_err(|error| ("token", access::refuse(process, head, &error.to_string())))?;
    let token =
        token.ok_or_else(|| ("token", access::refuse(process, head, "an API key or a token is missing")))?;
    let caller = access::admit(process, head, &token).map_err(|response| ("token", response))?;
    access::may_operate(process, head, &caller).map_err(|response| ("token", response))?;
    if !shows_all_to(&caller) {
        let refused = Response::refused(StatusCode::FORBIDDEN, Code::Forbidden, FOR_ALL_ROOMS, None);
        return Err(("rooms", refused));
    }
    let inspector = process.inspector.as_ref().ok_or_else(|| ("path", off()))?;
    let query = Query::read(query, Asked::Tail).map_err(|wrong| ("query", refused(&wrong)))?;
    let Some(seat) = inspector.seat() else {
        let message = format!("{TAILS_MAX} tails are open, and no more may be");
        return Err(("tails", Response::error(StatusCode::SERVICE_UNAVAILABLE, &message)));
    };
    let Some(pass) = Pass::of(process, &token, &caller) else {
        return Err(("token", access::refuse(process, head, "the API key was taken away")));
    };
    process.audit.called(head, caller.name(), StatusCode::SWITCHING_PROTOCOLS, &["inspector", "tail"]);
    let tail = Tail::new(query, &inspector.records(), seat);
    let identity = match caller {
        Caller::User(identity) => Some(identity),
        Caller::Key(_) => None,
    };
    Ok(Watcher { tail, pass, identity })
}

fn ok(body: &Value) -> Response {
    Response::json(StatusCode::OK, body)
}

fn off() -> Response {
    let message = "the inspector is off; switch it on with `enabled = true` under [inspector], or \
                   FANFARE_INSPECTOR_ENABLED=true";
    Response::error(StatusCode::NOT_FOUND, message)
}

fn nothing_here() -> Response {
    Response::error(StatusCode::NOT_FOUND, "there is nothing at this path")
}

fn refused(wrong: &Wrong) -> Response {
    let code = Code::InvalidMessage;
    Response::refused(StatusCode::BAD_REQUEST, code, &wrong.message, Some(&wrong.field))
}

/// Held records of one kind, oldest first.
fn page(inspector: &Inspector, kind: Kind, query: &Query) -> Response {
    #[derive(Serialize)]
    struct Page<'p> {
        records: &'p [Arc<Record>],
        next: u64,
        missed: u64,
    }
    // Only references are taken under the lock.
    let page = inspector.records().ring(kind).page(&query.filter, query.since, query.limit);
    let page = Page { records: &page.records, next: page.next, missed: page.missed };
    written(&page)
}

/// Payloads stand in records as they were published, which a [`Value`] could not hold.
fn written(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => Response::new(StatusCode::OK, "application/json", text),
        Err(_) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written"),
    }
}

fn row(name: &str, room: &Room) -> Value {
    let mut row = json!(room);
    row["room"] = name.into();
    row
}

type Counted = Vec<(Arc<str>, Room)>;

/// The most recently used first. Copied, so that nobody waits for the lock while rows are written.
fn counted(records: &Records, limit: usize) -> Counted {
    records.rooms().latest().take(limit).map(|(name, room)| (Arc::clone(name), room.clone())).collect()
}

fn rows(rooms: &Counted) -> Vec<Value> {
    rooms.iter().map(|(name, room)| row(name, room)).collect()
}

fn one(inspector: &Inspector, room: &str) -> Response {
    let found = inspector.records().rooms().get(room).cloned();
    match found {
        Some(of) => ok(&row(room, &of)),
        None => Response::error(StatusCode::NOT_FOUND, "nothing was seen of this room lately"),
    }
}

fn summary(process: &Process, inspector: &Inspector, records: &Records) -> Value {
    let mut summary = records.summary();
    summary["payloads"] = inspector.config.payloads.into();
    summary["tails"] = json!({ "open": inspector.tails(), "max": TAILS_MAX, "skipped": inspector.skipped() });
    summary["uptime_seconds"] = process.clock.uptime().as_secs_f64().into();
    summary["shards"] = process.options.shards.into();
    summary["connections"] = process.connections.load(std::sync::atomic::Ordering::Relaxed).into();
    summary
}

/// Everything worth keeping for later, as one file.
fn export(process: &Process, inspector: &Inspector) -> Response {
    #[derive(Serialize)]
    struct Export {
        exported_at_unix_ms: u64,
        version: &'static str,
        summary: Value,
        messages: Vec<Arc<Record>>,
        events: Vec<Arc<Record>>,
        errors: Vec<Arc<Record>>,
        rooms: Vec<Value>,
    }
    let exported_at_unix_ms = process.clock.now().unix_ms;
    let records = inspector.records();
    let everything = crate::inspector::Filter::default();
    let [messages, events, errors] =
        EXPORTED.map(|(kind, max)| records.ring(kind).page(&everything, None, max).records);
    let summary = summary(process, inspector, &records);
    let rooms = counted(&records, usize::MAX);
    drop(records);
    let export = Export {
        exported_at_unix_ms,
        version: env!("CARGO_PKG_VERSION"),
        summary,
        messages,
        events,
        errors,
        rooms: rows(&rooms),
    };
    let name = format!("attachment; filename=\"fanfare-inspector-{exported_at_unix_ms}.json\"");
    written(&export).with("content-disposition", name)
}
