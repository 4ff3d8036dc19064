//! Chats: any room can hold one. Its messages are the room's own, with their places and its history; here is what changes
//! them, and what stands around them: who types, who has read how far, reactions.

mod commands;
mod messages;
mod reactions;
mod reads;
#[cfg(test)]
mod tests;
mod typing;

use fanfare_protocol::{Body, Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::reactions::Reactions;
use self::reads::Reads;
use self::typing::Typing;
use super::{Args, Context, Kind, Lasts, Member, Saying, Service, Spec, To, told_time};
use crate::entry::Entry;
use crate::home::Log;
use crate::options::Options;
use crate::permission::Permission;

/// Characters of what one message says.
const TEXT_MAX: usize = 4_000;
/// Users that one message may name.
const MENTIONS_MAX: usize = 50;
/// Bytes of a reaction: emoji of several parts have up to about thirty, and a word may do as well.
const EMOJI_BYTES_MAX: usize = 32;
/// Members of a room in which a read mark is told to all. Where there are more, each would read and tell all others: who
/// wants to know asks.
const READS_TOLD_MEMBERS_MAX: u32 = 500;
/// Milliseconds after which marks and reactions are saved, since they are saved whole.
const SAVE_MS: u64 = 1_000;
/// Milliseconds after which it is asked whether anybody needs them still.
const TEND_MS: u64 = 60_000;

const MESSAGE: &str = "$chat_message";
const EDITED: &str = "$chat_edited";

pub(crate) static KIND: Kind = Kind {
    name: "chat",
    commands: &commands::COMMANDS,
    messages: &messages::MESSAGES,
    new: |_: &Options| Box::<Chat>::default(),
    restore: |bytes, _| {
        let chat = serde_json::from_slice::<Chat>(bytes).ok()?;
        // Its room may have begun anew: look at once.
        Some(Box::new(Chat { tend_ms: 1, ..chat }))
    },
    guards: false,
    lasts: |spec| if spec.name == "chat.typing" { Lasts::Never } else { Lasts::AsItsRoom },
    attends: |_| false,
};

/// What one room has of a chat, beside its messages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Chat {
    /// The room's epoch that the places here are of.
    epoch: u32,
    reads: Reads,
    reactions: Reactions,
    #[serde(skip)]
    typing: Typing,
    /// When what has changed is to be saved, in milliseconds of the steady clock.
    #[serde(skip)]
    save_ms: Option<u64>,
    /// When to look whether anybody needs this, in milliseconds of the steady clock; 0: nothing is here.
    #[serde(skip)]
    tend_ms: u64,
}

impl Service for Chat {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let epoch = context.epoch.to_string();
        if args.text("epoch").is_some_and(|of| of != epoch) {
            return Err(not_found("epoch", "`epoch` is not the room's epoch any more"));
        }
        self.renew(context);
        let offset = args.whole("offset").unwrap_or(0);
        match spec.name {
            "chat.send" => send(args, context),
            "chat.edit" => {
                change(offset, Some(args.word("text")), context)?;
                Ok(json!({ "offset": offset, "epoch": epoch }))
            }
            "chat.delete" => {
                change(offset, None, context)?;
                if self.reactions.remove_all(offset) {
                    self.save_later(context);
                }
                Ok(json!({ "offset": offset, "epoch": epoch }))
            }
            "chat.react" => self.react(offset, args, context),
            "chat.typing" => {
                let user = user(context)?;
                let typing = args.flag("typing").unwrap_or(false);
                let types = self.typing.set(&user, typing, context);
                Ok(json!({ "typing": types }))
            }
            "chat.read" => self.read(offset, context),
            "chat.state" => Ok(self.told(args.whole("before").unwrap_or(u64::MAX), context)),
            _ => unreachable!("invariant: only the service's own commands come here"),
        }
    }

    fn left(&mut self, from: crate::Address, context: &mut Context<'_>) {
        self.typing.left(from, context);
    }

    fn joined(&mut self, _member: &Member, context: &mut Context<'_>) {
        self.renew(context);
    }

    fn state(&self, context: &Context<'_>) -> Option<Value> {
        // What is of another epoch goes with the next command.
        (self.epoch == context.epoch.0).then(|| self.told(u64::MAX, context))
    }

    fn due_ms(&self) -> Option<u64> {
        let tend_ms = (self.tend_ms > 0).then_some(self.tend_ms);
        [self.typing.due_ms(), self.save_ms, tend_ms].into_iter().flatten().min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        self.typing.tell(context);
        if self.tend_ms > 0 && self.tend_ms <= now_ms {
            self.tend(context);
        }
        if self.save_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.save_ms = None;
            context.changed = true;
        }
    }

    fn is_empty(&self) -> bool {
        // What is not saved yet has to be, even where that is nothing.
        self.reads.is_empty() && self.reactions.is_empty() && self.typing.is_empty() && self.save_ms.is_none()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(self).expect("invariant: texts and numbers are always JSON"))
    }
}

impl Chat {
    /// Places of another epoch mean nothing.
    fn renew(&mut self, context: &mut Context<'_>) {
        if self.epoch == context.epoch.0 {
            return;
        }
        self.epoch = context.epoch.0;
        if !self.reads.is_empty() || !self.reactions.is_empty() {
            (self.reads, self.reactions) = (Reads::default(), Reactions::default());
            context.changed = true;
        }
    }

    /// Lets go what nobody can need: reactions of messages that are gone, and marks in a room where nothing and nobody is.
    fn tend(&mut self, context: &mut Context<'_>) {
        self.renew(context);
        let first = context.log.and_then(Log::first_offset);
        let mut is_less = self.reactions.forget_before(first.unwrap_or(u64::MAX));
        if first.is_none() && context.members == 0 && !self.reads.is_empty() {
            self.reads = Reads::default();
            is_less = true;
        }
        let is_needed = !self.reads.is_empty() || !self.reactions.is_empty();
        self.tend_ms = if is_needed { context.now.mono_ms() + TEND_MS } else { 0 };
        context.changed |= is_less;
    }

    fn save_later(&mut self, context: &Context<'_>) {
        let now_ms = context.now.mono_ms();
        if context.options.store {
            self.save_ms.get_or_insert(now_ms + SAVE_MS);
        }
        if self.tend_ms == 0 {
            self.tend_ms = now_ms + TEND_MS;
        }
    }

    fn react(&mut self, offset: u64, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let user = user(context)?;
        let emoji = args.word("emoji");
        let is_new = if args.flag("remove") == Some(true) {
            self.reactions.remove(offset, emoji, &user)
        } else {
            let role = context.caller.map_or("", |caller| &*caller.role);
            let entry = context.kept(offset).filter(|entry| entry.is_for(role, context.options));
            if is_deleted(entry.ok_or_else(not_kept)?) {
                return Err(not_kept());
            }
            self.reactions.add(offset, emoji, &user)?
        };
        let told = json!({ "offset": offset, "reactions": self.reactions.of(offset) });
        if is_new {
            self.save_later(context);
            let key = Some(format!("reactions:{offset}").into());
            context.says.push(Saying { key, ..Saying::new(To::Here, "$reactions", told.clone()) });
        }
        Ok(told)
    }

    fn read(&mut self, offset: u64, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let user = user(context)?;
        if offset > context.offset {
            return Err(not_found("offset", "`offset`: the room has no such message yet"));
        }
        if self.reads.set(&user, offset)? {
            self.save_later(context);
            if context.members <= READS_TOLD_MEMBERS_MAX {
                let told = json!({ "user_id": user, "offset": offset });
                let key = Some(format!("read:{user}").into());
                context.says.push(Saying { key, ..Saying::new(To::Here, "$read", told) });
            }
        }
        let mark = self.reads.of(&user);
        Ok(json!({ "offset": mark, "unread": context.offset.saturating_sub(mark) }))
    }

    /// Everything but the messages, as the caller is told.
    fn told(&self, before: u64, context: &Context<'_>) -> Value {
        let user = context.user_id();
        let typing: Vec<&str> = self.typing.users(user).collect();
        let mut told = json!({
            "offset": context.offset,
            "epoch": context.epoch.to_string(),
            "reads": self.reads.furthest(),
            "readers": self.reads.len(),
            "reactions": self.reactions.page(before, user),
            "typing": typing,
        });
        if !user.is_empty() {
            let mark = self.reads.of(user);
            told["read"] = mark.into();
            told["unread"] = context.offset.saturating_sub(mark).into();
        }
        told
    }
}

fn send(args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
    let mut data = json!({ "text": args.word("text") });
    if let Some(reply_to) = args.whole("reply_to") {
        if reply_to > context.offset {
            return Err(not_found("reply_to", "`reply_to`: the room has no such message yet"));
        }
        data["reply_to"] = reply_to.into();
    }
    if args.has("mentions") {
        data["mentions"] = args.texts("mentions").collect();
    }
    let user = context.caller.and_then(|caller| caller.user.clone());
    let offset = context.next_offset;
    context.says.push(Saying { user, ..Saying::new(To::Room, MESSAGE, data) });
    Ok(json!({ "offset": offset, "epoch": context.epoch.to_string() }))
}

/// Lets a message say something else; nothing: it was taken back. Who comes later finds only what it says now, and who is
/// there or recovers is told by a message.
fn change(offset: u64, text: Option<&str>, context: &mut Context<'_>) -> Result<(), Refusal> {
    let entry = context.kept(offset).filter(|entry| entry.event.as_str() == MESSAGE).ok_or_else(not_kept)?;
    let caller = context.caller.expect("invariant: a command has a caller");
    let is_author = caller.user.is_some() && caller.user == entry.user;
    if !is_author && !caller.permissions.has(Permission::Control) {
        let message = "only its author and who has the permission `control` may change a message";
        return Err(Refusal::new(Code::Forbidden, message).at("offset"));
    }
    if is_deleted(entry) {
        return Err(not_kept());
    }
    let (at, before, user) = (told_time(context.now.unix_ms), said(entry), caller.user.clone());
    let place = json!({ "offset": offset, "epoch": context.epoch.to_string() });
    // What told of the last change has the words of then: they go as well.
    if let Some(edited_in) = before["edited_in"].as_u64()
        && let Some(entry) = context.kept(edited_in).filter(|entry| entry.event.as_str() == EDITED)
        && said(entry)["offset"] == offset
    {
        let mut told = place.clone();
        told["superseded"] = true.into();
        context.replace(edited_in, EDITED, told);
    }
    let (event, now_says, mut told) = match text {
        Some(text) => {
            let mut says = before;
            says["text"] = text.into();
            says["edited_at"] = at;
            let mut told = says.clone();
            told.as_object_mut().expect("invariant: what was said is an object").remove("edited_in");
            says["edited_in"] = context.next_offset.into();
            (EDITED, says, told)
        }
        None => ("$chat_deleted", json!({ "deleted": true, "deleted_at": at }), json!({})),
    };
    told["offset"] = place["offset"].clone();
    told["epoch"] = place["epoch"].clone();
    context.replace(offset, MESSAGE, now_says);
    context.says.push(Saying { user, ..Saying::new(To::Room, event, told) });
    Ok(())
}

fn said(entry: &Entry) -> Value {
    match &entry.body {
        Body::Json(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        // A chat's own messages are JSON.
        Body::MessagePack(_) => Value::Null,
    }
}

fn is_deleted(entry: &Entry) -> bool {
    entry.event.as_str() == MESSAGE && said(entry)["deleted"] == true
}

fn user(context: &Context<'_>) -> Result<String, Refusal> {
    let user = context.user_id();
    if user.is_empty() {
        return Err(Refusal::new(Code::Forbidden, "only users may; a key belongs to none"));
    }
    Ok(user.to_owned())
}

fn not_kept() -> Refusal {
    not_found("offset", "`offset`: the room keeps no such message")
}

fn not_found(field: &'static str, message: &str) -> Refusal {
    Refusal::new(Code::RoomNotFound, message).at(field)
}
