//! `POST /v1/admin/disconnect`: ends connections, or counts them.

use fanfare_core::service::Args;
use fanfare_core::{Close, Ending, Network, Who};
use fanfare_protocol::{Code, Refusal};
use http::StatusCode;
use serde_json::json;

use super::Done;
use crate::http::api::query::{end, late};
use crate::http::api::service::refused;
use crate::http::respond::Response;
use crate::process::Process;
use crate::shard::Handle;

pub(super) async fn disconnect(handle: &Handle, process: &Process, args: &Args) -> Done {
    let (who, (name, what)) = match who(process, args) {
        Ok(found) => found,
        Err(refusal) => return Done::new(refused(&refusal)),
    };
    let reason = args.text("reason").map(|reason| reason.to_owned().into());
    let close = if args.flag("reconnect") == Some(true) {
        Close::protocol(1_012, "an operator asks to reconnect")
    } else {
        Close::code(Code::DisconnectedByAdmin, "an operator ended this connection")
    };
    let close = Close { reason: reason.unwrap_or_else(|| close.reason.clone()), ..close };
    let count_only = args.flag("dry_run") == Some(true);
    let response = match end(handle, process, Ending { who, close, count_only }).await {
        Some(connections) => Response::json(StatusCode::OK, &json!({ "connections": connections })),
        None => late(),
    };
    Done::new(response).about(name, what).about("dry_run", count_only.to_string())
}

/// Whose, and in words.
fn who(process: &Process, args: &Args) -> Result<(Who, (&'static str, String)), Refusal> {
    let mut found = Vec::new();
    if let Some(user_id) = args.text("user_id") {
        found.push((Who::User(user_id.into()), ("user_id", user_id.to_owned())));
    }
    if let Some(client_id) = args.text("client_id") {
        found.push((Who::Client(client_id.into()), ("client_id", client_id.to_owned())));
    }
    if let Some(text) = args.text("network") {
        let network: Network = text.parse().expect("invariant: the rule asks for it");
        found.push((Who::Network(network), ("network", network.to_string())));
    }
    if let Some(key_id) = args.text("key_id") {
        let numbers = process.live().verifier.numbers(key_id);
        found.push((Who::Keys(numbers.into()), ("key_id", key_id.to_owned())));
    }
    if args.flag("all") == Some(true) {
        found.push((Who::All, ("all", "true".to_owned())));
    }
    match found.pop() {
        Some(one) if found.is_empty() => Ok(one),
        _ => {
            let message = "exactly one of `user_id`, `client_id`, `network`, `key_id` and `all` is required";
            Err(Refusal::invalid(None, Some("user_id"), message))
        }
    }
}
