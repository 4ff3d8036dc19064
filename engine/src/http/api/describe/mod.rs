//! What describes the API to machines: OpenAPI for HTTP, AsyncAPI for messages. Made from what services declare, and from a
//! page of our own for the rest.

mod asyncapi;
mod openapi;
mod schema;

use std::sync::OnceLock;

use http::StatusCode;

use crate::http::respond::Response;

/// `GET /v1/openapi.json`.
pub(crate) fn openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| openapi::document().to_string());
    Response::new(StatusCode::OK, "application/json", document.as_str())
}

/// `GET /v1/asyncapi.json`.
pub(crate) fn asyncapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| asyncapi::document().to_string());
    Response::new(StatusCode::OK, "application/json", document.as_str())
}
