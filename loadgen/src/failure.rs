//! What can go wrong with a connection, counted by kind: a capacity test goes on and tells at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// Where a connection stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Not begun.
    Unopened,
    /// TCP handshake under way.
    Connecting,
    /// The upgrade request was sent.
    Upgrading,
    /// Upgraded; `welcome` not seen yet.
    Welcoming,
    /// Joins were sent; some are unanswered.
    Joining,
    /// Ready.
    Live,
    /// Closed by either side.
    Gone,
}

impl Stage {
    const fn waits_for(self) -> &'static str {
        match self {
            Self::Unopened | Self::Connecting => "the TCP handshake",
            Self::Upgrading => "the upgrade",
            Self::Welcoming => "`welcome`",
            Self::Joining => "`joined`",
            Self::Live | Self::Gone => "data",
        }
    }
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The socket could not be made, connected, read or written.
    Io(io::ErrorKind, Option<i32>),
    /// Not ready in time.
    Timeout(Stage),
    /// The server closed the TCP connection without a close frame.
    EndOfStream(Stage),
    /// Another HTTP status than 101.
    HttpStatus(u16),
    /// A 101 that breaks RFC 6455 or does not agree to what the plan needs.
    Upgrade(&'static str),
    /// An `error` message; its name.
    Error(String),
    /// A close frame with this code.
    Closed(Option<u16>),
    /// The server broke the WebSocket protocol; the close code of that violation.
    Violation(u16),
    /// A message that is neither a delivery nor an answer.
    Unreadable,
    /// More unsent bytes than a client keeps.
    Backlog,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind(), error.raw_os_error())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_, Some(libc::EMFILE)) => {
                f.write_str("too many open files (raise the hard limit: ulimit -Hn)")
            }
            Self::Io(_, Some(libc::EADDRNOTAVAIL)) => {
                f.write_str("no local port left (net.ipv4.ip_local_port_range)")
            }
            Self::Io(kind, _) => write!(f, "{kind}"),
            Self::Timeout(stage) => write!(f, "timeout waiting for {}", stage.waits_for()),
            Self::EndOfStream(stage) => write!(f, "connection ended while waiting for {}", stage.waits_for()),
            Self::HttpStatus(status) => write!(f, "refused with HTTP status {status}"),
            Self::Upgrade(what) => write!(f, "bad upgrade: {what}"),
            Self::Error(name) => write!(f, "error {name}"),
            Self::Closed(Some(code)) => write!(f, "closed with code {code}"),
            Self::Closed(None) => f.write_str("closed without a code"),
            Self::Violation(code) => write!(f, "server broke the WebSocket protocol ({code})"),
            Self::Unreadable => f.write_str("unreadable message"),
            Self::Backlog => f.write_str("server does not read what is sent to it"),
        }
    }
}

/// The kinds kept apart at most; the rest is counted together, so that a strange server cannot fill memory.
const KINDS_MAX: usize = 64;

/// How often each kind of failure happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    counts: BTreeMap<String, u64>,
}

impl Failures {
    /// Counts one.
    pub(crate) fn count(&mut self, failure: &impl fmt::Display) {
        let mut kind = failure.to_string();
        if self.counts.len() >= KINDS_MAX && !self.counts.contains_key(&kind) {
            kind = "other kinds".into();
        }
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Adds what another thread counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, count) in &other.counts {
            *self.counts.entry(kind.clone()).or_default() += count;
        }
    }

    /// All kinds together.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Kind and count.
    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}

/// A server's error name, fit to print: at most 40 of `A-Z a-z 0-9 _ -`.
pub(crate) fn printable_name(name: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-';
    let name: String = name.chars().filter(allowed).take(40).collect();
    if name.is_empty() { "without a name".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart_up_to_a_bound() {
        let mut failures = Failures::default();
        for code in 3_000..3_200 {
            failures.count(&Failure::Closed(Some(code)));
            failures.count(&Failure::Closed(Some(3_000)));
        }
        assert_eq!(failures.total(), 400);
        assert_eq!(failures.counts()["closed with code 3000"], 201);
        assert!(failures.counts().len() <= KINDS_MAX + 1);
    }

    #[test]
    fn names_from_outside_cannot_draw_on_the_terminal() {
        assert_eq!(printable_name("RATE_LIMIT\x1b[2J"), "RATE_LIMIT2J");
        assert_eq!(printable_name("\n"), "without a name");
        assert_eq!(printable_name(&"x".repeat(100)).len(), 40);
    }
}
