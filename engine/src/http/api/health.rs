//! Is it alive, is it ready, and how much has it done.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::json;

use crate::config::Scrapers;
use crate::http::api::access;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::process::Process;

/// `/healthz`: the process answers, and says which driver serves.
pub(crate) fn health(process: &Process) -> Response {
    let body = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "driver": process.driver.name,
        "driver_reason": process.driver.reason,
        "shards": process.options.shards,
        "uptime_seconds": process.clock.uptime().as_secs_f64(),
        "store": process.store.as_ref().map(|store| {
            if store.healthy.load(Ordering::Relaxed) { "ok" } else { "failing: durable rooms take no messages" }
        }),
        "audit": process.audit.status().map(|audit| {
            if audit.failing.load(Ordering::Relaxed) { "failing: lines wait" } else { "ok" }
        }),
    });
    Response::json(StatusCode::OK, &body)
}

/// `/readyz`: whether a balancer should send clients here.
pub(crate) fn ready(process: &Process) -> Response {
    if process.is_draining() {
        return Response::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" }));
    }
    Response::json(StatusCode::OK, &json!({ "status": "ready" }))
}

/// What a proxy adds to a request that came from elsewhere.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// `/metrics`: everything counted, for Prometheus. It tells how busy a server is and with what, so it is not for everybody.
pub(crate) fn metrics(process: &Process, head: &Head) -> Response {
    let is_open = match process.live().config.auth.metrics {
        Scrapers::All => true,
        Scrapers::Key => false,
        Scrapers::Local => {
            let is_forwarded = FORWARDED.iter().any(|name| head.headers.contains_key(*name));
            head.peer.ip().to_canonical().is_loopback() && !is_forwarded
        }
    };
    if !is_open && let Err(response) = access::caller(process, head) {
        return response;
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Response::new(StatusCode::OK, content_type, crate::metrics::render(process))
}
