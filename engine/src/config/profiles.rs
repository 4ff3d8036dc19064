//! Which profiles are on, what is set about them, and what they want the engine to be set to.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_core::service;
use fanfare_profile::{BUILT_IN, Profile, Profiles, Setting};
use serde_json::Value as Json;

use super::file::{Entry, Input, Origin, Table, Value};
use super::given::Given;
use super::problem::StartError;
use super::security::is_origin;
use super::wants;

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
            given.note(format!("profile.{called}.{setting}"), &wants::plain(value));
        }
        let profile = Profile::parse(text, &own, input.env)
            .map_err(|problem| StartError::of(&format!("profile {name}"), problem.to_string()))?;
        if let Some(message) = wrong_origin(&profile).or_else(|| wrong_call(&profile)) {
            return Err(StartError::of(&format!("profile {name}"), message));
        }
        profiles.push(profile);
    }
    wants::put_under(input, texts.iter().map(|(name, _)| &**name).zip(&profiles))?;
    let profiles =
        Profiles::new(profiles).map_err(|problem| StartError::of("profiles", problem.to_string()))?;
    Ok(Arc::new(profiles))
}

/// What is said of an origin that is none, by the setting that names it.
fn wrong_origin(profile: &Profile) -> Option<String> {
    let own = profile.origins.iter().map(|origin| ("origins", origin));
    let of_cors = profile.cors.iter().flat_map(|cors| &cors.origins).map(|origin| ("cors.origins", origin));
    let (place, wrong) = own.chain(of_cors).find(|(_, origin)| !is_origin(origin))?;
    let is_its = |of: &&Setting| of.value.as_array().is_some_and(|list| list.iter().any(|one| one == wrong));
    let place = match profile.settings.iter().find(is_its) {
        Some(Setting { name, env: Some(variable), .. }) => format!("{name} ({variable})"),
        Some(Setting { name, .. }) => name.clone(),
        None => place.to_owned(),
    };
    Some(format!("{place}: `{wrong}` must be scheme://host or scheme://host:port, without a path"))
}

/// What is said of a command that no service has.
fn wrong_call(profile: &Profile) -> Option<String> {
    let (place, name) = profile.calls.iter().find(|(_, name)| service::find(name).is_none())?;
    Some(format!("{place}: there is no command `{name}`"))
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
    for Entry { key, value, origin } in table.entries {
        let line = if let Origin::Line(line) = origin { format!(" (line {line})") } else { String::new() };
        let place = format!("profile.{key}{line}");
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
    fn what_a_profile_wants_is_refused_by_the_profile_and_the_entry() {
        let folder = std::env::temp_dir().join(format!("fanfare-wants-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("own.toml");
        for (text, place, wanted) in [
            (
                "[[engine.room_type]]\nname = \"desk\"\nmax_deliver = 0",
                "engine.room_type.desk.max_deliver",
                "must be a whole number from 1 to 100",
            ),
            ("[engine.heartbeat]\nidle = \"0s\"", "engine.heartbeat.idle", "must be a duration"),
            ("[engine.limits]\nburst = \"$burts\"", "engine.limits.burst", "there is no setting `burts`"),
            ("[engine.limit]\nx = 1", "engine.limit", "unknown key"),
            ("[cors]\norigins = [\"example.com\"]", "cors.origins", "`example.com` must be scheme://host"),
            (
                "[[in]]\ntype = \"x\"\ndo = [{ type = \"chat.snd\" }]",
                "in[0].do[0]",
                "there is no command `chat.snd`",
            ),
        ] {
            std::fs::write(&file, format!("name = \"own\"\n{text}\n")).unwrap();
            let told = config("", file.to_str().unwrap()).unwrap_err();
            let wanted = format!("profile {}: {place}: {wanted}", file.display());
            assert!(told.contains(&wanted), "{told}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_wrong_with_a_variable_is_told_by_its_name() {
        for (profile, variable, bad) in [
            ("health", "HEALTH_WS_RETRY_ATTEMPTS", "0"),
            ("health", "HEALTH_WS_RETRY_ATTEMPTS", "101"),
            ("health", "HEALTH_WS_RETRY_WAIT", "0"),
            ("health", "HEALTH_WS_IDLE_TIMEOUT", "0"),
            ("health", "HEALTH_WS_HEARTBEAT_INTERVAL", "0"),
            ("health", "HEALTH_WS_RECOVERY_WINDOW", "2d"),
            ("documents", "WS_CONFIRM_ATTEMPTS", "0"),
            ("documents", "WS_CONFIRM_WAIT", "0"),
            ("documents", "WS_HISTORY_SIZE", "-5"),
            ("documents", "WS_HISTORY_TTL", "0"),
            ("documents", "WS_QUEUE_SIZE", "1000000"),
            ("documents", "WS_QUEUE_TTL", "31d"),
        ] {
            let env = |name: &str| (name == variable).then(|| bad.to_owned());
            let flag = |name: &str| (name == "profiles").then(|| profile.to_owned());
            let told = Config::parse("", &flag, &env).map(|_| ()).unwrap_err().to_string();
            assert!(told.contains(&format!("profile {profile}: {variable}: must be")), "{told}");
        }
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
