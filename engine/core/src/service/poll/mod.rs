//! Polls: questions with options to a room. Each user has one vote and may change it; members see the tally live.

mod commands;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fanfare_protocol::{Code, Refusal, RoomName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Args, Context, Kind, Lasts, Saying, Service, Spec, To};
use crate::options::Options;

/// Polls of one room, closed ones included; beyond it a new one is refused.
const POLLS_MAX: usize = 16;
/// Votes of one poll; beyond it new voters are refused.
const VOTERS_MAX: usize = 100_000;

pub(crate) static KIND: Kind = Kind {
    name: "poll",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Polls>::default(),
    restore: |bytes, _| Some(Box::new(serde_json::from_slice::<Polls>(bytes).ok()?)),
    guards: false,
    lasts: |_| Lasts::Always,
    attends: |_| false,
};

/// All polls of one room.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Polls {
    polls: BTreeMap<String, Poll>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Poll {
    question: String,
    options: Vec<String>,
    /// Votes by option.
    votes: Vec<u64>,
    /// What each user has chosen, as a place in the options.
    voters: BTreeMap<String, usize>,
    is_open: bool,
    /// When it closes by itself, in milliseconds of the steady clock.
    closes_ms: Option<u64>,
}

impl Poll {
    fn tally(&self, id: &str) -> Value {
        let options: Vec<Value> = (self.options.iter().zip(&self.votes))
            .map(|(option, votes)| json!({ "option": option, "votes": votes }))
            .collect();
        json!({
            "poll_id": id,
            "question": self.question,
            "options": options,
            "total_votes": self.voters.len(),
            "open": self.is_open,
        })
    }
}

impl Service for Polls {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let id = args.text("poll_id");
        match (spec.name, id) {
            ("poll.list", _) => Ok(json!({ "polls": self.tallies() })),
            ("poll.open", Some(id)) => self.open(id, args, context),
            ("poll.vote", Some(id)) => self.vote(id, args.word("option"), context),
            ("poll.close", Some(id)) => self.close(id, context),
            ("poll.remove", Some(id)) => {
                self.polls.remove(id).ok_or_else(not_found)?;
                context.changed = true;
                context.signal("$poll_removed", json!({ "poll_id": id }));
                Ok(json!({ "poll_id": id }))
            }
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn state(&self, _context: &Context<'_>) -> Option<Value> {
        (!self.polls.is_empty()).then(|| json!({ "polls": self.tallies() }))
    }

    fn due_ms(&self) -> Option<u64> {
        self.polls.values().filter(|poll| poll.is_open).filter_map(|poll| poll.closes_ms).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        let is_over = |poll: &Poll| poll.is_open && poll.closes_ms.is_some_and(|at| at <= now_ms);
        let over = self.polls.iter().filter(|(_, poll)| is_over(poll)).map(|(id, _)| id.clone());
        for id in over.collect::<Vec<_>>() {
            let _ = self.close(&id, context);
        }
    }

    fn is_empty(&self) -> bool {
        self.polls.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(self).expect("invariant: texts and numbers are always JSON"))
    }
}

impl Polls {
    fn tallies(&self) -> Vec<Value> {
        self.polls.iter().map(|(id, poll)| poll.tally(id)).collect()
    }

    fn open(&mut self, id: &str, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        if self.polls.contains_key(id) {
            return Err(conflict("`poll_id` is in use by another poll of this room"));
        }
        if self.polls.len() >= POLLS_MAX {
            let message = format!("a room has at most {POLLS_MAX} polls; remove one first");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("poll_id"));
        }
        let options: Vec<String> = args.texts("options").map(str::to_owned).collect();
        let closes_ms = args.whole("seconds").map(|seconds| context.now.mono_ms() + seconds * 1_000);
        let question = args.word("question").to_owned();
        let votes = vec![0; options.len()];
        let poll = Poll { question, options, votes, voters: BTreeMap::new(), is_open: true, closes_ms };
        let tally = poll.tally(id);
        self.polls.insert(id.to_owned(), poll);
        context.changed = true;
        context.message("$poll_opened", tally.clone());
        Ok(tally)
    }

    fn vote(&mut self, id: &str, option: &str, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let Some(user) = context.caller.and_then(|caller| caller.user.as_ref()).map(RoomName::as_str) else {
            return Err(Refusal::new(Code::Forbidden, "only users vote; a key belongs to none"));
        };
        let poll = self.polls.get_mut(id).ok_or_else(not_found)?;
        if !poll.is_open {
            return Err(conflict("`poll_id`: this poll is closed"));
        }
        let chosen = poll.options.iter().position(|of| of == option);
        let chosen = chosen.ok_or_else(no_option)?;
        if poll.voters.get(user) == Some(&chosen) {
            return Ok(poll.tally(id));
        }
        let is_full = poll.voters.len() >= VOTERS_MAX;
        match poll.voters.get_mut(user) {
            Some(before) => poll.votes[std::mem::replace(before, chosen)] -= 1,
            None if is_full => {
                let message = format!("a poll takes at most {VOTERS_MAX} votes");
                return Err(Refusal::new(Code::RateLimitExceeded, message));
            }
            None => drop(poll.voters.insert(user.to_owned(), chosen)),
        }
        poll.votes[chosen] += 1;
        let tally = poll.tally(id);
        context.changed = true;
        context
            .says
            .push(Saying { key: Some(id.into()), ..Saying::new(To::Here, "$poll_tally", tally.clone()) });
        Ok(tally)
    }

    fn close(&mut self, id: &str, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let poll = self.polls.get_mut(id).ok_or_else(not_found)?;
        if !std::mem::replace(&mut poll.is_open, false) {
            return Ok(poll.tally(id));
        }
        let tally = poll.tally(id);
        context.changed = true;
        context.message("$poll_closed", tally.clone());
        Ok(tally)
    }
}

fn no_option() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`option` must be one of the poll's options").at("option")
}

fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`poll_id`: this room has no such poll").at("poll_id")
}

fn conflict(message: &str) -> Refusal {
    Refusal::new(Code::Conflict, message).at("poll_id")
}
