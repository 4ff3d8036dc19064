//! What a message must have, and of which type.

use std::collections::BTreeMap;

use fanfare_protocol::Refusal;
use fanfare_protocol::timestamp::parse_rfc3339;
use serde_json::Value;

use crate::lasting::lasting;
use crate::problem::Problem;

/// Rules of one entry.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    rules: Vec<Field>,
    /// Whether there may be no members but these.
    only: bool,
}

#[derive(Debug)]
struct Field {
    /// As refusals name it.
    name: &'static str,
    kind: Kind,
    required: bool,
    range: Range,
    /// The texts that it may be, if it may not be any.
    words: Vec<Box<str>>,
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
    Id,
    Text,
    Date,
    Time,
    Number,
    Integer,
    Bool,
    Object,
    List,
}

const KINDS: [(&str, Kind); 10] = [
    ("any", Kind::Any),
    ("id", Kind::Id),
    ("text", Kind::Text),
    ("date", Kind::Date),
    ("time", Kind::Time),
    ("number", Kind::Number),
    ("integer", Kind::Integer),
    ("bool", Kind::Bool),
    ("object", Kind::Object),
    ("list", Kind::List),
];

impl Fields {
    pub(crate) fn new(rules: &BTreeMap<String, String>, only: bool, place: &str) -> Result<Self, Problem> {
        let field = |(name, rule): (&String, &String)| {
            let bad = || {
                let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
                let rule = format!(
                    "must be one of {}, with ? where it may be missing, and after a space bounds of numbers and lengths, like 1..64 or 0.., or the texts that it may be, like low|high",
                    words.join(", ")
                );
                Problem::new(&format!("{place}.fields.{name}"), rule)
            };
            let (rule, range) =
                rule.split_once(' ').map_or((rule.as_str(), None), |(rule, of)| (rule, Some(of)));
            let (word, required) = rule.strip_suffix('?').map_or((rule, true), |word| (word, false));
            let kind = KINDS.iter().find(|(of, _)| *of == word).map(|(_, kind)| *kind).ok_or_else(bad)?;
            let words = range.filter(|of| kind == Kind::Text && of.contains('|'));
            let range = range.filter(|_| words.is_none());
            let range = range.map_or(Some(Range::default()), |of| Range::parse(of, kind)).ok_or_else(bad)?;
            let words = words.into_iter().flat_map(|of| of.split('|')).map(Into::into).collect();
            Ok(Field { name: lasting(name), kind, required, range, words })
        };
        Ok(Self { rules: rules.iter().map(field).collect::<Result<_, Problem>>()?, only })
    }

    /// Checks a message, and names all that is missing at once.
    pub(crate) fn check(&self, message: &Value) -> Result<(), Refusal> {
        self.check_members(message)?;
        let mut missing = Vec::new();
        for field in &self.rules {
            let mut is_missing = false;
            for value in look_up(message, field.name) {
                match value {
                    None | Some(Value::Null) => is_missing = true,
                    Some(value) if !field.takes(value) => {
                        let text = format!("`{}` must be {}", field.name, field.described());
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

    /// With `only`: no object that has rules for its members has others. `type` may always be there.
    fn check_members(&self, message: &Value) -> Result<(), Refusal> {
        if !self.only {
            return Ok(());
        }
        let mut within: Vec<&'static str> = self.rules.iter().map(Field::within).collect();
        within.push("");
        within.sort_unstable();
        within.dedup();
        for place in within {
            let objects = if place.is_empty() { vec![Some(message)] } else { look_up(message, place) };
            let members = objects.into_iter().flatten().filter_map(Value::as_object).flatten();
            let mut known: Vec<&str> = self.rules.iter().filter_map(|field| field.member_of(place)).collect();
            known.dedup();
            for (name, _) in members {
                if !(known.contains(&&**name) || place.is_empty() && name == "type") {
                    let of = if place.is_empty() { String::new() } else { format!(" of `{place}`") };
                    let text =
                        format!("the members{of} may be `{}`, and there is another", known.join("`, `"));
                    return Err(Refusal::invalid(None, Some(place).filter(|place| !place.is_empty()), text));
                }
            }
        }
        Ok(())
    }
}

impl Field {
    fn takes(&self, value: &Value) -> bool {
        let is_word = |value: &str| self.words.is_empty() || self.words.iter().any(|word| **word == *value);
        self.kind.takes(value) && self.range.takes(value) && value.as_str().is_none_or(is_word)
    }

    fn described(&self) -> String {
        if self.words.is_empty() {
            return format!("{}{}", self.kind.described(), self.range.described(self.kind));
        }
        format!("one of {}", self.words.join(", "))
    }

    /// The object that it is a member of: `data` of `data.rating`, `list[]` of `list[].score`.
    fn within(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(within, _)| within)
    }

    /// Its name in this object, or that of the member that it is somewhere within.
    fn member_of(&self, place: &str) -> Option<&'static str> {
        let rest =
            if place.is_empty() { self.name } else { self.name.strip_prefix(place)?.strip_prefix('.')? };
        rest.split('.').next().map(|name| name.trim_end_matches("[]"))
    }
}

impl Range {
    /// `1..64`, `0..` or `..100`, of what has a size.
    fn parse(text: &str, kind: Kind) -> Option<Self> {
        let is_length = matches!(kind, Kind::Text | Kind::List | Kind::Object);
        if !is_length && !matches!(kind, Kind::Number | Kind::Integer) {
            return None;
        }
        let (min, max) = text.split_once("..")?;
        let bound = |text: &str| {
            if text.is_empty() {
                Some(None)
            } else {
                text.parse().ok().filter(|bound: &f64| bound.is_finite()).map(Some)
            }
        };
        let Self { min, max } = Self { min: bound(min)?, max: bound(max)? };
        let is_some = min.or(max).is_some_and(|bound: f64| !is_length || bound >= 0.0);
        let is_ordered = min.is_none_or(|min| max.is_none_or(|max| min <= max));
        (is_some && is_ordered).then_some(Self { min, max })
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
            Self::Id => value.as_str().map_or_else(|| Self::Integer.takes(value), |text| !text.is_empty()),
            Self::Text => value.is_string(),
            Self::Date => value.as_str().is_some_and(|text| is_date(text) || utc(text).is_some()),
            Self::Time => value.as_str().is_some_and(|text| utc(text).is_some()),
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
            Self::Id => "text that is not empty, or a whole number",
            Self::Text => "text",
            Self::Date => "a date like 2026-11-20, or a time",
            Self::Time => "a time like 2026-11-20T10:30:00Z",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Bool => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
        }
    }
}

/// The milliseconds since 1970 of a time; without a zone it is UTC.
pub(crate) fn utc(time: &str) -> Option<u64> {
    parse_rfc3339(time).or_else(|| parse_rfc3339(&format!("{time}Z")))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && utc(&format!("{text}T00:00:00")).is_some()
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
        let fields = Fields::new(&rules, false, "in[0]").unwrap();
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
        for bad in [
            "word",
            "text 1",
            "text a..b",
            "text ?",
            "text1..",
            "",
            "number 90..-90",
            "text 64..1",
            "text -5..",
            "bool 0..1",
            "date 1..",
            "text ..",
            "number nan..",
        ] {
            let rules = BTreeMap::from([("x".to_owned(), bad.to_owned())]);
            assert_eq!(Fields::new(&rules, false, "in[0]").unwrap_err().place, "in[0].fields.x", "{bad}");
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
        let fields = Fields::new(&rules, false, "in[0]").unwrap();
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

    #[test]
    fn ids_times_and_words_are_what_they_are() {
        let rules =
            [("who", "id?"), ("all[]", "id"), ("on", "date?"), ("at", "time?"), ("how", "text? low|high")];
        let rules = rules.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
        let fields = Fields::new(&rules, false, "in[0]").unwrap();
        for good in [
            json!({"who": "a", "all": [1, "b", -3], "on": "2026-11-20", "at": "2026-11-20T10:30:00.5"}),
            json!({"who": 7, "all": [], "on": "2026-11-20T10:30:00", "at": "2026-11-20T10:30:00+02:00", "how": "low"}),
        ] {
            assert_eq!(fields.check(&good), Ok(()));
        }
        for (bad, field) in [
            (json!({"who": true}), "who"),
            (json!({"who": 1.5}), "who"),
            (json!({"who": ""}), "who"),
            (json!({"all": [1, true]}), "all[]"),
            (json!({"on": "tomorrow"}), "on"),
            (json!({"on": "2026-02-30"}), "on"),
            (json!({"at": "2026-11-20"}), "at"),
            (json!({"how": "Low"}), "how"),
        ] {
            assert_eq!(fields.check(&bad).unwrap_err().field, Some(field), "{bad}");
        }
    }

    #[test]
    fn only_what_is_listed_may_be_there() {
        let rules = [("data.n", "number"), ("data.list[].id", "id"), ("to", "list?"), ("free", "object?")];
        let rules: BTreeMap<_, _> =
            rules.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
        let fields = Fields::new(&rules, true, "in[0]").unwrap();
        let good = json!({"type": "x", "data": {"n": 1, "list": [{"id": 1}]}, "to": [], "free": {"a": 1}});
        assert_eq!(fields.check(&good), Ok(()));
        for (bad, field) in [
            (json!({"data": {"n": 1}, "users": [2]}), None),
            (json!({"data": {"n": 1, "to": [2]}}), Some("data")),
            (json!({"data": {"n": 1, "list": [{"id": 1, "no": 2}]}}), Some("data.list[]")),
        ] {
            let refusal = fields.check(&bad).unwrap_err();
            assert_eq!(refusal.field, field, "{bad}");
            assert!(!refusal.message.contains("users"), "what was sent is not repeated");
        }
    }
}
