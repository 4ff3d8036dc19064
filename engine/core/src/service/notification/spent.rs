//! Ids of notifications that are gone, so that who sends one again is answered as before and nobody gets it twice.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::note::{Note, Sender};
use crate::service::Context;

/// Ids of one room that are remembered; the oldest makes room.
const SPENT_MAX: usize = 256;

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Spent(VecDeque<Gone>);

#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    id: Box<str>,
    /// What its sender was told.
    answer: Value,
    /// For how long it is remembered, in milliseconds of the steady clock.
    until_ms: u64,
    #[serde(default)]
    sender: Sender,
}

impl Spent {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One is gone. Its id counts for as long as ids of messages do, since it was sent.
    pub(super) fn add(&mut self, note: &Note, context: &Context<'_>) {
        self.add_answered(note, note.answer(), context);
    }

    /// The same, where its sender is told something else than what every one is.
    pub(super) fn add_answered(&mut self, note: &Note, answer: Value, context: &Context<'_>) {
        let until_ms = note.sent_ms() + context.options.limits.message_id_window_ms;
        if until_ms <= context.now.mono_ms() {
            return;
        }
        if self.0.len() == SPENT_MAX {
            self.0.pop_front();
        }
        let (id, sender) = (note.id.clone(), note.whose());
        self.0.push_back(Gone { id, answer, until_ms, sender });
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|of| *of.id == *id)
    }

    /// Who sent the one with an id, and was told what.
    pub(super) fn find(&self, id: &str) -> Option<(Sender, Value)> {
        let gone = self.0.iter().find(|of| *of.id == *id)?;
        Some((gone.sender.clone(), gone.answer.clone()))
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.0.iter().map(|of| of.until_ms).min()
    }

    /// Forgets what is remembered for long enough; says whether there was any.
    pub(super) fn expire(&mut self, now_ms: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|of| of.until_ms > now_ms);
        self.0.len() < before
    }
}
