//! Values of arguments, read and checked by the rules of their fields.

use std::collections::BTreeSet;

use fanfare_protocol::name::check_id;
use fanfare_protocol::{Refusal, RoomName, timestamp};
use serde_json::{Map, Value};

use super::spec::{Field, Rule};
use crate::network::Network;

/// A value of a path or a query, which are all text.
pub(super) fn from_text(field: &Field, text: &str) -> Value {
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

/// What keeps the rules of its fields. What is null was not given; what no rule names is left out.
pub(super) fn checked(
    fields: &'static [Field],
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
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
