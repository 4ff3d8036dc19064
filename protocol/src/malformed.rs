//! Why bytes are not the value they should be.

use std::fmt;

/// Bytes that are not one well-formed value of their encoding, or nest deeper than
/// [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Offset of the byte at fault, counted from 0.
    pub(crate) at: usize,
    /// The rule that is broken.
    pub(crate) rule: &'static str,
}

impl Malformed {
    pub(crate) const TOO_DEEP: &'static str = "arrays and objects may nest at most 64 deep";

    pub(crate) const fn new(at: usize, rule: &'static str) -> Self {
        Self { at, rule }
    }
}

const _: () = assert!(crate::limits::JSON_DEPTH_MAX == 64, "the text above names the bound");

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.rule, self.at)
    }
}

impl std::error::Error for Malformed {}
