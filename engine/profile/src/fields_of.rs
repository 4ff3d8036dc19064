//! The engine's names of fields, and what they were called by who sent them: errors name what was sent.

use std::collections::BTreeMap;

use serde_json::Value;

/// `fields_of` of an entry.
#[derive(Debug)]
pub(crate) struct FieldsOf(BTreeMap<String, String>);

impl FieldsOf {
    pub(crate) fn new(of: &BTreeMap<String, String>) -> Self {
        Self(of.clone())
    }

    /// An `error` of the engine, with fields as they were called by who sent the message. What is named so may be the engine's name of
    /// another field, so this is done once.
    pub(crate) fn tell_as_sent(&self, error: &mut Value) {
        if let Some(text) = error["message"].as_str().map(|text| self.text_of(text)) {
            error["message"] = text.into();
        }
        if let Some(name) = error["details"]["field"].as_str().and_then(|field| self.name_of(field)) {
            error["details"]["field"] = name.into();
        }
    }

    /// What a field was called, or a member of one: `data.metrics.hr` for `values.hr`.
    fn name_of(&self, field: &str) -> Option<String> {
        let (of, rest) = field.split_at(field.find(['.', '[']).unwrap_or(field.len()));
        let whole = self.0.get(field).cloned();
        whole.or_else(|| self.0.get(of).map(|name| format!("{name}{rest}")))
    }

    fn text_of(&self, text: &str) -> String {
        let named = |(number, part): (usize, &str)| match self.name_of(part).filter(|_| number % 2 == 1) {
            Some(name) => name,
            None => part.to_owned(),
        };
        text.split('`').enumerate().map(named).collect::<Vec<_>>().join("`")
    }
}
