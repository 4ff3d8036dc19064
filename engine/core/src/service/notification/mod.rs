//! Notifications: to users, roles or everybody, kept until they are acknowledged, dismissed or expired.
//!
//! What is sent to a user is kept in that user's own room ([`Inbox`]), and what is sent to a role or to everybody once, in that
//! room ([`Board`]): a broadcast costs each shard one message, not each user. A user's list is what its board and everybody's
//! hand on, without what its inbox knows to be acknowledged, and what its inbox has.

mod board;
mod commands;
mod inbox;
mod messages;
mod note;
mod preferences;
mod spent;
#[cfg(test)]
mod tests;

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::board::{Board, handed_on};
use self::inbox::Inbox;
use self::note::{Note, Sender};
use super::{Args, Context, Kind, Lasts, Saying, Service, Spec, To};
use crate::options::Options;
use crate::permission::Permission;

pub(crate) static KIND: Kind = Kind {
    name: "notification",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Notifications>::default(),
    restore: |bytes, _| Some(Box::new(serde_json::from_slice::<Notifications>(bytes).ok()?)),
    guards: false,
    lasts: |_| Lasts::Always,
    attends: |_| false,
};

/// Bounds of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationRules {
    /// Notifications of one user; beyond it what is acknowledged makes room, then the oldest of the lowest priority.
    pub unread_max: usize,
    /// Active notifications of one role, or of all; beyond it a new one is refused.
    pub broadcasts_max: usize,
    /// Milliseconds after which one to a user expires that does not say when.
    pub ttl_ms: u64,
    /// The same for one to a role or to all.
    pub broadcast_ttl_ms: u64,
}

impl Default for NotificationRules {
    fn default() -> Self {
        let day_ms = 24 * 3_600_000;
        Self { unread_max: 1_000, broadcasts_max: 100, ttl_ms: 30 * day_ms, broadcast_ttl_ms: day_ms }
    }
}

/// What one room has: of a user's an inbox, of the others a board.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notifications {
    inbox: Inbox,
    board: Board,
}

impl Service for Notifications {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.expire(context);
        let Self { inbox, board } = self;
        let (id, so_far) = (args.text("notification_id"), args.so_far());
        if !context.room.is_inbox() {
            return match spec.name {
                "notification.send" => board.send(args, context),
                "notification.withdraw" => board.withdraw(args.word("notification_id"), context),
                _ => Ok(board.hand_on(so_far, id, context.now.mono_ms())),
            };
        }
        let broadcasts = handed_on(so_far, context.now.mono_ms());
        match (spec.name, id) {
            ("notification.send", _) => inbox.send(args, context),
            ("notification.withdraw", _) => inbox.withdraw(args, context),
            ("notification.list", _) => Ok(inbox.list(args, &broadcasts)),
            ("notification.count", _) => Ok(inbox.count(&broadcasts)),
            ("notification.acknowledge", Some(id)) => inbox.finish(id, false, &broadcasts, context),
            ("notification.dismiss", Some(id)) => inbox.finish(id, true, &broadcasts, context),
            ("notification.acknowledge_all", _) => Ok(inbox.acknowledge_all(&broadcasts, context)),
            ("notification.preferences", _) => Ok(inbox.preferences()),
            ("notification.set_preferences", _) => Ok(inbox.set_preferences(args, context)),
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        let active = self.board.hand_on(&Value::Null, None, context.now.mono_ms());
        (active != json!([])).then_some(active)
    }

    fn greet(&mut self, connection: crate::Address, brought: &[Value], context: &mut Context<'_>) {
        self.expire(context);
        let now_ms = context.now.mono_ms();
        let broadcasts: Vec<Note> = brought.iter().flat_map(|brought| handed_on(brought, now_ms)).collect();
        self.inbox.greet(connection, &broadcasts, context);
    }

    fn due_ms(&self) -> Option<u64> {
        self.inbox.due_ms().into_iter().chain(self.board.due_ms()).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        self.expire(context);
        self.inbox.tick(context);
    }

    fn is_empty(&self) -> bool {
        self.inbox.is_empty() && self.board.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(self).expect("invariant: texts and numbers are always JSON"))
    }
}

impl Notifications {
    /// What is over counts no more, whenever somebody looks.
    fn expire(&mut self, context: &mut Context<'_>) {
        let (inbox, board) = (self.inbox.expire(context), self.board.expire(context));
        context.changed |= inbox || board;
    }
}

/// Tells who is there now; the list tells the others.
fn say(note: &Note, context: &mut Context<'_>) {
    let saying = Saying::new(To::Here, "$notification", note.told(false));
    context.says.push(Saying { user: note.sender(), priority: note.priority, ..saying });
}

/// The id of what is sent: its sender's own, the one that it got at another user's, or a new one.
fn id_of(args: &Args, context: &mut Context<'_>) -> Box<str> {
    let given = args.text("notification_id").or(args.so_far()["notification_id"].as_str());
    given.map_or_else(|| context.random.message_id(context.now.unix_ms).into(), Into::into)
}

/// What a sender is told: of several users what the first was sent, how many there were, and with how many it did not stay.
fn told(so_far: &Value, answer: Value) -> Value {
    let of = |answer: &Value, name: &str| answer[name].as_u64().unwrap_or(0);
    let (targets, dropped) = (of(so_far, "targets"), of(so_far, "dropped") + of(&answer, "dropped"));
    let mut answer = if targets > 0 { so_far.clone() } else { answer };
    answer["targets"] = (targets + 1).into();
    if dropped > 0 {
        answer["dropped"] = dropped.into();
    }
    answer
}

/// What there is under this id, which its sender has sent before and sends again.
///
/// # Errors
/// It is another sender's.
fn again(before: (Sender, Value), args: &Args, context: &Context<'_>) -> Result<Value, Refusal> {
    let (sender, answer) = before;
    if sender == Sender::of(args, context) {
        return Ok(told(args.so_far(), answer));
    }
    Err(Refusal::new(Code::Conflict, "`notification_id` is in use by another sender").at("notification_id"))
}

/// Its sender takes a notification back, a backend or an operator.
fn may_withdraw(note: &Note, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(caller) = context.caller else { return Ok(()) };
    let is_senders = caller.user.is_none() || caller.user == note.sender();
    if is_senders || caller.permissions.has(Permission::Admin) {
        return Ok(());
    }
    let message = "only its sender and operators take a notification back";
    Err(Refusal::new(Code::Forbidden, message).at("notification_id"))
}
