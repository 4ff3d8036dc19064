//! The file as a tree of settings with the lines they are on.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::problem::{Problem, StartError};

/// Where a setting's value may come from.
pub(super) struct Input<'i> {
    pub(super) table: Table,
    pub(super) flag: &'i dyn Fn(&str) -> Option<String>,
    pub(super) env: &'i dyn Fn(&str) -> Option<String>,
}

impl Input<'_> {
    /// What is said of a setting over the file: by which flag or variable, and the text.
    pub(super) fn over_file(&self, full: &str) -> Option<(String, String)> {
        if let Some(text) = (self.flag)(full) {
            return Some((format!("--{}", full.replace(['.', '_'], "-")), text));
        }
        let variable = format!("FANFARE_{}", full.replace('.', "_").to_uppercase());
        let text = (self.env)(&variable)?;
        Some((variable, text))
    }
}

/// A value of the file.
#[derive(Debug)]
pub(super) enum Value {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Table(Table),
    /// A float or a date: nothing takes one.
    Other,
}

/// Who has set something.
#[derive(Clone, Debug, Default)]
pub(super) enum Origin {
    /// The file does not say it.
    #[default]
    Nowhere,
    /// A line of the file, counted from 1.
    Line(usize),
    /// A profile, by the name or the file that was asked for.
    Profile(Arc<str>),
}

/// A table of the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Where it begins.
    pub(super) origin: Origin,
    pub(super) entries: Vec<Entry>,
}

impl Table {
    /// What tells it from others of its list: its name or id, else its number.
    pub(super) fn name_or(&self, number: usize) -> String {
        let named = |entry: &&Entry| matches!(entry.key.as_str(), "name" | "id");
        match self.entries.iter().find(named).map(|entry| &entry.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => number.to_string(),
        }
    }
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// Reads the text.
///
/// # Errors
/// It is not TOML.
pub(super) fn parse<'i>(
    text: &str,
    flag: &'i dyn Fn(&str) -> Option<String>,
    env: &'i dyn Fn(&str) -> Option<String>,
) -> Result<Input<'i>, StartError> {
    let lines = Lines::of(text);
    let parsed = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        let message = format!("this is not TOML: {}", error.message());
        StartError { problems: vec![Problem { place: format!("line {line}"), message }] }
    })?;
    Ok(Input { table: table(parsed.get_ref(), 1, &lines), flag, env })
}

fn table(parsed: &DeTable<'_>, line: usize, lines: &Lines) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let line = lines.number(key.span().start);
        let (key, origin) = (std::borrow::Cow::to_string(key.get_ref()), Origin::Line(line));
        (line, Entry { key, origin, value: convert(value, lines) })
    };
    let mut entries: Vec<(usize, Entry)> = parsed.iter().map(entry).collect();
    entries.sort_by_key(|(line, _)| *line);
    Table { origin: Origin::Line(line), entries: entries.into_iter().map(|(_, entry)| entry).collect() }
}

fn convert(parsed: &toml::Spanned<DeValue<'_>>, lines: &Lines) -> Value {
    match parsed.get_ref() {
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Number)
        }
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| convert(item, lines)).collect()),
        DeValue::Table(inner) => Value::Table(table(inner, lines.number(parsed.span().start), lines)),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
    }
}

/// Where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(at, _)| at).collect())
    }

    fn number(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}
