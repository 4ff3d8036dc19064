//! Lists of names, of which the first that fits decides.

/// Names that may end in `*`; with a `!` before them they say no.
#[derive(Clone, Debug)]
pub(crate) struct Patterns(Vec<(bool, Box<str>)>);

impl Patterns {
    pub(crate) fn new(patterns: &[String]) -> Self {
        let pattern = |text: &String| match text.strip_prefix('!') {
            Some(text) => (false, text.into()),
            None => (true, text.as_str().into()),
        };
        Self(patterns.iter().map(pattern).collect())
    }

    /// Whether a name is in it.
    pub(crate) fn take(&self, name: &str) -> bool {
        self.0.iter().find(|(_, pattern)| fits(pattern, name)).is_some_and(|(takes, _)| *takes)
    }
}

/// Whether a name is this, or begins like this where it ends in `*`.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_decides() {
        let patterns = Patterns::new(&["!chat_typing".to_owned(), "chat_*".to_owned(), "end".to_owned()]);
        let taken: Vec<bool> =
            ["chat_typing", "chat_message", "end", "ending"].iter().map(|name| patterns.take(name)).collect();
        assert_eq!(taken, [false, true, true, false]);
    }
}
