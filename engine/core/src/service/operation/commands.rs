//! What the commands of operations take and answer.

use super::NAME;
use super::bounds::{
    ERROR_BYTES, METADATA_BYTES, RESULTS_BYTES, STEP_OBJECT_BYTES, STEP_TEXTS_MAX, STEPS_MAX, TEXT_CHARS,
    TEXTS_MAX, THROUGHPUT_BYTES, TTL_S_MAX,
};
use super::steps::StepStatus;
use crate::service::{Access, Field, Method, Place, Rule, Spec};

const PLACE: Place = Place::Of(NAME, "operation_id");
/// Ten years.
const SECONDS: Rule = Rule::Whole(0, 315_360_000);
const COUNT: Rule = Rule::Whole(0, u64::MAX);
const PERCENT: Rule = Rule::Number(0.0, 100.0);
const WEIGHT: Rule = Rule::Number(0.0, 1_000_000.0);

const ID: Field =
    Field::required("operation_id", Rule::Name, "The operation, a name of the caller's choice.");
const STEP_ID: Field = Field::required("step_id", Rule::Name, "The step.");
const NEW_STEP_ID: Field =
    Field::optional("step_id", Rule::Name, "A name of the caller's choice; otherwise `step-<n>`.");
const STEP_NAME: Field = Field::required("name", Rule::Text(128), "What people read.");
const STEP_WEIGHT: Field = Field::optional("weight", WEIGHT, "How much of the whole it is; otherwise 1.");
const STEP_SECONDS: Field = Field::optional("estimated_seconds", SECONDS, "How long it is expected to take.");
const ERRORS: Field =
    Field::optional("errors", Rule::Texts(TEXTS_MAX, TEXT_CHARS), "What went wrong; added to what is there.");
const WARNINGS: Field = Field::optional(
    "warnings",
    Rule::Texts(TEXTS_MAX, TEXT_CHARS),
    "What looks odd; added to what is there.",
);
const METADATA: Field = Field::optional(
    "metadata",
    Rule::Object(METADATA_BYTES),
    "Anything, merged with what is there; goes with every message.",
);
const STEP_METADATA: Field =
    Field::optional("metadata", Rule::Object(STEP_OBJECT_BYTES), "Anything, merged with what is there.");
const RESULTS: Field =
    Field::optional("results", Rule::Object(RESULTS_BYTES), "What came of it, merged with what is there.");
const FORCE: Field =
    Field::optional("force", Rule::Flag, "Whether progress may go back, and steps may begin again.");

/// What a progress bar needs, and more.
macro_rules! told {
    ($($more:expr),*) => {
        &[
            Field::required("operation_id", Rule::Name, "The operation."),
            Field::required("kind", Rule::Name, "Its kind."),
            Field::optional("title", Rule::Text(256), "What people read."),
            Field::optional("user_id", Rule::Id, "Its owner."),
            Field::required(
                "status",
                Rule::Choice(&["initialized", "running", "paused", "completed", "failed", "cancelled"]),
                "Where it is.",
            ),
            Field::required("progress_percentage", PERCENT, "How far it is."),
            Field::optional("current_step", Rule::Text(128), "What it does now."),
            Field::optional("current_step_percentage", PERCENT, "How far the step of that name is."),
            Field::required("steps_completed", COUNT, "Steps that are out of the way."),
            Field::required("total_steps", COUNT, "Steps that there are, or will be."),
            Field::optional("done", COUNT, "Units that are done."),
            Field::optional("total", COUNT, "Units in all."),
            Field::required("unit", Rule::Text(32), "What is counted: items, bytes; `percent` where nothing is."),
            Field::optional("rate_per_second", Rule::Number(0.0, f64::MAX), "Units a second over the last minute."),
            Field::optional("estimated_seconds", SECONDS, "How long it was expected to take."),
            Field::optional("estimated_seconds_remaining", SECONDS, "What is left at that rate, once there is one."),
            Field::required("elapsed_seconds", Rule::Number(0.0, f64::MAX), "Since its start, to its end if it is over."),
            Field::optional("message", Rule::Text(TEXT_CHARS), "What people read now."),
            Field::optional("throughput", Rule::Object(THROUGHPUT_BYTES), "What the application says of it."),
            Field::required("errors", Rule::Texts(TEXTS_MAX, TEXT_CHARS), "The newest errors."),
            Field::required("errors_total", COUNT, "How many there ever were."),
            Field::required("warnings", Rule::Texts(TEXTS_MAX, TEXT_CHARS), "The newest warnings."),
            Field::required("warnings_total", COUNT, "How many there ever were."),
            Field::optional("error", Rule::Object(ERROR_BYTES), "What it failed with."),
            Field::optional("reason", Rule::Text(TEXT_CHARS), "Why it was cancelled."),
            Field::optional("metadata", Rule::Object(METADATA_BYTES), "What the application said of it."),
            Field::required("started_at", Rule::Time, "When it was started."),
            Field::required("updated_at", Rule::Time, "When something was last heard of it."),
            Field::optional("ended_at", Rule::Time, "When it was over."),
            $($more),*
        ]
    };
}

const STEP: [Field; 14] = [
    Field::required("step_id", Rule::Name, "The step."),
    Field::required("step_index", COUNT, "Its place, from 0."),
    Field::required("name", Rule::Text(128), "What people read."),
    Field::required("status", Rule::Choice(&StepStatus::WORDS), "Where it is."),
    Field::required("progress_percentage", PERCENT, "How far it is."),
    Field::optional("weight", WEIGHT, "How much of the whole it is, if not 1."),
    STEP_SECONDS,
    Field::optional("started_at", Rule::Time, "When it began."),
    Field::optional("ended_at", Rule::Time, "When it was over."),
    Field::optional("duration_ms", COUNT, "How long it took."),
    Field::optional("errors", Rule::Texts(STEP_TEXTS_MAX, TEXT_CHARS), "Its newest errors."),
    Field::optional("warnings", Rule::Texts(STEP_TEXTS_MAX, TEXT_CHARS), "Its newest warnings."),
    Field::optional("results", Rule::Object(STEP_OBJECT_BYTES), "What came of it."),
    Field::optional("metadata", Rule::Object(STEP_OBJECT_BYTES), "What the application said of it."),
];

pub(super) const SUMMARY: &[Field] = told![];
pub(super) const WITH_STEP: &[Field] =
    told![Field::required("step", Rule::Object(16_384), "The step as it is now.")];
/// To its owner, when it is over.
pub(super) const OVER: &[Field] =
    told![Field::optional("results", Rule::Object(RESULTS_BYTES), "What came of it, if anything.")];
pub(super) const WHOLE: &[Field] = told![
    Field::required("steps", Rule::Objects(STEPS_MAX, &STEP), "Every step."),
    Field::required("results", Rule::Object(RESULTS_BYTES), "What came of it.")
];

pub(super) static COMMANDS: [Spec; 9] = [
    Spec {
        name: "operation.start",
        about: "Starts an operation. Its id must be free.",
        method: Method::Post,
        path: "/v1/operations",
        access: Access::Control,
        place: PLACE,
        fields: &[
            ID,
            Field::optional("kind", Rule::Name, "What its messages are called after; otherwise `operation`."),
            Field::optional("title", Rule::Text(256), "What people read."),
            Field::optional("user_id", Rule::Id, "Its owner."),
            Field::optional(
                "notify_user",
                Rule::FlagOr(&["all"]),
                "Whether the owner hears of its start and its end in its own room; true where there is one. With `all` it hears there of progress and steps as well, while it is there.",
            ),
            Field::optional(
                "total_steps",
                Rule::Whole(0, STEPS_MAX as u64),
                "How many steps there will be, if they are added later.",
            ),
            Field::optional(
                "steps",
                Rule::Objects(STEPS_MAX, &[NEW_STEP_ID, STEP_NAME, STEP_WEIGHT, STEP_SECONDS]),
                "Its steps, if they are known.",
            ),
            Field::optional("total", Rule::Whole(1, u64::MAX), "Units in all."),
            Field::optional("unit", Rule::Text(32), "What is counted; otherwise items."),
            Field::optional("estimated_seconds", SECONDS, "How long it is expected to take."),
            Field::optional(
                "ttl_seconds",
                Rule::Whole(1, TTL_S_MAX),
                "How long it is remembered after its end.",
            ),
            METADATA,
        ],
        answer: WHOLE,
    },
    Spec {
        name: "operation.update",
        about: "Tells how far an operation is.",
        method: Method::Patch,
        path: "/v1/operations/{operation_id}",
        access: Access::Control,
        place: PLACE,
        fields: &[
            ID,
            Field::optional("progress", PERCENT, "How far it is; 100 completes it."),
            Field::optional("status", Rule::Choice(&["running", "paused"]), "Whether it goes on."),
            Field::optional("current_step", Rule::Text(128), "What it does now."),
            Field::optional("done", COUNT, "Units that are done."),
            Field::optional("total", Rule::Whole(1, u64::MAX), "Units in all."),
            Field::optional("unit", Rule::Text(32), "What is counted; otherwise items."),
            Field::optional("estimated_seconds", SECONDS, "How long it is expected to take."),
            Field::optional("message", Rule::Text(TEXT_CHARS), "What people read now."),
            Field::optional(
                "throughput",
                Rule::Object(THROUGHPUT_BYTES),
                "What the application has measured; takes the place of what was there.",
            ),
            ERRORS,
            WARNINGS,
            METADATA,
            RESULTS,
            FORCE,
        ],
        answer: SUMMARY,
    },
    Spec {
        name: "operation.add_step",
        about: "Adds a step to an operation.",
        method: Method::Post,
        path: "/v1/operations/{operation_id}/steps",
        access: Access::Control,
        place: PLACE,
        fields: &[ID, NEW_STEP_ID, STEP_NAME, STEP_WEIGHT, STEP_SECONDS, STEP_METADATA, FORCE],
        answer: WITH_STEP,
    },
    Spec {
        name: "operation.update_step",
        about: "Tells how far a step is.",
        method: Method::Patch,
        path: "/v1/operations/{operation_id}/steps/{step_id}",
        access: Access::Control,
        place: PLACE,
        fields: &[
            ID,
            STEP_ID,
            Field::optional("status", Rule::Choice(&StepStatus::WORDS), "Where it is."),
            Field::optional("progress", PERCENT, "How far it is."),
            ERRORS,
            WARNINGS,
            Field::optional(
                "results",
                Rule::Object(STEP_OBJECT_BYTES),
                "What came of it, merged with what is there.",
            ),
            STEP_METADATA,
            FORCE,
        ],
        answer: WITH_STEP,
    },
    Spec {
        name: "operation.complete",
        about: "Ends an operation well.",
        method: Method::Post,
        path: "/v1/operations/{operation_id}/complete",
        access: Access::Control,
        place: PLACE,
        fields: &[ID, RESULTS, ERRORS, WARNINGS],
        answer: WHOLE,
    },
    Spec {
        name: "operation.fail",
        about: "Ends an operation with an error.",
        method: Method::Post,
        path: "/v1/operations/{operation_id}/fail",
        access: Access::Control,
        place: PLACE,
        fields: &[
            ID,
            Field::optional(
                "error",
                Rule::Members(
                    ERROR_BYTES,
                    &[
                        Field::optional("code", Rule::Text(64), "What programs look for."),
                        Field::optional("message", Rule::Text(TEXT_CHARS), "What people read."),
                        Field::optional("retryable", Rule::Flag, "Whether trying again may help."),
                    ],
                ),
                "What went wrong, with anything else about it.",
            ),
        ],
        answer: WHOLE,
    },
    Spec {
        name: "operation.cancel",
        about: "Gives an operation up.",
        method: Method::Post,
        path: "/v1/operations/{operation_id}/cancel",
        access: Access::Control,
        place: PLACE,
        fields: &[ID, Field::optional("reason", Rule::Text(TEXT_CHARS), "Why.")],
        answer: WHOLE,
    },
    Spec {
        name: "operation.get",
        about: "Tells everything about an operation.",
        method: Method::Get,
        path: "/v1/operations/{operation_id}",
        access: Access::Read,
        place: PLACE,
        fields: &[ID],
        answer: WHOLE,
    },
    Spec {
        name: "operation.remove",
        about: "Forgets an operation, whether it is over or not.",
        method: Method::Delete,
        path: "/v1/operations/{operation_id}",
        access: Access::Control,
        place: PLACE,
        fields: &[ID],
        answer: &[Field::required("operation_id", Rule::Name, "The operation.")],
    },
];
