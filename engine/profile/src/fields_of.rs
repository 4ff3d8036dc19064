//! The engine's names of fields, and what they were called by who sent them: errors name what was sent.

use std::collections::BTreeMap;

use fanfare_protocol::Refusal;
use serde_json::Value;

use crate::lasting::lasting;

/// `fields_of` of an entry.
#[derive(Debug)]
pub(crate) struct FieldsOf(Vec<(Box<str>, &'static str)>);

impl FieldsOf {
    pub(crate) fn new(of: &BTreeMap<String, String>) -> Self {
        Self(of.iter().map(|(name, sent)| (name.as_str().into(), lasting(sent))).collect())
    }

    /// A refusal by the engine, with fields as they were called by who sent the message.
    pub(crate) fn as_sent(&self, refusal: Refusal) -> Refusal {
        let field = refusal.field.map(|field| self.name_of(field).unwrap_or(field));
        Refusal { field, message: self.text_of(&refusal.message), ..refusal }
    }

    /// The same of an `error`.
    pub(crate) fn tell_as_sent(&self, error: &mut Value) {
        if let Some(text) = error["message"].as_str().map(|text| self.text_of(text)) {
            error["message"] = text.into();
        }
        if let Some(name) = error["details"]["field"].as_str().and_then(|field| self.name_of(field)) {
            error["details"]["field"] = name.into();
        }
    }

    fn name_of(&self, field: &str) -> Option<&'static str> {
        self.0.iter().find(|(of, _)| **of == *field).map(|(_, name)| *name)
    }

    fn text_of(&self, text: &str) -> String {
        let named = |text: String, (of, name): &(Box<str>, &str)| {
            text.replace(&format!("`{of}`"), &format!("`{name}`"))
        };
        self.0.iter().fold(text.to_owned(), named)
    }
}
