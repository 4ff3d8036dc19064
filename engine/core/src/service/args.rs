//! The arguments of a command, checked by its declaration.

use std::collections::BTreeSet;

use fanfare_protocol::name::check_id;
use fanfare_protocol::{Body, Refusal, RoomName, json, timestamp};
use serde_json::{Map, Value};

use super::spec::{Field, Rule, Spec};
use crate::network::Network;

/// Arguments that keep the rules of their command. What is null was not given; what no rule names was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    given: Map<String, Value>,
    so_far: Value,
}

impl Args {
    /// Reads what a command says, under what its path says.
    ///
    /// # Errors
    /// The first rule that is broken, with the field.
    pub fn read(spec: &Spec, body: Option<&Body>, path: &[(&'static str, String)]) -> Result<Self, Refusal> {
        let mut given = match body {
            None => Map::new(),
            Some(body) => match value_of(body) {
                Value::Object(given) => given,
                Value::Null => Map::new(),
                _ => return Err(invalid("data", "`data` must be an object")),
            },
        };
        for (name, value) in path {
            let field = spec.field(name);
            given.insert((*name).to_owned(), field.map_or(Value::Null, |field| from_text(field, value)));
        }
        Ok(Self { given: checked(spec.fields, given)?, so_far: Value::Null })
    }

    /// A text, or one of a few words.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.as_str()
    }

    /// A text that is required.
    pub fn word(&self, name: &str) -> &str {
        self.text(name).expect("invariant: the command's rules ask for it")
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.given.get(name)?.as_u64()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.given.get(name)?.as_f64()
    }

    /// True or false, if given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.given.get(name)?.as_bool()
    }

    /// Texts; none where it was not given.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list(name).iter().filter_map(Value::as_str)
    }

    /// The elements of a list; none where it was not given.
    pub fn list(&self, name: &str) -> &[Value] {
        self.given.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A value as it was given.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    /// A time, in milliseconds since 1970.
    pub fn time_unix_ms(&self, name: &str) -> Option<u64> {
        timestamp::parse_rfc3339(self.text(name)?)
    }

    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }
}

impl Args {
    /// In a command about several rooms: what the one before has answered, else null.
    pub(crate) fn so_far(&self) -> &Value {
        &self.so_far
    }

    /// One of several rooms has answered.
    pub(crate) fn go_on(&mut self, so_far: Value) {
        self.so_far = so_far;
    }
}

/// What a body says, whatever its encoding.
fn value_of(body: &Body) -> Value {
    let value = match body {
        Body::Json(bytes) => serde_json::from_slice(bytes),
        Body::MessagePack(bytes) => {
            let mut text = Vec::new();
            json::from_msgpack(bytes, &mut text);
            serde_json::from_slice(&text)
        }
    };
    // The codec has checked it; what it lets through and this parser does not is no object.
    value.unwrap_or(Value::Bool(false))
}

/// A value of a path or a query, which are all text.
fn from_text(field: &Field, text: &str) -> Value {
    match field.rule {
        Rule::Whole(..) | Rule::Number(..) | Rule::Flag | Rule::FlagOr(_) => match serde_json::from_str(text)
        {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            _ => Value::String(text.to_owned()),
        },
        Rule::Texts(..) | Rule::Distinct(..) => text.split(',').filter(|text| !text.is_empty()).collect(),
        _ => Value::String(text.to_owned()),
    }
}

fn checked(fields: &'static [Field], mut given: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut args = Map::new();
    for field in fields {
        match given.remove(field.name) {
            None | Some(Value::Null) if field.required => {
                return Err(invalid(field.name, &format!("`{}` is required", field.name)));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                let value = check(field, value)?;
                args.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(args)
}

fn check(field: &'static Field, value: Value) -> Result<Value, Refusal> {
    let name = field.name;
    let must = |what: String| Err(invalid(name, &format!("`{name}` must be {what}")));
    match (&field.rule, &value) {
        (Rule::Text(max), Value::String(text)) => {
            let length = text.chars().count();
            if !(1..=*max).contains(&length) {
                return must(format!("1 to {max} characters long, it is {length}"));
            }
            if text.chars().any(is_odd) {
                return must("without control characters but line feeds and tabs".to_owned());
            }
        }
        (Rule::Text(_), _) => return must("text".to_owned()),
        (Rule::Name, _) => {
            if !value.as_str().is_some_and(is_name) {
                return must("1 to 64 of A-Z a-z 0-9 . _ - : = ~ +".to_owned());
            }
        }
        (Rule::Id, Value::String(text)) => {
            check_id(name, text).map_err(|error| invalid(name, &error.to_string()))?;
        }
        (Rule::Id, _) => return must("text".to_owned()),
        (Rule::Whole(min, max), _) => {
            let whole = value.as_u64().or_else(|| {
                let float = value.as_f64().filter(|float| float.fract() == 0.0)?;
                // Exact up to 2^53, which is beyond every bound that is written as a float.
                (0.0..=9_007_199_254_740_992.0).contains(&float).then_some(float as u64)
            });
            return match whole.filter(|whole| (*min..=*max).contains(whole)) {
                Some(whole) => Ok(whole.into()),
                None => must(format!("a whole number from {min} to {max}")),
            };
        }
        (Rule::Number(min, max), _) => {
            if !value.as_f64().is_some_and(|number| (*min..=*max).contains(&number)) {
                return must(format!("a number from {min} to {max}"));
            }
        }
        (Rule::Flag, _) => {
            if !value.is_boolean() {
                return must("true or false".to_owned());
            }
        }
        (Rule::FlagOr(words), _) => {
            if !value.is_boolean() && !value.as_str().is_some_and(|word| words.contains(&word)) {
                return must(format!("true, false or {}", words.join(", ")));
            }
        }
        (Rule::Choice(words), _) => {
            if !value.as_str().is_some_and(|word| words.contains(&word)) {
                return must(format!("one of {}", words.join(", ")));
            }
        }
        (Rule::Texts(count_max, max), _) => {
            let fits = |text: &str| (1..=*max).contains(&text.chars().count()) && !text.chars().any(is_odd);
            let good = |text: &Value| text.as_str().is_some_and(fits);
            if !value.as_array().is_some_and(|texts| texts.len() <= *count_max && texts.iter().all(good)) {
                return must(format!("a list of at most {count_max} texts of 1 to {max} characters"));
            }
        }
        (Rule::Distinct(min, count_max, max), _) => {
            let fits = |text: &str| (1..=*max).contains(&text.chars().count()) && !text.chars().any(is_odd);
            let texts: Option<BTreeSet<&str>> =
                value.as_array().and_then(|texts| texts.iter().map(Value::as_str).collect());
            let length = value.as_array().map_or(0, Vec::len);
            let good =
                texts.is_some_and(|texts| texts.len() == length && texts.iter().all(|text| fits(text)));
            if !good || !(*min..=*count_max).contains(&length) {
                return must(format!("{min} to {count_max} different texts of 1 to {max} characters"));
            }
        }
        (Rule::Ids(count_max), _) => {
            let ids = value.as_array().filter(|ids| (1..=*count_max).contains(&ids.len()));
            if !ids.is_some_and(|ids| ids.iter().all(Value::is_string)) {
                return must(format!("a list of 1 to {count_max} ids"));
            }
            for id in ids.into_iter().flatten().filter_map(Value::as_str) {
                check_id(name, id).map_err(|error| invalid(name, &error.to_string()))?;
            }
        }
        (Rule::Link(max), _) => {
            let leads = |text: &str| {
                let is_path = text.starts_with('/') && !text.starts_with("//");
                let is_long = text.chars().count() > *max || text.chars().any(char::is_control);
                !is_long && (is_path || text.starts_with("https://") || text.starts_with("http://"))
            };
            if !value.as_str().is_some_and(leads) {
                let rule = "that begin with https://, http:// or a single /";
                return must(format!("at most {max} characters without control characters {rule}"));
            }
        }
        (Rule::Clock, _) => {
            if value.as_str().and_then(minutes).is_none() {
                return must("a time of day like 22:00".to_owned());
            }
        }
        (Rule::Part(fields), Value::Object(part)) => {
            return checked(fields, part.clone()).map(Value::Object);
        }
        (Rule::Part(_), _) => return must("an object".to_owned()),
        (Rule::Any(max), _) => {
            if value.to_string().len() > *max {
                return must(format!("at most {max} bytes long"));
            }
        }
        (Rule::Object(max), _) => {
            if !value.is_object() || value.to_string().len() > *max {
                return must(format!("an object of at most {max} bytes"));
            }
        }
        (Rule::Members(max, fields), Value::Object(members)) if value.to_string().len() <= *max => {
            let mut members = members.clone();
            members.extend(checked(fields, members.clone())?);
            return Ok(Value::Object(members));
        }
        (Rule::Members(max, _), _) => return must(format!("an object of at most {max} bytes")),
        (Rule::Numbers(max, bound), _) => {
            let good = |(name, value): (&String, &Value)| {
                is_name(name) && value.as_f64().is_some_and(|number| number.abs() <= *bound)
            };
            let numbers = |of: &Map<String, Value>| (1..=*max).contains(&of.len()) && of.iter().all(good);
            if !value.as_object().is_some_and(numbers) {
                return must(format!(
                    "1 to {max} numbers, each under a name of 1 to 64 of A-Z a-z 0-9 . _ - : = ~ +"
                ));
            }
        }
        (Rule::Objects(max, fields), Value::Array(items)) if items.len() <= *max => {
            let items = items.iter().map(|item| match item {
                Value::Object(item) => checked(fields, item.clone()).map(Value::Object),
                _ => Err(invalid(name, &format!("`{name}` must be a list of objects"))),
            });
            return items.collect::<Result<Vec<_>, _>>().map(Value::Array);
        }
        (Rule::Objects(max, _), _) => return must(format!("a list of at most {max} objects")),
        (Rule::Network, _) => {
            if let Err(rule) = value.as_str().unwrap_or_default().parse::<Network>() {
                return Err(invalid(name, &format!("`{name}` {rule}")));
            }
        }
        (Rule::Time, _) => {
            if value.as_str().and_then(timestamp::parse_rfc3339).is_none() {
                return must("a time in UTC like 2026-11-20T10:30:00Z".to_owned());
            }
        }
    }
    Ok(value)
}

/// What texts must not hold.
fn is_odd(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// `22:00` in minutes since midnight.
pub(super) fn minutes(clock: &str) -> Option<u16> {
    let (hour, minute) = clock.split_once(':')?;
    let number = |text: &str, below: u16| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_plain && *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

fn is_name(text: &str) -> bool {
    text.len() <= 64 && !text.contains('@') && RoomName::parse(text).is_ok()
}

pub(super) fn invalid(field: &'static str, message: &str) -> Refusal {
    Refusal::invalid(None, Some(field), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::{Access, Method, Place};

    const SPEC: Spec = Spec {
        name: "test.do",
        about: "Does.",
        method: Method::Post,
        path: "/v1/rooms/{room}/tests/{id}",
        access: Access::Read,
        place: Place::Room,
        fields: &[
            Field::required("id", Rule::Name, "which"),
            Field::optional("title", Rule::Text(5), ""),
            Field::optional("count", Rule::Whole(1, 9), ""),
            Field::optional("share", Rule::Number(0.0, 1.0), ""),
            Field::optional("on", Rule::Flag, ""),
            Field::optional("kind", Rule::Choice(&["a", "b"]), ""),
            Field::optional("tags", Rule::Texts(2, 3), ""),
            Field::optional("data", Rule::Any(10), ""),
            Field::optional("parts", Rule::Objects(2, &[Field::required("n", Rule::Whole(0, 9), "")]), ""),
            Field::optional("why", Rule::Members(30, &[Field::optional("code", Rule::Text(4), "")]), ""),
            Field::optional("values", Rule::Numbers(2, 9.0), ""),
            Field::optional("at", Rule::Time, ""),
            Field::optional("user", Rule::Id, ""),
            Field::optional("users", Rule::Ids(2), ""),
            Field::optional("url", Rule::Link(12), ""),
            Field::optional("from", Rule::Clock, ""),
            Field::optional("part", Rule::Part(&[Field::required("m", Rule::Flag, "")]), ""),
            Field::optional("network", Rule::Network, ""),
        ],
        answer: &[],
    };

    fn read(text: &str) -> Result<Args, Refusal> {
        Args::read(&SPEC, Some(&Body::Json(text.to_owned().into())), &[])
    }

    #[test]
    fn good_arguments_are_read_by_name() {
        let args = read(
            r#"{"id":"x","title":"a\n","count":3.0,"share":0.5,"on":true,"kind":"b","tags":["a"],"data":[1],
            "parts":[{"n":1,"other":2}],"at":"2026-11-20T10:30:00Z","user":"ada","more":1,
            "users":["a"],"url":"/a","from":"22:00","part":{"m":true}}"#,
        )
        .unwrap();
        assert_eq!((args.word("id"), args.whole("count"), args.number("share")), ("x", Some(3), Some(0.5)));
        assert_eq!((args.flag("on"), args.text("kind")), (Some(true), Some("b")));
        assert_eq!(args.texts("tags").collect::<Vec<_>>(), ["a"]);
        assert_eq!(args.list("parts"), [serde_json::json!({"n": 1})]);
        assert_eq!(args.time_unix_ms("at"), Some(1_795_170_600_000));
        assert!(!args.has("more") && args.has("data"));
        let why = read(r#"{"id":"x","why":{"code":"E","more":[1]}}"#).unwrap();
        assert_eq!(why.value("why"), Some(&serde_json::json!({"code": "E", "more": [1]})));
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        for (text, field) in [
            ("[]", "data"),
            ("{}", "id"),
            (r#"{"id":null}"#, "id"),
            (r#"{"id":"a b"}"#, "id"),
            (r#"{"id":"x","title":"123456"}"#, "title"),
            (r#"{"id":"x","title":"\u0007"}"#, "title"),
            (r#"{"id":"x","title":1}"#, "title"),
            (r#"{"id":"x","count":0}"#, "count"),
            (r#"{"id":"x","count":1.5}"#, "count"),
            (r#"{"id":"x","count":-1}"#, "count"),
            (r#"{"id":"x","share":2}"#, "share"),
            (r#"{"id":"x","on":"true"}"#, "on"),
            (r#"{"id":"x","kind":"c"}"#, "kind"),
            (r#"{"id":"x","tags":["a","b","c"]}"#, "tags"),
            (r#"{"id":"x","tags":[""]}"#, "tags"),
            (r#"{"id":"x","data":"1234567890"}"#, "data"),
            (r#"{"id":"x","parts":[{}]}"#, "n"),
            (r#"{"id":"x","parts":[1]}"#, "parts"),
            (r#"{"id":"x","why":{"code":1}}"#, "code"),
            (r#"{"id":"x","why":[]}"#, "why"),
            (r#"{"id":"x","why":{"more":"1234567890123456789012345"}}"#, "why"),
            (r#"{"id":"x","values":{}}"#, "values"),
            (r#"{"id":"x","values":{"a":1,"b":2,"c":3}}"#, "values"),
            (r#"{"id":"x","values":{"a b":1}}"#, "values"),
            (r#"{"id":"x","values":{"a":10}}"#, "values"),
            (r#"{"id":"x","values":{"a":"1"}}"#, "values"),
            (r#"{"id":"x","at":"now"}"#, "at"),
            (r#"{"id":"x","user":"\u0000"}"#, "user"),
            (r#"{"id":"x","users":[]}"#, "users"),
            (r#"{"id":"x","users":["a","b","c"]}"#, "users"),
            (r#"{"id":"x","users":["a\u0000"]}"#, "users"),
            (r#"{"id":"x","users":[1]}"#, "users"),
            (r#"{"id":"x","url":"javascript:1"}"#, "url"),
            (r#"{"id":"x","url":"//evil"}"#, "url"),
            (r#"{"id":"x","url":"/too/long/for/it"}"#, "url"),
            (r#"{"id":"x","from":"24:00"}"#, "from"),
            (r#"{"id":"x","from":"22:60"}"#, "from"),
            (r#"{"id":"x","from":"22:0"}"#, "from"),
            (r#"{"id":"x","from":"+2:00"}"#, "from"),
            (r#"{"id":"x","from":22}"#, "from"),
            (r#"{"id":"x","part":{}}"#, "m"),
            (r#"{"id":"x","part":[]}"#, "part"),
            (r#"{"id":"x","network":"10.0.0.0/33"}"#, "network"),
            (r#"{"id":"x","network":7}"#, "network"),
        ] {
            let refusal = read(text).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{text}: {}", refusal.message);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn what_the_path_says_wins() {
        let body = Body::Json(r#"{"id":"x","count":2}"#.into());
        let args = Args::read(&SPEC, Some(&body), &[("id", "y".into()), ("count", "7".into())]).unwrap();
        assert_eq!((args.word("id"), args.whole("count")), ("y", Some(7)));
        let refusal = Args::read(&SPEC, None, &[("id", "y".into()), ("count", "x".into())]).unwrap_err();
        assert_eq!(refusal.field, Some("count"));
    }

    #[test]
    fn both_encodings_say_the_same() {
        let packed = Body::MessagePack(vec![0x81, 0xa2, b'i', b'd', 0xa1, b'x'].into());
        assert_eq!(Args::read(&SPEC, Some(&packed), &[]).unwrap(), read(r#"{"id":"x"}"#).unwrap());
    }
}
