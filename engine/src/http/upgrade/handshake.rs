//! What an upgrade must have: RFC 6455 §4.2, origins, rates; and what is agreed on, subprotocol and permessage-deflate.

use fanfare_core::Window;
use fanfare_protocol::Encoding;
use fanfare_protocol::deflate::{Policy, negotiate};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tungstenite::error::ProtocolError;

use super::Failed;
use crate::auth;
use crate::config::{Config, Limits};
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::process::Process;

/// The request as the handshake's checks want it.
pub(super) fn checked(head: &Head) -> http::Request<()> {
    let mut request = http::Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers.clone();
    request
}

pub(super) fn handshake_error(error: &tungstenite::Error) -> Failed {
    let tungstenite::Error::Protocol(error) = error else {
        return ("handshake", Response::error(StatusCode::BAD_REQUEST, "the handshake is malformed"));
    };
    let bad = |message| Response::error(StatusCode::BAD_REQUEST, message);
    match error {
        ProtocolError::WrongHttpVersion => ("version", bad("a WebSocket needs HTTP/1.1")),
        ProtocolError::MissingConnectionUpgradeHeader => {
            ("connection", bad("`connection: upgrade` is missing"))
        }
        ProtocolError::MissingUpgradeWebSocketHeader => upgrade_required(),
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

/// What a request is told that is no upgrade.
pub(super) fn upgrade_required() -> Failed {
    let message = "this is a WebSocket endpoint: `upgrade: websocket` is missing";
    let response = Response::error(StatusCode::UPGRADE_REQUIRED, message);
    ("upgrade", response.with("upgrade", "websocket").with("connection", "upgrade"))
}

/// The more come, the longer they are asked to wait, and not all for the same time.
pub(super) fn overloaded(process: &Process) -> Response {
    let seconds = 2 + process.clock.now().mono_us % 9;
    let message = "the server sheds load and takes no new connections; try again later";
    Response::error(StatusCode::SERVICE_UNAVAILABLE, message).with("retry-after", seconds.to_string())
}

pub(super) fn check_rate(process: &Process, limits: &Limits, head: &Head) -> Result<(), Failed> {
    let now_ms = process.clock.now().mono_ms();
    let per_minute = limits.upgrades_per_minute;
    if per_minute == 0 || process.addresses.may_open(head.peer.ip(), per_minute, now_ms) {
        return Ok(());
    }
    let message = "this address opens connections too quickly; try again later";
    let response = Response::error(StatusCode::TOO_MANY_REQUESTS, message);
    Err(("address_rate", response.with("retry-after", (60 / per_minute).max(1).to_string())))
}

pub(super) fn check_origin(config: &Config, head: &Head, besides: &[String]) -> Result<(), Failed> {
    let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or("\u{0}"));
    if head.headers.get_all(header::ORIGIN).iter().count() <= 1
        && auth::origin::allowed(text(header::ORIGIN), text(header::HOST), config, besides)
    {
        return Ok(());
    }
    let message = "this `origin` is not in auth.allowed_origins, and none of the profile's own";
    Err(("origin", Response::error(StatusCode::FORBIDDEN, message)))
}

/// The first offered subprotocol that carries an encoding. Offers are bounded and read in one pass.
pub(super) fn subprotocol(headers: &HeaderMap) -> Result<(Encoding, Option<&'static str>), Failed> {
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

pub(super) fn deflate(enabled: bool, headers: &HeaderMap) -> Option<(Window, String)> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = values.iter().filter_map(|value| value.to_str().ok());
    let (agreed, answer) = negotiate(offers, &Policy { enabled })?;
    let (bits, takeover) = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
    Some((Window { bits, takeover }, answer))
}

/// The first subprotocol that is offered, but for the one that carries a token.
pub(super) fn first_offered(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offers = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut offers =
        offers.map(str::trim).filter(|offer| !offer.is_empty() && !auth::token::is_carrier(offer));
    HeaderValue::from_str(offers.next()?).ok()
}
