//! An operation as it is told: a summary that goes with every message, and the whole.

use fanfare_protocol::timestamp::rfc3339_text;
use serde_json::{Map, Value};

use super::bounds::TEXTS_TOLD;
use super::object::Object;
use super::state::{At, Operation, rounded};
use super::steps::{self, StepStatus};
use crate::time::Now;

impl Operation {
    /// What a progress bar needs, whole each time.
    pub(super) fn summary(&self, now: Now) -> Map<String, Value> {
        let now_ms = now.mono_ms();
        let time = |at: At| Value::from(rfc3339_text(at.unix_ms));
        let object = |of: &Object| (!of.is_empty()).then(|| of.value());
        let text = |of: &Option<String>| of.as_deref().map(Value::from);
        let is_counted = self.done.is_some();
        // Where something is to be counted, a rate of percents would be read as one of that.
        let meter = if is_counted || self.unit.is_some() { &self.done_meter } else { &self.percent_meter };
        let rate = meter.per_second(now_ms).filter(|_| self.is_moving());
        let left = self.percent_meter.seconds_until(100.0, now_ms).filter(|_| self.is_moving());
        let unit = self.unit.as_deref().unwrap_or(if is_counted { "items" } else { "percent" });
        let end = self.ended.map_or(now_ms, |at| at.mono_ms);
        let elapsed = end.saturating_sub(self.started.mono_ms) as f64 / 1_000.0;
        let members = [
            ("operation_id", Some(self.id.as_str().into())),
            ("kind", Some(self.kind.as_str().into())),
            ("title", text(&self.title)),
            ("user_id", text(&self.user_id)),
            ("status", Some(self.status.word().into())),
            ("progress_percentage", Some(rounded(self.percent, 100.0).into())),
            ("current_step", text(&self.current_step)),
            ("current_step_percentage", self.current_step_percent().map(|of| rounded(of, 100.0).into())),
            ("steps_completed", Some(steps::completed(&self.steps).into())),
            ("total_steps", Some(self.total_steps().into())),
            ("done", self.done.map(Value::from)),
            ("total", self.total.map(Value::from)),
            ("unit", Some(unit.into())),
            ("rate_per_second", rate.map(|rate| rounded(rate, 1_000.0).into())),
            ("estimated_seconds", self.estimated_seconds.map(Value::from)),
            ("estimated_seconds_remaining", left.map(Value::from)),
            ("elapsed_seconds", Some(elapsed.into())),
            ("message", text(&self.message)),
            ("throughput", object(&self.throughput)),
            ("errors", Some(self.errors.newest(TEXTS_TOLD))),
            ("errors_total", Some(self.errors.total().into())),
            ("warnings", Some(self.warnings.newest(TEXTS_TOLD))),
            ("warnings_total", Some(self.warnings.total().into())),
            ("error", self.error.clone()),
            ("reason", text(&self.reason)),
            ("metadata", object(&self.metadata)),
            ("started_at", Some(time(self.started))),
            ("updated_at", Some(time(self.updated))),
            ("ended_at", self.ended.map(time)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// How far the step is that `current_step` names; of several of a name the one that runs.
    fn current_step_percent(&self) -> Option<f64> {
        let name = self.current_step.as_ref()?;
        let named = self.steps.iter().filter(|step| step.name == *name);
        named.max_by_key(|step| step.status == StepStatus::Running).map(|step| step.percent)
    }

    /// Everything.
    pub(super) fn whole(&self, now: Now) -> Value {
        let mut whole = self.summary(now);
        whole.insert("errors".to_owned(), self.errors.newest(usize::MAX));
        whole.insert("warnings".to_owned(), self.warnings.newest(usize::MAX));
        let steps = self.steps.iter().enumerate().map(|(index, step)| step.value(index));
        whole.insert("steps".to_owned(), steps.collect());
        whole.insert("results".to_owned(), self.results.value());
        Value::Object(whole)
    }

    /// A summary with one step.
    pub(super) fn with_step(&self, index: usize, now: Now) -> Value {
        let mut summary = self.summary(now);
        summary.insert("step".to_owned(), self.steps[index].value(index));
        Value::Object(summary)
    }
}
