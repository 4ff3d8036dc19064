//! Is it alive, is it ready, and how much has it done.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::json;

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

/// `/metrics`: everything counted, for Prometheus.
pub(crate) fn metrics(process: &Process) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Response::new(StatusCode::OK, content_type, crate::metrics::render(process))
}
