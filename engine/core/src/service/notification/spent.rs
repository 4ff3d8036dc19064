//! Ids of notifications that are gone, so that who sends one again is answered as before and nobody gets it twice.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::note::Note;
use crate::service::Context;

/// Ids of one room that are remembered; the oldest makes room.
const SPENT_MAX: usize = 256;

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Spent(VecDeque<(Box<str>, Value, u64)>);

impl Spent {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One is gone. Its id counts for as long as ids of messages do, since it was sent.
    pub(super) fn add(&mut self, note: &Note, context: &Context<'_>) {
        let until_ms = note.sent_ms() + context.options.limits.message_id_window_ms;
        if until_ms <= context.now.mono_ms() {
            return;
        }
        if self.0.len() == SPENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((note.id.clone(), note.answer(), until_ms));
    }

    /// What the sender of this one was told.
    pub(super) fn find(&self, id: &str) -> Option<&Value> {
        self.0.iter().find(|of| *of.0 == *id).map(|of| &of.1)
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.0.iter().map(|of| of.2).min()
    }

    /// Forgets what is remembered for long enough; says whether there was any.
    pub(super) fn expire(&mut self, now_ms: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|of| of.2 > now_ms);
        self.0.len() < before
    }
}
