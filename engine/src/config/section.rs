//! Reading the settings of one table: each accessor declares one setting, and what no accessor asked for is
//! unknown.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::file::{Entry, Input, Origin, Table, Value};
use super::problem::Problems;
use super::unit;

/// One table that is being read.
pub(super) struct Section<'s> {
    /// `limits`, `auth.key`; empty for the top.
    path: String,
    /// The same with what tells entries of a list apart: `room_type.chat`, `auth.key.2`.
    label: String,
    origin: Origin,
    entries: Vec<Entry>,
    known: Vec<&'static str>,
    /// Where flags and the environment are asked; entries of lists have none.
    overrides: Option<&'s Input<'s>>,
    problems: &'s Problems,
}

/// A value and where it was given.
struct Given {
    place: String,
    value: Value,
    is_of_profile: bool,
}

impl<'s> Section<'s> {
    pub(super) fn new(
        path: &str,
        table: Table,
        overrides: Option<&'s Input<'s>>,
        problems: &'s Problems,
    ) -> Self {
        Self {
            path: path.to_owned(),
            label: path.to_owned(),
            origin: table.origin,
            entries: table.entries,
            known: Vec::new(),
            overrides,
            problems,
        }
    }

    /// Whether the file says nothing here.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The table under `key`, empty if it is not there.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let table = match self.take(key) {
            Some(Entry { value: Value::Table(table), .. }) => table,
            Some(entry) => {
                self.problems.add(self.place(key, &entry.origin), format!("must be a table: write [{key}]"));
                Table::default()
            }
            None => Table::default(),
        };
        let label = joined(&self.label, key);
        Section { label, ..Section::new(&self.full(key), table, self.overrides, self.problems) }
    }

    /// The tables under `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        let full = self.full(key);
        let Some(Entry { value, origin, .. }) = self.take(key) else { return Vec::new() };
        let Value::List(items) = value else {
            self.problems
                .add(self.place(key, &origin), format!("must be a list of tables: write [[{full}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (number, item) in (1..).zip(items) {
            match item {
                Value::Table(table) => {
                    let label = joined(&joined(&self.label, key), &table.name_or(number));
                    sections.push(Section { label, ..Section::new(&full, table, None, self.problems) });
                }
                _ => self
                    .problems
                    .add(self.place(key, &origin), format!("must be a list of tables: write [[{full}]]")),
            }
        }
        sections
    }

    /// A whole number within bounds.
    pub(super) fn number<T: TryFrom<u64> + Copy>(
        &mut self,
        key: &'static str,
        default: T,
        bounds: RangeInclusive<u64>,
    ) -> T {
        self.read(
            key,
            default,
            &format!("must be a whole number from {} to {}", bounds.start(), bounds.end()),
            |value| {
                let number = match value {
                    Value::Number(number) => u64::try_from(number).ok()?,
                    Value::Text(text) => text.trim().parse().ok()?,
                    _ => return None,
                };
                bounds.contains(&number).then_some(number).and_then(|number| T::try_from(number).ok())
            },
        )
    }

    /// Bytes within bounds.
    pub(super) fn size(&mut self, key: &'static str, default: usize, bounds: RangeInclusive<u64>) -> usize {
        let rule = format!(
            "must be a size from {} to {} bytes, like 65536 or \"64KiB\"",
            bounds.start(),
            bounds.end()
        );
        self.read(key, default, &rule, |value| {
            let bytes = match value {
                Value::Number(bytes) => u64::try_from(bytes).ok()?,
                Value::Text(text) => unit::size(&text)?,
                _ => return None,
            };
            bounds.contains(&bytes).then_some(bytes as usize)
        })
    }

    /// A duration within bounds, in milliseconds.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        bounds_ms: RangeInclusive<u64>,
    ) -> Duration {
        let (min, max) = (Duration::from_millis(*bounds_ms.start()), Duration::from_millis(*bounds_ms.end()));
        let rule =
            format!("must be a duration from {min:?} to {max:?}, like \"250ms\", \"30s\", \"5m\" or \"1h\"");
        self.read(key, default, &rule, |value| match value {
            Value::Text(text) => unit::duration(&text).filter(|duration| (min..=max).contains(duration)),
            _ => None,
        })
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.read(key, default, "must be true or false", |value| match value {
            Value::Flag(flag) => Some(flag),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// True or false (the first: false, which is what is usual), or one of a few words.
    pub(super) fn flag_or<T: Copy>(
        &mut self,
        key: &'static str,
        [no, yes]: [T; 2],
        choices: &[(&str, T)],
    ) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let of = |flag| if flag { yes } else { no };
        self.read(key, no, &format!("must be true, false or {}", words.join(", ")), |value| match value {
            Value::Flag(flag) => Some(of(flag)),
            Value::Text(text) => {
                let choice = choices.iter().find(|(word, _)| **word == text).map(|(_, choice)| *choice);
                choice.or_else(|| text.parse().ok().map(of))
            }
            _ => None,
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.read(key, default, &format!("must be one of {}", words.join(", ")), |value| match value {
            Value::Text(text) => choices.iter().find(|(word, _)| **word == text).map(|(_, choice)| *choice),
            _ => None,
        })
    }

    /// Text that `parse` takes.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        default: T,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.read(key, default, rule, |value| match value {
            Value::Text(text) => parse(&text),
            _ => None,
        })
    }

    /// Any text, if given.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, None, "must be text", |text| Some(Some(text.to_owned())))
    }

    /// A list of texts; in the environment, separated by commas.
    pub(super) fn texts(&mut self, key: &'static str, default: &[&str]) -> Vec<String> {
        let default = default.iter().map(|text| (*text).to_owned()).collect();
        self.read(key, default, "must be a list of texts", |value| match value {
            Value::Text(text) => Some(
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect(),
            ),
            Value::List(items) => items
                .into_iter()
                .map(|item| if let Value::Text(text) = item { Some(text) } else { None })
                .collect(),
            _ => None,
        })
    }

    /// A list of roles: `*` is every role, and what begins with `!` keeps a role out that a later entry lets in.
    pub(super) fn roles(&mut self, key: &'static str, default: &[&str]) -> Vec<String> {
        let roles = self.texts(key, default);
        if roles.iter().any(|role| role.strip_prefix('!').unwrap_or(role).is_empty()) {
            self.problem(key, "must be roles: `*` for every role, `!` before one that may not");
        }
        roles
    }

    /// Notes what is in the file that a setting of this table names.
    pub(super) fn note_content(&self, key: &str, content: &[u8]) {
        self.problems.given.borrow_mut().note_content(&joined(&self.label, key), content);
    }

    /// Reports a problem with a setting of this table.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        // The top has no line of its own, and its settings may have come from elsewhere.
        let origin = if self.path.is_empty() { &Origin::Nowhere } else { &self.origin };
        self.problems.add(self.place(key, origin), message);
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self) {
        for entry in &self.entries {
            let nearest = self.known.iter().min_by_key(|known| strsim::levenshtein(known, &entry.key));
            let hint = nearest.map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
            self.problems.add(self.place(&entry.key, &entry.origin), format!("unknown key{hint}"));
        }
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        rule: &str,
        parse: impl FnOnce(Value) -> Option<T>,
    ) -> T {
        let Some(Given { place, value, is_of_profile }) = self.given(key) else { return default };
        self.problems.given.borrow_mut().note(joined(&self.label, key), &value);
        let named =
            if let Value::Text(text) = &value { text.strip_prefix('$').map(str::to_owned) } else { None };
        parse(value).unwrap_or_else(|| {
            // In what a profile wants, a name that is none of its settings has stayed as it is written there.
            match named.filter(|_| is_of_profile) {
                Some(name) => self.problems.add(place, format!("there is no setting `{name}`")),
                None => self.problems.add(place, rule),
            }
            default
        })
    }

    fn given(&mut self, key: &'static str) -> Option<Given> {
        // Taken in any case, so that it counts as known.
        let entry = self.take(key);
        if let Some((place, text)) = self.overrides.and_then(|input| input.over_file(&self.full(key))) {
            return Some(Given { place, value: Value::Text(text), is_of_profile: false });
        }
        entry.map(|Entry { origin, value, .. }| {
            let is_of_profile = matches!(origin, Origin::Profile(_));
            Given { place: self.place(key, &origin), value, is_of_profile }
        })
    }

    fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.known.push(key);
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    fn full(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    fn place(&self, key: &str, origin: &Origin) -> String {
        match origin {
            Origin::Nowhere => self.full(key),
            Origin::Line(line) => format!("{} (line {line})", self.full(key)),
            Origin::Profile(name) => format!("profile {name}: engine.{}", joined(&self.label, key)),
        }
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
