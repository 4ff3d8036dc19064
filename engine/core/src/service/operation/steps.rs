//! The steps of an operation, and how far they make it.

use fanfare_protocol::timestamp::rfc3339_text;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::object::Object;
use super::state::{At, rounded};
use super::texts::Texts;
use crate::time::Now;

/// What a step takes beside its texts, as JSON.
const BYTES: usize = 200;

/// Where a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StepStatus {
    #[default]
    Pending,
    Running,
    Completed,
    Failed,
    Skipped,
}

impl StepStatus {
    /// All words.
    pub(super) const WORDS: [&str; 5] = ["pending", "running", "completed", "failed", "skipped"];

    pub(super) fn read(word: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Skipped];
        all.into_iter().find(|status| status.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }

    /// Whether this leads on from there. A finished step stays as it is.
    pub(super) fn may_follow(self, before: Self) -> bool {
        self == before || (!before.is_over() && self != Self::Pending)
    }
}

/// One of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) weight: f64,
    pub(super) status: StepStatus,
    /// 0 to 100.
    pub(super) percent: f64,
    pub(super) estimated_seconds: Option<u64>,
    pub(super) metadata: Object,
    pub(super) results: Object,
    pub(super) errors: Texts,
    pub(super) warnings: Texts,
    pub(super) started: Option<At>,
    pub(super) ended: Option<At>,
}

impl Step {
    /// Puts it where it says it is. It starts once and ends once.
    pub(super) fn become_(&mut self, status: StepStatus, now: Now) {
        self.status = status;
        if status != StepStatus::Pending && status != StepStatus::Skipped && self.started.is_none() {
            self.started = Some(now.into());
        }
        if !status.is_over() {
            self.ended = None;
        } else if self.ended.is_none() {
            self.ended = Some(now.into());
        }
        if status == StepStatus::Completed {
            self.percent = 100.0;
        }
    }

    /// What it adds to the whole: what is skipped is out of the way.
    fn share(&self) -> f64 {
        if self.status == StepStatus::Skipped { 100.0 } else { self.percent }
    }

    /// About how many bytes it is as JSON.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.errors.bytes() + self.warnings.bytes();
        BYTES + self.id.len() + self.name.len() + self.metadata.bytes() + self.results.bytes() + texts
    }

    pub(super) fn value(&self, index: usize) -> Value {
        let mut value = json!({
            "step_id": self.id,
            "step_index": index,
            "name": self.name,
            "status": self.status.word(),
            "progress_percentage": rounded(self.percent, 100.0),
        });
        let mut add = |name: &str, member: Option<Value>| {
            if let Some(member) = member {
                value[name] = member;
            }
        };
        let time = |at: &At| Value::from(rfc3339_text(at.unix_ms));
        let object = |of: &Object| (!of.is_empty()).then(|| of.value());
        let texts = |of: &Texts| (of.total() > 0).then(|| of.newest(usize::MAX));
        add("weight", (self.weight != 1.0).then(|| self.weight.into()));
        add("estimated_seconds", self.estimated_seconds.map(Value::from));
        add("started_at", self.started.as_ref().map(time));
        add("ended_at", self.ended.as_ref().map(time));
        let times = self.started.zip(self.ended);
        add("duration_ms", times.map(|(from, to)| to.mono_ms.saturating_sub(from.mono_ms).into()));
        add("metadata", object(&self.metadata));
        add("results", object(&self.results));
        add("errors", texts(&self.errors));
        add("warnings", texts(&self.warnings));
        value
    }
}

/// How far steps make an operation, in percent: the mean of theirs by weight. Steps that were announced and are not there
/// yet count as not begun. Nothing where there are none.
pub(super) fn percentage(steps: &[Step], announced: usize) -> Option<f64> {
    if steps.is_empty() {
        return None;
    }
    let missing = announced.saturating_sub(steps.len()) as f64;
    let weight = steps.iter().map(|step| step.weight).sum::<f64>() + missing;
    let sum: f64 = steps.iter().map(|step| step.weight * step.share()).sum();
    Some(if weight > 0.0 { (sum / weight).clamp(0.0, 100.0) } else { 0.0 })
}

/// How many are out of the way.
pub(super) fn completed(steps: &[Step]) -> usize {
    let is_done = |step: &&Step| matches!(step.status, StepStatus::Completed | StepStatus::Skipped);
    steps.iter().filter(is_done).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(weight: f64, status: StepStatus, percent: f64) -> Step {
        Step { weight, status, percent, ..Step::default() }
    }

    #[test]
    fn the_whole_is_the_mean_of_its_steps_by_weight() {
        use StepStatus::{Completed, Failed, Pending, Running, Skipped};
        assert_eq!(percentage(&[], 5), None);
        let mut steps = vec![step(1.0, Completed, 100.0), step(1.0, Running, 50.0), step(1.0, Pending, 0.0)];
        assert_eq!((percentage(&steps, 0), completed(&steps)), (Some(50.0), 1));
        steps.push(step(1.0, Skipped, 0.0));
        assert_eq!((percentage(&steps, 0), completed(&steps)), (Some(62.5), 2));
        assert_eq!(percentage(&steps, 5), Some(50.0), "one is announced");
        assert_eq!(percentage(&[step(3.0, Completed, 100.0), step(1.0, Failed, 20.0)], 0), Some(80.0));
        assert_eq!(percentage(&[step(0.0, Completed, 100.0)], 0), Some(0.0), "no weight at all");
    }

    #[test]
    fn times_are_set_once() {
        let at = |unix_ms| Now { mono_us: unix_ms * 1_000, unix_ms };
        let mut step = step(1.0, StepStatus::Pending, 0.0);
        step.become_(StepStatus::Running, at(1_000));
        step.become_(StepStatus::Running, at(2_000));
        step.become_(StepStatus::Completed, at(3_000));
        step.become_(StepStatus::Completed, at(4_000));
        let value = step.value(0);
        assert_eq!(value["started_at"], "1970-01-01T00:00:01.000Z");
        assert_eq!(value["ended_at"], "1970-01-01T00:00:03.000Z");
        assert_eq!((&value["duration_ms"], &value["progress_percentage"]), (&json!(2_000), &json!(100.0)));
    }

    #[test]
    fn steps_go_forward() {
        use StepStatus::{Completed, Failed, Pending, Running, Skipped};
        for (before, after, may) in [
            (Pending, Running, true),
            (Pending, Skipped, true),
            (Running, Failed, true),
            (Running, Pending, false),
            (Completed, Completed, true),
            (Completed, Running, false),
            (Failed, Completed, false),
        ] {
            assert_eq!(after.may_follow(before), may, "{before:?} to {after:?}");
        }
        for word in StepStatus::WORDS {
            assert_eq!(StepStatus::read(word).unwrap().word(), word);
        }
    }
}
