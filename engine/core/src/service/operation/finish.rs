//! `operation.complete`, `operation.fail` and `operation.cancel`. To end twice in the same way is to end once; to end in
//! another way is refused. What completes may come after the end.

use fanfare_protocol::Refusal;
use serde_json::{Value, json};

use super::bounds::{RESULTS_BYTES, TEXTS_MAX};
use super::state::Status;
use super::steps::StepStatus;
use super::texts::Texts;
use super::{OperationRoom, conflict, not_found};
use crate::service::{Args, Context};

/// What an error is called that has no name.
const UNKNOWN: &str = "UNKNOWN_ERROR";

impl OperationRoom {
    /// What was completed before takes what it does not have yet, since `operation.update` may have completed it.
    pub(super) fn complete(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let is_again = self.again(Status::Completed, context).is_some();
        if !is_again {
            self.open()?;
        }
        let operation = self.operation.as_mut().ok_or_else(not_found)?;
        if is_again && operation.results.contradicts(args, "results") {
            let message = "`results`: this operation was completed with others".to_owned();
            return Err(conflict("results", message));
        }
        let results = operation.results.merged(args, "results", RESULTS_BYTES)?;
        let results = results.filter(|new| *new != operation.results);
        let new = |list: &str, there: &Texts| -> Vec<&str> {
            args.texts(list).filter(|text| !is_again || !there.has(text)).collect()
        };
        let (errors, warnings) = (new("errors", &operation.errors), new("warnings", &operation.warnings));
        let texts: usize = errors.iter().chain(&warnings).map(|text| text.len()).sum();
        let more = results.as_ref().map_or(0, |new| new.bytes().saturating_sub(operation.results.bytes()));
        operation.check_bytes(texts + more, "results")?;
        if is_again && results.is_none() && texts == 0 {
            return Ok(operation.whole(context.now));
        }
        if let Some(results) = results {
            operation.results = results;
        }
        errors.into_iter().for_each(|text| operation.errors.push(text, TEXTS_MAX));
        warnings.into_iter().for_each(|text| operation.warnings.push(text, TEXTS_MAX));
        Ok(self.finish(Status::Completed, context))
    }

    pub(super) fn fail(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        if let Some(again) = self.again(Status::Failed, context) {
            return Ok(again);
        }
        self.open()?;
        let error = complete(args.value("error").cloned().unwrap_or_else(|| json!({})));
        Ok(self.fail_with(error, context))
    }

    pub(super) fn cancel(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        if let Some(again) = self.again(Status::Cancelled, context) {
            return Ok(again);
        }
        self.open()?.reason = args.text("reason").map(str::to_owned);
        Ok(self.finish(Status::Cancelled, context))
    }

    /// Ends what is not over with an error.
    pub(super) fn fail_with(&mut self, error: Value, context: &mut Context<'_>) -> Value {
        if let Some(operation) = &mut self.operation {
            operation.error = Some(error);
        }
        self.finish(Status::Failed, context)
    }

    /// Ends what is not over, and tells everybody.
    pub(super) fn finish(&mut self, status: Status, context: &mut Context<'_>) -> Value {
        let Some(operation) = &mut self.operation else { return Value::Null };
        operation.status = status;
        operation.ended.get_or_insert(context.now.into());
        operation.updated = context.now.into();
        if status == Status::Completed {
            operation.percent = 100.0;
            let open = operation.steps.iter_mut().filter(|step| !step.status.is_over());
            open.for_each(|step| step.become_(StepStatus::Completed, context.now));
        }
        let whole = operation.whole(context.now);
        self.save_now(context);
        self.tell_status(context);
        whole
    }

    /// What there is, if it has ended in this way already.
    fn again(&self, status: Status, context: &Context<'_>) -> Option<Value> {
        let operation = self.operation.as_ref().filter(|operation| operation.status == status)?;
        Some(operation.whole(context.now))
    }
}

/// An error with what people and programs look for in it, whatever else it says.
fn complete(mut error: Value) -> Value {
    for (name, usual) in
        [("code", json!(UNKNOWN)), ("message", json!("it failed")), ("retryable", json!(false))]
    {
        if error[name].is_null() {
            error[name] = usual;
        }
    }
    error
}
