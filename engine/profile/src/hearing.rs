//! What clients and backends say, in the engine's own commands.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::ws::OpCode;
use fanfare_protocol::{Command, Listener, Refusal, Request, json};
use serde_json::{Map, Value};

use crate::expression::Scope;
use crate::speech::{Speech, listener_names};
use crate::tables::{Hears, Refuse, Reply, Tables};
use crate::tag::{self, Tag};

/// What a message means.
#[derive(Debug)]
pub struct Understood {
    /// Which `[[in]]` it is.
    pub(crate) entry: usize,
    /// The engine's commands, in order.
    pub commands: Vec<Value>,
    names: Map<String, Value>,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Client,
    Backend,
}

impl Speech {
    /// Reads one message of a client. What cannot be done is a refusal, and the connection lives on.
    pub(crate) fn hear(
        &self,
        listener: &Listener<'_>,
        opcode: OpCode,
        bytes: &[u8],
        bytes_max: usize,
        sink: &mut dyn FnMut(Result<Vec<Request>, Refusal>),
    ) {
        let payload = match self.packing.unpack(opcode, bytes, bytes_max) {
            Ok(payload) => payload,
            Err(refusal) => return sink(Err(refusal)),
        };
        // Bounds on depth and the like hold as for the engine's own messages.
        if let Err(refusal) = json::check(&payload) {
            return sink(Err(refusal));
        }
        let message: Value = match serde_json::from_slice(&payload) {
            Ok(message) => message,
            Err(_) => {
                return sink(Err(Refusal::invalid(None, None, "the message is no JSON that can be read")));
            }
        };
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "auth" && self.endpoint.token.first_message {
            return json::decode(&payload, &mut |outcome| sink(outcome.map(|request| vec![request])));
        }
        if message.is_object() && !self.endpoint.accept.take(kind) {
            let text = "this endpoint does not take messages of this `type`";
            return sink(Err(Refusal::invalid(None, Some("type"), text)));
        }
        if !(message.is_object() || message.is_array() && self.endpoint.native) {
            return sink(Err(no_object()));
        }
        let names = listener_names(listener);
        let understood = match self.tables.understand(Who::Client, message, names) {
            Some(Ok(understood)) => understood,
            Some(Err(refusal)) => return sink(Err(refusal)),
            None if self.endpoint.native => {
                return json::decode(&payload, &mut |outcome| sink(outcome.map(|request| vec![request])));
            }
            None => return sink(Err(unknown())),
        };
        self.ask(understood, payload.len(), sink);
    }

    /// Hands the commands on, each with a tag by which its answer is known.
    fn ask(&self, understood: Understood, bytes: usize, sink: &mut dyn FnMut(Result<Vec<Request>, Refusal>)) {
        let Understood { entry, commands, names } = understood;
        let message = names.get("message").map(|message| tag::remembered(message, bytes)).unwrap_or_default();
        let tag = |before, is_last| Tag { entry, before, is_last, message: message.clone() };
        if commands.is_empty() {
            // An answer that needs nothing of the engine: asked for in its turn, and counted like any other.
            let id = Some(CommandId::Text(tag(0, true).write()));
            return sink(Ok(vec![Request { id, command: Command::Heartbeat { data: None } }]));
        }
        let mut requests = Vec::with_capacity(commands.len());
        for (number, command) in commands.iter().enumerate() {
            let id = Some(CommandId::Text(tag(number, number + 1 == commands.len()).write()));
            let mut refused = None;
            json::decode(command.to_string().as_bytes(), &mut |outcome| match outcome {
                Ok(request) => requests.push(Request { id: id.clone(), ..request }),
                Err(refusal) => refused = Some(refusal.of(id.clone())),
            });
            if let Some(refusal) = refused {
                // Told as an `error` with the tag, and then in the sender's words.
                return sink(Err(refusal));
            }
        }
        sink(Ok(requests));
    }
}

impl Tables {
    /// What a message means, by the first entry that fits; nothing: none does.
    pub(crate) fn understand(
        &self,
        who: Who,
        message: Value,
        mut names: Map<String, Value>,
    ) -> Option<Result<Understood, Refusal>> {
        let Some(kind) = message.get("type").and_then(Value::as_str).map(str::to_owned) else {
            let text = "`type` is missing: the message must be an object with one";
            let refusal =
                if message.is_object() { Refusal::invalid(None, Some("type"), text) } else { no_object() };
            return (!message.is_array() || who == Who::Backend).then_some(Err(refusal));
        };
        names.insert("data".to_owned(), message.get("data").cloned().unwrap_or_else(|| Map::new().into()));
        names.insert("message".to_owned(), message);
        let scope = self.scope(&names);
        let fits = |of: &Hears| {
            let for_it = if who == Who::Client { of.client } else { of.backend };
            for_it && of.when.as_ref().is_none_or(|when| when.holds(&scope))
        };
        let of_type = |wanted: &str| self.hears.iter().position(|of| of.is_of(wanted) && fits(of));
        // A type's own entries come before those of all types.
        let entry = of_type(&kind).or_else(|| of_type("*"))?;
        let hears = &self.hears[entry];
        if let Err(refusal) = hears.fields.check(&names["message"]) {
            return Some(Err(refusal));
        }
        if let Some(refuse) = &hears.refuse {
            return Some(Err(refused(refuse, &scope)));
        }
        let commands = match hears.commands.give(&scope) {
            Some(Value::Array(commands)) => commands,
            _ => Vec::new(),
        };
        Some(Ok(Understood { entry, commands, names }))
    }

    /// An `error` of the engine about a command of an entry, with fields as they were called in the message.
    pub(crate) fn tell_as_sent(&self, understood: &Understood, error: &mut Value) {
        self.hears[understood.entry].fields_of.tell_as_sent(error);
    }

    /// What a backend is answered; `done` are the engine's answers.
    pub(crate) fn reply(&self, understood: Understood, done: &[Value]) -> Option<Value> {
        let Reply::Message(template) = &self.hears[understood.entry].reply else { return None };
        let mut names = understood.names;
        names.insert("done".to_owned(), done.to_vec().into());
        template.give(&self.scope(&names))
    }
}

/// What an entry that refuses says.
pub(crate) fn refused(refuse: &Refuse, scope: &Scope) -> Refusal {
    let message = match refuse.message.give(scope) {
        Some(Value::String(message)) => message,
        other => other.unwrap_or_default().to_string(),
    };
    Refusal { id: None, code: refuse.code, message, field: refuse.field }
}

fn no_object() -> Refusal {
    Refusal::invalid(None, Some("type"), "a message must be an object with a `type`")
}

pub(crate) fn unknown() -> Refusal {
    Refusal::invalid(None, Some("type"), "`type` is none of those that this profile knows")
}
