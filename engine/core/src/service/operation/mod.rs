//! Operations: long work whose progress people watch. `job-7` has the room `operation:job-7`, where only the engine speaks.
//!
//! Whoever does the work says how far it is as often as it likes; whoever watches gets the whole state first and then every
//! change of status at once, and the newest progress ten times a second at most.
//!
//! ```text
//!  start ─▶ initialized ─▶ running ◀─▶ paused        update, add_step, update_step
//!                │             │          │
//!                └─────────────┴──────────┴─▶ completed | failed | cancelled ─▶ forgotten
//! ```

mod bounds;
mod commands;
mod finish;
mod kinds;
mod messages;
mod object;
mod progress;
mod start;
mod state;
mod step;
mod steps;
mod tell;
#[cfg(test)]
mod tests;
mod texts;
mod update;
mod view;

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use kinds::{OperationKind, OperationRules};

use self::bounds::SAVE_MS;
use self::state::Operation;
use self::tell::Pace;
use super::{Args, Context, Kind, Lasts, Service, Spec};
use crate::options::Options;
use crate::room_type::{HistoryRule, RoomType, Slow};

/// What stands before the `:` in the names of their rooms.
const NAME: &str = "operation";

pub(crate) static KIND: Kind = Kind {
    name: NAME,
    commands: &commands::COMMANDS,
    messages: messages::MESSAGES,
    new: |_: &Options| Box::<OperationRoom>::default(),
    restore: |bytes, _| Some(Box::new(serde_json::from_slice::<OperationRoom>(bytes).ok()?)),
    guards: false,
    lasts: |_| Lasts::Always,
    attends: |_| false,
};

/// The type of their rooms: nobody publishes there, slow readers get the newest, and a short absence is recovered.
pub(super) fn room_type() -> RoomType {
    RoomType {
        publish: Vec::new(),
        slow: Slow::Conflate,
        history: HistoryRule { size: 64, ttl_ms: 600_000 },
        ..RoomType::open(NAME)
    }
}

/// What one room has: its operation, once there is one.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OperationRoom {
    operation: Option<Operation>,
    #[serde(skip)]
    pace: Pace,
    #[serde(skip)]
    saving: Saving,
}

/// Progress that the store does not have yet. It may wait: all else is written at once.
#[derive(Debug, Default)]
struct Saving {
    is_due: bool,
    last_ms: u64,
}

impl Service for OperationRoom {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "operation.start" => self.start(args, context),
            "operation.update" => self.update(args, context),
            "operation.add_step" => self.add_step(args, context),
            "operation.update_step" => self.update_step(args, context),
            "operation.complete" => self.complete(args, context),
            "operation.fail" => self.fail(args, context),
            "operation.cancel" => self.cancel(args, context),
            "operation.get" => Ok(self.operation.as_ref().ok_or_else(not_found)?.whole(context.now)),
            "operation.remove" => {
                let id = self.operation.as_ref().ok_or_else(not_found)?.id.clone();
                self.forget("removed", context);
                Ok(json!({ "operation_id": id }))
            }
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        Some(self.operation.as_ref()?.whole(context.now))
    }

    fn due_ms(&self) -> Option<u64> {
        let operation = self.operation.as_ref()?;
        let told = self.pace.due_ms();
        let saved = self.saving.is_due.then_some(self.saving.last_ms + SAVE_MS);
        [told, saved, Some(operation.over_ms())].into_iter().flatten().min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        if self.pace.due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            self.tell_waiting(context);
        }
        if self.saving.is_due && self.saving.last_ms + SAVE_MS <= now_ms {
            self.save_now(context);
        }
        let Some(operation) = &self.operation else { return };
        if operation.over_ms() > now_ms {
            return;
        }
        if operation.status.is_over() {
            self.forget("expired", context);
        } else {
            let error = json!({
                "code": "IDLE_TIMEOUT", "message": "nothing was heard of this operation for too long", "retryable": true,
            });
            self.fail_with(error, context);
        }
    }

    fn is_empty(&self) -> bool {
        self.operation.is_none()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(self).expect("invariant: texts and numbers are always JSON"))
    }
}

impl OperationRoom {
    /// The operation, if it is not over.
    fn open(&mut self) -> Result<&mut Operation, Refusal> {
        let operation = self.operation.as_mut().ok_or_else(not_found)?;
        if operation.status.is_over() {
            let message = format!("`operation_id`: this operation is {} already", operation.status.word());
            return Err(conflict("operation_id", message));
        }
        Ok(operation)
    }

    /// Before anybody is told that it is done, it is on disk, where there is one.
    fn save_now(&mut self, context: &mut Context<'_>) {
        context.changed = true;
        self.saving = Saving { is_due: false, last_ms: context.now.mono_ms() };
    }

    /// It may be lost with the process for a second.
    fn save_soon(&mut self) {
        self.saving.is_due = true;
    }

    fn forget(&mut self, reason: &str, context: &mut Context<'_>) {
        let Some(operation) = self.operation.take() else { return };
        *self = Self::default();
        context.changed = true;
        context.signal("operation_removed", json!({ "operation_id": operation.id, "reason": reason }));
    }
}

/// It does not go with how things are.
fn conflict(field: &'static str, message: String) -> Refusal {
    Refusal::new(Code::Conflict, message).at(field)
}

fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "`operation_id`: there is no such operation").at("operation_id")
}
