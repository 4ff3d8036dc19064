//! A path at which clients connect, and what of them is asked there.

use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::code::CODES;
use fanfare_protocol::wire::Join;
use fanfare_protocol::{Code, Command, Refusal, Request, json};
use serde_json::{Map, Value, json as object};

use crate::expression::{Expression, Scope};
use crate::lasting::lasting;
use crate::packing::{PACKINGS, Packing};
use crate::path::Path;
use crate::pattern::Patterns;
use crate::problem::Problem;
use crate::table::{self, Health, Size, TokenPlaces};
use crate::tables::{self, template};
use crate::template::Template;

/// See the module's own text.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) path: Path,
    /// Where a token may be.
    pub token: TokenPlaces,
    /// Who is sent numbered pings.
    pub health: Health,
    /// Bytes of the largest message from a client, where it is not the engine's bound.
    pub message_size: Option<usize>,
    pub(crate) tied: bool,
    pub(crate) required: bool,
    pub(crate) native: bool,
    pub(crate) accept: Patterns,
    pub(crate) receive: Vec<(Option<Box<str>>, Patterns)>,
    pub(crate) packings: Vec<Packing>,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) rate: Option<(u32, u32)>,
    receive_by: Option<Box<str>>,
    packed_by: Option<Box<str>>,
    client_id: Option<Template>,
    rooms: Template,
    commands: Template,
    role: Option<Role>,
    anonymous: Option<Box<str>>,
    checks: Vec<Check>,
}

/// Where an endpoint's clients are kept alive at another pace than the engine's. In milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heartbeat {
    pub(crate) interval_ms: Option<u64>,
    pub(crate) grace_ms: Option<u64>,
    pub(crate) idle_ms: Option<u64>,
}

#[derive(Debug)]
struct Role {
    wanted: Option<Template>,
    default: Option<Box<str>>,
    ranks: Vec<Box<str>>,
}

#[derive(Debug)]
struct Check {
    that: Expression,
    code: Code,
    close: Option<u16>,
    reason: Template,
    field: Option<&'static str>,
}

/// Who comes in, and as what.
#[derive(Debug)]
pub struct Admission {
    /// The role, as it was granted and narrowed.
    pub role: Box<str>,
    /// Rooms to join, in this order.
    pub rooms: Vec<Join>,
    /// Commands to do after that.
    pub commands: Vec<Request>,
}

/// Why somebody does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What `error` says.
    pub code: Code,
    /// The close code, where the table names one for this.
    pub close: Option<u16>,
    /// A sentence for people.
    pub reason: String,
    /// What is at fault, where the table names it.
    pub field: Option<&'static str>,
}

impl Endpoint {
    pub(crate) fn new(of: &table::Endpoint, place: &str, settings: &Value) -> Result<Self, Problem> {
        let at = |key: &str| format!("{place}.{key}");
        let duration = |text: &Option<String>, key: &str| {
            let parse = |text: &String| {
                let parsed: Option<Duration> = duration(text);
                let ms =
                    parsed.and_then(|duration| u64::try_from(duration.as_millis()).ok()).filter(|ms| *ms > 0);
                ms.ok_or_else(|| match text.strip_prefix('$') {
                    Some(name) => Problem::no_setting(&at(key), name),
                    None => Problem::new(&at(key), "must be a duration, like \"30s\" or \"5m\""),
                })
            };
            text.as_ref().map(parse).transpose()
        };
        let mut receive = vec![(None, Patterns::new(&of.receive))];
        let lists = of.receive_by.iter().flat_map(|by| &by.lists);
        receive.extend(lists.map(|(name, list)| (Some(name.as_str().into()), Patterns::new(list))));
        let everything = PACKINGS.map(|(_, packing)| packing);
        Ok(Self {
            path: Path::parse(&of.path).map_err(|rule| Problem::new(&at("path"), rule))?,
            token: of.token.clone(),
            health: of.health,
            message_size: of.message_size.map(|size| message_size(size, &at("message_size"))).transpose()?,
            tied: of.tied,
            required: of.required,
            native: of.native,
            accept: Patterns::new(&of.accept),
            receive,
            packings: if of.packing.is_some() { everything.into() } else { vec![Packing::Json] },
            heartbeat: Heartbeat {
                interval_ms: duration(&of.interval, "interval")?,
                grace_ms: duration(&of.grace, "grace")?,
                idle_ms: match of.idle.as_deref() {
                    Some("never") => Some(u64::MAX),
                    _ => duration(&of.idle, "idle")?,
                },
            },
            rate: of.rate.as_ref().map(|rate| (rate.per_minute, rate.burst)),
            receive_by: of.receive_by.as_ref().map(|by| by.parameter.as_str().into()),
            packed_by: of.packing.as_ref().map(|packing| packing.by.as_str().into()),
            client_id: of.client_id.as_ref().map(|id| template(id, &at("client_id"))).transpose()?,
            rooms: template(&Value::Array(of.rooms.clone()), &at("rooms"))?,
            commands: template(&Value::Array(of.commands.clone()), &at("do"))?,
            role: of.role.as_ref().map(|of| role(of, &at("role"))).transpose()?,
            anonymous: anonymous(of, settings, &at("anonymous.allowed"))?,
            checks: (0..)
                .zip(&of.check)
                .map(|(number, of)| check(of, &at(&format!("check[{number}]"))))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The role of those who bring no token, if such may come in.
    pub fn anonymous(&self) -> Option<&str> {
        self.anonymous.as_deref()
    }

    /// The label that a client gives itself. It proves nothing.
    pub fn client_id(&self, given: &Map<String, Value>) -> Option<String> {
        match self.client_id.as_ref()?.give(&Scope::new(given))? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// In which form a client wants to be spoken to: the number of the packing, and of the list of what it receives.
    ///
    /// # Errors
    /// There is no such form.
    pub(crate) fn form(&self, query: &Value) -> Result<(usize, usize), Denial> {
        let unknown = |parameter: &str| Denial {
            code: Code::InvalidMessage,
            close: None,
            field: None,
            reason: format!("`{parameter}` is none of those that there are here"),
        };
        let asked = |by: &Option<Box<str>>| {
            by.as_deref().and_then(|by| Some((by.to_owned(), query.get(by)?.as_str()?.to_owned())))
        };
        let packing = match asked(&self.packed_by) {
            None => 0,
            Some((by, name)) => {
                PACKINGS.iter().position(|(of, _)| *of == name).ok_or_else(|| unknown(&by))?
            }
        };
        let receive = match asked(&self.receive_by) {
            None => 0,
            Some((by, name)) => {
                let found = self.receive.iter().position(|(of, _)| of.as_deref() == Some(&*name));
                found.ok_or_else(|| unknown(&by))?
            }
        };
        Ok((packing, receive))
    }

    /// Decides about somebody whose token is good. `names` are what expressions see: `query`, `path`, `claims` and so on.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &self,
        user_id: &str,
        granted: &str,
        mut names: Map<String, Value>,
    ) -> Result<Admission, Denial> {
        let role = self.role(granted, &names);
        names.extend([("user_id".to_owned(), user_id.into()), ("role".to_owned(), (&*role).into())]);
        let scope = Scope::new(&names);
        if let Some(failed) = self.checks.iter().find(|check| !check.that.holds(&scope)) {
            let Check { code, close, field, reason, .. } = failed;
            let reason = match reason.give(&scope) {
                Some(Value::String(reason)) => reason,
                None | Some(Value::Null) => String::new(),
                Some(given) => given.to_string(),
            };
            return Err(Denial { code: *code, close: *close, field: *field, reason });
        }
        let mut rooms = Vec::new();
        for room in list(&self.rooms, &scope) {
            let join = if room.is_object() { room } else { object!({ "room": room }) };
            if join.get("room").is_none() {
                continue;
            }
            match request(join, "join")? {
                Request { command: Command::Join(join), .. } => rooms.push(join),
                _ => unreachable!("invariant: the type was given"),
            }
        }
        let commands = list(&self.commands, &scope).into_iter().map(|command| request(command, ""));
        Ok(Admission { role, rooms, commands: commands.collect::<Result<_, _>>()? })
    }

    /// What was granted, or less if less was asked for.
    fn role(&self, granted: &str, names: &Map<String, Value>) -> Box<str> {
        let Some(Role { wanted, default, ranks }) = &self.role else { return granted.into() };
        let claims = names.get("claims").and_then(|claims| claims.get("role"));
        let granted = default.as_deref().filter(|_| claims.is_none()).unwrap_or(granted);
        let rank = |role: &str| ranks.iter().position(|rank| **rank == *role);
        let wanted = wanted.as_ref().and_then(|wanted| wanted.give(&Scope::new(names)));
        let wanted = wanted.as_ref().and_then(Value::as_str);
        match (rank(granted), wanted.and_then(|wanted| Some((rank(wanted)?, wanted)))) {
            (Some(may), Some((asked, wanted))) if asked < may => wanted.into(),
            _ => granted.into(),
        }
    }
}

/// What the engine reads at most, whatever it is set to.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

fn message_size(size: Size, place: &str) -> Result<usize, Problem> {
    let fits = Some(size.0).filter(|bytes| *bytes <= MESSAGE_BYTES_MAX);
    fits.ok_or_else(|| Problem::new(place, "must be 16MiB at most"))
}

fn role(of: &table::Role, place: &str) -> Result<Role, Problem> {
    Ok(Role {
        wanted: of.wanted.as_ref().map(|wanted| template(wanted, &format!("{place}.wanted"))).transpose()?,
        default: of.default.as_deref().map(Into::into),
        ranks: of.ranks.iter().map(|rank| rank.as_str().into()).collect(),
    })
}

fn anonymous(of: &table::Endpoint, settings: &Value, place: &str) -> Result<Option<Box<str>>, Problem> {
    let Some(of) = &of.anonymous else { return Ok(None) };
    let scope = Scope::new(&Map::from_iter([("setting".to_owned(), settings.clone())]));
    match template(&of.allowed, place)?.give(&scope) {
        Some(Value::Bool(allowed)) => Ok(allowed.then(|| of.role.as_str().into())),
        Some(Value::String(text)) if text.starts_with('$') => Err(Problem::no_setting(place, &text[1..])),
        _ => Err(Problem::new(place, "must be true or false")),
    }
}

fn check(of: &table::Check, place: &str) -> Result<Check, Problem> {
    let that = tables::expression(Some(&of.that), &format!("{place}.that"))?;
    let code = CODES.iter().find(|code| code.number() == of.code);
    Ok(Check {
        that: that.expect("invariant: it was given"),
        code: *code.ok_or_else(|| {
            Problem::new(&format!("{place}.code"), "must be one of the engine's codes, 4000 to 4014")
        })?,
        close: of.close.map(|code| tables::close_code(code, &format!("{place}.close"))).transpose()?,
        reason: template(&of.reason, &format!("{place}.reason"))?,
        field: of.field.as_deref().map(lasting),
    })
}

fn list(template: &Template, scope: &Scope) -> Vec<Value> {
    if let Some(Value::Array(items)) = template.give(scope) { items } else { Vec::new() }
}

/// One command of the table, as the engine reads it.
fn request(mut command: Value, kind: &str) -> Result<Request, Denial> {
    if let Some(command) = command.as_object_mut().filter(|_| !kind.is_empty()) {
        command.insert("type".to_owned(), kind.into());
    }
    let mut read = None;
    json::decode(command.to_string().as_bytes(), &mut |outcome| read = Some(outcome));
    let refused = |refusal: Refusal| Denial {
        code: refusal.code,
        close: None,
        field: refusal.field,
        reason: refusal.message,
    };
    read.unwrap_or_else(|| Err(Refusal::invalid(None, None, "there is no command"))).map_err(refused)
}

/// A whole number and a unit: ms, s, m, h or d.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let ms = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(ms)?))
}

/// An endpoint that was found, and the parameters of its path.
#[derive(Clone, Debug)]
pub struct Place {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The number of its profile among the server's.
    pub profile: usize,
    /// An object.
    pub path: Value,
    pub(crate) number: usize,
}
