//! What was sent to a role or to everybody: said to who is there, and kept for who comes until it expires.

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::note::Note;
use super::spent::Spent;
use super::{again, may_withdraw, say, told};
use crate::service::{Args, Context};

/// Bytes that the active notifications of one role, or of all, may take: everybody who connects is told of them.
const BYTES_MAX: usize = 256 << 10;

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Board {
    active: Vec<Note>,
    spent: Spent,
    turn: u64,
}

impl Board {
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.spent.is_empty()
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        self.active.iter().map(|note| note.expires_ms).chain(self.spent.due_ms()).min()
    }

    /// Lets go of what is over; says whether there was any.
    pub(super) fn expire(&mut self, context: &Context<'_>) -> bool {
        let now_ms = context.now.mono_ms();
        let spent = self.spent.expire(now_ms);
        let over: Vec<Note> = self.active.extract_if(.., |note| note.is_over(now_ms)).collect();
        over.iter().for_each(|note| self.spent.add(note, context));
        spent || !over.is_empty()
    }

    pub(super) fn send(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let rules = &context.options.services.notification;
        if let Some(id) = args.text("notification_id") {
            let active = self.active.iter().find(|note| *note.id == *id);
            let before = active.map(|note| (note.whose(), note.answer()));
            if let Some(before) = before.or_else(|| self.spent.find(id)) {
                return again(before, args, context);
            }
        }
        let id = super::id_of(args, context);
        let note = Note::read(args, &id, self.turn, rules.broadcast_ttl_ms, context)?;
        let bytes = self.active.iter().map(Note::bytes).sum::<usize>() + note.bytes();
        if self.active.len() >= rules.broadcasts_max || bytes > BYTES_MAX {
            let message =
                "this role, or everybody, has as many active notifications as may be; withdraw one first";
            return Err(Refusal::new(Code::RateLimitExceeded, message));
        }
        self.turn += 1;
        context.changed = true;
        say(&note, context);
        let answer = note.answer();
        self.active.push(note);
        Ok(told(args.so_far(), answer))
    }

    pub(super) fn withdraw(&mut self, id: &str, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let at = self.active.iter().position(|note| *note.id == *id);
        if let Some(at) = at {
            may_withdraw(&self.active[at], context)?;
            let note = self.active.remove(at);
            self.spent.add(&note, context);
            context.changed = true;
            context.signal("$notification_withdrawn", json!({ "notification_id": id }));
        }
        Ok(json!({ "notification_id": id, "withdrawn": usize::from(at.is_some()) }))
    }

    /// What somebody who reads it is told, after what another board has: all, or the one with an id.
    pub(super) fn hand_on(&self, so_far: &Value, id: Option<&str>, now_ms: u64) -> Value {
        let active = self.active.iter().filter(|note| !note.is_over(now_ms));
        let own = active.filter(|note| id.is_none_or(|id| *note.id == *id));
        let own = own.map(|note| serde_json::to_value(note).expect("invariant: a note is always JSON"));
        so_far.as_array().into_iter().flatten().cloned().chain(own).collect()
    }
}

/// What boards have handed on, without what has come to its end on the way: by then it is not known any more who is done with it.
pub(super) fn handed_on(so_far: &Value, now_ms: u64) -> Vec<Note> {
    let notes = so_far.as_array().into_iter().flatten();
    notes.filter_map(|note| Note::deserialize(note).ok()).filter(|note| !note.is_over(now_ms)).collect()
}
