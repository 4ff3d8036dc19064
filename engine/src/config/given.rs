//! What was given for each setting, so that two configurations can be compared setting by setting.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::file::Value;

/// What was given, by the setting's full name: `limits.burst`, `room_type.chat.join`. What was not given has its default and is not
/// here. Secrets are known by their hash alone, and so is what is in the files that settings name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(BTreeMap<String, Shown>);

#[derive(Clone, PartialEq, Eq)]
enum Shown {
    Plain(String),
    Secret([u8; 32]),
}

/// One setting that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its full name.
    pub setting: String,
    /// What was given for it; nothing: its default. Of a secret only that there is one.
    pub old: Option<String>,
    /// What is given now.
    pub new: Option<String>,
    /// Whether it takes effect without a restart.
    pub at_once: bool,
}

/// Ends of names of settings that nobody is shown. An address to call may hold a key in its path or query.
const SECRETS: [&str; 5] = ["secret", "password", "token", "sha256", "url"];

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Given {
    /// Notes a value.
    pub(super) fn note(&mut self, name: String, value: &Value) {
        let is_secret = SECRETS.iter().any(|end| name.ends_with(end));
        let text = text(value);
        self.0.insert(name, if is_secret { secret(text.as_bytes()) } else { Shown::Plain(text) });
    }

    /// Notes what is in a file that a setting names.
    pub(super) fn note_content(&mut self, name: &str, content: &[u8]) {
        self.0.insert(format!("{name} (content)"), secret(content));
    }

    /// What is different in another one; `at_once` tells which settings need no restart.
    pub(super) fn changes(&self, new: &Self, at_once: impl Fn(&str) -> bool) -> Vec<Change> {
        let mut names: Vec<&String> = self.0.keys().chain(new.0.keys()).collect();
        names.sort();
        names.dedup();
        let differ = names.into_iter().filter(|name| self.0.get(*name) != new.0.get(*name));
        let change = |name: &String| {
            let (old, is_new) = (self.0.get(name).map(Shown::text), new.0.get(name));
            let new = match is_new {
                Some(Shown::Secret(_)) if old.is_some() => Some("(another secret)".to_owned()),
                other => other.map(Shown::text),
            };
            Change { setting: name.clone(), old, new, at_once: at_once(name) }
        };
        differ.map(change).collect()
    }

    /// These, with those of another one where `takes` says so.
    pub(super) fn with(&self, new: &Self, takes: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !takes(name));
        let taken = new.0.iter().filter(|(name, _)| takes(name));
        Self(kept.chain(taken).map(|(name, shown)| (name.clone(), shown.clone())).collect())
    }
}

impl Shown {
    fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Secret(_) => "(secret)".to_owned(),
        }
    }
}

fn secret(bytes: &[u8]) -> Shown {
    Shown::Secret(Sha256::digest(bytes).into())
}

fn text(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(_) | Value::Other => "…".to_owned(),
    }
}
