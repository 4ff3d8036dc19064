//! Services: state kept over rooms, each a pure state machine at the room's home shard. Commands go in, messages come out.
//!
//! A service is a folder here with its commands declared in one table ([`Spec`]), from which arguments are checked, HTTP
//! paths are routed and the published descriptions of the API are made. `SERVICES` is the one place where it is
//! registered. A room has an instance of a service from the first command that makes one until that is empty again,
//! so what is not used costs nothing.

pub mod access;
mod args;
mod caller;
mod chat;
mod clean;
mod context;
#[cfg(test)]
pub(crate) mod desk;
mod given;
mod known;
mod monitor;
mod notification;
mod operation;
mod poll;
mod presence;
pub(crate) mod room;
mod route;
mod rules;
mod score;
mod spec;

use std::fmt::Debug;

use fanfare_protocol::{Refusal, RoomName};
use serde_json::Value;

pub use access::DenialChange;
pub use args::Args;
pub use caller::Caller;
pub use context::Expelled;
pub(crate) use context::{Context, Deed, Saying, To, told_time};
pub use known::unknown_argument;
pub use notification::NotificationRules;
pub use operation::{OperationKind, OperationRules};
pub use route::{Path, route};
pub use spec::{Access, Field, Method, Place, Rooms, Rule, Said, Spec};

use crate::options::Options;
use crate::room_type::RoomType;
use crate::time::Now;

/// A member of a room, as services know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Who it is.
    pub who: Caller,
    /// Its client id.
    pub client_id: Box<str>,
}

/// What one room has of a service.
pub(crate) trait Service: Debug {
    /// Does a command. `spec` is one of the service's own, and `args` keep its rules. Nothing may have changed when it is
    /// refused.
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal>;

    /// A connection has become a member.
    fn joined(&mut self, member: &Member, context: &mut Context<'_>) {
        let _ = (member, context);
    }

    /// A connection was a member before the service asked for all of them ([`Deed::CallRoll`]).
    fn present(&mut self, member: &Member, context: &mut Context<'_>) {
        let _ = (member, context);
    }

    /// A connection is no member any more.
    fn left(&mut self, member: crate::Address, context: &mut Context<'_>) {
        let _ = (member, context);
    }

    /// Whether somebody may be in the room.
    ///
    /// # Errors
    /// Why not.
    fn admits(&self, caller: Option<&Caller>, now: Now) -> Result<(), Refusal> {
        let _ = (caller, now);
        Ok(())
    }

    /// Whether the room takes a message of this user (nothing: of a backend).
    ///
    /// # Errors
    /// Why not.
    fn takes(&self, user: Option<&RoomName>, now: Now) -> Result<(), Refusal> {
        let _ = (user, now);
        Ok(())
    }

    /// Whether it makes the room one that was created.
    fn is_creation(&self) -> bool {
        false
    }

    /// How many members the room may have at most, where the service has a say in that.
    fn members_max(&self) -> Option<u32> {
        None
    }

    /// What who joins is told with `joined`, before any later message.
    fn state(&self, context: &Context<'_>) -> Option<Value> {
        let _ = context;
        None
    }

    /// In the room of one user: a connection of that user was welcomed. What is said to it ([`To::One`]) comes after the welcome and
    /// after what waited for it. `brought` is what the service has told as its [`Service::state`] in the rooms of the user's role and of all.
    fn greet(&mut self, connection: crate::Address, brought: &[Value], context: &mut Context<'_>) {
        let _ = (connection, brought, context);
    }

    /// When [`Service::tick`] is wanted, in milliseconds of the steady clock.
    fn due_ms(&self) -> Option<u64> {
        None
    }

    /// Its time has come.
    fn tick(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Whether nothing is left that anybody could miss.
    fn is_empty(&self) -> bool;

    /// What is to outlive the process; nothing where that is nothing.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }
}

/// Makes an instance again from what it gave to be kept.
pub(crate) type Restore = fn(&[u8], &Options) -> Option<Box<dyn Service>>;

/// A service.
pub(crate) struct Kind {
    /// What its commands' names begin with.
    pub(crate) name: &'static str,
    /// Its commands.
    pub(crate) commands: &'static [Spec],
    /// What it says. Kinds of operations that are configured name their messages themselves; those are not here.
    pub(crate) messages: &'static [Said],
    /// An instance without anything in it.
    pub(crate) new: fn(&Options) -> Box<dyn Service>,
    /// An instance from what [`Service::save`] gave; nothing where that cannot be read.
    pub(crate) restore: Restore,
    /// Whether it says itself who may do its commands, so that who is not let into a room is not stopped before.
    pub(crate) guards: bool,
    /// What becomes of what a command does, where there is a store.
    pub(crate) lasts: fn(&Spec) -> Lasts,
    /// Whether rooms of a type have an instance from the first member on.
    pub(crate) attends: fn(&RoomType) -> bool,
}

/// What becomes of what a command does when the process ends, where there is a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// It outlives the process: it is refused while the store fails, and answered when it is on disk.
    Always,
    /// The same where messages of its room do. Elsewhere it is kept if it can be, and done all the same while the store fails.
    AsItsRoom,
    /// It does not.
    Never,
    /// It outlives the process, but is too urgent to be refused: while the store fails it is done, and who asked is told how that stands.
    IfItCan,
}

impl Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What can be set about services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceOptions {
    /// About notifications.
    pub notification: NotificationRules,
    /// About operations.
    pub operation: OperationRules,
}

/// The types of rooms that belong to services. One that is configured under the same name takes its place.
pub fn room_types() -> Vec<RoomType> {
    vec![operation::room_type()]
}

/// Every service.
pub(crate) static SERVICES: [&Kind; 9] = [
    &notification::KIND,
    &operation::KIND,
    &poll::KIND,
    &presence::KIND,
    &room::KIND,
    &chat::KIND,
    &monitor::KIND,
    &score::KIND,
    &access::KIND,
];

/// The number of the service that a command is of, and what the command takes.
pub fn find(name: &str) -> Option<(usize, &'static Spec)> {
    let (service, _) = name.split_once('.')?;
    let at = SERVICES.iter().position(|kind| kind.name == service)?;
    let spec = SERVICES[at].commands.iter().find(|spec| spec.name == name)?;
    Some((at, spec))
}

/// What to tell somebody who asked for a command that there is not. Repeats nothing of what was written.
pub(crate) fn unknown(name: &str) -> String {
    let service = name.split_once('.').map_or("", |(service, _)| service);
    let of = |kind: &&&Kind| kind.name == service;
    match SERVICES.iter().find(of) {
        Some(kind) => {
            let names: Vec<&str> = kind.commands.iter().map(|spec| spec.name).collect();
            format!("`type` is no command of this service; there are: {}", names.join(", "))
        }
        None => {
            let names: Vec<&str> = SERVICES.iter().map(|kind| kind.name).collect();
            format!("`type` names no service; there are: {}", names.join(", "))
        }
    }
}

/// Every command of every service.
pub fn commands() -> impl Iterator<Item = &'static Spec> {
    SERVICES.iter().flat_map(|kind| kind.commands)
}

/// Every message that a service says, with the service.
pub fn messages() -> impl Iterator<Item = (&'static str, &'static Said)> {
    SERVICES.iter().flat_map(|kind| kind.messages.iter().map(|said| (kind.name, said)))
}

/// What is wrong with something that is to be said: it must be declared among a service's messages, and be as it is there.
/// It is for debug builds and tests, where a forgotten declaration is found by saying it.
pub(crate) fn undeclared(messages: &[Said], saying: &Saying, options: &Options) -> Option<String> {
    let event = &*saying.event;
    let Some(said) = messages.iter().find(|said| said.name == event) else {
        let is_configured = options.services.operation.is_configured(event);
        return (!is_configured).then(|| format!("{event} is not declared"));
    };
    let is_kept = match saying.to {
        To::Room | To::Other(_) => true,
        To::Here | To::There(_) | To::One(_) => false,
        // It is what a message says from now on.
        To::Kept(_) => said.kept,
    };
    if is_kept != said.kept {
        return Some(format!("{event} is declared as one that is kept, or is not, and it is the other"));
    }
    said.fault(&saying.data).map(|fault| format!("{event}: {fault}"))
}

/// The names of all services, in the order in which they are counted.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    SERVICES.iter().map(|kind| kind.name)
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::EventName;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_command_is_found_under_its_own_name_and_path() {
        let mut seen = std::collections::BTreeSet::new();
        for (at, kind) in SERVICES.iter().enumerate() {
            for spec in kind.commands {
                let (found, same) = find(spec.name).unwrap_or_else(|| panic!("{} is not found", spec.name));
                assert!(found == at && std::ptr::eq(same, spec), "{}", spec.name);
                assert!(seen.insert(spec.name.to_owned()), "{} is there twice", spec.name);
                assert!(
                    seen.insert(format!("{:?} {}", spec.method, spec.path)),
                    "{} is there twice",
                    spec.path
                );
                spec.check();
            }
        }
        assert!(find("poll").is_none() && find("poll.").is_none() && find("nothing.start").is_none());
    }

    #[test]
    fn every_message_is_declared_once_and_named_as_one_of_the_engine() {
        let mut seen = std::collections::BTreeSet::new();
        for (service, said) in messages() {
            assert!(seen.insert(said.name), "{} is there twice", said.name);
            // In rooms of operations only the engine speaks.
            assert!(said.name.starts_with('$') || service == "operation", "{}", said.name);
            assert!(EventName::restore(said.name).is_ok() && said.about.ends_with('.'), "{}", said.name);
            let names: std::collections::BTreeSet<&str> = said.fields.iter().map(|of| of.name).collect();
            assert_eq!(names.len(), said.fields.len(), "{} has a member twice", said.name);
        }
    }

    #[test]
    fn what_is_said_must_be_as_it_is_declared() {
        let fault = |to, event, data| {
            let options = Options::default();
            undeclared(poll::KIND.messages, &Saying::new(to, event, data), &options)
        };
        assert_eq!(fault(To::Here, "$poll_removed", json!({"poll_id": "a"})), None);
        let forgotten = fault(To::Here, "$poll_forgotten", json!({})).unwrap();
        assert!(forgotten.contains("not declared"), "{forgotten}");
        let kept = fault(To::Room, "$poll_removed", json!({"poll_id": "a"})).unwrap();
        assert!(kept.contains("kept"), "{kept}");
        let more = fault(To::Here, "$poll_removed", json!({"poll_id": "a", "why": 1})).unwrap();
        assert!(more.contains("`why`"), "{more}");
        let less = fault(To::Here, "$poll_removed", json!({"poll_id": null})).unwrap();
        assert!(less.contains("`poll_id` is missing"), "{less}");
    }
}
