//! Why somebody is not let in.

use std::fmt;

use fanfare_protocol::Code;

/// A refusal: what is counted and what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError {
    /// What kind, for metrics.
    pub reason: AuthReason,
    /// A sentence for the client; holds nothing of the token.
    pub message: &'static str,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthReason {
    /// Not a signed JWT.
    Malformed,
    /// Longer than any token needs to be.
    TooLong,
    /// No configured key is for this algorithm or `kid`.
    Algorithm,
    /// Signed by somebody else, or changed.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Made for another service.
    Audience,
    /// Made by another issuer.
    Issuer,
    /// A claim is missing or wrong.
    Claims,
    /// It was revoked.
    Revoked,
    /// Its user is banned.
    Banned,
}

impl AuthReason {
    /// The value of the metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Claims => "claims",
            Self::Revoked => "revoked",
            Self::Banned => "banned",
        }
    }
}

impl AuthError {
    pub(super) const fn new(reason: AuthReason, message: &'static str) -> Self {
        Self { reason, message }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for AuthError {}

/// Why a token's bearer is not let in, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 4001, or 4011 for who is banned.
    pub code: Code,
    /// A sentence; holds nothing of the token.
    pub message: String,
}

impl From<AuthError> for Rejection {
    fn from(error: AuthError) -> Self {
        Self { code: Code::AuthenticationFailed, message: error.to_string() }
    }
}
