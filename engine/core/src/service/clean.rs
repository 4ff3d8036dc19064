//! Characters that hide or forge text, in what commands say: see [`fanfare_protocol::sanitize`].
//!
//! Texts, which services show to people as they are, never hold them. Objects are the application's own: there they are what the
//! type of the room says, as in published messages.

use std::mem;

use fanfare_protocol::sanitize::is_unwanted;
use serde_json::{Map, Value};

use super::rules::Fault;
use super::spec::{Field, Rule};

/// What is wrong with a text that holds one.
const RULE: &str =
    "must hold no control characters but tab and newline, and none that turn the direction of text";

/// Whether none is in it, in names of members neither.
pub(super) fn is_clean(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.chars().any(is_unwanted),
        Value::Array(items) => items.iter().all(is_clean),
        Value::Object(members) => {
            members.iter().all(|(name, value)| !name.chars().any(is_unwanted) && is_clean(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The first argument that must not hold one and does; `in_objects`: objects must not either.
pub(super) fn unclean(fields: &[Field], given: &Map<String, Value>, in_objects: bool) -> Option<Fault> {
    fields.iter().find_map(|field| {
        let (name, value) = (field.name, given.get(field.name)?);
        let fault = |is_wanted: bool| (!is_wanted && !is_clean(value)).then(|| Fault::new(name, RULE));
        match (&field.rule, value) {
            (Rule::Text(_) | Rule::Texts(..) | Rule::Distinct(..), _) => fault(false),
            (Rule::Any(_) | Rule::Object(_), _) => fault(!in_objects),
            (Rule::Part(fields), Value::Object(part)) => {
                unclean(fields, part, in_objects).map(|fault| fault.within(name))
            }
            (Rule::Members(_, fields), Value::Object(members)) => {
                let named = unclean(fields, members, in_objects).map(|fault| fault.within(name));
                named.or_else(|| fault(!in_objects))
            }
            (Rule::Objects(_, fields), Value::Array(items)) => {
                items.iter().enumerate().find_map(|(at, item)| {
                    let fault = unclean(fields, item.as_object()?, in_objects)?;
                    Some(fault.within(format_args!("{name}[{at}]")))
                })
            }
            // Names, ids and numbers are what they are.
            _ => None,
        }
    })
}

/// Takes them out of texts and objects.
pub(super) fn strip(fields: &[Field], given: &mut Map<String, Value>) {
    for field in fields {
        let Some(value) = given.get_mut(field.name) else { continue };
        match (&field.rule, value) {
            (Rule::Text(_) | Rule::Texts(..) | Rule::Distinct(..) | Rule::Any(_), value)
            | (Rule::Object(_) | Rule::Members(..), value) => strip_all(value),
            (Rule::Part(fields), Value::Object(part)) => strip(fields, part),
            (Rule::Objects(_, fields), Value::Array(items)) => {
                items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| strip(fields, item));
            }
            _ => {}
        }
    }
}

fn strip_all(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| !is_unwanted(c)),
        Value::Array(items) => items.iter_mut().for_each(strip_all),
        Value::Object(members) => {
            for (mut name, mut value) in mem::take(members) {
                name.retain(|c| !is_unwanted(c));
                strip_all(&mut value);
                members.insert(name, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
