//! What the clients of an endpoint are sent.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Dialect, Emit, Listener, Pace};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::expression::Scope;
use crate::packing::Packing;
use crate::pattern::Patterns;
use crate::tables::{Reply, Says, Tables};
use crate::tag::Tag;
use crate::template::{Template, items, names};

/// Longest reason of a close (RFC 6455 §5.5).
const REASON_BYTES_MAX: usize = 123;

/// Answers of the engine; all else that it sends are messages.
const ANSWERS: [&str; 14] = [
    "welcome",
    "joined",
    "left",
    "gap",
    "receipt",
    "published",
    "ok",
    "history",
    "presence",
    "heartbeat_ack",
    "heartbeat_ping",
    "connection_health",
    "connection_timeout",
    "error",
];
/// Of these, those that say nothing to who did not ask.
const QUIET: [&str; 5] = ["welcome", "joined", "left", "ok", "published"];

/// One form in which an endpoint's clients are spoken to.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) tables: Arc<Tables>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) receive: Patterns,
    pub(crate) packing: Packing,
    pub(crate) connections_per_user: u32,
    pub(crate) family: u8,
}

/// A message of the engine: its members, each as it was written.
type Members<'m> = BTreeMap<Cow<'m, str>, &'m RawValue>;

/// A scope that may be made only when somebody looks at it: most messages need none.
type Seen<'s> = dyn Deref<Target = Scope> + 's;

impl Dialect for Speech {
    fn message(&self, native: &[u8], own_id: &str, emit: &mut Emit<'_>) {
        self.say(native, own_id, None, emit);
    }

    fn answer(&self, listener: &Listener<'_>, native: &[u8], emit: &mut Emit<'_>) {
        let Some((kind, mut members)) = read(native) else { return };
        if !ANSWERS.contains(&&*kind) {
            return self.say(native, listener.own_id, Some(listener), emit);
        }
        let id = members.get("id").and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
        let tag = id.as_ref().and_then(Value::as_str).and_then(Tag::read);
        let mut reply: Value = serde_json::from_slice(native).unwrap_or_default();
        let mut scope = listener_names(listener);
        if let Some(tag) = &tag {
            if let Some(entry) = self.tables.hears.get(tag.entry).filter(|_| kind == "error") {
                entry.fields_of.tell_as_sent(&mut reply);
            }
            scope.insert("data".to_owned(), tag.message.get("data").cloned().unwrap_or_else(|| json!({})));
            scope.insert("message".to_owned(), tag.message.clone());
            let mut done = vec![Value::Null; tag.before];
            done.push(reply.clone());
            scope.insert("done".to_owned(), done.into());
        }
        scope.insert("reply".to_owned(), reply.clone());
        if kind == "error" {
            return self.fault(&reply, scope, emit);
        }
        let mut plain = Cow::Borrowed(native);
        if let Some(tag) = tag {
            match self.tables.hears.get(tag.entry).map(|entry| &entry.reply) {
                Some(Reply::Message(template)) if tag.is_last => {
                    return self.give(template, &self.tables.scope(&scope), emit);
                }
                Some(Reply::Engine) if tag.is_last => {}
                _ => return,
            }
            // The engine's answer as it would be without the tag.
            members.remove("id");
            let mut untagged = reply;
            untagged.as_object_mut().and_then(|members| members.remove("id"));
            plain = Cow::Owned(untagged.to_string().into_bytes());
        }
        let scope = self.tables.scope(&scope);
        let told = self.by_entries(&kind, &members, &&scope, emit);
        if !told && (id.is_some() || !QUIET.contains(&&*kind)) {
            self.emit(&plain, emit);
        }
    }

    fn close(&self, number: u16, reason: &str) -> (u16, Cow<'static, str>) {
        let found = self.tables.close.iter().find(|(code, _)| *code == Some(number));
        let found = found.or_else(|| self.tables.close.iter().find(|(code, _)| code.is_none()));
        let Some((_, close)) = found else { return (number, reason.to_owned().into()) };
        let text = self.tables.errors.get(&number);
        let names = [("code", number.into()), ("reason", reason.into()), ("text", text.cloned().into())];
        let scope =
            self.tables.scope(&names.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
        let given = close.reason.as_ref().and_then(|template| template.give(&scope));
        let mut reason =
            given.as_ref().and_then(Value::as_str).map_or_else(|| reason.to_owned(), str::to_owned);
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        (close.code.unwrap_or(number), reason.into())
    }

    fn is_tied(&self) -> bool {
        self.endpoint.tied
    }

    fn needs_rooms(&self) -> bool {
        self.endpoint.required
    }

    fn connections_per_user(&self) -> u32 {
        self.connections_per_user
    }

    fn family(&self) -> u8 {
        self.family
    }

    fn pace(&self) -> Pace {
        let heartbeat = self.endpoint.heartbeat;
        Pace {
            interval_ms: heartbeat.interval_ms,
            grace_ms: heartbeat.grace_ms,
            idle_ms: heartbeat.idle_ms,
            rate: self.endpoint.rate,
            message_bytes: self.endpoint.message_size,
        }
    }
}

impl Speech {
    /// Says what a message becomes: by the entries that are about it, else in the profile's shape.
    fn say(&self, native: &[u8], own_id: &str, listener: Option<&Listener<'_>>, emit: &mut Emit<'_>) {
        let Some((kind, mut members)) = read(native) else { return };
        // Its own id passes as it was written, like any other member.
        if let Some(id) = members.get("message_id").copied() {
            members.insert("own_id".into(), id);
        }
        let is_answer = ANSWERS.contains(&&*kind);
        let scope = LazyCell::new(|| self.message_scope(native, own_id, is_answer, listener));
        if is_answer {
            // That something is missing is told between messages, to whoever it concerns.
            if !self.by_entries(&kind, &members, &scope, emit) {
                self.emit(native, emit);
            }
            return;
        }
        if !self.receive.take(&kind) {
            return;
        }
        if self.by_entries(&kind, &members, &scope, emit) {
            return;
        }
        let shape = &self.tables.shape;
        let raw = members.get("data").map(|data| data.get());
        self.write(&kind, raw, shape.body.as_deref(), &shape.members, &members, &scope, emit);
    }

    /// Says what the entries say that are about this. False: none is.
    fn by_entries(&self, kind: &str, members: &Members<'_>, scope: &Seen<'_>, emit: &mut Emit<'_>) -> bool {
        let mut entries = self.tables.says.iter().filter(|entry| entry.is_of(kind)).peekable();
        if entries.peek().is_none() {
            return false;
        }
        let scope: &Scope = scope;
        let mut told = false;
        for entry in entries {
            if !entry.when.as_ref().is_none_or(|when| when.holds(scope)) {
                continue;
            }
            told = true;
            if !entry.drop {
                match &entry.each {
                    None => self.by_entry(entry, kind, members, scope, emit),
                    Some(each) => {
                        for (number, item) in
                            items(each.give(scope).unwrap_or_default()).into_iter().enumerate()
                        {
                            self.by_entry(entry, kind, members, &scope.with(&names(number, item)), emit);
                        }
                    }
                }
            }
            if !entry.again {
                break;
            }
        }
        told
    }

    fn by_entry(&self, entry: &Says, kind: &str, members: &Members<'_>, scope: &Scope, emit: &mut Emit<'_>) {
        if let Some(message) = &entry.message {
            return self.give(message, scope, emit);
        }
        let given = entry.kind.as_ref().map(|kind| kind.give(scope));
        let kind = match &given {
            None => kind,
            Some(Some(Value::String(kind))) => kind,
            Some(_) => return,
        };
        let shape = &self.tables.shape;
        let body = entry.body.as_ref().unwrap_or(&shape.body).as_deref();
        let besides = entry.members.as_ref().unwrap_or(&shape.members);
        let data = entry.data.as_ref().map(|data| data.give(scope).map(|data| data.to_string()));
        let raw = match &data {
            None => members.get("data").map(|data| data.get()),
            Some(data) => data.as_deref(),
        };
        self.write(kind, raw, body, besides, members, &scope, emit);
    }

    /// Says whatever a template gives: one message, or a list of them.
    fn give(&self, template: &Template, scope: &Scope, emit: &mut Emit<'_>) {
        match template.give(scope) {
            Some(Value::Array(messages)) => {
                messages.iter().for_each(|message| self.emit(message.to_string().as_bytes(), emit));
            }
            Some(message @ Value::Object(_)) => self.emit(message.to_string().as_bytes(), emit),
            _ => {}
        }
    }

    /// Writes a message in a shape. What was published passes as it was written.
    fn write(
        &self,
        kind: &str,
        raw: Option<&str>,
        body: Option<&str>,
        besides: &[(String, Template)],
        members: &Members<'_>,
        scope: &Seen<'_>,
        emit: &mut Emit<'_>,
    ) {
        let mut written = Object::new();
        written.text("type", kind);
        let mut taken = vec!["type"];
        for (name, template) in besides {
            // Most are no more than a member of the engine's message.
            let value = match template.name().and_then(|name| members.get(name)) {
                Some(raw) => Some(Cow::Borrowed(raw.get())),
                None => template.give(scope).map(|value| Cow::Owned(value.to_string())),
            };
            if let Some(value) = value {
                written.raw(name, &value);
                taken.push(name);
            }
        }
        match (body, raw) {
            (_, None) => {}
            (Some(name), Some(raw)) => written.raw(name, raw),
            (None, Some(raw)) => match serde_json::from_str::<Members<'_>>(raw) {
                Ok(inner) => {
                    let new = inner.iter().filter(|(name, _)| !taken.contains(&&***name));
                    new.for_each(|(name, raw)| written.raw(name, raw.get()));
                }
                Err(_) => written.raw("data", raw),
            },
        }
        self.emit(&written.end(), emit);
    }

    /// Tells that something was refused.
    fn fault(&self, reply: &Value, mut scope: Map<String, Value>, emit: &mut Emit<'_>) {
        let code = reply["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
        let number = self.tables.codes.get(&code).copied().unwrap_or(code);
        let text = self
            .tables
            .errors
            .get(&code)
            .map_or_else(|| reply["message"].clone(), |text| text.clone().into());
        let mut details = reply["details"].clone();
        if code != 4_001 && text != reply["message"] && details.is_object() {
            details["reason"] = reply["message"].clone();
        }
        let fault = json!({ "type": "error", "code": number, "message": text, "details": details });
        scope.insert("details".to_owned(), details);
        scope.insert("code".to_owned(), number.into());
        scope.insert("text".to_owned(), text);
        let scope = self.tables.scope(&scope);
        if !self.by_entries("error", &Members::new(), &&scope, emit) {
            self.emit(fault.to_string().as_bytes(), emit);
        }
    }

    fn emit(&self, json: &[u8], emit: &mut Emit<'_>) {
        let (opcode, bytes) = self.packing.pack(json);
        emit(opcode, &bytes);
    }

    /// What expressions about a message see.
    fn message_scope(
        &self,
        native: &[u8],
        own_id: &str,
        is_answer: bool,
        listener: Option<&Listener<'_>>,
    ) -> Scope {
        let message = Scope::read(native);
        let mut names = Vec::with_capacity(6);
        if is_answer {
            names.push(("reply", message.whole()));
        }
        if let Some(room) = message.get("room").as_ref().and_then(|room| room.as_str()) {
            let (room_type, room_id) = room.split_once(':').unwrap_or(("", room));
            names.extend([("room_type", room_type.into()), ("room_id", room_id.into())]);
        }
        names.extend(message.get("timestamp").map(|timestamp| ("now", timestamp)));
        let made = (!own_id.is_empty()).then(|| own_id.into());
        names.extend(message.get("message_id").or(made).map(|id| ("own_id", id)));
        let Some(listener) = listener else {
            return Scope::together([message, Scope::of(names), self.tables.ground()]);
        };
        // Not the listener's but the publisher's, if there is one.
        names.push(("user_id", message.get("user_id").unwrap_or_else(|| ().into())));
        let of_listener = Scope::new(&listener_names(listener));
        Scope::together([message, of_listener, Scope::of(names), self.tables.ground()])
    }
}

/// What expressions about one connection see.
pub(crate) fn listener_names(listener: &Listener<'_>) -> Map<String, Value> {
    let mut names = match listener.given {
        Value::Object(given) => given.clone(),
        _ => Map::new(),
    };
    let now = rfc3339_text(listener.now_unix_ms);
    names.extend([
        ("client_id".to_owned(), listener.client_id.into()),
        ("user_id".to_owned(), listener.user_id.into()),
        ("role".to_owned(), listener.role.into()),
        ("now".to_owned(), now.into()),
    ]);
    if !listener.own_id.is_empty() {
        names.insert("own_id".to_owned(), listener.own_id.into());
    }
    names
}

fn read(native: &[u8]) -> Option<(Cow<'_, str>, Members<'_>)> {
    let members: Members<'_> = serde_json::from_slice(native).ok()?;
    let kind: String = serde_json::from_str(members.get("type")?.get()).ok()?;
    Some((kind.into(), members))
}

/// An object that is being written.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        Self(vec![b'{'])
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &Value::from(value).to_string());
    }

    fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.extend_from_slice(Value::from(name).to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}
