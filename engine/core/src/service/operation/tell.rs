//! What is said of an operation, and when. A change of status is said at once and is never passed over. Progress is said ten
//! times a second at most: what comes in between is folded, and the newest is said when its time has come.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fanfare_protocol::RoomName;
use serde_json::Value;

use super::OperationRoom;
use super::bounds::{PACE_MS, STEPS_TOLD};
use super::state::{Operation, Status};
use crate::service::{Context, Saying, To};

/// What waits to be said.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last_ms: u64,
    is_waiting: bool,
    /// Steps that have changed, by their place: as many as an operation may have.
    steps: BTreeSet<usize>,
}

impl Pace {
    /// When something that waits is to be said.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.is_waiting.then_some(self.last_ms + PACE_MS)
    }

    /// A step has changed.
    pub(super) fn note_step(&mut self, index: usize) {
        self.steps.insert(index);
    }
}

impl OperationRoom {
    /// It has come further: now where that may be, otherwise soon.
    pub(super) fn tell_progress(&mut self, context: &mut Context<'_>) {
        if context.now.mono_ms() >= self.pace.last_ms + PACE_MS {
            self.tell_waiting(context);
        } else {
            self.pace.is_waiting = true;
        }
    }

    /// Says what waits: steps first, so that nobody sees a whole that its parts do not make.
    pub(super) fn tell_waiting(&mut self, context: &mut Context<'_>) {
        for _ in 0..STEPS_TOLD {
            let Some(index) = self.pace.steps.pop_first() else { break };
            self.tell_step(index, context);
        }
        let Some(operation) = &self.operation else { return };
        let rules = &context.options.services.operation;
        let event = rules.kind_or_usual(&operation.kind).progress.clone();
        let data = Value::Object(operation.summary(context.now));
        say(operation, Some(operation.id.as_str().into()), event, data, context);
        self.pace.last_ms = context.now.mono_ms();
        self.pace.is_waiting = !self.pace.steps.is_empty();
    }

    /// Says how a step is now. Of each step the newest is enough, and its last word is the newest.
    pub(super) fn tell_step(&mut self, index: usize, context: &mut Context<'_>) {
        self.pace.steps.remove(&index);
        let Some(operation) = &self.operation else { return };
        let Some(step) = operation.steps.get(index) else { return };
        let kind = context.options.services.operation.kind_or_usual(&operation.kind);
        let event = if step.status.is_over() { &kind.step_over } else { &kind.step }.clone();
        let key = format!("{}/{}", operation.id, step.id).into();
        say(operation, Some(key), event, operation.with_step(index, context.now), context);
    }

    /// Says at once, to everybody, that its status is another. Its end comes with the whole state, which has all that waited.
    pub(super) fn tell_status(&mut self, context: &mut Context<'_>) {
        let Some(operation) = &self.operation else { return };
        let is_begin = operation.status == Status::Initialized;
        let data = if is_begin || operation.status.is_over() {
            operation.whole(context.now)
        } else {
            Value::Object(operation.summary(context.now))
        };
        let event = event(operation, context);
        if is_begin || operation.status.is_over() {
            context.says.push(Saying::new(To::Room, event.clone(), data));
            tell_owner(operation, event, context);
        } else {
            say(operation, None, event, data, context);
        }
        if operation.status.is_over() {
            self.pace.steps.clear();
        }
        self.pace.last_ms = context.now.mono_ms();
        self.pace.is_waiting = !self.pace.steps.is_empty();
    }
}

/// What the message about its status is called.
fn event(operation: &Operation, context: &Context<'_>) -> Cow<'static, str> {
    let kind = context.options.services.operation.kind_or_usual(&operation.kind);
    let event = match operation.status {
        Status::Initialized => &kind.started,
        Status::Running | Status::Paused => &kind.progress,
        Status::Completed => &kind.completed,
        Status::Failed => &kind.failed,
        Status::Cancelled => &kind.cancelled,
    };
    event.clone()
}

/// Says something of what lies between start and end: to the room, and to whoever of its owner is there now, if so wanted. Others
/// may write in the owner's own room, so the names there begin with `$`.
fn say(
    operation: &Operation,
    key: Option<Box<str>>,
    event: Cow<'static, str>,
    data: Value,
    context: &mut Context<'_>,
) {
    if let Some(user_id) = operation.user_id.as_deref().filter(|_| operation.notify_of_all) {
        let to = To::There(RoomName::of_user(user_id));
        context.says.push(Saying { key: key.clone(), ..Saying::new(to, format!("${event}"), data.clone()) });
    }
    context.says.push(Saying { key, ..Saying::new(To::Room, event, data) });
}

/// The owner hears of the beginning and the end in its own room, even if it was away.
fn tell_owner(operation: &Operation, event: Cow<'static, str>, context: &mut Context<'_>) {
    let Some(user_id) = operation.user_id.as_deref().filter(|_| operation.notify_user) else { return };
    let mut summary = operation.summary(context.now);
    if operation.status.is_over() && !operation.results.is_empty() {
        // What came of it may be all that the owner wants.
        summary.insert("results".to_owned(), operation.results.value());
    }
    let data = Value::Object(summary);
    context.says.push(Saying::new(To::Other(RoomName::of_user(user_id)), format!("${event}"), data));
}
