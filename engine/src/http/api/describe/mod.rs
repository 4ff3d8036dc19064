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

/// Asserts that every `$ref` of a description leads somewhere in it.
#[cfg(test)]
fn assert_references(document: &serde_json::Value) {
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/").skip(1) {
        let path = reference.split_once('"').expect("a text").0;
        assert!(document.pointer(&format!("/{path}")).is_some(), "{path} is nowhere");
    }
}
