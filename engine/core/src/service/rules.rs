//! Values of arguments, read and checked by the rules of their fields.

use std::collections::BTreeSet;
use std::fmt::Display;

use fanfare_protocol::name::check_id;
use fanfare_protocol::sanitize::is_unwanted;
use fanfare_protocol::{Refusal, RoomName, timestamp};
use serde_json::{Map, Value};

use super::spec::{Field, Rule};
use crate::network::Network;

/// What names are made of.
const NAME: &str = "1 to 64 of A-Z a-z 0-9 . _ - : = ~ +";

/// A value of a path or a query, which are all text.
pub(super) fn from_text(field: &Field, text: &str) -> Value {
    match field.rule {
        Rule::Whole(..) | Rule::Number(..) | Rule::Integer(..) | Rule::Flag | Rule::FlagOr(_) => {
            match serde_json::from_str(text) {
                Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
                _ => Value::String(text.to_owned()),
            }
        }
        Rule::Texts(..) | Rule::Distinct(..) => text.split(',').filter(|text| !text.is_empty()).collect(),
        _ => Value::String(text.to_owned()),
    }
}

/// A rule that is broken, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// The name of the field.
    field: &'static str,
    /// Where it is: `steps[0].name`.
    path: String,
    /// What follows the path in a sentence.
    rule: String,
}

impl Fault {
    pub(super) fn new(field: &'static str, rule: impl Into<String>) -> Self {
        Self { field, path: field.to_owned(), rule: rule.into() }
    }

    /// It is inside of something: `steps[0]`.
    pub(super) fn within(self, outer: impl Display) -> Self {
        Self { path: format!("{outer}.{}", self.path), ..self }
    }
}

impl From<Fault> for Refusal {
    fn from(Fault { field, path, rule }: Fault) -> Self {
        invalid(field, &format!("`{path}` {rule}"))
    }
}

/// What keeps the rules of its fields. What is null was not given; what no rule names is left out.
pub(super) fn checked(
    fields: &'static [Field],
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Fault> {
    let mut args = Map::new();
    for field in fields {
        match given.remove(field.name) {
            None | Some(Value::Null) if field.required => return Err(Fault::new(field.name, "is required")),
            None | Some(Value::Null) => {}
            Some(value) => {
                let value = check(field, value)?;
                args.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(args)
}

fn check(field: &'static Field, value: Value) -> Result<Value, Fault> {
    let name = field.name;
    let must = |what: String| Err(Fault::new(name, format!("must be {what}")));
    match (&field.rule, &value) {
        (Rule::Text(max), Value::String(text)) => {
            let length = text.chars().count();
            if !(1..=*max).contains(&length) {
                return must(format!("1 to {max} characters long, it is {length}"));
            }
        }
        (Rule::Text(_), _) => return must("text".to_owned()),
        (Rule::Sign(max), _) => {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || is_unwanted(c);
            let fits = |text: &str| (1..=*max).contains(&text.len()) && !text.chars().any(is_odd);
            if !value.as_str().is_some_and(fits) {
                return must(format!(
                    "1 to {max} bytes of text without spaces and characters that cannot be seen"
                ));
            }
        }
        (Rule::Name, _) => {
            if !value.as_str().is_some_and(is_name) {
                return must(NAME.to_owned());
            }
        }
        (Rule::Id, _) => id(name, &value)?,
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
                return must(format!("a number from {} to {}", bound(*min), bound(*max)));
            }
        }
        (Rule::Integer(min, max), _) => {
            let whole = value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
            return match whole.filter(|whole| (*min..=*max).contains(whole)) {
                Some(whole) => Ok(whole.into()),
                None => must(format!("a whole number from {min} to {max}")),
            };
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
            let fits = |text: &str| (1..=*max).contains(&text.chars().count());
            let good = |text: &Value| text.as_str().is_some_and(fits);
            if !value.as_array().is_some_and(|texts| texts.len() <= *count_max && texts.iter().all(good)) {
                return must(format!("a list of at most {count_max} texts of 1 to {max} characters"));
            }
        }
        (Rule::Distinct(min, count_max, max), _) => {
            let fits = |text: &str| (1..=*max).contains(&text.chars().count());
            let texts: Option<BTreeSet<&str>> =
                value.as_array().and_then(|texts| texts.iter().map(Value::as_str).collect());
            let length = value.as_array().map_or(0, Vec::len);
            let good =
                texts.is_some_and(|texts| texts.len() == length && texts.iter().all(|text| fits(text)));
            if !good || !(*min..=*count_max).contains(&length) {
                return must(format!("{min} to {count_max} different texts of 1 to {max} characters"));
            }
        }
        (Rule::Ids(min, max), _) => {
            let ids = value.as_array().filter(|ids| (*min..=*max).contains(&ids.len()));
            let Some(ids) = ids else { return must(format!("a list of {min} to {max} ids")) };
            ids.iter().try_for_each(|value| id(name, value))?;
        }
        (Rule::Link(max), _) => {
            let leads = |text: &str| {
                let is_path = text.starts_with('/') && !text.starts_with("//");
                let is_odd = |c: char| c.is_control() || is_unwanted(c);
                let is_long = text.chars().count() > *max || text.chars().any(is_odd);
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
            let part = checked(fields, part.clone()).map_err(|fault| fault.within(name))?;
            return Ok(Value::Object(part));
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
            members.extend(checked(fields, members.clone()).map_err(|fault| fault.within(name))?);
            return Ok(Value::Object(members));
        }
        (Rule::Members(max, _), _) => return must(format!("an object of at most {max} bytes")),
        (Rule::Numbers(max, most), _) => {
            let Some(numbers) = value.as_object().filter(|numbers| (1..=*max).contains(&numbers.len()))
            else {
                return must(format!("an object of 1 to {max} numbers"));
            };
            for (of, number) in numbers {
                if !is_name(of) {
                    return Err(Fault::new(name, format!("must have names that are {NAME}")));
                }
                if !number.as_f64().is_some_and(|number| number.abs() <= *most) {
                    let rule = format!("must be a number from {} to {}", bound(-most), bound(*most));
                    return Err(Fault { path: format!("{name}.{of}"), ..Fault::new(name, rule) });
                }
            }
        }
        (Rule::Objects(max, fields), Value::Array(items)) if items.len() <= *max => {
            let items = items.iter().enumerate().map(|(at, item)| match item {
                Value::Object(item) => checked(fields, item.clone())
                    .map(Value::Object)
                    .map_err(|fault| fault.within(format_args!("{name}[{at}]"))),
                _ => Err(Fault::new(name, "must be a list of objects")),
            });
            return items.collect::<Result<Vec<_>, _>>().map(Value::Array);
        }
        (Rule::Objects(max, _), _) => return must(format!("a list of at most {max} objects")),
        (Rule::Network, _) => {
            if let Err(rule) = value.as_str().unwrap_or_default().parse::<Network>() {
                return Err(Fault::new(name, rule.to_string()));
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

/// That a value is an id.
fn id(field: &'static str, value: &Value) -> Result<(), Fault> {
    let Some(text) = value.as_str() else { return Err(Fault::new(field, "must be text")) };
    check_id(field, text).map_err(|error| {
        let told = error.to_string();
        let rule = told.split_once("` ").map_or(&*told, |(_, rule)| rule);
        Fault::new(field, rule)
    })
}

/// A bound as people read it: one with hundreds of zeros tells nothing.
fn bound(number: f64) -> String {
    if number.abs() < 1e16 { number.to_string() } else { format!("{number:e}") }
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
