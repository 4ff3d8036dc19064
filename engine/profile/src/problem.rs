//! What is wrong with a table.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place in the table: `endpoint[0].token.query`.
    pub place: String,
    /// The rule that is broken.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(place: &str, message: impl Into<String>) -> Self {
        Self { place: place.to_owned(), message: message.into() }
    }

    pub(crate) fn no_setting(place: &str, name: &str) -> Self {
        Self::new(place, format!("there is no setting `{name}`"))
    }
}

/// What is wrong with a value's type, without the words of the language that reads it.
pub(crate) fn in_words(message: &str) -> String {
    let Some((_, expected)) =
        message.strip_prefix("invalid ").and_then(|rest| rest.split_once(", expected "))
    else {
        return message.to_owned();
    };
    let expected = match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number that is not negative, and not too large",
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        expected if expected == "a map" || expected.starts_with("struct ") => "a table",
        other => other,
    };
    format!("must be {expected}")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.place, self.message)
        }
    }
}

impl std::error::Error for Problem {}
