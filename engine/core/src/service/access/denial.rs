//! Who is kept out, why, and until when.

use fanfare_protocol::timestamp::rfc3339_text;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::network::Network;

/// One who is kept out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// Who.
    pub subject: Subject,
    /// Why, for people; may be empty.
    #[serde(default)]
    pub reason: Box<str>,
    /// The user who said so; empty for a backend with a key.
    #[serde(default)]
    pub by: Box<str>,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// Until when, in milliseconds of the steady clock, which goes on after a restart; nothing: for good.
    #[serde(default)]
    pub until_ms: Option<u64>,
}

/// Who or what is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A user.
    User(Box<str>),
    /// A client id.
    Client(Box<str>),
    /// Addresses.
    Network(Network),
    /// One token of a user.
    Token {
        /// Whose (`sub`).
        user_id: Box<str>,
        /// Which (`jti`).
        token_id: Box<str>,
    },
    /// All tokens of a user that are older than a time.
    TokensBefore {
        /// Whose (`sub`).
        user_id: Box<str>,
        /// In seconds since 1970; a token's `iat`.
        unix_s: u64,
    },
    /// All tokens that a key has signed.
    Key(Box<str>),
}

impl Subject {
    /// Whether it is a ban: tokens are as good as before, but who shows them is not let in.
    pub const fn is_ban(&self) -> bool {
        matches!(self, Self::User(_) | Self::Client(_) | Self::Network(_))
    }

    /// Whether a denial of this takes the place of one of that.
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TokensBefore { user_id, .. }, Self::TokensBefore { user_id: of, .. }) => user_id == of,
            _ => self == other,
        }
    }
}

impl Denial {
    /// The same where one was decided before: a revocation lets nobody in who was kept out, neither tokens that were older nor sooner.
    pub(super) fn after(mut self, before: &Self) -> Self {
        if self.subject.is_ban() {
            return self;
        }
        if let (Subject::TokensBefore { unix_s, .. }, Subject::TokensBefore { unix_s: earlier, .. }) =
            (&mut self.subject, &before.subject)
        {
            *unix_s = (*unix_s).max(*earlier);
        }
        let ends = self.until_ms.zip(before.until_ms);
        self.until_ms = ends.map(|(one, other)| one.max(other));
        self
    }

    /// Whether it still counts.
    pub fn counts(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until_ms| until_ms > now_ms)
    }

    /// As the API shows it. Clocks are given to tell when it ends.
    pub fn shown(&self, now: crate::Now) -> Value {
        let mut shown = match &self.subject {
            Subject::User(user_id) => json!({ "user_id": user_id }),
            Subject::Client(client_id) => json!({ "client_id": client_id }),
            Subject::Network(network) => json!({ "network": network.to_string() }),
            Subject::Token { user_id, token_id } => json!({ "user_id": user_id, "token_id": token_id }),
            Subject::TokensBefore { user_id, unix_s } => {
                let before = rfc3339_text(unix_s.saturating_mul(1_000));
                json!({ "user_id": user_id, "issued_before": before })
            }
            Subject::Key(key_id) => json!({ "key_id": key_id }),
        };
        for (name, text) in [("reason", &self.reason), ("by", &self.by)] {
            if !text.is_empty() {
                shown[name] = json!(text);
            }
        }
        shown["since"] = json!(rfc3339_text(self.since_unix_ms));
        if let Some(until_ms) = self.until_ms {
            shown["until"] =
                json!(rfc3339_text(now.unix_ms.saturating_add(until_ms.saturating_sub(now.mono_ms()))));
        }
        shown
    }
}

/// What becomes of the list of those who are kept out.
#[derive(Clone, Debug, PartialEq)]
pub enum DenialChange {
    /// One more, or instead of a former one of the same.
    Deny(Denial),
    /// One less.
    Allow(Subject),
}
