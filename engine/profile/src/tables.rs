//! A table, compiled: what all endpoints of a profile share.

use std::collections::BTreeMap;

use fanfare_protocol::Code;
use fanfare_protocol::code::CODES;
use serde_json::{Map, Value};

use crate::expression::{Expression, Scope};
use crate::field::Fields;
use crate::fields_of::FieldsOf;
use crate::lasting::lasting;
use crate::pattern;
use crate::problem::Problem;
use crate::setting::Setting;
use crate::table;
use crate::template::Template;

/// What messages mean and become.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) settings: Value,
    /// The settings as expressions see them: made once, since every message is seen with them.
    ground: Scope,
    pub(crate) hears: Vec<Hears>,
    pub(crate) shape: Shape,
    pub(crate) says: Vec<Says>,
    pub(crate) close: Vec<(Option<u16>, Close)>,
    pub(crate) errors: BTreeMap<u16, String>,
    pub(crate) codes: BTreeMap<u16, u16>,
}

/// One `[[in]]`.
#[derive(Debug)]
pub(crate) struct Hears {
    kinds: Vec<Box<str>>,
    pub(crate) client: bool,
    pub(crate) backend: bool,
    pub(crate) when: Option<Expression>,
    pub(crate) fields: Fields,
    pub(crate) fields_of: FieldsOf,
    pub(crate) refuse: Option<Refuse>,
    pub(crate) commands: Template,
    pub(crate) reply: Reply,
}

impl Hears {
    /// Whether it is about messages of a type.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.kinds.iter().any(|of| **of == *kind)
    }
}

/// What an `[[in]]` is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing.
    Silence,
    /// What the engine answers the last command with, as `[[out]]` has it.
    Engine,
    /// A message, or a list of them.
    Message(Template),
}

/// An entry that refuses.
#[derive(Debug)]
pub(crate) struct Refuse {
    pub(crate) code: Code,
    pub(crate) message: Template,
    pub(crate) field: Option<&'static str>,
}

/// Where what was published stands, and what there is besides.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The member's name; nothing: its members stand beside `type`.
    pub(crate) body: Option<Box<str>>,
    pub(crate) members: Vec<(String, Template)>,
}

/// One `[[out]]`.
#[derive(Debug)]
pub(crate) struct Says {
    of: Box<str>,
    pub(crate) when: Option<Expression>,
    pub(crate) each: Option<Template>,
    pub(crate) again: bool,
    pub(crate) drop: bool,
    pub(crate) kind: Option<Template>,
    pub(crate) body: Option<Option<Box<str>>>,
    pub(crate) data: Option<Template>,
    pub(crate) members: Option<Vec<(String, Template)>>,
    pub(crate) message: Option<Template>,
}

/// One line of `[close]`.
#[derive(Debug)]
pub(crate) struct Close {
    pub(crate) code: Option<u16>,
    pub(crate) reason: Option<Template>,
}

impl Says {
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        pattern::fits(&self.of, kind)
    }
}

impl Tables {
    /// What expressions see: these names, and the settings.
    pub(crate) fn scope(&self, names: &Map<String, Value>) -> Scope {
        Scope::together([Scope::new(names), self.ground()])
    }

    /// The settings alone.
    pub(crate) fn ground(&self) -> Scope {
        self.ground.clone()
    }

    pub(crate) fn new(table: &table::Table, settings: &[Setting]) -> Result<Self, Problem> {
        let settings: Map<String, Value> =
            settings.iter().map(|of| (of.name.clone(), of.value.clone())).collect();
        let hears = (0..).zip(&table.hears).map(|(number, of)| hears(of, &format!("in[{number}]")));
        let says = (0..).zip(&table.out).map(|(number, of)| says(of, &format!("out[{number}]")));
        let close = table.close.iter().map(|(code, of)| close(code, of));
        let number = |map: &str, code: &str| code_of(code).ok_or_else(|| bad_code(&format!("{map}.{code}")));
        Ok(Self {
            ground: Scope::of(vec![("setting", Scope::new(&settings).whole())]),
            settings: Value::Object(settings),
            hears: hears.collect::<Result<_, _>>()?,
            shape: Shape {
                body: body(table.message.body.as_deref().unwrap_or("data")),
                members: members(&table.message.members, "message.members")?,
            },
            says: says.collect::<Result<_, _>>()?,
            close: close.collect::<Result<_, _>>()?,
            errors: table
                .errors
                .iter()
                .map(|(code, text)| Ok((number("errors", code)?, text.clone())))
                .collect::<Result<_, Problem>>()?,
            codes: table
                .codes
                .iter()
                .map(|(code, other)| Ok((number("codes", code)?, *other)))
                .collect::<Result<_, Problem>>()?,
        })
    }
}

/// A template at a place.
pub(crate) fn template(value: &Value, place: &str) -> Result<Template, Problem> {
    Template::parse(value).map_err(|message| Problem::new(place, message))
}

/// An expression at a place: with the `=` before it, or without.
pub(crate) fn expression(text: Option<&str>, place: &str) -> Result<Option<Expression>, Problem> {
    let parse = |text: &str| Expression::parse(text.strip_prefix('=').unwrap_or(text));
    text.map(|text| parse(text).map_err(|message| Problem::new(place, message))).transpose()
}

pub(crate) fn refuse(of: &table::Refuse, place: &str) -> Result<Refuse, Problem> {
    let code = CODES
        .iter()
        .find(|code| code.number() == of.code)
        .ok_or_else(|| bad_code(&format!("{place}.refuse.code")))?;
    let message = template(&of.message, &format!("{place}.refuse.message"))?;
    Ok(Refuse { code: *code, message, field: of.field.as_deref().map(lasting) })
}

fn hears(of: &table::Hears, place: &str) -> Result<Hears, Problem> {
    let from = |who: &str| of.from.iter().any(|from| from == who);
    if of.from.iter().any(|from| from != "client" && from != "backend") {
        return Err(Problem::new(&format!("{place}.from"), "must be a list of \"client\" and \"backend\""));
    }
    Ok(Hears {
        kinds: match &of.kinds {
            table::Names::One(kind) => vec![kind.as_str().into()],
            table::Names::Several(kinds) => kinds.iter().map(|kind| kind.as_str().into()).collect(),
        },
        client: from("client"),
        backend: from("backend"),
        when: expression(of.when.as_deref(), &format!("{place}.when"))?,
        fields: Fields::new(&of.fields, of.only, place)?,
        fields_of: FieldsOf::new(&of.fields_of),
        refuse: of.refuse.as_ref().map(|of| refuse(of, place)).transpose()?,
        commands: template(&Value::Array(of.commands.clone()), &format!("{place}.do"))?,
        reply: match &of.reply {
            None | Some(Value::Bool(false)) => Reply::Silence,
            Some(Value::Bool(true)) => Reply::Engine,
            Some(message) => Reply::Message(template(message, &format!("{place}.reply"))?),
        },
    })
}

fn says(of: &table::Says, place: &str) -> Result<Says, Problem> {
    let at = |key: &str| format!("{place}.{key}");
    let one = |value: &Option<Value>, key| value.as_ref().map(|value| template(value, &at(key))).transpose();
    Ok(Says {
        of: of.of.as_str().into(),
        when: expression(of.when.as_deref(), &at("when"))?,
        each: one(&of.each.clone().map(Value::String), "each")?,
        again: of.again,
        drop: of.drop,
        kind: one(&of.kind, "type")?,
        body: of.body.as_deref().map(body),
        data: one(&of.data, "data")?,
        members: of.members.as_ref().map(|of| members(of, &at("members"))).transpose()?,
        message: one(&of.message, "message")?,
    })
}

fn close(code: &str, of: &table::Close) -> Result<(Option<u16>, Close), Problem> {
    let place = format!("close.{code}");
    let known = match code {
        "any" => None,
        code => Some(code.parse().map_err(|_| bad_code(&place))?),
    };
    let number = of.code.map(|code| close_code(code, &place)).transpose()?;
    let reason = of.reason.as_ref().map(|reason| template(reason, &format!("{place}.reason"))).transpose()?;
    Ok((known, Close { code: number, reason }))
}

/// A code with which a connection may be closed.
pub(crate) fn close_code(code: u16, place: &str) -> Result<u16, Problem> {
    if matches!(code, 1_000..=1_003 | 1_007..=1_014 | 3_000..=4_999) {
        return Ok(code);
    }
    let rule = "the code must be one that a close frame may have: 1000 to 1003, 1007 to 1014, 3000 to 4999";
    Err(Problem::new(place, rule))
}

fn members(of: &BTreeMap<String, Value>, place: &str) -> Result<Vec<(String, Template)>, Problem> {
    let member =
        |(name, value): (&String, &Value)| Ok((name.clone(), template(value, &format!("{place}.{name}"))?));
    of.iter().map(member).collect()
}

fn body(name: &str) -> Option<Box<str>> {
    (name != "*").then(|| name.into())
}

fn code_of(code: &str) -> Option<u16> {
    let number = code.parse().ok()?;
    CODES.iter().any(|code| code.number() == number).then_some(number)
}

fn bad_code(place: &str) -> Problem {
    Problem::new(place, "must be one of the engine's codes, 4000 to 4014")
}
