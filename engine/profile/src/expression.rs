//! Expressions of tables: MiniJinja's, with what wires need besides.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use fanfare_protocol::name::{read_part, room_part};
use fanfare_protocol::timestamp::{parse_rfc3339, rfc3339_text};
use minijinja::value::{Rest, Serde, ValueKind, merge_maps};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use regex_lite::Regex;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::named;

/// Different regular expressions that a thread keeps compiled.
const PATTERNS_MAX: usize = 1_024;

/// A thousand years: what takes longer has no time at which it is done.
const LATER_SECONDS_MAX: f64 = 31_557_600_000.0;

/// Words that are no names.
const CONSTANTS: [&str; 6] = ["true", "True", "false", "False", "none", "None"];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// What expressions see: names with values.
#[derive(Clone, Debug)]
pub(crate) struct Scope(Value);

impl Scope {
    /// Of an object.
    pub(crate) fn new(names: &serde_json::Map<String, Json>) -> Self {
        Self(Value::from(Serde(names)))
    }

    /// Of names whose values are known already.
    pub(crate) fn of(names: Vec<(&'static str, Value)>) -> Self {
        Self(Value::from_pairs(names))
    }

    /// Of a JSON object; of none where it is no JSON.
    pub(crate) fn read(json: &[u8]) -> Self {
        serde_json::from_slice(json).map_or_else(|_| Self::of(Vec::new()), Self)
    }

    /// Several as one. A name that is in more than one is that of the last.
    pub(crate) fn together<const N: usize>(scopes: [Self; N]) -> Self {
        Self(merge_maps(scopes.map(|scope| scope.0)))
    }

    /// The value of a name, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.0.get_attr(name).ok().filter(|value| !value.is_undefined())
    }

    /// All of it as one value.
    pub(crate) fn whole(&self) -> Value {
        self.0.clone()
    }

    /// The same with more names, which come first.
    pub(crate) fn with(&self, names: &serde_json::Map<String, Json>) -> Self {
        Self(merge_maps([self.0.clone(), Value::from(Serde(names))]))
    }
}

/// One expression, compiled.
pub(crate) struct Expression {
    text: Box<str>,
    /// The names, one inside the other, where it is no more than that, as most are: looked up, nothing need be run.
    path: Option<Box<[Box<str>]>>,
    compiled: minijinja::Expression<'static, 'static>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "={}", self.text)
    }
}

impl Expression {
    /// Compiles it.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let compiled = ENVIRONMENT.compile_expression_owned(text.to_owned()).map_err(|error| {
            format!("`{text}` is no expression: {}", error.detail().unwrap_or("it is malformed"))
        })?;
        let fails = |sample: &str| {
            ENVIRONMENT.compile_expression(sample).ok()?.eval(()).err().map(|error| error.kind())
        };
        match named::unknown(text, fails) {
            Some(what) => Err(format!("`{text}`: {what}")),
            None => Ok(Self { text: text.into(), path: path(text), compiled }),
        }
    }

    /// The single name that it is, if it is no more than that.
    pub(crate) fn name(&self) -> Option<&str> {
        self.path.as_ref().filter(|path| path.len() == 1).map(|path| &*path[0])
    }

    /// What it gives; nothing where that is undefined, or where it cannot be told.
    pub(crate) fn eval(&self, scope: &Scope) -> Option<Json> {
        let value = self.value(scope)?;
        if value.is_undefined() { None } else { serde_json::to_value(&value).ok() }
    }

    /// Whether it holds. What cannot be told does not.
    pub(crate) fn holds(&self, scope: &Scope) -> bool {
        self.value(scope).is_some_and(|value| value.is_true())
    }

    fn value(&self, scope: &Scope) -> Option<Value> {
        match &self.path {
            Some(path) => path.iter().try_fold(scope.0.clone(), |value, name| value.get_attr(name).ok()),
            None => self.compiled.eval(scope.0.clone()).ok(),
        }
    }
}

/// The names of an expression like `data.user.id`.
fn path(text: &str) -> Option<Box<[Box<str>]>> {
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    };
    (text.split('.').all(is_name) && !CONSTANTS.contains(&text))
        .then(|| text.split('.').map(Box::from).collect())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.remove_global("range");
    environment.add_filter("uuid", uuid);
    environment.add_filter("as_uuid", as_uuid);
    environment.add_filter("later", later);
    environment.add_filter("after", |text: &str, mark: &str| part(text, mark, 1));
    environment.add_filter("before", |text: &str, mark: &str| part(text, mark, 0));
    environment.add_filter("naive", |time: Value| {
        let naive = |time: &str| time.trim_end_matches('Z').to_owned();
        time.as_str().map_or_else(|| time.clone(), |text| Value::from(naive(text)))
    });
    environment.add_filter("utc", utc);
    environment.add_filter("mib", |bytes: f64| bytes / f64::from(1 << 20));
    environment.add_filter("number", number);
    environment.add_filter("room", |text: String| room_part(&text).into_owned());
    environment.add_filter("unroom", |part: String| read_part(&part).unwrap_or(part));
    environment.add_filter("seconds", seconds);
    environment.add_filter("urlencode", |text: String| escaped(&text));
    environment.add_filter("without", without);
    environment.add_filter("with", |value: Value, more: Value| merge_maps([value, more]));
    environment.add_test("matching", matching);
    environment
}

/// What precedes or follows a mark; the whole text where there is none.
fn part(text: &str, mark: &str, which: usize) -> String {
    let (before, after) = text.split_once(mark).unwrap_or((text, text));
    if which == 0 { before } else { after }.to_owned()
}

/// A whole number where the text is one as it would be written, else the value as it is.
fn number(value: Value) -> Value {
    let whole =
        value.as_str().and_then(|text| text.parse::<i64>().ok().filter(|whole| whole.to_string() == text));
    whole.map_or(value, Value::from)
}

/// A time with its zone: without one it is UTC's. What has one stays, and so does what is no time.
fn utc(value: Value) -> Value {
    let zoned = value.as_str().map(|time| format!("{time}Z"));
    zoned.filter(|time| parse_rfc3339(time).is_some()).map_or(value, Value::from)
}

/// A time so many seconds later; nothing where either is none.
fn later(time: Value, seconds: Value) -> Value {
    let Some(ms) = time.as_str().and_then(parse_rfc3339) else { return Value::UNDEFINED };
    let seconds = f64::try_from(seconds).ok().filter(|seconds| (0.0..=LATER_SECONDS_MAX).contains(seconds));
    seconds.map_or(Value::UNDEFINED, |seconds| Value::from(rfc3339_text(ms + (seconds * 1_000.0) as u64)))
}

/// A duration as a number of seconds; a number stays.
fn seconds(value: Value) -> Value {
    let Some(duration) = value.as_str().and_then(crate::endpoint::duration) else { return value };
    let ms = duration.as_millis() as u64;
    if ms.is_multiple_of(1_000) { Value::from(ms / 1_000) } else { Value::from(duration.as_secs_f64()) }
}

/// A text as one part of a path, or as a value in a query: RFC 3986 §2.3 says what stays as it is.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// An object but for some members.
fn without(value: Value, names: Rest<String>) -> Value {
    if value.kind() != ValueKind::Map {
        return value;
    }
    let names: Vec<String> = names.to_vec();
    let keys = value.try_iter().into_iter().flatten();
    let kept = keys.filter(|key| key.as_str().is_none_or(|key| !names.iter().any(|name| name == key)));
    Value::from_pairs(kept.filter_map(|key| Some((key.clone(), value.get_item(&key).ok()?))))
}

/// A UUID that follows from the text alone: of its SHA-256, in the form of version 4 (RFC 9562 §5.4), which is what other systems check.
fn uuid(value: Value) -> Value {
    if value.is_undefined() || value.is_none() {
        return Value::UNDEFINED;
    }
    let mut bytes: [u8; 16] =
        Sha256::digest(value.to_string().as_bytes())[..16].try_into().expect("invariant: sixteen bytes");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Value::from(hyphened(u128::from_be_bytes(bytes)))
}

/// The 128 bits of one of the engine's own ids, written as a UUID. What is none stays.
fn as_uuid(value: Value) -> Value {
    const DIGITS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |byte: u8| DIGITS.iter().position(|digit| *digit == byte).map(|digit| digit as u128);
    // Of 26 digits the first has only three bits.
    let id = value.as_str().filter(|text| text.len() == 26 && text.as_bytes()[0] < b'8');
    let bits = id.and_then(|id| id.bytes().try_fold(0, |bits, byte| Some(bits << 5 | digit(byte)?)));
    bits.map_or(value, |bits| Value::from(hyphened(bits)))
}

fn hyphened(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Whether a regular expression fits somewhere. Matching takes time linear in the text.
///
/// # Errors
/// It is no regular expression. `not … matching` must not hold then either.
fn matching(text: Value, pattern: &str) -> Result<bool, Error> {
    let Some(text) = text.as_str() else { return Ok(false) };
    PATTERNS.with_borrow_mut(|patterns| {
        if let Some(found) = patterns.get(pattern) {
            return Ok(found.is_match(text));
        }
        let compiled = Regex::new(pattern)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "it is no regular expression"))?;
        let fits = compiled.is_match(text);
        if patterns.len() < PATTERNS_MAX {
            patterns.insert(pattern.to_owned(), compiled);
        }
        Ok(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn eval(text: &str, names: Json) -> Option<Json> {
        let Json::Object(names) = names else { panic!("names are an object") };
        Expression::parse(text).unwrap().eval(&Scope::new(&names))
    }

    #[test]
    fn what_is_not_there_is_nothing_and_no_error() {
        assert_eq!(eval("data.a.b.c", json!({"data": {}})), None);
        assert_eq!(eval("data.a or 'x'", json!({"data": {}})), Some(json!("x")));
        assert_eq!(eval("1 if data.a", json!({})), None);
        assert_eq!(eval("data.n / data.m * 100", json!({"data": {"n": 1, "m": 4}})), Some(json!(25.0)));
        assert_eq!(eval("data.n / 0", json!({"data": {"n": 1}})).unwrap_or(Json::Null), Json::Null);
        assert_eq!(eval("'a' + 1", json!({})), None);
    }

    #[test]
    fn a_path_gives_what_an_expression_gives() {
        let names = json!({"a": {"b": {"c": [1, 2]}, "items": null}, "_x": 1.5, "n": u64::MAX});
        for text in
            ["a", "a.b", "a.b.c", "a.b.d", "a.b.d.e.f", "a.items", "a.b.c.length", "_x", "n", "n.x", "z"]
        {
            let Json::Object(of) = &names else { panic!("names are an object") };
            let scope = Scope::new(of);
            let (path, run) =
                (Expression::parse(text).unwrap(), Expression::parse(&format!("({text})")).unwrap());
            assert!(path.path.is_some() && run.path.is_none());
            assert_eq!(path.eval(&scope), run.eval(&scope), "{text}");
            assert_eq!(path.holds(&scope), run.holds(&scope), "{text}");
        }
        assert_eq!((eval("true", json!({})), eval("1.5", json!({}))), (Some(json!(true)), Some(json!(1.5))));
    }

    #[test]
    fn names_of_the_last_scope_count() {
        let scope = |names: Json| Scope::read(names.to_string().as_bytes());
        let all =
            Scope::together([scope(json!({"a": 1, "b": 1})), scope(json!({"b": {"c": 2}})), scope(json!(7))]);
        let eval = |text| Expression::parse(text).unwrap().eval(&all);
        assert_eq!(
            (eval("a"), eval("b.c"), eval("a + b.c"), eval("d")),
            (Some(json!(1)), Some(json!(2)), Some(json!(3)), None)
        );
    }

    #[test]
    fn filters_do_what_they_say() {
        assert_eq!(eval("room|after(':')", json!({"room": "a:b:c"})), Some(json!("b:c")));
        assert_eq!(eval("room|before(':')", json!({"room": "a:b"})), Some(json!("a")));
        assert_eq!(eval("room|after(':')", json!({"room": "ab"})), Some(json!("ab")));
        assert_eq!(
            eval("[('7'|number), ('07'|number), ('x'|number), (3|number)]", json!({})),
            Some(json!([7, "07", "x", 3]))
        );
        assert_eq!(
            eval("d|without('a', 'b')", json!({"d": {"a": 1, "b": 2, "c": 3}})),
            Some(json!({"c": 3}))
        );
        assert_eq!(eval("d|with({'a': 2})", json!({"d": {"a": 1, "c": 3}})), Some(json!({"a": 2, "c": 3})));
        assert_eq!(
            eval("t|naive", json!({"t": "2026-11-20T10:30:00.123Z"})),
            Some(json!("2026-11-20T10:30:00.123"))
        );
        assert_eq!(
            eval(
                "[(t|utc), ('2026-11-20T12:30:00+02:00'|utc), ('x'|utc)]",
                json!({"t": "2026-11-20T10:30:00"})
            ),
            Some(json!(["2026-11-20T10:30:00Z", "2026-11-20T12:30:00+02:00", "x"]))
        );
        assert_eq!(
            eval(
                "[('2026-11-20T10:30:00Z'|later(90.5)), ('2026-11-20T12:30:00+02:00'|later(0)), ('x'|later(1)), (none|later(1)), ('2026-11-20T10:30:00Z'|later(nothing)), ('2026-11-20T10:30:00Z'|later(-1))]",
                json!({})
            ),
            Some(json!(["2026-11-20T10:31:30.500Z", "2026-11-20T10:30:00.000Z", null, null, null, null]))
        );
        assert_eq!(
            eval("[('30s'|seconds), ('500ms'|seconds), (7|seconds)]", json!({})),
            Some(json!([30, 0.5, 7]))
        );
        assert_eq!(
            eval("['auth0|7'|room, 'auth0=7C7'|unroom, '='|unroom]", json!({})),
            Some(json!(["auth0=7C7", "auth0|7", "="]))
        );
        assert_eq!(eval("'a/b?ä'|urlencode", json!({})), Some(json!("a%2Fb%3F%C3%A4")));
        assert_eq!(eval("5242880|mib", json!({})), Some(json!(5.0)));
        assert_eq!(eval("v is matching('^[0-9]+([.][0-9]+)*$')", json!({"v": "1.20"})), Some(json!(true)));
        assert_eq!(eval("v is matching('^[0-9]+$')", json!({"v": 3})), Some(json!(false)));
        assert_eq!(eval("(not v is matching('(')) or true", json!({"v": "x"})), None, "it holds in no way");
        assert_eq!(eval("nothing|uuid", json!({})), None);
        let uuid = eval("'x'|uuid", json!({})).unwrap();
        assert_eq!(uuid, eval("'x'|uuid", json!({})).unwrap());
        assert_eq!((uuid.as_str().unwrap().len(), &uuid.as_str().unwrap()[14..15]), (36, "4"));
        assert_eq!(
            eval(
                "['01m80mszt3kzdy8kkvn1z9xtna'|as_uuid, '7zzzzzzzzzzzzzzzzzzzzzzzzz'|as_uuid, '80000000000000000000000000'|as_uuid, 'x'|as_uuid]",
                json!({})
            ),
            Some(json!([
                "01a2014c-ff43-9fdb-e44e-7ba87e9eeaaa",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "80000000000000000000000000",
                "x"
            ]))
        );
    }

    #[test]
    fn what_is_no_expression_is_told() {
        assert!(
            Expression::parse("a|no_such_filter").is_err() && Expression::parse("a is no_such_test").is_err()
        );
        assert!(Expression::parse("a +").unwrap_err().contains("`a +`"));
    }
}
