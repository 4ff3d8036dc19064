//! What operations of the kinds that are always there say. A kind of the configuration names its messages itself.

use super::commands::{OVER, SUMMARY, WHOLE, WITH_STEP};
use crate::service::{Field, Rule, Said};

/// The messages of these kinds, and those that several have. What begins with `$` is said in the owner's own room.
macro_rules! messages {
    ($([$kind:literal: $started:literal, $progress:literal, $completed:literal, $failed:literal, $cancelled:literal])*;
     $($more:expr),*) => {
        &[
            $(
                Said::kept($started, concat!("Begin of an operation of the kind `", $kind, "`."), WHOLE),
                Said::kept($progress, concat!("How far an operation of the kind `", $kind, "` is."), SUMMARY),
                Said::kept($completed, concat!("An operation of the kind `", $kind, "` is done."), WHOLE),
                Said::kept($failed, concat!("An operation of the kind `", $kind, "` has failed."), WHOLE),
                Said::kept($cancelled, concat!("An operation of the kind `", $kind, "` was given up."), WHOLE),
                Said::kept(concat!("$", $started), concat!("To its owner: the same as `", $started, "`."), SUMMARY),
                Said::signal(concat!("$", $progress), concat!("To its owner, where its start says `notify_user: \"all\"`: the same as `", $progress, "`."), SUMMARY),
                Said::kept(concat!("$", $completed), concat!("To its owner: the same as `", $completed, "`."), OVER),
                Said::kept(concat!("$", $failed), concat!("To its owner: the same as `", $failed, "`."), OVER),
                Said::kept(concat!("$", $cancelled), concat!("To its owner: the same as `", $cancelled, "`."), OVER),
            )*
            $($more),*
        ]
    };
}

pub(super) static MESSAGES: &[Said] = messages![
    ["operation": "operation_started", "progress_update", "operation_complete", "operation_error", "operation_cancelled"]
    ["pipeline": "pipeline_start", "pipeline_progress", "pipeline_complete", "pipeline_error", "pipeline_cancelled"]
    ["upload": "upload_start", "upload_progress", "upload_complete", "upload_error", "upload_cancelled"]
    ["conversion": "conversion_start", "conversion_progress", "conversion_complete", "conversion_error", "conversion_cancelled"]
    ["validation": "validation_start", "validation_progress", "validation_complete", "validation_error", "validation_cancelled"]
    ["export": "export_started", "export_progress", "export_completed", "export_failed", "export_cancelled"]
    ["document": "processing_started", "processing_progress", "processing_completed", "processing_failed", "processing_cancelled"];
    Said::kept("step_update", "A step of an operation has changed, or is over.", WITH_STEP),
    Said::kept("zone_processing", "A step of an operation of the kind `document` has changed.", WITH_STEP),
    Said::kept("zone_completed", "A step of an operation of the kind `document` is over.", WITH_STEP),
    Said::signal("$step_update", "To the operation's owner, where its start says `notify_user: \"all\"`.", WITH_STEP),
    Said::signal("$zone_processing", "The same of a step of the kind `document`.", WITH_STEP),
    Said::signal("$zone_completed", "The same of a step of the kind `document` that is over.", WITH_STEP),
    Said::signal(
        "operation_removed",
        "An operation of any kind is forgotten.",
        &[
            Field::required("operation_id", Rule::Name, "The operation."),
            Field::required("reason", Rule::Choice(&["removed", "expired"]), "Why."),
        ]
    )
];
