//! What a message must have, and of which type.

use std::collections::BTreeMap;

use fanfare_protocol::Refusal;
use serde_json::Value;

use crate::problem::Problem;

/// Rules of one entry.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<Field>);

#[derive(Debug)]
struct Field {
    /// As refusals name it. Tables live as long as the process, and so do their names.
    name: &'static str,
    kind: Kind,
    required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Text,
    Number,
    Integer,
    Bool,
    Object,
    List,
}

const KINDS: [(&str, Kind); 7] = [
    ("any", Kind::Any),
    ("text", Kind::Text),
    ("number", Kind::Number),
    ("integer", Kind::Integer),
    ("bool", Kind::Bool),
    ("object", Kind::Object),
    ("list", Kind::List),
];

impl Fields {
    pub(crate) fn new(rules: &BTreeMap<String, String>, place: &str) -> Result<Self, Problem> {
        let field = |(name, rule): (&String, &String)| {
            let (word, required) = rule.strip_suffix('?').map_or((rule.as_str(), true), |word| (word, false));
            let kind = KINDS.iter().find(|(of, _)| *of == word).map(|(_, kind)| *kind).ok_or_else(|| {
                let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
                let rule = format!("must be one of {}, with ? where it may be missing", words.join(", "));
                Problem::new(&format!("{place}.fields.{name}"), rule)
            })?;
            Ok(Field { name: name.clone().leak(), kind, required })
        };
        Ok(Self(rules.iter().map(field).collect::<Result<_, Problem>>()?))
    }

    /// Checks a message, and names all that is missing at once.
    pub(crate) fn check(&self, message: &Value) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        for field in &self.0 {
            match look_up(message, field.name) {
                None | Some(Value::Null) if field.required => missing.push(field.name),
                None | Some(Value::Null) => {}
                Some(value) if !field.kind.takes(value) => {
                    let text = format!("`{}` must be {}", field.name, field.kind.described());
                    return Err(Refusal::invalid(None, Some(field.name), text));
                }
                Some(_) => {}
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let text = format!("required fields are missing: {}", names.join(", "));
        Err(Refusal::invalid(None, Some(first), text))
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Bool => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Text => "text",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
        }
    }
}

/// `data.rating` of a message.
fn look_up<'m>(message: &'m Value, path: &str) -> Option<&'m Value> {
    path.split('.').try_fold(message, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_or_of_another_type_is_named() {
        let rules = [("id", "text"), ("data.n", "integer"), ("data.note", "text?")];
        let rules = rules.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
        let fields = Fields::new(&rules, "in[0]").unwrap();
        assert_eq!(fields.check(&json!({"id": "a", "data": {"n": 1, "note": null}})), Ok(()));
        let missing = fields.check(&json!({"id": null, "data": {}})).unwrap_err();
        assert_eq!(
            (missing.field, missing.message.as_str()),
            (Some("data.n"), "required fields are missing: `data.n`, `id`")
        );
        let wrong = fields.check(&json!({"id": "a", "data": {"n": 1.5}})).unwrap_err();
        assert_eq!(
            (wrong.field, wrong.message.as_str()),
            (Some("data.n"), "`data.n` must be a whole number")
        );
        let rules = BTreeMap::from([("x".to_owned(), "word".to_owned())]);
        assert_eq!(Fields::new(&rules, "in[0]").unwrap_err().place, "in[0].fields.x");
    }
}
