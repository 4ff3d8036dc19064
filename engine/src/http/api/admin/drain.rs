//! `/v1/admin/drain`: sends connections away, or stops doing so, and tells how far it has come.

use std::sync::atomic::Ordering;

use fanfare_core::service::Args;
use http::StatusCode;
use serde_json::{Value, json};

use super::Done;
use crate::http::respond::Response;
use crate::process::Process;

pub(super) fn begin(process: &Process, args: &Args) -> Done {
    let (ends, seconds) = (args.flag("exit") == Some(true), args.whole("seconds"));
    let has_begun = process.begin_drain(ends, seconds.map(|seconds| seconds * 1_000));
    Done::new(answer(process, has_begun)).about("exit", ends.to_string())
}

pub(super) fn end(process: &Process) -> Done {
    let has_ended = process.end_drain();
    Done::new(answer(process, has_ended))
}

pub(super) fn show(process: &Process) -> Done {
    Done::new(answer(process, true))
}

fn answer(process: &Process, is_done: bool) -> Response {
    if is_done {
        Response::json(StatusCode::OK, &status(process))
    } else {
        Response::error(StatusCode::CONFLICT, "the process is about to end, and nothing holds it")
    }
}

fn status(process: &Process) -> Value {
    let connections = process.connections.load(Ordering::Relaxed);
    let Some(began) = process.drain.began() else {
        return json!({ "state": "serving", "connections": connections });
    };
    let state = match connections {
        _ if process.drain.ends() => "ending",
        0 => "drained",
        _ => "draining",
    };
    let seconds = process.clock.now().mono_ms().saturating_sub(began.at_ms) as f64 / 1e3;
    let gone = began.connections.saturating_sub(connections);
    let left = (gone > 0).then(|| seconds * connections as f64 / gone as f64);
    json!({
        "state": state,
        "connections": connections,
        "connections_before": began.connections,
        "seconds": seconds,
        "seconds_left": left.or((connections == 0).then_some(0.0)),
    })
}
