//! `operation.update`.

use fanfare_protocol::Refusal;
use serde_json::Value;

use super::OperationRoom;
use super::bounds::{METADATA_BYTES, RESULTS_BYTES, TEXTS_MAX, THROUGHPUT_BYTES};
use super::object::Object;
use super::state::Status;
use crate::service::{Args, Context};

impl OperationRoom {
    pub(super) fn update(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let (now, force) = (context.now, args.flag("force").unwrap_or(false));
        let operation = self.open()?;
        let metadata = operation.metadata.merged(args, "metadata", METADATA_BYTES)?;
        let results = operation.results.merged(args, "results", RESULTS_BYTES)?;
        // What was measured before is no part of what is measured now.
        let throughput = Object::default().merged(args, "throughput", THROUGHPUT_BYTES)?;
        let texts: usize =
            ["errors", "warnings"].iter().flat_map(|list| args.texts(list)).map(str::len).sum();
        let objects = metadata.iter().chain(&results).chain(&throughput).map(Object::bytes).sum::<usize>();
        let replaced = [(&metadata, &operation.metadata), (&results, &operation.results)];
        let before: usize =
            replaced.iter().filter(|(new, _)| new.is_some()).map(|(_, old)| old.bytes()).sum();
        operation.check_bytes(texts + objects.saturating_sub(before), "metadata")?;

        // From here on nothing is refused.
        let before = operation.status;
        let is_lasting = texts > 0 || metadata.is_some() || results.is_some();
        for (given, place) in [
            (metadata, &mut operation.metadata),
            (results, &mut operation.results),
            (throughput, &mut operation.throughput),
        ] {
            if let Some(given) = given {
                *place = given;
            }
        }
        args.texts("errors").for_each(|text| operation.errors.push(text, TEXTS_MAX));
        args.texts("warnings").for_each(|text| operation.warnings.push(text, TEXTS_MAX));
        for (name, place) in [
            ("current_step", &mut operation.current_step),
            ("unit", &mut operation.unit),
            ("message", &mut operation.message),
        ] {
            if let Some(text) = args.text(name) {
                *place = Some(text.to_owned());
            }
        }
        operation.total = args.whole("total").or(operation.total);
        operation.estimated_seconds = args.whole("estimated_seconds").or(operation.estimated_seconds);
        operation.done = match (operation.done, args.whole("done")) {
            (Some(before), Some(done)) if !force => Some(done.max(before)),
            (before, done) => done.or(before),
        };
        let progress = args.number("progress");
        operation.said_percent = progress.unwrap_or(operation.said_percent);
        match args.text("status") {
            Some("paused") => operation.turn(Status::Paused, now),
            Some(_) => operation.turn(Status::Running, now),
            None => operation.wake(),
        }
        operation.measure(now, force);
        if progress == Some(100.0) {
            return Ok(self.finish(Status::Completed, context));
        }
        let is_turn = operation.status != before;
        let answer = Value::Object(operation.summary(now));
        if is_turn || is_lasting {
            self.save_now(context);
        } else {
            self.save_soon();
        }
        if is_turn {
            self.tell_status(context);
        } else {
            self.tell_progress(context);
        }
        Ok(answer)
    }
}
