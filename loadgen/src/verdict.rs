//! How a run ended, and the exit code that tells it.

/// How a run ended, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// All went well.
    Ok,
    /// Connections or publishes failed.
    Failed,
    /// The load generator itself was the bottleneck, so the numbers say nothing about the server.
    Invalid,
    /// A threshold was broken.
    Missed,
    /// Messages were lost, repeated or out of order.
    Broken,
}

impl Verdict {
    /// The process's exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed | Self::Invalid => 1,
            Self::Missed | Self::Broken => 99,
        }
    }

    /// In words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Invalid => "not valid",
            Self::Missed => "threshold broken",
            Self::Broken => "broken delivery",
        }
    }
}
