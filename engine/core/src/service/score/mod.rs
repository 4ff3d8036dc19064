//! Scores: each user of a room reports a value, and the group has one, with an event when it passes a threshold.

mod commands;
mod group;
mod members;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

use self::group::{Group, News, Terms};
use self::members::Members;
use super::{Args, Context, Deed, Kind, Lasts, Member, Saying, Service, Spec, To};
use crate::id::Address;
use crate::options::Options;

/// Scores of one room; beyond it a new one is refused.
const SCORES_MAX: usize = 8;
/// Users of one score; beyond it new ones are refused.
const USERS_MAX: usize = 10_000;
/// Milliseconds in which all shards tell who was in the room before its first score. Until then who is not known is believed.
const ROLL_MS: u64 = 1_000;
/// Beyond it a number is a mistake, and a sum would be no number any more.
const NUMBER_MAX: f64 = 1e300;
const AGGREGATES: [&str; 4] = ["mean", "min", "max", "sum"];

pub(crate) static KIND: Kind = Kind {
    name: "score",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Scores>::default(),
    restore: |bytes, _| {
        let saved = serde_json::from_slice::<BTreeMap<String, (Terms, bool)>>(bytes).ok()?;
        let groups =
            saved.into_iter().map(|(id, (terms, is_reached))| (id, Group::restored(terms, is_reached)));
        Some(Box::new(Scores { groups: groups.collect(), ..Scores::default() }))
    },
    guards: false,
    lasts: |spec| if spec.name == "score.report" { Lasts::AsItsRoom } else { Lasts::Always },
    attends: |_| false,
};

/// All scores of one room. How they are defined and whether they are reached is saved; what users reported is not.
#[derive(Debug, Default)]
struct Scores {
    groups: BTreeMap<String, Group>,
    members: Members,
    /// Until when the members are asked for, in milliseconds of the steady clock.
    roll_ms: Option<u64>,
}

impl Service for Scores {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "score.list" => Ok(json!({ "scores": self.told() })),
            "score.define" => self.define(args.word("score_id"), args, context),
            "score.report" => self.report(args, context),
            "score.remove" => {
                let id = args.word("score_id");
                let group = self.groups.remove(id).ok_or_else(not_found)?;
                end(id, &group, context);
                context.changed = true;
                context.signal("$score_removed", json!({ "score_id": id }));
                Ok(json!({ "score_id": id }))
            }
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn joined(&mut self, member: &Member, _context: &mut Context<'_>) {
        self.members.enter(member);
    }

    fn present(&mut self, member: &Member, _context: &mut Context<'_>) {
        self.members.enter(member);
    }

    fn left(&mut self, from: Address, context: &mut Context<'_>) {
        if let Some(user) = self.members.leave(from) {
            self.groups.values_mut().for_each(|group| group.left(&user));
            self.look(context);
        }
    }

    fn state(&self, _context: &Context<'_>) -> Option<Value> {
        (!self.groups.is_empty()).then(|| json!({ "scores": self.told() }))
    }

    fn due_ms(&self) -> Option<u64> {
        self.groups.values().filter_map(Group::due_ms).chain(self.roll_ms).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        if self.roll_ms.is_some_and(|roll_ms| roll_ms <= context.now.mono_ms()) {
            self.roll_ms = None;
            let members = &self.members;
            self.groups.values_mut().for_each(|group| group.keep(|user| members.has(user)));
        }
        self.look(context);
    }

    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        let saved = |(id, group): (&'_ String, &Group)| (id.clone(), (group.terms.clone(), group.is_reached));
        let groups: BTreeMap<String, (Terms, bool)> =
            self.groups.iter().map(|(id, group)| saved((id, group))).collect();
        Some(serde_json::to_vec(&groups).expect("invariant: texts and finite numbers are always JSON"))
    }
}

impl Scores {
    fn told(&self) -> Vec<Value> {
        self.groups.iter().map(|(id, group)| group.told(id)).collect()
    }

    fn define(&mut self, id: &str, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let aggregate = args.text("aggregate").unwrap_or(AGGREGATES[0]);
        let terms = Terms {
            aggregate: AGGREGATES
                .iter()
                .position(|of| *of == aggregate)
                .expect("invariant: it is one of these"),
            threshold: args.number("threshold").expect("invariant: the rule asks for it"),
            hysteresis: args.number("hysteresis").unwrap_or(0.0),
            window_ms: (args.number("window_seconds").unwrap_or(30.0) * 1_000.0) as u64,
            minimum_users: args.whole("minimum_users").unwrap_or(1),
            title: args.text("title").map(str::to_owned),
        };
        let before = self.groups.get(id);
        if before.is_none() && self.groups.len() >= SCORES_MAX {
            let message = format!("a room has at most {SCORES_MAX} scores; remove one first");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("score_id"));
        }
        if self.groups.is_empty() && context.members > 0 {
            // Who comes from now on is told of; who is here already is asked for.
            context.deeds.push(Deed::CallRoll);
            self.roll_ms = Some(context.now.mono_ms() + ROLL_MS);
        }
        let before = self.groups.get(id);
        if before.is_none_or(|before| before.terms != terms) {
            let group = Group::new(terms);
            let told = group.told(id);
            if let Some(before) = self.groups.insert(id.to_owned(), group) {
                end(id, &before, context);
            }
            context.changed = true;
            context.signal("$score_defined", told);
        }
        Ok(self.groups[id].told(id))
    }

    fn report(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let caller = context.caller.expect("invariant: a command has a caller");
        let Some(user) = &caller.user else {
            return Err(Refusal::new(Code::Forbidden, "only users have a value; a key belongs to none"));
        };
        // A backend that speaks on behalf of its users knows best who they are.
        let is_vouched = caller.role.is_empty();
        let id = args.word("score_id");
        let group = self.groups.get_mut(id).ok_or_else(not_found)?;
        if !is_vouched && !self.members.has(user) && self.roll_ms.is_none() {
            let message = "only who is in the `room` has a value there";
            return Err(Refusal::new(Code::Forbidden, message).at("room"));
        }
        if group.reporters() >= USERS_MAX && !group.has(user) {
            let message = format!("a score has at most {USERS_MAX} users");
            return Err(Refusal::new(Code::RateLimitExceeded, message));
        }
        let value = args.number("value").expect("invariant: the rule asks for it");
        group.report(user, value, is_vouched, context.now.mono_ms());
        let users = group.reporters();
        self.look(context);
        Ok(json!({ "score_id": id, "users": users }))
    }

    /// Tells what is to be told of every score by now.
    fn look(&mut self, context: &mut Context<'_>) {
        for (id, group) in &mut self.groups {
            for news in group.look(context.now.mono_ms()) {
                let mut told = group.news(id);
                match news {
                    News::Value => {
                        let key = Some(format!("score:{id}").into());
                        context.says.push(Saying { key, ..Saying::new(To::Here, "$score", told) });
                    }
                    News::Reached => {
                        if let Some(title) = &group.terms.title {
                            told["title"] = title.as_str().into();
                        }
                        context.changed = true;
                        context.message("$score_reached", told);
                    }
                    News::Lost => {
                        context.changed = true;
                        context.message("$score_lost", told);
                    }
                }
            }
        }
    }
}

/// A score that goes or becomes another is not reached any more.
fn end(id: &str, group: &Group, context: &mut Context<'_>) {
    if group.is_reached {
        context.message("$score_lost", group.news(id));
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`score_id`: this room has no such score").at("score_id")
}
