//! Monitors: named values of a room as they change, and rules that tell when one goes too far and when it has recovered.

mod commands;
mod messages;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::rule::{News, Status, Terms, Watch};
use super::{Args, Context, Kind, Lasts, Saying, Service, Spec, To, told_time};
use crate::options::Options;

/// Values of one room; beyond it new names are refused.
const NAMES_MAX: usize = 256;
/// Values of one report.
const REPORTED_MAX: usize = 64;
/// Beyond it a number is a mistake, and sums and differences would be no numbers any more.
const NUMBER_MAX: f64 = 1e300;
/// Rules of one room; beyond it a new one is refused.
const RULES_MAX: usize = 64;
/// Milliseconds between two signals of values: more than ten a second nobody sees.
const PAUSE_MS: u64 = 100;
/// Milliseconds without a report after which the values of a room that nobody is in are forgotten.
const KEPT_MS: u64 = 300_000;

pub(crate) static KIND: Kind = Kind {
    name: "monitor",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Monitor>::default(),
    restore: |bytes, _| {
        let saved = serde_json::from_slice::<BTreeMap<String, Saved>>(bytes).ok()?;
        let rules = saved.into_iter().map(|(id, Saved { terms, status })| (id, Watch { terms, status }));
        Some(Box::new(Monitor { rules: rules.collect(), ..Monitor::default() }))
    },
    guards: false,
    lasts: |spec| if spec.name == "monitor.report" { Lasts::AsItsRoom } else { Lasts::Always },
    attends: |_| false,
};

/// Values and rules of one room. Rules are saved with how they stand; values are not, since the next ones are soon there.
#[derive(Debug, Default)]
struct Monitor {
    values: BTreeMap<String, Last>,
    rules: BTreeMap<String, Watch>,
    /// When values were reported last, and when members were told, in milliseconds of the steady clock.
    reported_ms: u64,
    told_ms: u64,
    /// Whether there are values of which members were not told.
    is_news: bool,
}

/// A value, and how fast it changes, where that is known.
#[derive(Clone, Copy, Debug)]
struct Last {
    value: f64,
    rate: Option<f64>,
    at_unix_ms: u64,
    /// The last value of an earlier moment and when that was: what the rate is measured from.
    base: Option<(f64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    terms: Terms,
    status: Status,
}

impl Service for Monitor {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "monitor.report" => self.report(args, context),
            "monitor.set_rule" => self.set_rule(args, context),
            "monitor.remove_rule" => {
                let id = args.word("rule_id");
                let watch = self.rules.remove(id).ok_or_else(not_found)?;
                self.end(id, &watch, context);
                context.changed = true;
                context.signal("$rule_removed", json!({ "rule_id": id }));
                Ok(json!({ "rule_id": id }))
            }
            "monitor.state" => Ok(self.told()),
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn state(&self, _context: &Context<'_>) -> Option<Value> {
        (!self.is_empty()).then(|| self.told())
    }

    fn due_ms(&self) -> Option<u64> {
        let news_ms = self.is_news.then_some(self.told_ms + PAUSE_MS);
        let forget_ms = (!self.values.is_empty()).then_some(self.reported_ms + KEPT_MS);
        let rules = self.rules.values().filter_map(Watch::due_ms);
        rules.chain(news_ms).chain(forget_ms).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        let mut due: Vec<(String, News, u64)> = Vec::new();
        for (id, watch) in &mut self.rules {
            if let Some(news) = watch.wait(context.now) {
                due.push((id.clone(), news, since(watch, context)));
            }
        }
        for (id, news, since_unix_ms) in due {
            self.tell_rule(&id, news, since_unix_ms, context);
        }
        if self.is_news && self.told_ms + PAUSE_MS <= now_ms {
            self.tell_values(context);
        }
        if self.reported_ms + KEPT_MS <= now_ms {
            if context.members == 0 {
                self.values.clear();
            }
            self.reported_ms = now_ms;
        }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.rules.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        let saved = |(id, watch): (&String, &Watch)| {
            let status = match watch.status {
                Status::Alerting { .. } => watch.status,
                // How long it has been so is not known after a restart.
                Status::Ok | Status::Pending { .. } => Status::Ok,
            };
            (id.clone(), Saved { terms: watch.terms.clone(), status })
        };
        let rules: BTreeMap<String, Saved> = self.rules.iter().map(saved).collect();
        Some(serde_json::to_vec(&rules).expect("invariant: texts and finite numbers are always JSON"))
    }
}

impl Monitor {
    fn report(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let given = args.value("values").and_then(Value::as_object).into_iter().flatten();
        let values: Vec<(&str, f64)> =
            given.filter_map(|(name, value)| Some((&**name, value.as_f64()?))).collect();
        let new = values.iter().filter(|(name, _)| !self.values.contains_key(*name)).count();
        if self.values.len() + new > NAMES_MAX {
            let message = format!("a room has at most {NAMES_MAX} different values");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("values"));
        }
        let now_unix_ms = context.now.unix_ms;
        let mut accepted = 0;
        for (name, value) in values {
            // What comes from the future would make all that follows too old: whoever claims it, or a clock that was set back since.
            let before = self.values.get(name).copied().filter(|before| before.at_unix_ms <= now_unix_ms);
            let at_unix_ms = args.time_unix_ms("at").unwrap_or(now_unix_ms).min(now_unix_ms);
            if before.is_some_and(|before| at_unix_ms < before.at_unix_ms) {
                continue;
            }
            accepted += 1;
            self.values.insert(name.to_owned(), Last::after(before, value, at_unix_ms));
            self.check(name, context);
        }
        if accepted > 0 {
            let now_ms = context.now.mono_ms();
            (self.reported_ms, self.is_news) = (now_ms, true);
            if self.told_ms + PAUSE_MS <= now_ms {
                self.tell_values(context);
            }
        }
        Ok(json!({ "accepted": accepted }))
    }

    fn set_rule(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let (id, terms) = (args.word("rule_id"), Terms::of(args));
        let before = self.rules.get(id);
        if before.is_none() && self.rules.len() >= RULES_MAX {
            let message = format!("a room has at most {RULES_MAX} rules; remove one first");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("rule_id"));
        }
        if before.is_none_or(|before| before.terms != terms) {
            let name = terms.name.clone();
            if let Some(before) = self.rules.insert(id.to_owned(), Watch::new(terms)) {
                self.end(id, &before, context);
            }
            context.changed = true;
            self.check_rule(id, &name, context);
            let told = self.rules[id].told(id);
            context.signal("$rule_set", told);
        }
        Ok(self.rules[id].told(id))
    }

    /// Checks the rules of a value that has just come.
    fn check(&mut self, name: &str, context: &mut Context<'_>) {
        let of_name = |(_, watch): &(&String, &Watch)| watch.terms.name == name;
        let ids: Vec<String> = self.rules.iter().filter(of_name).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.check_rule(&id, name, context);
        }
    }

    fn check_rule(&mut self, id: &str, name: &str, context: &mut Context<'_>) {
        let (Some(last), Some(watch)) = (self.values.get(name), self.rules.get_mut(id)) else { return };
        let Some(compared) = watch.terms.compared(last.value, last.rate) else { return };
        let began = since(watch, context);
        if let Some(news) = watch.see(compared, context.now) {
            let began = if news == News::Alert { since(watch, context) } else { began };
            self.tell_rule(id, news, began, context);
        }
    }

    /// A rule that goes or becomes another does not alert any more.
    fn end(&self, id: &str, watch: &Watch, context: &mut Context<'_>) {
        if let Status::Alerting { since_unix_ms } = watch.status {
            self.say(id, watch, News::Recovered, since_unix_ms, context);
        }
    }

    fn tell_rule(&self, id: &str, news: News, since_unix_ms: u64, context: &mut Context<'_>) {
        context.changed = true;
        self.say(id, &self.rules[id], news, since_unix_ms, context);
    }

    fn say(&self, id: &str, watch: &Watch, news: News, since_unix_ms: u64, context: &mut Context<'_>) {
        let last = self.values.get(&watch.terms.name);
        let value = last.and_then(|last| watch.terms.compared(last.value, last.rate));
        let told = watch.news(id, value, since_unix_ms);
        let priority = if news == News::Alert { watch.terms.priority() } else { 0 };
        context.says.push(Saying { priority, ..Saying::new(To::Room, news.event(), told) });
    }

    /// Every signal has all values, so that who reads slowly needs only the newest.
    fn tell_values(&mut self, context: &mut Context<'_>) {
        (self.told_ms, self.is_news) = (context.now.mono_ms(), false);
        let told = json!({ "values": self.told_values() });
        context.says.push(Saying { key: Some("values".into()), ..Saying::new(To::Here, "$values", told) });
    }

    fn told_values(&self) -> Value {
        let told = |(name, last): (&String, &Last)| {
            (name.clone(), json!({ "value": last.value, "at": told_time(last.at_unix_ms) }))
        };
        Value::Object(self.values.iter().map(told).collect())
    }

    fn told(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(|(id, watch)| watch.told(id)).collect();
        json!({ "values": self.told_values(), "rules": rules })
    }
}

impl Last {
    /// The next one after another.
    fn after(before: Option<Self>, value: f64, at_unix_ms: u64) -> Self {
        // Between two of the same moment there is no time: both are measured from what was before.
        let base = before.and_then(|before| match before.at_unix_ms == at_unix_ms {
            true => before.base,
            false => Some((before.value, before.at_unix_ms)),
        });
        let rate = base.map(|(from, since)| (value - from) * 1_000.0 / (at_unix_ms - since) as f64);
        Self { value, rate, at_unix_ms, base }
    }
}

/// Since when it has been so; now, where it is not.
fn since(watch: &Watch, context: &Context<'_>) -> u64 {
    match watch.status {
        Status::Ok => context.now.unix_ms,
        Status::Pending { since_unix_ms, .. } | Status::Alerting { since_unix_ms } => since_unix_ms,
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`rule_id`: this room has no such rule").at("rule_id")
}
