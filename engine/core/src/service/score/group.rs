//! One score: what its users reported, and what the group comes to.

use std::collections::BTreeMap;

use fanfare_protocol::RoomName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AGGREGATES;

/// Milliseconds between two looks at all reports: the group's value is told five times a second at most.
pub(super) const PAUSE_MS: u64 = 200;

/// No time yet.
const BEGINS: u64 = 0;

/// A score as it was defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    /// A place in [`AGGREGATES`].
    pub(super) aggregate: usize,
    pub(super) threshold: f64,
    pub(super) hysteresis: f64,
    pub(super) window_ms: u64,
    pub(super) minimum_users: u64,
    pub(super) title: Option<String>,
}

#[derive(Debug)]
struct Report {
    value: f64,
    at_ms: u64,
    /// Whether a backend has said it on the user's behalf.
    is_vouched: bool,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) terms: Terms,
    /// By user, each by the name of its own room.
    reports: BTreeMap<RoomName, Report>,
    /// The group's value, as members were told it.
    pub(super) value: Option<f64>,
    pub(super) users: usize,
    pub(super) is_reached: bool,
    /// Whether reports have changed since.
    is_news: bool,
    /// When all reports were looked at last, in milliseconds of the steady clock.
    looked_ms: u64,
    /// When the next report ends.
    ends_ms: Option<u64>,
    /// After a restart: until when what was reached is so, whatever is reported; [`BEGINS`]: from the first look on.
    grace_ms: Option<u64>,
}

/// What members are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Value,
    Reached,
    Lost,
}

impl Group {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            reports: BTreeMap::new(),
            value: None,
            users: 0,
            is_reached: false,
            is_news: false,
            looked_ms: 0,
            ends_ms: None,
            grace_ms: None,
        }
    }

    /// One that was reached before a restart is so until it is known better: users have one window to come back.
    pub(super) fn restored(terms: Terms, is_reached: bool) -> Self {
        Self { is_reached, grace_ms: is_reached.then_some(BEGINS), ..Self::new(terms) }
    }

    pub(super) fn reporters(&self) -> usize {
        self.reports.len()
    }

    pub(super) fn has(&self, user: &RoomName) -> bool {
        self.reports.contains_key(user)
    }

    pub(super) fn report(&mut self, user: &RoomName, value: f64, is_vouched: bool, now_ms: u64) {
        self.reports.insert(user.clone(), Report { value, at_ms: now_ms, is_vouched });
        let ends_ms = now_ms + self.terms.window_ms;
        self.ends_ms = Some(self.ends_ms.map_or(ends_ms, |at| at.min(ends_ms)));
        self.is_news = true;
    }

    /// Lets go of what others reported themselves than these users.
    pub(super) fn keep(&mut self, is_there: impl Fn(&RoomName) -> bool) {
        let before = self.reports.len();
        self.reports.retain(|user, report| report.is_vouched || is_there(user));
        self.is_news |= self.reports.len() < before;
    }

    /// A user is gone.
    pub(super) fn left(&mut self, user: &RoomName) {
        self.is_news |= self.reports.remove(user).is_some();
    }

    /// When to look at it, in milliseconds of the steady clock.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let next_ms = self.looked_ms + PAUSE_MS;
        let ends_ms = self.ends_ms.into_iter().chain(self.grace_ms).min().map(|at| at.max(next_ms));
        ends_ms.into_iter().chain(self.is_news.then_some(next_ms)).min()
    }

    /// Looks at all reports, if it is time. What members are to be told, in this order.
    pub(super) fn look(&mut self, now_ms: u64) -> Vec<News> {
        if self.due_ms().is_none_or(|due_ms| due_ms > now_ms) {
            return Vec::new();
        }
        (self.looked_ms, self.is_news) = (now_ms, false);
        let window_ms = self.terms.window_ms;
        self.grace_ms = match self.grace_ms {
            Some(BEGINS) => Some(now_ms + window_ms),
            grace_ms => grace_ms.filter(|at| now_ms < *at),
        };
        self.reports.retain(|_, report| now_ms < report.at_ms + window_ms);
        self.ends_ms = self.reports.values().map(|report| report.at_ms + window_ms).min();
        let (value, users) = (self.aggregate(), self.reports.len());
        let mut news = Vec::new();
        if (value, users) != (self.value, self.users) {
            news.push(News::Value);
        }
        (self.value, self.users) = (value, users);
        let takes_part = self.users as u64 >= self.terms.minimum_users;
        let Terms { threshold, hysteresis, .. } = self.terms;
        let is_above = |least: f64| takes_part && value.is_some_and(|value| value >= least);
        if !self.is_reached && is_above(threshold) {
            self.is_reached = true;
            news.push(News::Reached);
        } else if self.is_reached && self.grace_ms.is_none() && !is_above(threshold - hysteresis) {
            self.is_reached = false;
            news.push(News::Lost);
        }
        news
    }

    fn aggregate(&self) -> Option<f64> {
        if self.reports.is_empty() {
            return None;
        }
        let values = self.reports.values().map(|report| report.value);
        Some(match AGGREGATES[self.terms.aggregate] {
            "mean" => values.sum::<f64>() / self.reports.len() as f64,
            "min" => values.fold(f64::INFINITY, f64::min),
            "max" => values.fold(f64::NEG_INFINITY, f64::max),
            _ => values.sum(),
        })
    }

    /// What members are told of it.
    pub(super) fn news(&self, id: &str) -> Value {
        json!({ "score_id": id, "value": self.value, "users": self.users, "threshold": self.terms.threshold })
    }

    /// Its terms, and how it stands.
    pub(super) fn told(&self, id: &str) -> Value {
        let Terms { aggregate, threshold, hysteresis, window_ms, minimum_users, title } = &self.terms;
        let mut told = json!({
            "score_id": id,
            "aggregate": AGGREGATES[*aggregate],
            "threshold": threshold,
            "hysteresis": hysteresis,
            "window_seconds": *window_ms as f64 / 1_000.0,
            "minimum_users": minimum_users,
            "users": self.users,
            "reached": self.is_reached,
        });
        if let Some(title) = title {
            told["title"] = title.as_str().into();
        }
        if let Some(value) = self.value {
            told["value"] = value.into();
        }
        told
    }
}
