//! `GET /v1/admin/bans`, `GET /v1/admin/revocations`: who is kept out.

use fanfare_core::service::Args;
use fanfare_core::service::access::Subject;
use http::StatusCode;
use serde_json::{Value, json};

use super::Done;
use crate::http::respond::Response;
use crate::process::Process;

/// Rows when nobody says how many.
const LIMIT: u64 = 100;

pub(super) fn bans(process: &Process, args: &Args) -> Done {
    let body = json!({ "bans": list(process, args, true), "total": process.denials.counts().bans });
    Done::new(Response::json(StatusCode::OK, &body))
}

pub(super) fn revocations(process: &Process, args: &Args) -> Done {
    let total = process.denials.counts().revocations;
    let body = json!({ "revocations": list(process, args, false), "total": total });
    Done::new(Response::json(StatusCode::OK, &body))
}

fn list(process: &Process, args: &Args, bans: bool) -> Vec<Value> {
    let now = process.clock.now();
    let max = args.whole("limit").unwrap_or(LIMIT) as usize;
    let found = process.denials.list(now.mono_ms(), max, |subject: &Subject| subject.is_ban() == bans);
    found.iter().map(|denial| denial.shown(now)).collect()
}
