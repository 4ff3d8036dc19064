//! What an operator may set about a profile, and its names in the table.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::problem::Problem;

/// One setting as the table declares it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    default: Value,
    env: Option<String>,
    /// What a bare number of the variable means where the default is a duration.
    unit: Option<String>,
    #[serde(default)]
    about: String,
}

/// One setting with what it is now.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// The application's own variable for it.
    pub env: Option<String>,
    /// What it is, in a few words.
    pub about: String,
    /// What it is now.
    pub value: Value,
}

/// Finds the value of each: given, else of the environment, else the default.
pub(crate) fn values(
    declared: BTreeMap<String, Declared>,
    given: &BTreeMap<String, Value>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Setting>, Problem> {
    if let Some(unknown) = given.keys().find(|name| !declared.contains_key(*name)) {
        let known: Vec<&str> = declared.keys().map(String::as_str).collect();
        return Err(Problem::new(
            unknown,
            format!("there is no such setting; there are {}", known.join(", ")),
        ));
    }
    let value = |(name, of): (String, Declared)| {
        let Declared { default, env: variable, unit, about } = of;
        let from_env = variable.as_deref().and_then(|variable| Some((variable, env(variable)?)));
        let (place, found) = match (given.get(&name), from_env) {
            (Some(given), _) => (name.clone(), Some(given.clone())),
            (None, Some((variable, text))) => (variable.to_owned(), Some(Value::String(text))),
            (None, None) => (name.clone(), None),
        };
        let value = match found {
            None => default,
            Some(found) => like(&default, unit.as_deref(), found)
                .ok_or_else(|| Problem::new(&place, format!("must be {}", kind(&default))))?,
        };
        Ok(Setting { name, env: variable, about, value })
    };
    declared.into_iter().map(value).collect()
}

/// A given value in the type of the default.
fn like(default: &Value, unit: Option<&str>, given: Value) -> Option<Value> {
    match (default, given) {
        (Value::Number(_), Value::String(text)) => {
            let text = text.trim();
            let whole = text.parse::<i64>().ok().map(Value::from);
            whole.or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from))
        }
        (Value::Bool(_), Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true.into()),
            "false" | "0" | "no" => Some(false.into()),
            _ => None,
        },
        (Value::Array(_), Value::String(text)) => Some(list(&text)),
        (Value::String(_), Value::Number(number)) => Some(format!("{number}{}", unit.unwrap_or("")).into()),
        (Value::String(_), Value::String(text)) => {
            let bare = unit.filter(|_| text.trim().parse::<f64>().is_ok());
            Some(bare.map_or_else(|| text.clone(), |unit| format!("{}{unit}", text.trim())).into())
        }
        (Value::Number(_), given @ Value::Number(_))
        | (Value::Bool(_), given @ Value::Bool(_))
        | (Value::Array(_), given @ Value::Array(_)) => Some(given),
        _ => None,
    }
}

/// A list in a variable: JSON, or texts between commas.
fn list(text: &str) -> Value {
    if let Ok(list @ Value::Array(_)) = serde_json::from_str(text) {
        return list;
    }
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn kind(default: &Value) -> &'static str {
    match default {
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        _ => "text",
    }
}

/// Puts the values in where the table names them: `"$name"` as a whole, `${name}` within a text.
pub(crate) fn put(value: &mut Value, settings: &[Setting], place: &str) -> Result<(), Problem> {
    let find = |name: &str| {
        let found = settings.iter().find(|setting| setting.name == name);
        found.ok_or_else(|| Problem::new(place, format!("there is no setting `{name}`")))
    };
    match value {
        Value::String(text) => {
            // Names of the engine's own messages begin with a `$`, too.
            let named = text.strip_prefix('$').and_then(|name| settings.iter().find(|of| of.name == name));
            if let Some(setting) = named {
                *value = setting.value.clone();
            } else {
                while let Some((before, rest)) = text.split_once("${") {
                    let Some((name, after)) = rest.split_once('}') else { break };
                    let found = &find(name)?.value;
                    let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                    *text = format!("{before}{found}{after}");
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                put(item, settings, &format!("{place}[{number}]"))?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                put(member, settings, &place)?;
            }
        }
        _ => {}
    }
    Ok(())
}
