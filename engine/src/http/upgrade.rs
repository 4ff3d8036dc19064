//! From a request to a WebSocket: RFC 6455 §4.2, subprotocols, permessage-deflate, the token.

use std::sync::Arc;

use fanfare_core::{Identity, Opening, Window};
use fanfare_profile::Place;
use fanfare_protocol::deflate::{Policy, negotiate};
use fanfare_protocol::limits::EPOCH_BYTES_MAX;
use fanfare_protocol::name::{RoomName, check_id};
use fanfare_protocol::wire::{Join, Position};
use fanfare_protocol::{Code, Encoding};
use fanfare_sys::socket;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::{create_response, write_response};

use crate::addresses;
use crate::audit::{Outcome, Visitor};
use crate::auth;
use crate::config::{Config, Limits};
use crate::http::api;
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::profile::{self, Introduction, Refused};
use crate::http::refuse;
use crate::http::respond::Response;
use crate::http::route::{Next, not_allowed};
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
    tail: Option<Tail>,
    /// The token was bad: told over the WebSocket, since a browser cannot see an HTTP 401.
    refusal: Option<Refused>,
    /// The number of the profile whose endpoint it is.
    profile: Option<usize>,
    /// For the audit.
    visitor: Visitor,
}

/// Rooms that a query may name.
const QUERY_ROOMS_MAX: usize = 32;
/// What follows the client id in a text to come back with.
const RESUME_WORD_BYTES_MAX: usize = 32;
/// Longest metadata in a query, decoded.
const METADATA_BYTES_MAX: usize = 4_096;

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
    let mut answer = create_response(&checked(request)).map_err(|error| handshake_error(&error))?;
    check_origin(&live.config, request)?;
    let tail = if is_tail { Some(api::inspector::tail(process, request)?) } else { None };
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
    let opening = Opening {
        head,
        encoding,
        window,
        client_id: None,
        rooms: Vec::new(),
        inbox: None,
        resume: None,
        identity: None,
        bare: echo || is_tail,
        health: false,
        requests: Vec::new(),
        speaker: None,
    };
    let mut visitor = process.audit.visitor(request);
    if echo || is_tail {
        let echo = echo.then(|| window.map_or(0, |window| window.bits));
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

/// The request as the handshake's checks want it.
fn checked(head: &Head) -> http::Request<()> {
    let mut request = http::Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers.clone();
    request
}

fn handshake_error(error: &tungstenite::Error) -> Failed {
    let tungstenite::Error::Protocol(error) = error else {
        return ("handshake", Response::error(StatusCode::BAD_REQUEST, "the handshake is malformed"));
    };
    let bad = |message| Response::error(StatusCode::BAD_REQUEST, message);
    match error {
        ProtocolError::WrongHttpVersion => ("version", bad("a WebSocket needs HTTP/1.1")),
        ProtocolError::MissingConnectionUpgradeHeader => {
            ("connection", bad("`connection: upgrade` is missing"))
        }
        ProtocolError::MissingUpgradeWebSocketHeader => {
            let message = "this is a WebSocket endpoint: `upgrade: websocket` is missing";
            let response = Response::error(StatusCode::UPGRADE_REQUIRED, message);
            ("upgrade", response.with("upgrade", "websocket").with("connection", "upgrade"))
        }
        ProtocolError::MissingSecWebSocketVersionHeader => {
            let message = "`sec-websocket-version` must be 13";
            let response = Response::error(StatusCode::UPGRADE_REQUIRED, message);
            ("version", response.with("sec-websocket-version", "13"))
        }
        ProtocolError::MissingSecWebSocketKey => ("key", bad("`sec-websocket-key` is missing")),
        ProtocolError::InvalidSecWebSocketKey => {
            ("key", bad("`sec-websocket-key` must be 16 bytes in base64"))
        }
        _ => ("handshake", bad("the handshake is malformed")),
    }
}

/// The more come, the longer they are asked to wait, and not all for the same time.
fn overloaded(process: &Process) -> Response {
    let seconds = 2 + process.clock.now().mono_us % 9;
    let message = "the server sheds load and takes no new connections; try again later";
    Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", seconds.to_string())
}

fn check_rate(process: &Process, limits: &Limits, head: &Head) -> Result<(), Failed> {
    let now_ms = process.clock.now().mono_ms();
    let per_minute = limits.upgrades_per_minute;
    if per_minute == 0 || process.addresses.may_open(head.peer.ip(), per_minute, now_ms) {
        return Ok(());
    }
    let message = "this address opens connections too quickly; try again later";
    let response = Response::error(StatusCode::TOO_MANY_REQUESTS, message);
    Err(("address_rate", response.with("retry-after", (60 / per_minute).max(1).to_string())))
}

fn check_origin(config: &Config, head: &Head) -> Result<(), Failed> {
    let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or("\u{0}"));
    if head.headers.get_all(header::ORIGIN).iter().count() <= 1
        && auth::origin::allowed(text(header::ORIGIN), text(header::HOST), config)
    {
        return Ok(());
    }
    let message = "this `origin` is not in auth.allowed_origins";
    Err(("origin", Response::error(StatusCode::FORBIDDEN, message)))
}

/// The first offered subprotocol that carries an encoding. Offers are bounded and read in one pass.
fn subprotocol(headers: &HeaderMap) -> Result<(Encoding, Option<&'static str>), Failed> {
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let Ok(text) = value.to_str() else {
            let message = "`sec-websocket-protocol` is not ASCII";
            return Err(("subprotocol", Response::error(StatusCode::BAD_REQUEST, message)));
        };
        for offered in text.split(',').map(str::trim) {
            for encoding in [Encoding::Json, Encoding::MessagePack] {
                if offered == encoding.subprotocol() {
                    return Ok((encoding, Some(encoding.subprotocol())));
                }
            }
        }
    }
    Ok((Encoding::Json, None))
}

fn deflate(enabled: bool, headers: &HeaderMap) -> Option<(Window, String)> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = values.iter().filter_map(|value| value.to_str().ok());
    let (agreed, answer) = negotiate(offers, &Policy { enabled })?;
    let (bits, takeover) = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
    Some((Window { bits, takeover }, answer))
}

/// The opening of a connection at a profile's endpoint, and why it cannot be.
fn at_profile(mut opening: Opening, entry: profile::Entry) -> (Opening, Option<Refused>) {
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
    if let Some(Introduction { given, rooms, commands }) = entry.introduction {
        let recovers = |join: &Join| opening.rooms.iter().any(|of| of.room == join.room);
        let rooms: Vec<Join> = rooms.into_iter().filter(|join| !recovers(join)).collect();
        opening.rooms.extend(rooms);
        opening.requests = commands;
        opening.speaker.iter_mut().for_each(|speaker| speaker.given = Arc::new(given.clone()));
    }
    (opening, entry.refused.or(refused))
}

/// The first subprotocol that is offered, but for the one that carries a token.
fn first_offered(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offers = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut offers =
        offers.map(str::trim).filter(|offer| !offer.is_empty() && !auth::token::is_carrier(offer));
    HeaderValue::from_str(offers.next()?).ok()
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
    match process.identify(&token, process.clock.now().unix_ms) {
        Ok(identity) => {
            if process.audit.is_kept() {
                visitor.showed(&token);
            }
            (Some(identity), None)
        }
        Err(rejection) => (None, Some(Refused::new(rejection.code, rejection.message))),
    }
}

/// Client id, rooms and metadata of the query, as far as its parameters are read. Metadata is checked and not kept: nothing reads
/// it yet.
fn with_query(mut opening: Opening, query: &str, reads: &dyn Fn(&str) -> bool) -> Result<Opening, Failed> {
    let bad = |message: &str| ("query", Response::error(StatusCode::BAD_REQUEST, message));
    for (name, value) in crate::percent::pairs(query).filter(|(name, _)| reads(name)) {
        match name.as_str() {
            "client_id" => {
                check_id("client_id", &value).map_err(|error| bad(&error.to_string()))?;
                opening.client_id = Some(value.into());
            }
            "room" => {
                if opening.rooms.len() == QUERY_ROOMS_MAX {
                    return Err(bad("`room` may be given 32 times at most"));
                }
                let room = RoomName::parse(&value).map_err(|error| bad(&error.to_string()))?;
                opening.rooms.push(Join { room, recover: None, last: None });
            }
            "recover" => {
                let (room, position) = place(&value).map_err(|message| bad(&message))?;
                if room.is_inbox() {
                    opening.inbox = Some(position);
                } else if opening.rooms.len() == QUERY_ROOMS_MAX {
                    return Err(bad("`recover` and `room` may be given 32 times at most"));
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
        process
            .audit
            .write(|| visitor.record("connect_denied", Outcome::Denied).code(code.number()).because(message));
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
