//! `GET /v1/webhooks`: how the backends fare that are told, and the one that is asked.

use http::StatusCode;
use serde_json::{Value, json};

use crate::http::respond::Response;
use crate::process::Process;

/// One row each. No paths, no secrets: of an address, scheme, host and port.
pub(super) fn answer(process: &Process) -> Response {
    let webhooks: Vec<Value> = process.webhooks.iter().map(|status| status.row()).collect();
    let hooks = process.hooks.as_ref().map(|hooks| hooks.row());
    Response::json(StatusCode::OK, &json!({ "webhooks": webhooks, "hooks": hooks }))
}
