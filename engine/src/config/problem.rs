//! What is wrong with a configuration.

use std::cell::RefCell;
use std::fmt;

use super::given::Given;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, and where it was given: `limits.burst (line 7)`, `FANFARE_LISTEN`.
    pub place: String,
    /// What is wrong and what to write instead. Never a secret.
    pub message: String,
}

/// Why the server does not start: everything that is wrong, not only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl StartError {
    pub(super) fn of(place: &str, message: impl Into<String>) -> Self {
        Self { problems: vec![Problem { place: place.to_owned(), message: message.into() }] }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.problems.len())?;
        for Problem { place, message } in &self.problems {
            write!(f, "\n  {place}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// Problems while they are gathered, and what was given.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: RefCell<Vec<Problem>>,
    /// What was given, gathered on the way.
    pub(super) given: RefCell<Given>,
}

impl Problems {
    pub(super) fn add(&self, place: impl Into<String>, message: impl Into<String>) {
        self.found.borrow_mut().push(Problem { place: place.into(), message: message.into() });
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, StartError> {
        let problems = self.found.into_inner();
        if problems.is_empty() { Ok(value) } else { Err(StartError { problems }) }
    }
}
