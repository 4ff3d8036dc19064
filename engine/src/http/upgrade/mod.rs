//! From a request to a WebSocket: RFC 6455 §4.2, subprotocols, permessage-deflate, the token.

mod handshake;
mod query;

pub(crate) use query::METADATA_BYTES_MAX;

use std::sync::Arc;

use fanfare_core::{Identity, Opening};
use fanfare_profile::Place;
use fanfare_protocol::name::check_id;
use fanfare_protocol::{Code, Encoding};
use fanfare_sys::socket;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tungstenite::handshake::server::{create_response, write_response};

use crate::addresses;
use crate::audit::Visitor;
use crate::auth;
use crate::http::api;
use crate::http::api::access::Pass;
use crate::http::api::inspector::Watcher;
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::profile::{self, Introduction, Refused};
use crate::http::refuse;
use crate::http::respond::Response;
use crate::http::route::{Next, not_allowed};
use crate::http::upgrade::handshake::{
    check_origin, check_rate, checked, deflate, first_offered, handshake_error, overloaded, subprotocol,
    upgrade_required,
};
use crate::http::upgrade::query::with_query;
use crate::inspector::Tail;
use crate::process::Process;
use crate::shard::{Came, Handle};

/// An upgrade that was agreed to.
pub(crate) struct Accepted {
    /// Its head is the 101 and its headers.
    opening: Opening,
    /// For `/echo`: the window to answer with.
    echo: Option<u8>,
    /// For a live tail: what it wants.
    tail: Option<(Tail, Pass)>,
    /// The token was bad: told over the WebSocket, since a browser cannot see an HTTP 401.
    refusal: Option<Refused>,
    /// The number of the profile whose endpoint it is.
    profile: Option<usize>,
    /// For the audit.
    visitor: Visitor,
}

/// Decides an upgrade.
pub(crate) async fn upgrade(process: &Arc<Process>, head: &Head, place: Option<Place>) -> Next {
    match decide(process, head, place.as_ref()) {
        Ok(accepted) => Next::Upgrade(Box::new(accepted)),
        Err((reason, response)) => {
            process.metrics.handshake_failed(reason);
            process.audit.upgrade_denied(head, reason);
            Next::Respond(response.closing())
        }
    }
}

pub(super) type Failed = (&'static str, Response);

fn decide(process: &Process, request: &Head, place: Option<&Place>) -> Result<Accepted, Failed> {
    let echo = request.uri.path() == "/echo";
    let is_tail = request.uri.path() == api::inspector::TAIL;
    if echo && !process.config.echo {
        let message = "the echo service is off; start with --echo";
        return Err(("path", Response::error(StatusCode::NOT_FOUND, message)));
    }
    if request.method != Method::GET {
        return Err(("method", not_allowed("GET")));
    }
    if request.has_body() {
        return Err(("body", Response::error(StatusCode::BAD_REQUEST, "an upgrade has no body")));
    }
    if process.is_draining() {
        let message = "this server is about to restart";
        let response = Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", "1");
        return Err(("draining", response));
    }
    let live = process.live();
    if live.options.mode.refuses_connections() {
        return Err(("shed", overloaded(process)));
    }
    check_rate(process, &live.config.limits, request)?;
    if !request.headers.contains_key(header::UPGRADE) {
        return Err(upgrade_required());
    }
    let mut answer = create_response(&checked(request)).map_err(|error| handshake_error(&error))?;
    let besides = place.map(|place| &*process.config.profiles.get(place.profile).origins);
    check_origin(&live.config, request, besides.unwrap_or_default())?;
    let watcher = if is_tail { Some(api::inspector::tail(process, request)?) } else { None };
    let (encoding, subprotocol) = subprotocol(&request.headers)?;
    let encoding = if is_tail || place.is_some() { Encoding::Json } else { encoding };
    let enabled = live.config.compression.enabled && live.options.mode.compression;
    let agreed = if is_tail { None } else { deflate(enabled, &request.headers) };
    let headers = answer.headers_mut();
    let speaks = |name: &&str| !echo && place.is_none() && (!is_tail || *name == encoding.subprotocol());
    if let Some(subprotocol) = subprotocol.filter(speaks) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    if let Some(offered) = place.and_then(|_| first_offered(&request.headers)) {
        // A browser that offers some wants one of them.
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    let window = agreed.as_ref().map(|(window, _)| *window);
    if let Some((_, extension)) = agreed {
        let value = HeaderValue::from_str(&extension).expect("invariant: the answer is ASCII");
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, value);
    }
    let mut head = Vec::with_capacity(256);
    if write_response(&mut head, &answer).is_err() {
        return Err(("internal", Response::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed")));
    }
    let opening = Opening { head, window, bare: echo || is_tail, ..Opening::new(encoding) };
    let mut visitor = process.audit.visitor(request);
    if echo || is_tail {
        let echo = echo.then(|| window.map_or(0, |window| window.bits));
        let (tail, identity) =
            watcher.map(|Watcher { tail, pass, identity }| ((tail, pass), identity)).unzip();
        let opening = Opening { identity: identity.flatten(), ..opening };
        return Ok(Accepted { opening, echo, tail, refusal: None, profile: None, visitor });
    }
    let query = request.uri.query().unwrap_or_default();
    let (opening, refusal, profile) = match place {
        None => {
            let opening = with_query(opening, query, &|_| true)?;
            let (identity, refusal) = authenticate(process, &request.headers, query, &mut visitor);
            (Opening { identity, ..opening }, refusal, None)
        }
        Some(place) => {
            let opening = with_query(opening, query, &|name| matches!(name, "resume" | "recover"))?;
            let entry = profile::entry(process, request, place, &mut visitor);
            let (opening, refusal) = at_profile(opening, entry);
            (opening, refusal, Some(place.profile))
        }
    };
    let refusal = refusal.or_else(|| {
        let brought = opening.resume.as_deref().and_then(|resume| resume.rsplit_once('.'));
        let client_id = brought.map(|(client_id, _)| client_id).or(opening.client_id.as_deref());
        let now_ms = process.clock.now().mono_ms();
        let checked = process.denials.check_visitor(client_id, request.peer.ip(), now_ms);
        checked.err().map(|rejection| Refused::new(rejection.code, rejection.message))
    });
    Ok(Accepted { opening, echo: None, tail: None, refusal, profile, visitor })
}

/// The opening of a connection at a profile's endpoint, and why it cannot be.
fn at_profile(mut opening: Opening, entry: profile::Entry) -> (Opening, Option<Refused>) {
    // The endpoint alone says which rooms are joined; the client, how far it had come in them.
    let known = std::mem::take(&mut opening.rooms).into_iter();
    opening.positions = known.filter_map(|join| Some((join.room, join.recover?))).collect();
    let mut refused = None;
    let client_id = entry.client_id.filter(|client_id| {
        let checked = check_id("client_id", client_id);
        refused = checked.as_ref().err().map(|error| Refused::new(Code::InvalidMessage, error.to_string()));
        checked.is_ok()
    });
    opening.client_id = client_id.map(Into::into);
    opening.health = entry.health;
    opening.identity = entry.identity;
    opening.speaker = Some(entry.speaker);
    if let Some(Introduction { rooms, commands, .. }) = entry.introduction {
        opening.rooms = rooms;
        opening.requests = commands;
    }
    (opening, entry.refused.or(refused))
}

fn authenticate(
    process: &Process,
    headers: &HeaderMap,
    query: &str,
    visitor: &mut Visitor,
) -> (Option<Identity>, Option<Refused>) {
    let token = match auth::token::find(headers, query) {
        Ok(None) => return (None, None),
        Ok(Some(token)) => token,
        Err(error) => {
            return (None, Some(Refused::new(Code::AuthenticationFailed, error.to_string())));
        }
    };
    match profile::known(process, &token, visitor) {
        Ok(identity) => (Some(identity), None),
        Err(refused) => (None, Some(refused)),
    }
}

/// Hands the socket over to the shard, which sends the 101; who is refused is told here.
pub(crate) async fn finish(
    handle: &Handle,
    process: &Arc<Process>,
    mut connection: Connection,
    accepted: Accepted,
) {
    let Accepted { mut opening, echo, tail, refusal, profile, visitor } = accepted;
    let refusal = refusal.or_else(|| {
        let full = Refused::new(Code::ServerError, "the audit log cannot be written; come back later");
        process.audit.refuses().then_some(full)
    });
    let live = process.live();
    let max = live.config.limits.connections_per_address;
    let address = (max > 0 && refusal.is_none()).then(|| process.addresses.enter(connection.peer.ip(), max));
    let leave = |place: Option<Option<addresses::Place>>| {
        place.flatten().into_iter().for_each(|place| process.addresses.leave(place));
    };
    let refusal = refusal.or_else(|| {
        let full = Refused::new(Code::ConnectionLimit, "the server has as many connections as it may");
        let crowd = Refused::new(Code::ConnectionLimit, "this address has as many connections as it may");
        if address == Some(None) {
            return Some(crowd);
        }
        (!process.take_connection(profile)).then_some(full)
    });
    let patience = live.config.timeouts.handshake;
    if let Some(refused) = refusal {
        let (code, message) = (refused.code, refused.message.clone());
        leave(address);
        process.metrics.handshake_failed(code.name());
        process.audit.visitor_denied(&visitor, code, message);
        handle.borrow().note_denied(code, connection.peer.ip().to_canonical());
        opening.head.extend(match &opening.speaker {
            Some(speaker) => profile::frames(process, speaker, &refused),
            None => refuse::frames(opening.encoding, code, &refused.message),
        });
        if connection.send(&opening.head, patience).await.is_ok() {
            connection.linger().await;
        }
        return;
    }
    // The runtime's own descriptor may still be named by a cancelled wait: the shard takes a copy.
    let adopted = socket::duplicate(connection.fd()).and_then(|fd| {
        let mut state = handle.borrow_mut();
        let came = Came { echo, tail, address: address.flatten() };
        let adopted = state.adopt(fd, opening, came, &mut connection.buffer, &visitor);
        state.port.rouse();
        adopted
    });
    if let Err(error) = adopted {
        tracing::debug!(%error, "an upgraded connection could not be taken over");
        process.metrics.handshake_failed("takeover");
        process.leave_connection(profile);
        leave(address);
    }
}
