//! Why and how a connection is ended.

use std::borrow::Cow;

use fanfare_protocol::Code;

/// The end of a connection, as its peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The number in the close frame: RFC 6455's own, or a [`Code`].
    pub number: u16,
    /// At most 123 bytes, for people.
    pub reason: Cow<'static, str>,
    /// Whether an `error` message goes before the close frame.
    pub error: Option<Code>,
    /// What is at fault, if it is one thing.
    pub field: Option<&'static str>,
    /// Whether the number is the peer's own already, whose dialect has nothing to make of it.
    pub is_final: bool,
}

impl Close {
    /// An application's code, told as an `error` as well.
    pub const fn code(code: Code, reason: &'static str) -> Self {
        Self {
            number: code.number(),
            reason: Cow::Borrowed(reason),
            error: Some(code),
            field: None,
            is_final: false,
        }
    }

    /// Whether a client that was ended so may come back and go on.
    pub(crate) const fn may_resume(&self) -> bool {
        match self.error {
            Some(code) => code.reconnect(),
            None => matches!(self.number, 1_001 | 1_012),
        }
    }

    /// A code of RFC 6455 §7.4.1.
    pub const fn protocol(number: u16, reason: &'static str) -> Self {
        Self { number, reason: Cow::Borrowed(reason), error: None, field: None, is_final: false }
    }
}
