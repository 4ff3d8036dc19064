//! `operation.add_step` and `operation.update_step`.

use fanfare_protocol::{Code, Refusal};
use serde_json::{Map, Value};

use super::bounds::{STEP_OBJECT_BYTES, STEP_TEXTS_MAX, STEPS_MAX};
use super::object::Object;
use super::state::Operation;
use super::steps::{Step, StepStatus};
use super::{OperationRoom, conflict};
use crate::service::{Args, Context};

/// Adds a step as it is described; its place is the last. Its members keep their rules.
///
/// # Errors
/// There are too many, or one has its id.
pub(super) fn add(operation: &mut Operation, given: &Value) -> Result<usize, Refusal> {
    let text = |name: &str| given[name].as_str().map(str::to_owned);
    let index = operation.steps.len();
    if index >= STEPS_MAX {
        let message = format!("an operation has at most {STEPS_MAX} steps");
        return Err(Refusal::new(Code::RateLimitExceeded, message).at("step_id"));
    }
    let is_used = |id: &str| operation.steps.iter().any(|step| step.id == id);
    let id = match text("step_id") {
        Some(id) if is_used(&id) => {
            let message = "`step_id` is in use by another step of this operation".to_owned();
            return Err(conflict("step_id", message));
        }
        Some(id) => id,
        // One of so many is free.
        None => (index + 1..=index + 1 + STEPS_MAX)
            .map(|number| format!("step-{number}"))
            .find(|id| !is_used(id))
            .expect("invariant: there are fewer steps than that"),
    };
    let step = Step {
        id,
        name: text("name").unwrap_or_default(),
        weight: given["weight"].as_f64().unwrap_or(1.0),
        estimated_seconds: given["estimated_seconds"].as_u64(),
        ..Step::default()
    };
    operation.check_bytes(step.bytes(), "name")?;
    operation.steps.push(step);
    Ok(index)
}

impl OperationRoom {
    pub(super) fn add_step(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let operation = self.open()?;
        let metadata = Object::default().merged(args, "metadata", STEP_OBJECT_BYTES)?.unwrap_or_default();
        operation.check_bytes(metadata.bytes(), "metadata")?;
        let names = ["step_id", "name", "weight", "estimated_seconds"];
        let given: Map<String, Value> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), args.value(name)?.clone()))).collect();
        let index = add(operation, &Value::Object(given))?;
        operation.steps[index].metadata = metadata;
        operation.measure(context.now, args.flag("force").unwrap_or(false));
        let answer = operation.with_step(index, context.now);
        self.pace.note_step(index);
        self.save_now(context);
        self.tell_progress(context);
        Ok(answer)
    }

    pub(super) fn update_step(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let force = args.flag("force").unwrap_or(false);
        let operation = self.open()?;
        let index = operation.steps.iter().position(|step| step.id == args.word("step_id"));
        let Some(index) = index else {
            return Err(
                Refusal::new(Code::RoomNotFound, "`step_id`: this operation has no such step").at("step_id")
            );
        };
        let step = &operation.steps[index];
        let progress = args.number("progress");
        let status = match args.text("status").and_then(StepStatus::read) {
            Some(status) if !force && !status.may_follow(step.status) => {
                let message = format!("`status`: a step that is {} stays so", step.status.word());
                return Err(conflict("status", message));
            }
            Some(status) => status,
            // What comes further has begun.
            None if step.status == StepStatus::Pending && progress.is_some_and(|progress| progress > 0.0) => {
                StepStatus::Running
            }
            None => step.status,
        };
        let results = step.results.merged(args, "results", STEP_OBJECT_BYTES)?;
        let metadata = step.metadata.merged(args, "metadata", STEP_OBJECT_BYTES)?;
        let texts: usize =
            ["errors", "warnings"].iter().flat_map(|list| args.texts(list)).map(str::len).sum();
        let objects = results.iter().chain(&metadata).map(Object::bytes).sum::<usize>();
        let before = step.results.bytes() + step.metadata.bytes();
        operation.check_bytes(texts + objects.saturating_sub(before), "results")?;

        // From here on nothing is refused.
        let step = &mut operation.steps[index];
        let (is_turn, was_over) = (status != step.status, step.status.is_over());
        let is_lasting = is_turn || texts > 0 || results.is_some() || metadata.is_some();
        args.texts("errors").for_each(|text| step.errors.push(text, STEP_TEXTS_MAX));
        args.texts("warnings").for_each(|text| step.warnings.push(text, STEP_TEXTS_MAX));
        step.results = results.unwrap_or(std::mem::take(&mut step.results));
        step.metadata = metadata.unwrap_or(std::mem::take(&mut step.metadata));
        if let Some(progress) = progress
            && (force || (progress > step.percent && !was_over))
        {
            step.percent = progress;
        }
        step.become_(status, context.now);
        if is_turn && status == StepStatus::Running {
            operation.current_step = Some(step.name.clone());
        }
        let woke = is_turn || progress.is_some();
        let before = operation.status;
        if woke {
            operation.wake();
        }
        operation.measure(context.now, force);
        let is_awake = operation.status != before;
        let answer = operation.with_step(index, context.now);
        if is_lasting {
            self.save_now(context);
        } else {
            self.save_soon();
        }
        if is_turn {
            self.tell_step(index, context);
        } else {
            self.pace.note_step(index);
        }
        if is_awake {
            self.tell_status(context);
        } else {
            self.tell_progress(context);
        }
        Ok(answer)
    }
}
