//! What there is of one operation, and how it moves.

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounds::STATE_BYTES;
use super::object::Object;
use super::progress::Meter;
use super::steps::{self, Step};
use super::texts::Texts;
use crate::time::Now;

/// What an operation takes beside its steps, texts and objects, as JSON: names and numbers, and the error that it may end with.
const BYTES: usize = 12_288;

/// A moment, by both clocks: one to measure with and one for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct At {
    pub(super) mono_ms: u64,
    pub(super) unix_ms: u64,
}

impl From<Now> for At {
    fn from(now: Now) -> Self {
        Self { mono_ms: now.mono_ms(), unix_ms: now.unix_ms }
    }
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// It is known, and nothing was heard of it yet.
    #[default]
    Initialized,
    Running,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        ["initialized", "running", "paused", "completed", "failed", "cancelled"][self as usize]
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) title: Option<String>,
    /// Its owner.
    pub(super) user_id: Option<String>,
    pub(super) notify_user: bool,
    /// Whether its owner hears of what lies between start and end as well.
    #[serde(default)]
    pub(super) notify_of_all: bool,
    pub(super) status: Status,
    /// How far it is, 0 to 100, as it is shown.
    pub(super) percent: f64,
    /// How far it said it is.
    pub(super) said_percent: f64,
    pub(super) current_step: Option<String>,
    pub(super) steps: Vec<Step>,
    /// Steps that were announced.
    pub(super) announced: usize,
    /// Items or bytes.
    pub(super) done: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) unit: Option<String>,
    pub(super) estimated_seconds: Option<u64>,
    pub(super) message: Option<String>,
    pub(super) throughput: Object,
    pub(super) errors: Texts,
    pub(super) warnings: Texts,
    pub(super) metadata: Object,
    pub(super) results: Object,
    /// What it failed with.
    pub(super) error: Option<Value>,
    /// Why it was given up.
    pub(super) reason: Option<String>,
    pub(super) started: At,
    pub(super) updated: At,
    pub(super) ended: Option<At>,
    /// How long it is remembered after its end.
    pub(super) ttl_ms: u64,
    /// After how long without any news it counts as failed.
    pub(super) idle_ttl_ms: u64,
    pub(super) percent_meter: Meter,
    pub(super) done_meter: Meter,
}

impl Operation {
    /// What follows from its parts: how far it is. It never goes back unless that is wanted.
    pub(super) fn measure(&mut self, now: Now, force: bool) {
        let counted = || {
            let (done, total) = (self.done?, self.total?);
            Some((done as f64 * 100.0 / total.max(1) as f64).min(100.0))
        };
        let told = steps::percentage(&self.steps, self.announced).or_else(counted);
        let told = told.unwrap_or(self.said_percent);
        self.percent = if force { told } else { told.max(self.percent) };
        self.percent_meter.note(now.mono_ms(), self.percent);
        if let Some(done) = self.done {
            self.done_meter.note(now.mono_ms(), done as f64);
        }
        self.updated = now.into();
    }

    /// Something is heard of it: it runs, unless it pauses.
    pub(super) fn wake(&mut self) {
        if self.status == Status::Initialized {
            self.status = Status::Running;
        }
    }

    /// Pauses, or goes on. A pause counts neither as time nor as progress.
    pub(super) fn turn(&mut self, status: Status, now: Now) {
        if self.status == Status::Paused && status == Status::Running {
            self.percent_meter = Meter::since(now.mono_ms(), self.percent);
            self.done_meter = Meter::since(now.mono_ms(), self.done.unwrap_or(0) as f64);
        }
        self.status = status;
    }

    /// Whether rates and what is left mean something.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self.status, Status::Initialized | Status::Running)
    }

    /// When it is forgotten, or counts as failed because nothing is heard of it.
    pub(super) fn over_ms(&self) -> u64 {
        match self.ended {
            Some(ended) => ended.mono_ms + self.ttl_ms,
            None => self.updated.mono_ms + self.idle_ttl_ms,
        }
    }

    /// How many steps there are, or will be.
    pub(super) fn total_steps(&self) -> usize {
        self.steps.len().max(self.announced)
    }

    /// Refuses to grow beyond what an operation may take.
    ///
    /// # Errors
    /// It would.
    pub(super) fn check_bytes(&self, more: usize, field: &'static str) -> Result<(), Refusal> {
        let texts = self.errors.bytes() + self.warnings.bytes();
        let objects = self.metadata.bytes() + self.results.bytes() + self.throughput.bytes();
        let steps: usize = self.steps.iter().map(Step::bytes).sum();
        if BYTES + texts + objects + steps + more <= STATE_BYTES {
            return Ok(());
        }
        let message = format!("an operation has at most {STATE_BYTES} bytes in all");
        Err(Refusal::new(Code::RateLimitExceeded, message).at(field))
    }
}

/// A number with so many parts of one as people want to see.
pub(super) fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono_us: ms * 1_000, unix_ms: ms }
    }

    fn begun() -> Operation {
        let meter = || Meter::since(0, 0.0);
        Operation { percent_meter: meter(), done_meter: meter(), ..Operation::default() }
    }

    #[test]
    fn it_never_goes_back_unless_that_is_wanted() {
        let mut operation = begun();
        for (said, force, shown) in [(40.0, false, 40.0), (30.0, false, 40.0), (10.0, true, 10.0)] {
            operation.said_percent = said;
            operation.measure(at(1_000), force);
            assert_eq!(operation.percent, shown);
        }
    }

    #[test]
    fn steps_come_before_counts_and_counts_before_what_is_said() {
        let mut operation = begun();
        operation.said_percent = 5.0;
        operation.measure(at(1), false);
        assert_eq!(operation.percent, 5.0);
        (operation.done, operation.total) = (Some(30), Some(120));
        operation.measure(at(2), false);
        assert_eq!(operation.percent, 25.0);
        operation.done = Some(500);
        operation.measure(at(2), false);
        assert_eq!(operation.percent, 100.0, "more than all is all");
        operation.steps.push(Step { weight: 1.0, percent: 60.0, ..Step::default() });
        operation.measure(at(3), true);
        assert_eq!(operation.percent, 60.0);
    }

    #[test]
    fn a_pause_is_no_time() {
        let mut operation = begun();
        operation.said_percent = 50.0;
        operation.measure(at(10_000), false);
        operation.turn(Status::Paused, at(10_000));
        operation.turn(Status::Running, at(1_000_000));
        assert_eq!(operation.percent_meter.seconds_until(100.0, 1_000_000), None);
        operation.said_percent = 75.0;
        operation.measure(at(1_010_000), false);
        assert_eq!(operation.percent_meter.seconds_until(100.0, 1_010_000), Some(10));
    }
}
