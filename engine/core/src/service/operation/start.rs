//! `operation.start`.

use fanfare_protocol::{Code, Refusal};
use serde_json::Value;

use super::bounds::{METADATA_BYTES, STEPS_MAX};
use super::object::Object;
use super::progress::Meter;
use super::state::{Operation, Status};
use super::step;
use super::{NAME, OperationRoom, conflict};
use crate::options::lists;
use crate::permission::Permission;
use crate::service::{Args, Context};

impl OperationRoom {
    pub(super) fn start(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let id = args.word("operation_id");
        if self.operation.is_some() {
            return Err(conflict("operation_id", "`operation_id` is in use by another operation".to_owned()));
        }
        let rules = &context.options.services.operation;
        let kind = args.text("kind").unwrap_or(NAME);
        if rules.kind(kind).is_none() {
            let message = format!("`kind`: there is no such kind; there are {}", rules.names());
            return Err(Refusal::new(Code::RoomNotFound, message).at("kind"));
        }
        let user_id = args.text("user_id");
        let notify_user = args.flag("notify_user").unwrap_or(true);
        if let Some(user_id) = user_id.filter(|_| notify_user) {
            check_owner(user_id, context)?;
        }
        let (now, now_ms) = (context.now, context.now.mono_ms());
        let text = |name| args.text(name).map(str::to_owned);
        let mut operation = Operation {
            id: id.to_owned(),
            kind: kind.to_owned(),
            title: text("title"),
            user_id: user_id.map(str::to_owned),
            notify_user,
            notify_of_all: args.text("notify_user") == Some("all"),
            status: Status::Initialized,
            announced: args.whole("total_steps").map_or(0, |count| count as usize),
            total: args.whole("total"),
            unit: text("unit"),
            estimated_seconds: args.whole("estimated_seconds"),
            metadata: Object::default().merged(args, "metadata", METADATA_BYTES)?.unwrap_or_default(),
            started: now.into(),
            updated: now.into(),
            ttl_ms: args.whole("ttl_seconds").map_or(rules.ttl_ms, |seconds| seconds * 1_000),
            idle_ttl_ms: rules.idle_ttl_ms,
            percent_meter: Meter::since(now_ms, 0.0),
            done_meter: Meter::since(now_ms, 0.0),
            ..Operation::default()
        };
        debug_assert!(args.list("steps").len() <= STEPS_MAX, "the rules say so");
        for given in args.list("steps") {
            step::add(&mut operation, given)?;
        }
        let whole = operation.whole(now);
        self.operation = Some(operation);
        self.save_now(context);
        self.tell_status(context);
        Ok(whole)
    }
}

/// Refuses to write into another user's room for who may not do so otherwise.
fn check_owner(user_id: &str, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(caller) = context.caller.filter(|caller| caller.user.is_some()) else { return Ok(()) };
    let may = caller.user_id() == user_id
        || caller.permissions.has(Permission::Admin)
        || lists(&context.options.broadcast_roles, &caller.role);
    if may {
        return Ok(());
    }
    let message =
        "`user_id` must be the caller's own, or `notify_user` false: this role may not write to other users";
    Err(Refusal::new(Code::Forbidden, message).at("user_id"))
}
