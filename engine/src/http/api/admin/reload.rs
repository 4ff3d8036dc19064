//! `POST /v1/admin/reload`: reads the configuration again.

use std::sync::Arc;

use fanfare_core::service::Args;
use fanfare_protocol::Code;
use http::StatusCode;
use serde_json::{Value, json};

use super::Done;
use super::apart::apart;
use crate::config::{Change, Problem};
use crate::http::api::query::late;
use crate::http::respond::{Response, refusal};
use crate::process::Process;

pub(super) async fn reload(process: &Arc<Process>, args: &Args) -> Done {
    let dry_run = args.flag("dry_run") == Some(true);
    let own = Arc::clone(process);
    let Some(outcome) = apart(move || own.reload(dry_run)).await else { return Done::new(late()) };
    let done = match outcome {
        Ok(changes) => {
            let names: Vec<&str> = changes.iter().map(|change| change.setting.as_str()).collect();
            let changes: Vec<Value> = changes.iter().map(shown).collect();
            let response = Response::json(StatusCode::OK, &json!({ "changes": changes }));
            Done::new(response).about("changes", names.join(" "))
        }
        Err(error) => {
            let mut body =
                refusal(Code::InvalidMessage, "the configuration has problems; nothing was changed", None);
            body["details"]["problems"] = error.problems.iter().map(problem).collect();
            let count = error.problems.len();
            Done::new(Response::json(StatusCode::BAD_REQUEST, &body)).about("problems", count.to_string())
        }
    };
    done.about("dry_run", dry_run.to_string())
}

fn shown(change: &Change) -> Value {
    let Change { setting, old, new, at_once } = change;
    let takes_effect = if *at_once { "at_once" } else { "restart" };
    json!({ "setting": setting, "old": old, "new": new, "takes_effect": takes_effect })
}

fn problem(problem: &Problem) -> Value {
    json!({ "place": problem.place, "message": problem.message })
}
