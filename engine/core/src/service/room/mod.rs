//! Rooms as things of their own: created by somebody, for some, with a bound, and closed at last; and what an operator
//! does to any room. A room needs none of this to be used unless its type says so.

mod commands;
mod messages;
mod refused;

use std::collections::{BTreeMap, BTreeSet};

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Code, Refusal, RoomName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::refused::{conflict, forbidden, not_created, not_found};
pub(crate) use self::refused::{unheard, uninvited};
use super::{Args, Caller, Context, Deed, Expelled, Kind, Lasts, Member, Service, Spec};
use crate::home::used_unix_ms;
use crate::id::Address;
use crate::options::{Options, lists};
use crate::permission::Permission;
use crate::time::Now;

/// Users that may be invited to one room, and that may be kept out of it.
const NAMED_MAX: usize = 10_000;

/// Members have so long to come back after a restart.
const BACK_MS: u64 = 60_000;
/// Before any time there is, so that the first tick says what time it is.
const AT_ONCE_MS: u64 = 1;

pub(crate) static KIND: Kind = Kind {
    name: "room",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Room>::default(),
    restore: |bytes, _| {
        let mut room = serde_json::from_slice::<Room>(bytes).ok()?;
        let goes = |created: &Created| created.cleanup && created.was_used;
        room.empty_ms = room.created.as_ref().is_some_and(goes).then_some(AT_ONCE_MS);
        Some(Box::new(room))
    },
    guards: true,
    lasts: |_| Lasts::Always,
    attends: |_| false,
};

/// What is known of one room beside its messages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Room {
    created: Option<Created>,
    /// Nobody may publish.
    is_frozen: bool,
    /// Users who are kept out, until when by the steady clock.
    banned: BTreeMap<String, u64>,
    /// After a restart, where it goes with its last member: when it goes if nobody has come back.
    #[serde(skip)]
    empty_ms: Option<u64>,
}

/// What somebody who created a room said of it.
#[derive(Debug, Serialize, Deserialize)]
struct Created {
    /// Who; nobody where a backend did.
    creator: Option<String>,
    at_unix_ms: u64,
    title: Option<String>,
    metadata: Value,
    is_private: bool,
    members_max: Option<u32>,
    invited: BTreeSet<String>,
    /// Whether it goes when its last member leaves.
    cleanup: bool,
    /// Whether it has had members: before that it waits for its first, also over a restart.
    #[serde(default)]
    was_used: bool,
}

impl Created {
    fn lets_in(&self, user_id: &str) -> bool {
        !self.is_private || self.creator.as_deref() == Some(user_id) || self.invited.contains(user_id)
    }
}

impl Service for Room {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        match spec.name {
            "room.create" => self.create(args, context),
            "room.info" => {
                self.admits(context.caller, context.now)?;
                if self.created.is_none() && self.is_hidden(context) {
                    return Err(uninvited());
                }
                if self.is_empty() && context.members == 0 && context.offset == 0 {
                    return Err(not_found());
                }
                let mut told = self.told(context);
                if self.owns(context).is_ok() {
                    self.tell_owner(&mut told, context.now);
                }
                Ok(told)
            }
            "room.update" => self.update(args, context),
            "room.invite" => self.invite(args.word("user_id"), true, context),
            "room.uninvite" => self.invite(args.word("user_id"), false, context),
            "room.kick" => self.kick(args, context),
            "room.freeze" => self.freeze(args.flag("frozen").unwrap_or(true), context),
            "room.purge" => {
                self.owns(context)?;
                context.deeds.push(Deed::Purge);
                context.signal("$room_purged", json!({}));
                Ok(json!({ "room": context.room.as_str() }))
            }
            "room.close" => self.close(args.text("reason"), context),
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn joined(&mut self, _member: &Member, context: &mut Context<'_>) {
        self.empty_ms = None;
        if let Some(created) = self.created.as_mut().filter(|created| !created.was_used) {
            created.was_used = true;
            context.changed = true;
        }
    }

    fn left(&mut self, _member: Address, context: &mut Context<'_>) {
        self.clean_up(context);
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        Some(self.told(context))
    }

    fn admits(&self, caller: Option<&Caller>, now: Now) -> Result<(), Refusal> {
        let Some(caller) = caller.filter(|caller| caller.is_guest()) else { return Ok(()) };
        let user_id = caller.user_id();
        if self.banned.get(user_id).is_some_and(|until_ms| *until_ms > now.mono_ms()) {
            return Err(forbidden("this `room` does not let the user in"));
        }
        match &self.created {
            Some(created) if !created.lets_in(user_id) => Err(uninvited()),
            _ => Ok(()),
        }
    }

    fn takes(&self, user: Option<&RoomName>, now: Now) -> Result<(), Refusal> {
        if self.is_frozen {
            return Err(forbidden("this `room` takes no messages now"));
        }
        let Some(user) = user.and_then(|user| user.as_str().strip_prefix("@user:")) else { return Ok(()) };
        let is_out = self.banned.get(user).is_some_and(|until_ms| *until_ms > now.mono_ms());
        if is_out || self.created.as_ref().is_some_and(|created| !created.lets_in(user)) {
            return Err(unheard());
        }
        Ok(())
    }

    fn is_creation(&self) -> bool {
        self.created.is_some()
    }

    fn members_max(&self) -> Option<u32> {
        self.created.as_ref()?.members_max
    }

    fn due_ms(&self) -> Option<u64> {
        self.banned.values().copied().chain(self.empty_ms).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let before = self.banned.len();
        self.banned.retain(|_, until_ms| *until_ms > context.now.mono_ms());
        context.changed = self.banned.len() < before;
        match self.empty_ms {
            Some(AT_ONCE_MS) => self.empty_ms = Some(context.now.mono_ms() + BACK_MS),
            Some(empty_ms) if empty_ms <= context.now.mono_ms() => {
                self.empty_ms = None;
                self.clean_up(context);
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.created.is_none() && !self.is_frozen && self.banned.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(self).expect("invariant: it is texts and numbers"))
    }
}

impl Room {
    fn create(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let room_type = context.options.type_of(context.room);
        if !room_type.is_managed() {
            return Err(conflict("`room`: rooms of this type need no creation; join them"));
        }
        let caller = context.caller.expect("invariant: somebody asks");
        // A backend with a key has no role, also where it speaks on a user's behalf.
        if !caller.role.is_empty() && !lists(&room_type.create, &caller.role) {
            return Err(forbidden("the role may not create rooms of this type"));
        }
        if self.created.is_some() {
            return Err(conflict("`room` is there already"));
        }
        // A room that others use is not taken from them.
        let others = context.members.saturating_sub(u32::from(caller.is_member));
        let is_in_use = others > 0 || context.next_offset > 1;
        if is_in_use && !caller.permissions.has(Permission::Control) {
            return Err(conflict("`room` is in use: others are in it, or something was said there"));
        }
        let creator = caller.user.is_some().then(|| caller.user_id().to_owned());
        self.created = Some(Created {
            creator,
            at_unix_ms: context.now.unix_ms,
            title: args.text("title").map(str::to_owned),
            metadata: args.value("metadata").cloned().unwrap_or_else(|| json!({})),
            is_private: args.flag("private").unwrap_or(room_type.private),
            members_max: args.whole("max_members").map(|max| max as u32),
            invited: args.texts("invited").map(str::to_owned).collect(),
            cleanup: args.flag("cleanup").unwrap_or(room_type.cleanup),
            was_used: context.members > 0,
        });
        context.changed = true;
        self.expel_uninvited(context);
        Ok(self.told(context))
    }

    /// Who is in a room that has become private, and would not be let in now, goes.
    fn expel_uninvited(&self, context: &mut Context<'_>) {
        let Some(created) = self.created.as_ref().filter(|created| created.is_private) else { return };
        if context.members > 0 {
            let users = created.creator.iter().chain(&created.invited);
            let whom = Expelled::AllBut(users.map(|user_id| RoomName::of_user(user_id)).collect());
            context.deeds.push(Deed::Expel { whom, reason: "the room is private now".to_owned() });
        }
    }

    fn update(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.owns(context)?;
        let Some(created) = &mut self.created else { return Err(not_created()) };
        if let Some(title) = args.text("title") {
            created.title = Some(title.to_owned());
        }
        if let Some(metadata) = args.value("metadata") {
            created.metadata = metadata.clone();
        }
        let was_private = created.is_private;
        created.is_private = args.flag("private").unwrap_or(was_private);
        created.members_max = args.whole("max_members").map(|max| max as u32).or(created.members_max);
        if !was_private {
            self.expel_uninvited(context);
        }
        self.tell(context);
        Ok(self.told(context))
    }

    fn invite(&mut self, user_id: &str, is_in: bool, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.owns(context)?;
        let Some(created) = &mut self.created else {
            // Nobody needs an invitation there, but who was kept out may come back.
            if is_in && self.banned.remove(user_id).is_some() {
                context.changed = true;
                return Ok(self.told(context));
            }
            return Err(not_created());
        };
        if !is_in {
            created.invited.remove(user_id);
        } else if created.invited.len() < NAMED_MAX {
            created.invited.insert(user_id.to_owned());
            self.banned.remove(user_id);
        } else {
            let message = format!("at most {NAMED_MAX} users are invited to a room");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("user_id"));
        }
        context.changed = true;
        Ok(self.told(context))
    }

    fn kick(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.owns(context)?;
        let user_id = args.word("user_id");
        let seconds = args.whole("seconds");
        if seconds.is_some() && self.banned.len() >= NAMED_MAX && !self.banned.contains_key(user_id) {
            let message = format!("at most {NAMED_MAX} users are kept out of a room");
            return Err(Refusal::new(Code::RateLimitExceeded, message).at("user_id"));
        }
        if let Some(created) = &mut self.created {
            created.invited.remove(user_id);
            context.changed = true;
        }
        if let Some(seconds) = seconds {
            self.banned.insert(user_id.to_owned(), context.now.mono_ms() + seconds * 1_000);
            context.changed = true;
        }
        let reason = args.text("reason").unwrap_or("removed from the room").to_owned();
        context.deeds.push(Deed::Expel { whom: Expelled::User(RoomName::of_user(user_id)), reason });
        Ok(json!({ "user_id": user_id }))
    }

    fn freeze(&mut self, is_frozen: bool, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.owns(context)?;
        if std::mem::replace(&mut self.is_frozen, is_frozen) != is_frozen {
            self.tell(context);
        }
        Ok(json!({ "room": context.room.as_str(), "frozen": is_frozen }))
    }

    /// Members are told and go, what was kept goes, and so does what was known of the room.
    fn close(&mut self, reason: Option<&str>, context: &mut Context<'_>) -> Result<Value, Refusal> {
        self.owns(context)?;
        let reason = reason.unwrap_or("the room was closed").to_owned();
        context.signal("$room_closed", json!({ "reason": reason }));
        context.deeds.push(Deed::Expel { whom: Expelled::All, reason });
        self.end(context);
        Ok(json!({ "room": context.room.as_str(), "members": context.members }))
    }

    /// A room that is to go with its last member goes when nobody is there.
    fn clean_up(&mut self, context: &mut Context<'_>) {
        if context.members == 0 && self.created.as_ref().is_some_and(|created| created.cleanup) {
            self.end(context);
        }
    }

    /// What was kept goes, and so does what was known of the room.
    fn end(&mut self, context: &mut Context<'_>) {
        *self = Self::default();
        context.changed = true;
        context.deeds.extend([Deed::Purge, Deed::Clear]);
    }

    /// Whether the caller may steer this room: its creator, or whoever may steer any.
    fn owns(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let caller = context.caller.expect("invariant: somebody asks");
        let creator = self.created.as_ref().and_then(|created| created.creator.as_deref());
        let is_creator = caller.user.is_some() && creator == Some(caller.user_id());
        if is_creator || caller.permissions.has(Permission::Control) {
            return Ok(());
        }
        Err(forbidden("only the room's creator and roles with `control` may do this"))
    }

    /// Whether the caller must not learn that nobody has created the room.
    fn is_hidden(&self, context: &Context<'_>) -> bool {
        context.options.type_of(context.room).private && context.caller.is_some_and(Caller::is_guest)
    }

    fn tell(&self, context: &mut Context<'_>) {
        context.changed = true;
        let told = self.told(context);
        context.signal("$room_updated", told);
    }

    /// What only who may steer the room is told.
    fn tell_owner(&self, told: &mut Value, now: Now) {
        let is_out = |until_ms: &u64| *until_ms > now.mono_ms();
        let kept_out = self.banned.iter().filter(|(_, until_ms)| is_out(until_ms));
        told["kept_out"] = kept_out.map(|(user_id, _)| user_id.as_str()).collect();
        if let Some(created) = &self.created {
            told["invited"] = created.invited.iter().map(String::as_str).collect();
            told["cleanup"] = created.cleanup.into();
        }
    }

    fn told(&self, context: &Context<'_>) -> Value {
        let mut told = json!({
            "room": context.room.as_str(),
            "room_type": &*context.options.type_of(context.room).name,
            "members": context.members,
            "epoch": context.epoch.to_string(),
            "offset": context.offset,
            "last_activity": rfc3339_text(used_unix_ms(context.now, context.used_s)),
            "frozen": self.is_frozen,
        });
        if let Some(created) = &self.created {
            told["creator"] = created.creator.as_deref().into();
            told["created_at"] = rfc3339_text(created.at_unix_ms).into();
            told["title"] = created.title.as_deref().into();
            told["metadata"] = created.metadata.clone();
            told["private"] = created.is_private.into();
            told["max_members"] = created.members_max.into();
        }
        told
    }
}

#[cfg(test)]
mod tests;
