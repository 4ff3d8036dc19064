//! HTTP endpoints of a profile, in terms of the engine's own.

use std::sync::Arc;

use fanfare_protocol::Refusal;
use serde_json::{Map, Value};

use crate::expression::{Expression, Scope};
use crate::field::Fields;
use crate::fields_of::FieldsOf;
use crate::hearing;
use crate::path::Path;
use crate::problem::Problem;
use crate::table;
use crate::tables::{Refuse, expression, refuse, template};
use crate::template::Template;

/// One `[[http]]`.
#[derive(Debug)]
pub struct Route {
    pub(crate) method: Box<str>,
    pub(crate) path: Path,
    /// Whether everybody may ask, whoever they are.
    pub public: bool,
    pub(crate) when: Option<Expression>,
    fields: Fields,
    fields_of: FieldsOf,
    refuse: Option<Refuse>,
    get: Vec<(String, Template)>,
    found: Option<Expression>,
    event: Option<Template>,
    commands: Template,
    call: Template,
    status: u16,
    answer: Option<Template>,
}

/// A request that a route was found for, and what was learned for its answer so far.
#[derive(Debug)]
pub struct Visit {
    /// Its route.
    pub route: Arc<Route>,
    /// The number of its profile among the server's.
    pub profile: usize,
    pub(crate) names: Map<String, Value>,
}

/// One request of the engine's own API.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// GET, POST …
    pub method: String,
    /// With the query.
    pub path: String,
    /// What it brings, if anything.
    pub body: Option<Value>,
}

/// What is to be done for a request.
#[derive(Debug, Default)]
pub struct Work {
    /// What is handed on as if a backend had said it.
    pub events: Vec<Value>,
    /// The engine's commands.
    pub commands: Vec<Value>,
    /// Requests of the engine's own API.
    pub calls: Vec<Call>,
}

impl Route {
    pub(crate) fn new(of: &table::Http, place: &str) -> Result<Self, Problem> {
        let at = |key: &str| format!("{place}.{key}");
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&&*of.method) {
            return Err(Problem::new(&at("method"), "must be GET, POST, PUT, PATCH or DELETE"));
        }
        let status = of.status.unwrap_or(200);
        if !(200..=599).contains(&status) {
            return Err(Problem::new(&at("status"), "must be 200 to 599"));
        }
        if of.public
            && (of.method != "GET" || !of.commands.is_empty() || !of.call.is_empty() || of.event.is_some())
        {
            return Err(Problem::new(
                &at("public"),
                "is only for what changes nothing: a GET without `do`, `call` and `event`",
            ));
        }
        let get = |(name, path): (&String, &Value)| {
            Ok((name.clone(), template(path, &at(&format!("get.{name}")))?))
        };
        Ok(Self {
            method: of.method.as_str().into(),
            path: Path::parse(&of.path).map_err(|rule| Problem::new(&at("path"), rule))?,
            public: of.public,
            when: expression(of.when.as_deref(), &at("when"))?,
            fields: Fields::new(&of.fields, of.only, place)?,
            fields_of: FieldsOf::new(&of.fields_of),
            refuse: of.refuse.as_ref().map(|of| refuse(of, place)).transpose()?,
            get: of.get.iter().map(get).collect::<Result<_, Problem>>()?,
            found: expression(of.found.as_deref(), &at("found"))?,
            event: of.event.as_ref().map(|event| template(event, &at("event"))).transpose()?,
            commands: template(&Value::Array(of.commands.clone()), &at("do"))?,
            call: template(&Value::Array(of.call.clone()), &at("call"))?,
            status,
            answer: of.answer.as_ref().map(|answer| template(answer, &at("answer"))).transpose()?,
        })
    }
}

impl Visit {
    pub(crate) fn new(route: Arc<Route>, profile: usize, names: Map<String, Value>) -> Self {
        Self { route, profile, names }
    }

    /// What is to be asked of the engine first: names and paths.
    ///
    /// # Errors
    /// The request is refused.
    pub fn begin(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        let body = self.names.get("body").cloned().unwrap_or_default();
        self.route.fields.check(&body)?;
        let scope = Scope::new(&self.names);
        if let Some(refuse) = &self.route.refuse {
            return Err(hearing::refused(refuse, &scope));
        }
        let path = |(name, path): &(String, Template)| match path.give(&scope)? {
            Value::String(path) => Some((name.clone(), path)),
            _ => None,
        };
        Ok(self.route.get.iter().filter_map(path).collect())
    }

    /// What is to be done with what was learned; nothing: it is not what the table asks for, and so it is not there.
    pub fn work(&mut self, got: Map<String, Value>) -> Option<Work> {
        self.names.insert("got".to_owned(), got.into());
        let scope = Scope::new(&self.names);
        if self.route.found.as_ref().is_some_and(|found| !found.holds(&scope)) {
            return None;
        }
        let list = |given: Option<Value>| match given {
            Some(Value::Array(items)) => items,
            Some(Value::Null) | None => Vec::new(),
            Some(one) => vec![one],
        };
        let call = |given: Value| {
            let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
            Some(Call { method: text("method")?, path: text("path")?, body: given.get("body").cloned() })
        };
        Some(Work {
            events: list(self.route.event.as_ref().and_then(|event| event.give(&scope))),
            commands: list(self.route.commands.give(&scope)),
            calls: list(self.route.call.give(&scope)).into_iter().filter_map(call).collect(),
        })
    }

    /// An `error` about its event or a command of it, with fields as they were called in the body.
    pub fn tell_as_sent(&self, error: &mut Value) {
        self.route.fields_of.tell_as_sent(error);
    }

    /// The status and the answer. `done` are the engine's answers, `reply` what was said to an event.
    pub fn answer(mut self, done: Vec<Value>, reply: Option<Value>) -> (u16, Value) {
        let all = Value::Array(done);
        let Some(answer) = &self.route.answer else {
            let answer = reply.unwrap_or_else(|| Map::from_iter([("done".to_owned(), all)]).into());
            return (self.route.status, answer);
        };
        self.names.insert("done".to_owned(), all);
        self.names.extend(reply.map(|reply| ("reply".to_owned(), reply)));
        (self.route.status, answer.give(&Scope::new(&self.names)).unwrap_or_default())
    }
}
