//! What an operator may set about a profile, and its names in the table.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::endpoint::duration;
use crate::problem::Problem;
use crate::table::Size;

/// One setting as the table declares it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    default: Value,
    env: Option<String>,
    /// What a bare number of the variable means where the default is a duration.
    unit: Option<String>,
    /// The least that it may be: a number, or a duration or a size where the default is one.
    min: Option<Value>,
    /// The most.
    max: Option<Value>,
    /// Whether it is used as a regular expression.
    #[serde(default)]
    pattern: bool,
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
        let Declared { default, env: variable, unit, about, .. } = &of;
        let from_env = variable.as_deref().and_then(|variable| Some((variable, env(variable)?)));
        let (place, found) = match (given.get(&name), from_env) {
            (Some(given), _) => (name.clone(), Some(given.clone())),
            (None, Some((variable, text))) => (variable.to_owned(), Some(Value::String(text))),
            (None, None) => (name.clone(), None),
        };
        let value = match found {
            None => default.clone(),
            Some(found) => like(default, unit.as_deref(), found).unwrap_or_default(),
        };
        if !of.takes(&value) {
            return Err(Problem::new(&place, format!("must be {}", of.described())));
        }
        Ok(Setting { name, env: variable.clone(), about: about.clone(), value })
    };
    declared.into_iter().map(value).collect()
}

impl Declared {
    /// Whether a value is of the type, and within the bounds.
    fn takes(&self, value: &Value) -> bool {
        let is_like = match (&self.default, value) {
            (Value::Number(default), Value::Number(value)) => value.is_i64() || default.is_f64(),
            (default, value) => std::mem::discriminant(default) == std::mem::discriminant(value),
        };
        let bound = |bound: &Option<Value>| bound.as_ref().and_then(|bound| self.measure(bound));
        let within = |size: f64| {
            bound(&self.min).is_none_or(|min| size >= min) && bound(&self.max).is_none_or(|max| size <= max)
        };
        let is_measured = self.default.is_number() || self.is_duration() || self.is_size();
        let compiles = |text: &str| !self.pattern || Regex::new(text).is_ok();
        is_like
            && (!is_measured || self.measure(value).is_some_and(within))
            && value.as_str().is_none_or(compiles)
    }

    fn is_duration(&self) -> bool {
        self.unit.is_some() || self.default.as_str().is_some_and(|text| duration(text).is_some())
    }

    /// Whether it is a text with bounds that says no duration.
    fn is_size(&self) -> bool {
        self.default.is_string() && (self.min.is_some() || self.max.is_some()) && !self.is_duration()
    }

    /// How much a number, a duration (in seconds) or a size (in bytes) is.
    fn measure(&self, value: &Value) -> Option<f64> {
        match value {
            Value::String(text) if self.is_duration() => {
                duration(text).map(|duration| duration.as_secs_f64())
            }
            Value::String(_) => Size::try_from(value.clone()).ok().map(|size| size.0 as f64),
            other => other.as_f64(),
        }
    }

    fn described(&self) -> String {
        let kind = match &self.default {
            Value::Number(default) if default.is_f64() => "a number",
            Value::Number(_) => "a whole number",
            Value::Bool(_) => "true or false",
            Value::Array(_) => "a list",
            _ if self.pattern => "a regular expression",
            _ if self.is_duration() => "a duration, like 500ms, 30s, 5m or 1h",
            _ if self.is_size() => "a size, like 65536 or 64KiB",
            _ => "text",
        };
        let said = |bound: &Value| bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
        match (self.min.as_ref().map(said), self.max.as_ref().map(said)) {
            (None, None) => kind.to_owned(),
            (Some(min), None) => format!("{kind}, {min} at least"),
            (None, Some(max)) => format!("{kind}, {max} at most"),
            (Some(min), Some(max)) => format!("{kind}, {min} to {max}"),
        }
    }
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

/// Puts the values in where the table names them: `"$name"` as a whole, `${name}` within a text.
/// Gives the places of other texts that begin with `$`: names of the engine's messages, or settings that there are none of.
pub(crate) fn put(
    value: &mut Value,
    settings: &[Setting],
    place: &str,
    others: &mut BTreeMap<String, String>,
) -> Result<(), Problem> {
    let find = |name: &str| {
        let found = settings.iter().find(|setting| setting.name == name);
        found.ok_or_else(|| Problem::no_setting(place, name))
    };
    match value {
        Value::String(text) => {
            // Names of the engine's own messages begin with a `$`, too.
            let named = text.strip_prefix('$').and_then(|name| settings.iter().find(|of| of.name == name));
            if let Some(setting) = named {
                *value = setting.value.clone();
            } else {
                others.extend(text.strip_prefix('$').map(|name| (place.to_owned(), name.to_owned())));
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
                put(item, settings, &format!("{place}[{number}]"), others)?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                put(member, settings, &place, others)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a setting of this declaration is with a variable.
    fn set(declared: Value, text: &str) -> Result<Value, String> {
        let declared = serde_json::from_value(json!({ "x": declared })).unwrap();
        let env = |name: &str| (name == "APP_X").then(|| text.to_owned());
        match values(declared, &BTreeMap::new(), &env) {
            Ok(mut settings) => Ok(settings.remove(0).value),
            Err(problem) => {
                assert_eq!(problem.place, "APP_X", "the variable is named");
                Err(problem.message)
            }
        }
    }

    #[test]
    fn what_is_out_of_bounds_or_of_another_type_is_refused_by_the_variables_name() {
        let number = json!({ "default": 60, "env": "APP_X", "min": 1, "max": 100 });
        assert_eq!(set(number.clone(), "100"), Ok(json!(100)));
        for bad in ["0", "-1", "101", "1.5", "many", "nan"] {
            assert_eq!(set(number.clone(), bad), Err("must be a whole number, 1 to 100".to_owned()), "{bad}");
        }
        assert_eq!(set(json!({ "default": 0.8, "env": "APP_X", "max": 1 }), "1"), Ok(json!(1)));
        let time = json!({ "default": "30s", "unit": "ms", "env": "APP_X", "min": "100ms", "max": "24h" });
        assert_eq!(
            (set(time.clone(), "500"), set(time.clone(), "2m")),
            (Ok(json!("500ms")), Ok(json!("2m")))
        );
        for bad in ["0", "-5", "25h", "abc", "1.5", ""] {
            assert!(set(time.clone(), bad).unwrap_err().starts_with("must be a duration"), "{bad}");
        }
        let size = json!({ "default": "64KiB", "env": "APP_X", "min": "1KiB" });
        assert_eq!((set(size.clone(), "2048"), set(size, "1000").is_err()), (Ok(json!("2048")), true));
        assert!(set(json!({ "default": true, "env": "APP_X" }), "maybe").is_err());
    }

    #[test]
    fn a_pattern_must_compile() {
        let pattern = json!({ "default": "^a", "env": "APP_X", "pattern": true });
        assert_eq!((set(pattern.clone(), "b+"), set(pattern.clone(), "")), (Ok(json!("b+")), Ok(json!(""))));
        assert_eq!(set(pattern, "("), Err("must be a regular expression".to_owned()));
    }
}
