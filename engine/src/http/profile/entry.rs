//! Coming in at a profile's endpoint: where the token is, what of it is asked, in which form one is spoken to.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_core::Identity;
use fanfare_profile::{Denial, Health, Place};
use fanfare_protocol::wire::{Join, Reply};
use fanfare_protocol::ws::{encode_close, encode_frame};
use fanfare_protocol::{Code, Listener, Request, Speaker, json as codec};
use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use crate::audit::Visitor;
use crate::auth::{self, AuthError};
use crate::http::head::Head;
use crate::http::upgrade::METADATA_BYTES_MAX;
use crate::percent;
use crate::process::Process;

/// How long somebody without a token may stay.
const ANONYMOUS_MS: u64 = 12 * 3_600_000;

/// Somebody at the door.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) speaker: Speaker,
    pub(crate) client_id: Option<String>,
    pub(crate) health: bool,
    /// Who it is, where there was a good token or none is asked for.
    pub(crate) identity: Option<Identity>,
    /// What it begins with, where it is known who it is.
    pub(crate) introduction: Option<Introduction>,
    pub(crate) refused: Option<Refused>,
}

/// What a connection begins with.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) given: Value,
    pub(crate) rooms: Vec<Join>,
    pub(crate) commands: Vec<Request>,
}

/// Why somebody is sent away, as it is told over the WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// Another close code than that of the code.
    pub(crate) close: Option<u16>,
    pub(crate) message: String,
    /// What is at fault, if it is one thing.
    pub(crate) field: Option<&'static str>,
}

impl Refused {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, close: None, message: message.into(), field: None }
    }
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { code: denial.code, close: denial.close, message: denial.reason, field: denial.field }
    }
}

/// Finds out who somebody is, and what it gets.
pub(crate) fn entry(process: &Process, head: &Head, place: &Place, visitor: &mut Visitor) -> Entry {
    let query = head.uri.query().unwrap_or_default();
    let mut given = given(head, place, query);
    let endpoint = &place.endpoint;
    let profiles = &process.config.profiles;
    let asked = |value: Option<&Value>| matches!(value.and_then(Value::as_str), Some("1" | "true"));
    let health = match endpoint.health {
        Health::Off => false,
        Health::Asked => asked(given["query"].get("health")),
        Health::On => true,
    };
    let form = profiles.dialect(place, &given["query"]);
    let dialect = *form.as_ref().unwrap_or(&profiles.usual_dialect(place));
    let client_id = endpoint.client_id(&profiles.get(place.profile).names(given.clone()));
    let mut refused = form.err().map(Refused::from);
    let mut identity = None;
    match token(endpoint, &head.headers, query) {
        Err(error) => refused = Some(Refused::new(Code::AuthenticationFailed, error.to_string())),
        Ok(None) => match endpoint.anonymous() {
            Some(role) => {
                identity = Some(anonymous(process, client_id.as_deref(), role));
                given.insert("claims".to_owned(), json!({}));
            }
            None if endpoint.token.first_message => {}
            None => refused = Some(Refused::new(Code::AuthenticationFailed, "no token was brought")),
        },
        Ok(Some(token)) => match known(process, &token, visitor) {
            Ok(known) => {
                given.insert("claims".to_owned(), claims(&token).unwrap_or_default());
                identity = Some(known);
            }
            Err(rejected) => refused = Some(rejected),
        },
    }
    let mut introduction = None;
    if let Some(known) = identity.as_mut().filter(|_| refused.is_none()) {
        match admit(process, place, known, given.clone()) {
            Ok(introduced) => introduction = Some(introduced),
            Err(denial) => refused = Some(denial),
        }
    }
    let speaker = Speaker { dialect, given: Arc::new(given.into()) };
    Entry { speaker, client_id, health, identity, introduction, refused }
}

/// Whose token it is that somebody shows at an upgrade, noted for the audit.
pub(crate) fn known(process: &Process, token: &str, visitor: &mut Visitor) -> Result<Identity, Refused> {
    let identity = process.identify(token, process.clock.now().unix_ms);
    let identity = identity.map_err(|rejection| Refused::new(rejection.code, rejection.message))?;
    if process.audit.is_kept() {
        visitor.showed(token);
    }
    Ok(identity)
}

/// Decides about somebody whose token is good; its role may become less.
fn admit(
    process: &Process,
    place: &Place,
    identity: &mut Identity,
    given: Map<String, Value>,
) -> Result<Introduction, Refused> {
    let names = process.config.profiles.get(place.profile).names(given.clone());
    let admission = place.endpoint.admit(&identity.user_id, &identity.role, names)?;
    identity.role = admission.role;
    Ok(Introduction { given: given.into(), rooms: admission.rooms, commands: admission.commands })
}

/// The same where the token came in a message.
pub(crate) fn first_token(
    process: &Process,
    dialect: u8,
    given: &Value,
    token: &str,
    identity: &mut Identity,
) -> Result<Introduction, Refused> {
    let mut given = given.as_object().cloned().unwrap_or_default();
    given.insert("claims".to_owned(), claims(token).unwrap_or_default());
    let place = process.config.profiles.place_of(dialect);
    admit(process, &place, identity, given)
}

/// An `error` and the close frame, in what somebody speaks.
pub(crate) fn frames(process: &Process, speaker: &Speaker, refused: &Refused) -> Vec<u8> {
    let dialects = &process.options.dialects;
    let dialect = &dialects[usize::from(speaker.dialect) - 1];
    let error = Reply::Error { code: refused.code, message: &refused.message, field: refused.field };
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    codec::encode_reply(&error, None, &mut payload);
    let now_unix_ms = process.clock.now().unix_ms;
    // Of the standard library's keyed hash, whose keys differ each time.
    let own_id = format!("{:016x}", RandomState::new().hash_one(now_unix_ms));
    let listener = Listener {
        client_id: "",
        user_id: "",
        role: "",
        given: &speaker.given,
        now_unix_ms,
        own_id: &own_id,
    };
    dialect
        .answer(&listener, &payload, &mut |opcode, payload| encode_frame(&mut bytes, opcode, false, payload));
    let (number, reason) = match refused.close {
        Some(number) => (number, Cow::Borrowed(refused.message.as_str())),
        None => dialect.close(refused.code.number(), &refused.message),
    };
    encode_close(&mut bytes, number, &reason);
    bytes
}

/// What expressions see of an upgrade.
fn given(head: &Head, place: &Place, query: &str) -> Map<String, Value> {
    let mut pairs = Map::new();
    for (name, value) in percent::pairs(query) {
        // The token is for the engine alone, and the first of several counts.
        if !place.endpoint.token.query.contains(&name) {
            pairs.entry(name).or_insert(Value::String(value));
        }
    }
    let metadata = pairs.get("metadata").and_then(Value::as_str).map(|text| {
        let small = Some(text).filter(|text| text.len() <= METADATA_BYTES_MAX);
        small.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or(Value::Null)
    });
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let headers = json!({ "user_agent": text(header::USER_AGENT), "origin": text(header::ORIGIN) });
    let mut given = Map::new();
    given.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
    given.insert("query".to_owned(), pairs.into());
    given.insert("path".to_owned(), place.path.clone());
    given.insert("headers".to_owned(), headers);
    given
}

/// The token, in one of the places that the endpoint names.
fn token<'h>(
    endpoint: &fanfare_profile::Endpoint,
    headers: &'h HeaderMap,
    query: &'h str,
) -> Result<Option<Cow<'h, str>>, AuthError> {
    let places = &endpoint.token;
    if places.header
        && let Some(token) = auth::token::find(headers, "")?
    {
        return Ok(Some(token));
    }
    let named = |name: &str| places.query.iter().any(|place| place == name);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    if let Some((_, token)) = pairs.find(|(name, token)| named(name) && !token.is_empty()) {
        return Ok(Some(percent::decode(token).into()));
    }
    let cookies = headers.get_all(header::COOKIE);
    let cookies = cookies.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut cookies = cookies.filter_map(|cookie| cookie.trim().split_once('='));
    let found = cookies.find(|(name, _)| places.cookie.iter().any(|place| place == name));
    Ok(found.map(|(_, token)| token.trim_matches('"').into()))
}

/// Somebody who brings no token, where that is allowed.
fn anonymous(process: &Process, client_id: Option<&str>, role: &str) -> Identity {
    let now = process.clock.now();
    // Two of them must not be one user.
    let user_id = format!("anonymous-{:x}-{}", now.mono_us, client_id.unwrap_or_default());
    let user_id: String = user_id
        .chars()
        .filter(|next| next.is_ascii_alphanumeric() || "-_.".contains(*next))
        .take(100)
        .collect();
    Identity {
        user_id: user_id.into(),
        role: role.into(),
        rooms: None,
        key: 0,
        expires_at_unix_ms: now.unix_ms + ANONYMOUS_MS,
    }
}

/// What a token says whose signature is known to be right.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}
