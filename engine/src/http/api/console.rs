//! The live page and, in development only, the token it connects with.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::json;

use crate::cli;
use crate::http::respond::Response;
use crate::process::Process;

const PAGE: &str = include_str!("../console.html");
const POLICY: &str = "default-src 'self'; script-src 'unsafe-inline' 'self'; style-src 'unsafe-inline' 'self'; \
                      connect-src 'self' ws: wss:; img-src 'self' data:; frame-ancestors 'none'";
const TOKEN_SECONDS: u64 = 3_600;

/// `/`: one file, embedded.
pub(crate) fn page() -> Response {
    Response::new(StatusCode::OK, "text/html; charset=utf-8", PAGE)
        .with("content-security-policy", POLICY)
        .with("referrer-policy", "no-referrer")
}

/// `/dev/token`: a token for the page; there is none outside development.
pub(crate) fn token(process: &Process) -> Response {
    if !process.config.development {
        return Response::error(StatusCode::NOT_FOUND, "there is nothing at this path");
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let user_id = format!("demo-{:04x}", since.subsec_micros() & 0xFFFF);
    match cli::token::development(&user_id, "admin", TOKEN_SECONDS) {
        Ok(token) => {
            let body = json!({ "token": token, "user_id": user_id, "expires_in": TOKEN_SECONDS });
            Response::json(StatusCode::OK, &body)
        }
        Err(_) => Response::error(StatusCode::INTERNAL_SERVER_ERROR, "the token could not be made"),
    }
}
