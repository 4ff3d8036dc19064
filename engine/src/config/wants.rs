//! What profiles want the engine to be set to: put together, and under what the operator has set.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use fanfare_profile::Profile;
use serde_json::{Map, Value as Json};

use super::file::{Entry, Input, Origin, Table, Value};
use super::problem::StartError;

/// Puts what profiles want, each with what it was asked for by, under what the operator has set.
///
/// # Errors
/// Two of them want different things that nobody has decided about.
pub(super) fn put_under<'p>(
    input: &mut Input<'_>,
    profiles: impl Iterator<Item = (&'p str, &'p Profile)>,
) -> Result<(), StartError> {
    let mut together = Together::default();
    for (place, profile) in profiles {
        let mut wanted = profile.engine.clone();
        without_what_is_set(&mut wanted, input, &input.table, "");
        let who = Rc::new(Who { place: place.into(), name: profile.name.clone() });
        join(&mut together.whole, &wanted, "", &who, &mut together.wants)?;
    }
    let Together { whole, wants } = together;
    under(&mut input.table, &whole, "", &wants);
    Ok(())
}

/// A value as the file would have it, wherever it is from.
pub(super) fn plain(value: &Json) -> Value {
    convert(value, "", &Origin::Nowhere, &Wants::default())
}

/// What several profiles want, put together.
#[derive(Default)]
struct Together {
    whole: Map<String, Json>,
    wants: Wants,
}

/// A profile: what it was asked for by, and what it is called.
struct Who {
    place: Arc<str>,
    name: Box<str>,
}

/// Who wanted what first, by the full name; items of lists by their number, too.
#[derive(Default)]
struct Wants(BTreeMap<String, Rc<Who>>);

impl Wants {
    /// Who wanted this, if somebody did who has not wanted all that it is within.
    fn origin(&self, full: &str, within: &Origin) -> Origin {
        self.0.get(full).map_or_else(|| within.clone(), |who| Origin::Profile(Arc::clone(&who.place)))
    }
}

/// Leaves out values that the operator has set, so that nobody can differ about them.
fn without_what_is_set(wants: &mut Map<String, Json>, input: &Input<'_>, table: &Table, path: &str) {
    wants.retain(|key, value| {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let found = table.entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value);
        match value {
            Json::Object(inner) => {
                let none = Table::default();
                let table = if let Some(Value::Table(table)) = found { table } else { &none };
                without_what_is_set(inner, input, table, &full);
                true
            }
            Json::Array(_) => true,
            _ => found.is_none() && input.over_file(&full).is_none(),
        }
    });
}

fn join(
    whole: &mut Map<String, Json>,
    more: &Map<String, Json>,
    path: &str,
    who: &Rc<Who>,
    wants: &mut Wants,
) -> Result<(), StartError> {
    for (key, value) in more {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (whole.get_mut(key), value) {
            (None, Json::Object(inner)) => {
                let mut table = Map::new();
                join(&mut table, inner, &full, who, wants)?;
                wants.0.insert(full, Rc::clone(who));
                whole.insert(key.clone(), table.into());
            }
            (None, _) => {
                wants.0.insert(full, Rc::clone(who));
                whole.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(whole)), Json::Object(more)) => join(whole, more, &full, who, wants)?,
            (Some(Json::Array(whole)), Json::Array(more)) => {
                for item in more {
                    if let Some(other) = whole.iter().find(|of| is_same(of, item) && *of != item) {
                        let name = other["name"].as_str().unwrap_or_default();
                        let number = whole.iter().position(|of| of == other).unwrap_or_default();
                        let first = wants.0.get(&format!("{full}[{number}]")).or(wants.0.get(&full));
                        return Err(clash(&format!("{full} `{name}`"), first, who));
                    }
                    if !whole.contains(item) {
                        wants.0.insert(format!("{full}[{}]", whole.len()), Rc::clone(who));
                        whole.push(item.clone());
                    }
                }
            }
            (Some(whole), value) if whole == value => {}
            (Some(_), _) => return Err(clash(&full, wants.0.get(&full), who)),
        }
    }
    Ok(())
}

/// Whether two entries of a list are about the same thing.
fn is_same(one: &Json, other: &Json) -> bool {
    one.get("name").is_some_and(|name| Some(name) == other.get("name"))
}

fn clash(what: &str, first: Option<&Rc<Who>>, second: &Who) -> StartError {
    let (first, second) = (first.map_or("another one", |first| &first.name), &second.name);
    let message = format!(
        "the profiles `{first}` and `{second}` want different ones; set it yourself, or start one of them only"
    );
    StartError::of(what, message)
}

/// Puts what profiles want under what the operator has set.
fn under(table: &mut Table, whole: &Map<String, Json>, path: &str, wants: &Wants) {
    for (key, value) in whole {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let origin = wants.origin(&full, &Origin::Nowhere);
        match (table.entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value), value)
        {
            (None, _) => {
                let value = convert(value, &full, &origin, wants);
                table.entries.push(Entry { key: key.clone(), origin, value });
            }
            (Some(Value::Table(inner)), Json::Object(whole)) => under(inner, whole, &full, wants),
            (Some(Value::List(items)), Json::Array(whole)) => {
                let named = |item: &Value| if let Value::Table(of) = item { name_of(of) } else { None };
                let taken: Vec<String> = items.iter().filter_map(named).collect();
                let tables = whole.iter().enumerate().filter(|(_, want)| want.is_object());
                let is_new = |(_, want): &(usize, &Json)| {
                    want["name"].as_str().is_none_or(|name| !taken.iter().any(|of| of == name))
                };
                let converted =
                    |(number, want): (usize, &Json)| convert_item(want, &full, number, &origin, wants);
                items.extend(tables.filter(is_new).map(converted).collect::<Vec<_>>());
            }
            // What the operator has set counts.
            (Some(_), _) => {}
        }
    }
}

fn name_of(table: &Table) -> Option<String> {
    table.entries.iter().find(|entry| entry.key == "name").and_then(|entry| match &entry.value {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    })
}

/// A value as the file would have it.
fn convert(value: &Json, full: &str, origin: &Origin, wants: &Wants) -> Value {
    match value {
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => number.as_i64().map_or(Value::Other, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => {
            let items = items.iter().enumerate();
            Value::List(items.map(|(number, item)| convert_item(item, full, number, origin, wants)).collect())
        }
        Json::Object(members) => {
            let entry = |(key, value): (&String, &Json)| {
                let full = format!("{full}.{key}");
                let origin = wants.origin(&full, origin);
                Entry { key: key.clone(), value: convert(value, &full, &origin, wants), origin }
            };
            let entries = members.iter().map(entry).collect();
            Value::Table(Table { origin: origin.clone(), entries })
        }
        Json::Null => Value::Other,
    }
}

fn convert_item(item: &Json, list: &str, number: usize, origin: &Origin, wants: &Wants) -> Value {
    let full = format!("{list}[{number}]");
    convert(item, &full, &wants.origin(&full, origin), wants)
}
