//! Which path is answered by what.

use std::sync::Arc;

use http::{Method, StatusCode, header};

use crate::http::api;
use crate::http::connection::Connection;
use crate::http::head::Head;
use crate::http::profile;
use crate::http::respond::Response;
use crate::http::upgrade::{self, Accepted};
use crate::process::Process;
use crate::shard::Handle;

/// What happens after a request.
pub(crate) enum Next {
    /// It is answered.
    Respond(Response),
    /// It becomes a WebSocket.
    Upgrade(Box<Accepted>),
    /// Nothing more can be said.
    End,
}

/// Answers one request.
pub(crate) async fn route(
    handle: &Handle,
    process: &Arc<Process>,
    connection: &mut Connection,
    head: Head,
) -> Next {
    let path = head.uri.path().to_owned();
    match path.as_str() {
        "/v1/ws" | "/echo" | api::inspector::TAIL => {
            return upgrade::upgrade(process, &head, None).await;
        }
        _ if head.headers.contains_key(header::UPGRADE) => {
            if let Some(place) = profile::endpoint_at(process, &path) {
                return upgrade::upgrade(process, &head, Some(place)).await;
            }
            let message = "there is no WebSocket at this path; connect to /v1/ws";
            return Next::Respond(Response::error(StatusCode::NOT_FOUND, message).closing());
        }
        _ => {}
    }
    if profile::is_at(process, &path) {
        return profile::answer(handle, process, connection, &head).await;
    }
    if let Some(place) = profile::endpoint_at(process, &path) {
        // What is missing for an upgrade is told as at /v1/ws.
        return upgrade::upgrade(process, &head, Some(place)).await;
    }
    if let Some(name) = path.strip_prefix("/v1/profiles/").and_then(|rest| rest.strip_suffix("/events")) {
        return profile::events(handle, process, connection, &head, name).await;
    }
    if path.starts_with("/v1/admin/") {
        return api::admin::call(handle, process, connection, &head).await;
    }
    let other_methods = match path.starts_with("/v1/").then(|| api::service::route(&head)) {
        Some(Ok(found)) => return api::service::call(handle, process, connection, &head, found).await,
        Some(Err(methods)) => methods,
        None => Vec::new(),
    };
    if path == "/v1/publish" && head.method == Method::POST {
        return api::publish::publish(handle, process, connection, &head).await;
    }
    let response = own(handle, process, &head, &path).await;
    let response = match response {
        Some(response) => response.allowing(&other_methods),
        None if !other_methods.is_empty() => not_allowed(&other_methods.join(", ")),
        None => Response::error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    };
    // Bodies are read where they are wanted; elsewhere one would be taken for the next request.
    let is_odd = response.status().is_success() && matches!(head.method, Method::GET | Method::HEAD);
    Next::Respond(match head.has_body() {
        false => response,
        true if is_odd => Response::error(StatusCode::BAD_REQUEST, "this request takes no body").closing(),
        true => response.closing(),
    })
}

/// Answers what is no service's; nothing where nothing is at the path.
async fn own(handle: &Handle, process: &Arc<Process>, head: &Head, path: &str) -> Option<Response> {
    Some(match path {
        "/" => get(head, api::console::page),
        "/healthz" => get(head, || api::health::health(process)),
        "/readyz" => get(head, || api::health::ready(process)),
        "/metrics" => get(head, || api::health::metrics(process, head)),
        "/dev/token" => get(head, || api::console::token(process)),
        "/v1/openapi.json" => get(head, api::describe::openapi),
        "/v1/asyncapi.json" => get(head, api::describe::asyncapi),
        "/v1/publish" => not_allowed("POST"),
        _ if path.starts_with("/console/") => get(head, || api::console::file(path)),
        _ if path.starts_with("/v1/") => return api::query::answer(handle, process, head, path).await,
        _ => return None,
    })
}

fn get(head: &Head, answer: impl FnOnce() -> Response) -> Response {
    if head.method == Method::GET || head.method == Method::HEAD { answer() } else { not_allowed("GET") }
}

/// 405 with the methods that would do.
pub(crate) fn not_allowed(allowed: &str) -> Response {
    let message = format!("only {allowed} works here");
    Response::error(StatusCode::METHOD_NOT_ALLOWED, &message).with("allow", allowed)
}
