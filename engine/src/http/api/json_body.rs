//! The body of a request that carries JSON.

use bytes::Bytes;
use fanfare_protocol::Code;
use http::{StatusCode, header};

use crate::http::api::access::Caller;
use crate::http::body;
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::http::route::Next;
use crate::process::Process;

/// Who calls, and the body, which is not read for somebody who may not.
///
/// # Errors
/// What is answered instead; where a body follows, the connection ends with it.
pub(crate) async fn of_caller(
    caller: Result<Caller, Response>,
    process: &Process,
    connection: &mut Connection,
    head: &Head,
) -> Result<(Caller, Bytes), Next> {
    match caller {
        Ok(caller) => Ok((caller, read(process, connection, head).await?)),
        Err(response) if head.has_body() => Err(Next::Respond(response.closing())),
        Err(response) => Err(Next::Respond(response)),
    }
}

/// Reads it whole.
///
/// # Errors
/// What is answered instead; the connection ends with it, since what follows could not be told from the body.
pub(crate) async fn read(process: &Process, connection: &mut Connection, head: &Head) -> Result<Bytes, Next> {
    if let Some(given) = &head.given {
        return Ok(given.clone());
    }
    let refuse = |status, message: &str| Err(Next::Respond(Response::error(status, message).closing()));
    let json_type = head.headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        let text = value.to_str().unwrap_or_default();
        let (kind, _) = text.split_once(';').unwrap_or((text, ""));
        kind.trim().eq_ignore_ascii_case("application/json")
    });
    if head.has_body() && !json_type {
        let (code, message) = (Code::InvalidMessage, "`content-type` must be application/json");
        let refused =
            Response::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message, Some("content-type"));
        return Err(Next::Respond(refused.closing()));
    }
    let live = process.live();
    let (max, patience) = (live.config.limits.http_body, live.config.timeouts.http_request);
    let expects = head.headers.get(header::EXPECT);
    if expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && connection.send(b"HTTP/1.1 100 Continue\r\n\r\n", patience).await.is_err()
    {
        return Err(Next::End);
    }
    match body::read(connection, head.body, max, patience).await {
        Ok(body) => Ok(body),
        Err(body::Failure::Gone) => Err(Next::End),
        Err(body::Failure::Late) => {
            refuse(StatusCode::REQUEST_TIMEOUT, "the body took longer than timeouts.http_request to arrive")
        }
        Err(body::Failure::TooLarge) => {
            let message = format!("the body is larger than limits.http_body, {max} bytes");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, &message)
        }
        Err(body::Failure::Malformed) => refuse(StatusCode::BAD_REQUEST, "the chunks are malformed"),
    }
}
