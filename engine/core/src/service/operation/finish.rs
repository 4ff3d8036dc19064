//! `operation.complete`, `operation.fail` and `operation.cancel`. To end twice in the same way is to end once; to end in
//! another way is refused.

use fanfare_protocol::Refusal;
use serde_json::{Value, json};

use super::OperationRoom;
use super::bounds::{RESULTS_BYTES, TEXTS_MAX};
use super::state::Status;
use crate::service::{Args, Context};

/// What an error is called that has no name.
const UNKNOWN: &str = "UNKNOWN_ERROR";

impl OperationRoom {
    pub(super) fn complete(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        if let Some(again) = self.again(Status::Completed, context) {
            return Ok(again);
        }
        let operation = self.open()?;
        let results = operation.results.merged(args, "results", RESULTS_BYTES)?;
        let texts: usize =
            ["errors", "warnings"].iter().flat_map(|list| args.texts(list)).map(str::len).sum();
        let more = results.as_ref().map_or(0, |new| new.bytes().saturating_sub(operation.results.bytes()));
        operation.check_bytes(texts + more, "results")?;
        if let Some(results) = results {
            operation.results = results;
        }
        args.texts("errors").for_each(|text| operation.errors.push(text, TEXTS_MAX));
        args.texts("warnings").for_each(|text| operation.warnings.push(text, TEXTS_MAX));
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
        operation.ended = Some(context.now.into());
        operation.updated = context.now.into();
        if status == Status::Completed {
            operation.percent = 100.0;
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
