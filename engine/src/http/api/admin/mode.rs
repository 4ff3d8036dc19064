//! `/v1/admin/mode`: what an emergency needs.

use std::sync::Arc;

use fanfare_core::Mode;
use fanfare_core::service::Args;
use fanfare_protocol::Refusal;
use http::StatusCode;
use serde_json::json;

use super::Done;
use super::apart::apart;
use crate::http::api::query::late;
use crate::http::api::service::refused;
use crate::http::respond::Response;
use crate::log;
use crate::process::Process;

pub(super) async fn set(process: &Arc<Process>, args: &Args) -> Done {
    if let Some(level) = args.text("log_level")
        && let Err(rule) = log::steer(level)
    {
        let refusal = Refusal::invalid(None, Some("log_level"), format!("`log_level` {rule}"));
        return Done::new(refused(&refusal));
    }
    let wanted = args.clone();
    let change = move |mode: Mode| Mode {
        read_only: wanted.flag("read_only").unwrap_or(mode.read_only),
        shed: wanted.whole("shed").map_or(mode.shed, |level| level as u8),
        priority_min: wanted.whole("priority_min").map_or(mode.priority_min, |priority| priority as u8),
        compression: wanted.flag("compression").unwrap_or(mode.compression),
    };
    let own = Arc::clone(process);
    let Some(mode) = apart(move || own.set_mode(change)).await else { return Done::new(late()) };
    let Mode { read_only, shed, priority_min, compression } = mode;
    let subject = format!(
        "read_only {read_only}, shed {shed}, priority_min {priority_min}, compression {compression}, log_level {}",
        log::level()
    );
    show(process).about("mode", subject)
}

pub(super) fn show(process: &Process) -> Done {
    let Mode { read_only, shed, priority_min, compression } = process.live().options.mode;
    let body = json!({
        "read_only": read_only,
        "shed": shed,
        "priority_min": priority_min,
        "compression": compression,
        "log_level": log::level(),
    });
    Done::new(Response::json(StatusCode::OK, &body))
}
