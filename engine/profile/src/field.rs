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
    range: Range,
}

/// Bounds of a number, of a text's characters, of a list's items, or of an object's bytes in JSON; both belong to it.
#[derive(Clone, Copy, Debug, Default)]
struct Range {
    min: Option<f64>,
    max: Option<f64>,
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
            let bad = || {
                let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
                let rule = format!(
                    "must be one of {}, with ? where it may be missing, and bounds of numbers and lengths after a space, like 1..64 or 0..",
                    words.join(", ")
                );
                Problem::new(&format!("{place}.fields.{name}"), rule)
            };
            let (rule, range) =
                rule.split_once(' ').map_or((rule.as_str(), None), |(rule, of)| (rule, Some(of)));
            let (word, required) = rule.strip_suffix('?').map_or((rule, true), |word| (word, false));
            let kind = KINDS.iter().find(|(of, _)| *of == word).map(|(_, kind)| *kind).ok_or_else(bad)?;
            let range = range.map_or(Some(Range::default()), Range::parse).ok_or_else(bad)?;
            Ok(Field { name: name.clone().leak(), kind, required, range })
        };
        Ok(Self(rules.iter().map(field).collect::<Result<_, Problem>>()?))
    }

    /// Checks a message, and names all that is missing at once.
    pub(crate) fn check(&self, message: &Value) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        for field in &self.0 {
            let mut is_missing = false;
            for value in look_up(message, field.name) {
                match value {
                    None | Some(Value::Null) => is_missing = true,
                    Some(value) if !field.kind.takes(value) || !field.range.takes(value) => {
                        let (kind, range) = (field.kind.described(), field.range.described(field.kind));
                        let text = format!("`{}` must be {kind}{range}", field.name);
                        return Err(Refusal::invalid(None, Some(field.name), text));
                    }
                    Some(_) => {}
                }
            }
            if is_missing && field.required {
                missing.push(field.name);
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let text = format!("required fields are missing: {}", names.join(", "));
        Err(Refusal::invalid(None, Some(first), text))
    }
}

impl Range {
    /// `1..64`, `0..` or `..100`.
    fn parse(text: &str) -> Option<Self> {
        let (min, max) = text.split_once("..")?;
        let bound = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
        Some(Self { min: bound(min)?, max: bound(max)? })
    }

    fn takes(self, value: &Value) -> bool {
        let size = match value {
            Value::Number(number) => number.as_f64(),
            // Characters need be counted only where there is a bound of them.
            Value::String(text) if self.min.is_some() || self.max.is_some() => {
                Some(text.chars().count() as f64)
            }
            Value::Array(items) => Some(items.len() as f64),
            Value::Object(_) if self.min.is_some() || self.max.is_some() => {
                Some(value.to_string().len() as f64)
            }
            _ => None,
        };
        let within = |size| self.min.is_none_or(|min| size >= min) && self.max.is_none_or(|max| size <= max);
        size.is_none_or(within)
    }

    fn described(self, kind: Kind) -> String {
        let of = match kind {
            Kind::Text => " characters",
            Kind::List => " items",
            Kind::Object => " bytes of JSON",
            _ => "",
        };
        match (self.min, self.max) {
            (None, None) => String::new(),
            (Some(min), None) => format!(" of {min} or more{of}"),
            (None, Some(max)) => format!(" of {max}{of} at most"),
            (Some(min), Some(max)) => format!(" of {min} to {max}{of}"),
        }
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

/// `data.rating` of a message; `data.scores[].value` is there once for each item.
fn look_up<'m>(message: &'m Value, path: &str) -> Vec<Option<&'m Value>> {
    let mut found = vec![Some(message)];
    for name in path.split('.') {
        let (name, of_items) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
        found = found.into_iter().map(|value| value.and_then(|value| value.get(name))).collect();
        if of_items {
            let lists = found.into_iter().flatten().filter_map(Value::as_array);
            found = lists.flatten().map(Some).collect();
        }
    }
    found
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
        for bad in ["word", "text 1", "text a..b", "text ?", "text1..", ""] {
            let rules = BTreeMap::from([("x".to_owned(), bad.to_owned())]);
            assert_eq!(Fields::new(&rules, "in[0]").unwrap_err().place, "in[0].fields.x", "{bad}");
        }
    }

    #[test]
    fn numbers_and_lengths_have_bounds_and_each_item_of_a_list_is_checked() {
        let rules = [
            ("id", "text 1..3"),
            ("note", "text? 1.."),
            ("n", "number? 0..1"),
            ("list", "list? 1..2"),
            ("list[].score", "number 0..1"),
            ("more", "object? ..9"),
        ];
        let rules = rules.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
        let fields = Fields::new(&rules, "in[0]").unwrap();
        let good = json!({"id": "äöü", "n": 1, "list": [{"score": 0}, {"score": 0.5}]});
        assert_eq!((fields.check(&good), fields.check(&json!({"id": "a", "n": null}))), (Ok(()), Ok(())));
        for (bad, field, words) in [
            (json!({"id": ""}), "id", "`id` must be text of 1 to 3 characters"),
            (json!({"id": "abcd"}), "id", "`id` must be text of 1 to 3 characters"),
            (json!({"id": "a", "note": ""}), "note", "`note` must be text of 1 or more characters"),
            (json!({"id": "a", "n": -0.1}), "n", "`n` must be a number of 0 to 1"),
            (
                json!({"id": "a", "more": {"a": 1234}}),
                "more",
                "`more` must be an object of 9 bytes of JSON at most",
            ),
            (json!({"id": "a", "list": []}), "list", "`list` must be a list of 1 to 2 items"),
            (
                json!({"id": "a", "list": [{"score": 1}, {"score": 2}]}),
                "list[].score",
                "`list[].score` must be a number of 0 to 1",
            ),
            (
                json!({"id": "a", "list": [{"score": 1}, "x"]}),
                "list[].score",
                "required fields are missing: `list[].score`",
            ),
        ] {
            let refusal = fields.check(&bad).unwrap_err();
            assert_eq!((refusal.field, refusal.message.as_str()), (Some(field), words), "{bad}");
        }
    }
}
