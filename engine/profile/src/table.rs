//! The table as it is written: see docs/profiles/README.md for what each key means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) endpoint: Vec<Endpoint>,
    #[serde(default, rename = "in")]
    pub(crate) hears: Vec<Hears>,
    #[serde(default)]
    pub(crate) message: Shape,
    #[serde(default)]
    pub(crate) out: Vec<Says>,
    #[serde(default)]
    pub(crate) close: BTreeMap<String, Close>,
    #[serde(default)]
    pub(crate) errors: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) codes: BTreeMap<String, u16>,
    #[serde(default)]
    pub(crate) http: Vec<Http>,
    #[serde(default)]
    pub(crate) token: Vec<Token>,
    pub(crate) cors: Option<Cors>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) when: String,
    pub(crate) rooms: Vec<Value>,
}

/// Which pages of other origins may read what a profile answers over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Exact origins.
    pub origins: Vec<String>,
    /// Whether cookies and the like are sent along.
    #[serde(default)]
    pub credentials: bool,
    /// Methods of a preflight's answer.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Headers of a preflight's answer.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Headers of answers that a page may read, beside those that every page may.
    #[serde(default)]
    pub expose: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) connections_per_user: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) client_id: Option<Value>,
    #[serde(default)]
    pub(crate) rooms: Vec<Value>,
    #[serde(default, rename = "do")]
    pub(crate) commands: Vec<Value>,
    #[serde(default)]
    pub(crate) health: Health,
    #[serde(default)]
    pub(crate) tied: bool,
    #[serde(default)]
    pub(crate) required: bool,
    pub(crate) interval: Option<String>,
    pub(crate) grace: Option<String>,
    pub(crate) idle: Option<String>,
    #[serde(default = "all")]
    pub(crate) receive: Vec<String>,
    pub(crate) receive_by: Option<ReceiveBy>,
    #[serde(default = "all")]
    pub(crate) accept: Vec<String>,
    #[serde(default)]
    pub(crate) native: bool,
    #[serde(default)]
    pub(crate) token: TokenPlaces,
    pub(crate) role: Option<Role>,
    pub(crate) anonymous: Option<Anonymous>,
    #[serde(default)]
    pub(crate) check: Vec<Check>,
    pub(crate) packing: Option<PackedBy>,
    pub(crate) rate: Option<Rate>,
    pub(crate) message_size: Option<Size>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    pub(crate) per_minute: u32,
    pub(crate) burst: u32,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

/// Who is sent numbered pings.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Value")]
pub enum Health {
    /// Nobody.
    #[default]
    Off,
    /// Who asks for them with `?health=1`.
    Asked,
    /// Everybody.
    On,
}

impl TryFrom<Value> for Health {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Bool(false) => Ok(Self::Off),
            Value::Bool(true) => Ok(Self::On),
            Value::String(text) if text == "asked" => Ok(Self::Asked),
            _ => Err("must be true, false or \"asked\""),
        }
    }
}

/// Bytes: a number, or text like `64KiB`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Size(pub(crate) usize);

impl TryFrom<Value> for Size {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let digits = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
        let factor = match text[digits..].trim() {
            "" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        let bytes = text[..digits].parse::<usize>().ok().and_then(|number| number.checked_mul(factor?));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or("must be a size, like 65536 or \"64KiB\"")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiveBy {
    pub(crate) parameter: String,
    pub(crate) lists: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedBy {
    pub(crate) by: String,
}

/// Where an endpoint's clients may have their token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenPlaces {
    /// Names of parameters of the query.
    pub query: Vec<String>,
    /// Names of cookies.
    pub cookie: Vec<String>,
    /// `Authorization: Bearer`.
    pub header: bool,
    /// A message `{"type": "auth", "token": …}`.
    pub first_message: bool,
}

impl Default for TokenPlaces {
    fn default() -> Self {
        Self { query: Vec::new(), cookie: Vec::new(), header: true, first_message: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) wanted: Option<Value>,
    pub(crate) default: Option<String>,
    pub(crate) ranks: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anonymous {
    pub(crate) allowed: Value,
    pub(crate) role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) that: String,
    #[serde(default = "authentication_failed")]
    pub(crate) code: u16,
    pub(crate) close: Option<u16>,
    pub(crate) reason: Value,
    pub(crate) field: Option<String>,
}

fn authentication_failed() -> u16 {
    4_001
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hears {
    #[serde(rename = "type")]
    pub(crate) kinds: Names,
    #[serde(default = "client")]
    pub(crate) from: Vec<String>,
    pub(crate) when: Option<String>,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) fields_of: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) only: bool,
    pub(crate) refuse: Option<Refuse>,
    #[serde(default, rename = "do")]
    pub(crate) commands: Vec<Value>,
    pub(crate) reply: Option<Value>,
}

/// One text, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Value> for Names {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let rule = "must be a text, or a list of texts";
        match value {
            Value::String(name) => Ok(Self::One(name)),
            list => serde_json::from_value(list).map(Self::Several).map_err(|_| rule),
        }
    }
}

fn client() -> Vec<String> {
    vec!["client".to_owned()]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refuse {
    #[serde(default = "invalid_message")]
    pub(crate) code: u16,
    pub(crate) message: Value,
    pub(crate) field: Option<String>,
}

fn invalid_message() -> u16 {
    4_005
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Says {
    pub(crate) of: String,
    pub(crate) when: Option<String>,
    pub(crate) each: Option<String>,
    #[serde(default)]
    pub(crate) again: bool,
    #[serde(default)]
    pub(crate) drop: bool,
    #[serde(rename = "type")]
    pub(crate) kind: Option<Value>,
    pub(crate) body: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) members: Option<BTreeMap<String, Value>>,
    pub(crate) message: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    pub(crate) code: Option<u16>,
    pub(crate) reason: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) public: bool,
    pub(crate) when: Option<String>,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) only: bool,
    #[serde(default)]
    pub(crate) fields_of: BTreeMap<String, String>,
    pub(crate) refuse: Option<Refuse>,
    #[serde(default)]
    pub(crate) get: BTreeMap<String, Value>,
    pub(crate) found: Option<String>,
    pub(crate) event: Option<Value>,
    #[serde(default, rename = "do")]
    pub(crate) commands: Vec<Value>,
    #[serde(default)]
    pub(crate) call: Vec<Value>,
    pub(crate) status: Option<u16>,
    pub(crate) answer: Option<Value>,
}
