//! Which profiles are on, what is set about them, and what they want the engine to be set to.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_profile::{BUILT_IN, Profile, Profiles, Setting};
use serde_json::{Map, Value as Json};

use super::file::{Entry, Input, Table, Value};
use super::given::Given;
use super::problem::StartError;
use super::security::is_origin;

/// The name that stands for all that are built in.
const ALL: &str = "all";

/// Reads the profiles that are on, and puts what they want under what the operator has set.
///
/// # Errors
/// One of them is wrong, or two do not go together.
pub(super) fn read(input: &mut Input<'_>, given: &mut Given) -> Result<Arc<Profiles>, StartError> {
    let settings = take(&mut input.table, "profile");
    let texts: Vec<(String, String)> = wanted(input, given)?
        .into_iter()
        .map(|name| text(&name).map(|text| (name, text)))
        .collect::<Result<_, _>>()?;
    let names: Vec<String> = texts.iter().map(|(name, text)| called(name, text)).collect();
    let mut settings = of_profiles(settings, &names)?;
    let mut profiles = Vec::new();
    for ((name, text), called) in texts.iter().zip(&names) {
        let own = settings.remove(called).unwrap_or_default();
        for (setting, value) in &own {
            given.note(format!("profile.{called}.{setting}"), &convert(value));
        }
        let profile = Profile::parse(text, &own, input.env)
            .map_err(|problem| StartError::of(&format!("profile {name}"), problem.to_string()))?;
        if let Some(wrong) = profile.origins.iter().find(|origin| !is_origin(origin)) {
            let is_its =
                |of: &&Setting| of.value.as_array().is_some_and(|list| list.iter().any(|one| one == wrong));
            let place = match profile.settings.iter().find(is_its) {
                Some(Setting { name, env: Some(variable), .. }) => format!("{name} ({variable})"),
                Some(Setting { name, .. }) => name.clone(),
                None => "origins".to_owned(),
            };
            let message =
                format!("{place}: `{wrong}` must be scheme://host or scheme://host:port, without a path");
            return Err(StartError::of(&format!("profile {name}"), message));
        }
        profiles.push(profile);
    }
    let whole = {
        let mut together = Together { input, whole: Map::new(), origin: BTreeMap::new() };
        for profile in &profiles {
            together.add(&profile.name, &profile.engine)?;
        }
        together.whole
    };
    under(&mut input.table, &whole);
    let profiles =
        Profiles::new(profiles).map_err(|problem| StartError::of("profiles", problem.to_string()))?;
    Ok(Arc::new(profiles))
}

/// The names and files of profiles: by flag, else by environment, else by the file.
fn wanted(input: &mut Input<'_>, given: &mut Given) -> Result<Vec<String>, StartError> {
    let split = |text: String| -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let of_file = take(&mut input.table, "profiles");
    let names = match ((input.flag)("profiles").or_else(|| (input.env)("FANFARE_PROFILES")), of_file) {
        (Some(text), _) => split(text),
        (None, None) => Vec::new(),
        (None, Some(Value::Text(text))) => split(text),
        (None, Some(Value::List(items))) => {
            let text = |item| if let Value::Text(text) = item { Some(text) } else { None };
            let names: Option<Vec<String>> = items.into_iter().map(text).collect();
            names.ok_or_else(|| StartError::of("profiles", "must be a list of texts"))?
        }
        (None, Some(_)) => return Err(StartError::of("profiles", "must be a list of texts")),
    };
    if !names.is_empty() {
        given.note("profiles".to_owned(), &Value::List(names.iter().cloned().map(Value::Text).collect()));
    }
    let mut wanted: Vec<String> = Vec::new();
    let all = BUILT_IN.iter().map(|(name, _)| (*name).to_owned());
    for name in names {
        let more = if name == ALL { all.clone().collect() } else { vec![name] };
        let new: Vec<String> = more.into_iter().filter(|name| !wanted.contains(name)).collect();
        wanted.extend(new);
    }
    Ok(wanted)
}

/// What a profile is called in `[profile.…]`: as its table says, or as it was asked for where that cannot be read.
fn called(name: &str, text: &str) -> String {
    let table = toml::from_str::<toml::Table>(text).unwrap_or_default();
    table.get("name").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}

fn text(name: &str) -> Result<String, StartError> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(of, _)| *of == name) {
        return Ok((*text).to_owned());
    }
    if !name.contains('/') && !name.ends_with(".toml") {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let near =
            names.iter().min_by_key(|known| strsim::levenshtein(known, name)).copied().unwrap_or_default();
        let rule = format!(
            "there is no profile `{name}`, did you mean `{near}`? There are {} and all; a file of your own is named like ./mine.toml",
            names.join(", ")
        );
        return Err(StartError::of("--profile", rule));
    }
    std::fs::read_to_string(name).map_err(|error| StartError::of(name, error.to_string()))
}

/// `[profile.NAME]` of the file, by name.
fn of_profiles(
    section: Option<Value>,
    names: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, Json>>, StartError> {
    let Some(section) = section else { return Ok(BTreeMap::new()) };
    let Value::Table(table) = section else {
        return Err(StartError::of("profile", "must be tables: write [profile.NAME]"));
    };
    let mut all = BTreeMap::new();
    for Entry { key, value, line } in table.entries {
        let place = format!("profile.{key} (line {line})");
        let Value::Table(inner) = value else { return Err(StartError::of(&place, "must be a table")) };
        if !names.contains(&key) {
            return Err(StartError::of(
                &place,
                "this profile is not on: name it in `profiles` or by --profile",
            ));
        }
        let mut settings = BTreeMap::new();
        for entry in inner.entries {
            let value = json(&entry.value).ok_or_else(|| {
                StartError::of(
                    &format!("{place}.{}", entry.key),
                    "must be text, a whole number, true, false or a list of these",
                )
            })?;
            settings.insert(entry.key, value);
        }
        all.insert(key, settings);
    }
    Ok(all)
}

fn take(table: &mut Table, key: &str) -> Option<Value> {
    let at = table.entries.iter().position(|entry| entry.key == key)?;
    Some(table.entries.remove(at).value)
}

/// What several profiles want, put together.
struct Together<'i> {
    input: &'i Input<'i>,
    whole: Map<String, Json>,
    /// Who wanted what first, by the full name.
    origin: BTreeMap<String, String>,
}

impl Together<'_> {
    fn add(&mut self, profile: &str, engine: &Map<String, Json>) -> Result<(), StartError> {
        let mut wanted = engine.clone();
        without_what_is_set(&mut wanted, self.input, &self.input.table, "");
        join(&mut self.whole, &wanted, "", profile, &mut self.origin)
    }
}

/// Leaves out values that the operator has set, so that nobody can differ about them.
fn without_what_is_set(wants: &mut Map<String, Json>, input: &Input<'_>, table: &Table, path: &str) {
    wants.retain(|key, value| {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let found = table.entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value);
        match value {
            Json::Object(inner) => {
                let none = Table { line: 0, entries: Vec::new() };
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
    profile: &str,
    origin: &mut BTreeMap<String, String>,
) -> Result<(), StartError> {
    for (key, value) in more {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (whole.get_mut(key), value) {
            (None, Json::Object(inner)) => {
                let mut table = Map::new();
                join(&mut table, inner, &full, profile, origin)?;
                whole.insert(key.clone(), table.into());
            }
            (None, _) => {
                origin.insert(full, profile.to_owned());
                whole.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(whole)), Json::Object(more)) => join(whole, more, &full, profile, origin)?,
            (Some(Json::Array(whole)), Json::Array(more)) => {
                for item in more {
                    if let Some(other) = whole.iter().find(|of| is_same(of, item) && *of != item) {
                        let name = other["name"].as_str().unwrap_or_default();
                        return Err(clash(&format!("{full} `{name}`"), origin.get(&full), profile));
                    }
                    if !whole.contains(item) {
                        whole.push(item.clone());
                    }
                }
            }
            (Some(whole), value) if whole == value => {}
            (Some(_), _) => return Err(clash(&full, origin.get(&full), profile)),
        }
    }
    Ok(())
}

/// Whether two entries of a list are about the same thing.
fn is_same(one: &Json, other: &Json) -> bool {
    one.get("name").is_some_and(|name| Some(name) == other.get("name"))
}

fn clash(what: &str, first: Option<&String>, second: &str) -> StartError {
    let first = first.map_or("another one", String::as_str);
    let message = format!(
        "the profiles `{first}` and `{second}` want different ones; set it yourself, or start one of them only"
    );
    StartError::of(what, message)
}

/// Puts what profiles want under what the operator has set.
fn under(table: &mut Table, wants: &Map<String, Json>) {
    for (key, value) in wants {
        match (table.entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value), value)
        {
            (None, _) => table.entries.push(Entry { key: key.clone(), line: 0, value: convert(value) }),
            (Some(Value::Table(inner)), Json::Object(wants)) => under(inner, wants),
            (Some(Value::List(items)), Json::Array(wants)) => {
                let named = |item: &Value| if let Value::Table(of) = item { name_of(of) } else { None };
                let taken: Vec<String> = items.iter().filter_map(named).collect();
                let tables = wants.iter().filter(|want| want.is_object());
                let is_new = |want: &&Json| {
                    want["name"].as_str().is_none_or(|name| !taken.iter().any(|of| of == name))
                };
                let new: Vec<Value> = tables.filter(is_new).map(convert).collect();
                items.extend(new);
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
fn convert(value: &Json) -> Value {
    match value {
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => number.as_i64().map_or(Value::Other, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(convert).collect()),
        Json::Object(members) => {
            let entry =
                |(key, value): (&String, &Json)| Entry { key: key.clone(), line: 0, value: convert(value) };
            Value::Table(Table { line: 0, entries: members.iter().map(entry).collect() })
        }
        Json::Null => Value::Other,
    }
}

fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Flag(flag) => (*flag).into(),
        Value::Number(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Table(_) | Value::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn config(text: &str, profiles: &str) -> Result<Config, String> {
        let flag = |name: &str| (name == "profiles").then(|| profiles.to_owned());
        Config::parse(text, &flag, &|_| None).map_err(|error| error.to_string())
    }

    #[test]
    fn all_that_are_built_in_go_together() {
        let config = config("", "all").unwrap();
        assert_eq!(config.profiles.iter().count(), 5);
    }

    #[test]
    fn what_the_operator_sets_comes_first() {
        let text = "[[room_type]]\nname = \"session\"\nmax_members = 7\n";
        let config = config(text, "sessions").unwrap();
        let session = config.room_types.iter().find(|of| &*of.name == "session").unwrap();
        assert_eq!(session.max_members, 7);
    }

    #[test]
    fn profiles_that_differ_go_together_where_the_operator_has_said_what_it_is() {
        let env = |more: &'static str| {
            move |name: &str| {
                (name == "WEBSOCKET_ENABLE_COMPRESSION" || name == more).then(|| "false".to_owned())
            }
        };
        let parse = |text: &str, more: &'static str| {
            let flag = |name: &str| (name == "profiles").then(|| "pipeline,sessions".to_owned());
            Config::parse(text, &flag, &env(more)).map_err(|error| error.to_string())
        };
        let clash = parse("", "").unwrap_err();
        assert!(clash.contains("compression.enabled") && clash.contains("set it yourself"), "{clash}");
        assert!(!parse("[compression]\nenabled = false", "").unwrap().compression.enabled);
        assert!(!parse("", "FANFARE_COMPRESSION_ENABLED").unwrap().compression.enabled);
    }

    #[test]
    fn what_is_wrong_names_the_profile() {
        for (text, profiles, wanted) in [
            ("", "sesions", "did you mean `sessions`"),
            ("", "./there-is-none.toml", "there-is-none.toml"),
            ("[profile.sessions]\nx = 1", "", "this profile is not on"),
            ("[profile.sessions]\nno_such_thing = 1", "sessions", "no_such_thing"),
            ("profiles = 7", "", "must be a list"),
            (
                "[profile.surgery]\nallowed_origins = [\"*\"]",
                "surgery",
                "allowed_origins (WEBSOCKET_ALLOWED_ORIGINS)",
            ),
        ] {
            let flag = |name: &str| (name == "profiles" && !profiles.is_empty()).then(|| profiles.to_owned());
            let error = Config::parse(text, &flag, &|_| None).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
