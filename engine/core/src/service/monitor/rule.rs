//! One rule: a threshold for one value, and how it stands.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::service::{Args, told_time};
use crate::time::Now;

/// From the least to the most, and the priority that alerts have.
pub(super) const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];
const PRIORITIES: [u8; 3] = [0, 5, 9];

/// What is compared with the threshold, and how.
pub(super) const LIMITS: [&str; 4] = ["above", "below", "rate_above", "rate_below"];

/// A rule as it was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) name: String,
    /// A place in [`LIMITS`].
    limit: usize,
    threshold: f64,
    hysteresis: f64,
    for_ms: u64,
    /// A place in [`SEVERITIES`].
    severity: usize,
    message: Option<String>,
}

/// How a rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Status {
    #[default]
    Ok,
    /// It is so, but not for long enough. Since when, by both clocks: how long is not known after a restart.
    #[serde(skip)]
    Pending { since_ms: u64, since_unix_ms: u64 },
    /// It was told.
    Alerting { since_unix_ms: u64 },
}

#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) terms: Terms,
    pub(super) status: Status,
}

/// What members are to be told of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Alert,
    Recovered,
}

impl News {
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Alert => "$alert",
            Self::Recovered => "$recovered",
        }
    }
}

impl Terms {
    /// What was asked for.
    pub(super) fn of(args: &Args) -> Self {
        let place = |list: &[&str], word: &str| {
            list.iter().position(|of| *of == word).expect("invariant: it is one of these")
        };
        Self {
            name: args.word("name").to_owned(),
            limit: place(&LIMITS, args.word("limit")),
            threshold: args.number("threshold").expect("invariant: the rule asks for it"),
            hysteresis: args.number("hysteresis").unwrap_or(0.0),
            for_ms: (args.number("for_seconds").unwrap_or(0.0) * 1_000.0) as u64,
            severity: place(&SEVERITIES, args.text("severity").unwrap_or("warning")),
            message: args.text("message").map(str::to_owned),
        }
    }

    pub(super) fn priority(&self) -> u8 {
        PRIORITIES[self.severity]
    }

    /// What is compared: the value itself, or how fast it changes.
    pub(super) fn compared(&self, value: f64, rate: Option<f64>) -> Option<f64> {
        if LIMITS[self.limit].starts_with("rate") { rate } else { Some(value) }
    }

    fn is_upper(&self) -> bool {
        LIMITS[self.limit].ends_with("above")
    }

    fn is_beyond(&self, value: f64) -> bool {
        if self.is_upper() { value > self.threshold } else { value < self.threshold }
    }

    fn is_well_inside(&self, value: f64) -> bool {
        if self.is_upper() {
            value <= self.threshold - self.hysteresis
        } else {
            value >= self.threshold + self.hysteresis
        }
    }
}

impl Watch {
    pub(super) fn new(terms: Terms) -> Self {
        Self { terms, status: Status::Ok }
    }

    /// A new value; what is to be told of it.
    pub(super) fn see(&mut self, value: f64, now: Now) -> Option<News> {
        let is_beyond = self.terms.is_beyond(value);
        match self.status {
            Status::Ok if is_beyond => {
                self.status = Status::Pending { since_ms: now.mono_ms(), since_unix_ms: now.unix_ms };
                self.wait(now)
            }
            Status::Pending { .. } if is_beyond => self.wait(now),
            Status::Pending { .. } => {
                self.status = Status::Ok;
                None
            }
            Status::Alerting { .. } if self.terms.is_well_inside(value) => {
                self.status = Status::Ok;
                Some(News::Recovered)
            }
            Status::Ok | Status::Alerting { .. } => None,
        }
    }

    /// Whether it has been so for long enough.
    pub(super) fn wait(&mut self, now: Now) -> Option<News> {
        let Status::Pending { since_unix_ms, .. } = self.status else { return None };
        if self.due_ms()? > now.mono_ms() {
            return None;
        }
        self.status = Status::Alerting { since_unix_ms };
        Some(News::Alert)
    }

    /// When it will have been so for long enough.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self.status {
            Status::Pending { since_ms, .. } => Some(since_ms + self.terms.for_ms),
            _ => None,
        }
    }

    /// Its terms, as they were set, and how it stands.
    pub(super) fn told(&self, id: &str) -> Value {
        let Terms { name, limit, threshold, hysteresis, for_ms, severity, message } = &self.terms;
        let (status, since) = match self.status {
            Status::Ok => ("ok", None),
            Status::Pending { since_unix_ms, .. } => ("pending", Some(since_unix_ms)),
            Status::Alerting { since_unix_ms } => ("alerting", Some(since_unix_ms)),
        };
        let mut told = json!({
            "rule_id": id,
            "name": name,
            "limit": LIMITS[*limit],
            "threshold": threshold,
            "hysteresis": hysteresis,
            "for_seconds": *for_ms as f64 / 1_000.0,
            "severity": SEVERITIES[*severity],
            "status": status,
        });
        if let Some(message) = message {
            told["message"] = message.as_str().into();
        }
        if let Some(since) = since {
            told["since"] = told_time(since);
        }
        told
    }

    /// What an alert or a recovery says. `since` is when it began to be so.
    pub(super) fn news(&self, id: &str, value: Option<f64>, since_unix_ms: u64) -> Value {
        let Terms { name, limit, threshold, severity, message, .. } = &self.terms;
        let mut told = json!({
            "rule_id": id,
            "name": name,
            "value": value,
            "limit": LIMITS[*limit],
            "threshold": threshold,
            "severity": SEVERITIES[*severity],
            "since": told_time(since_unix_ms),
        });
        if let Some(message) = message {
            told["message"] = message.as_str().into();
        }
        told
    }
}
