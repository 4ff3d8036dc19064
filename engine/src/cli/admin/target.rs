//! Whom a word is about.

use clap::Args;
use serde_json::{Value, json};

use super::part;

/// Exactly one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// A user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A client id.
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// An address or a range of addresses: 203.0.113.0/24.
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
}

impl Target {
    /// As a member of a body, and in words.
    fn named(&self) -> (&'static str, &str, &'static str) {
        match (&self.user, &self.client, &self.network) {
            (Some(user), ..) => ("user_id", user, "users"),
            (_, Some(client), _) => ("client_id", client, "clients"),
            (.., Some(network)) => ("network", network, "networks"),
            (None, None, None) => unreachable!("invariant: the command line asks for one"),
        }
    }

    /// As the body of a disconnect.
    pub(super) fn body(&self) -> Value {
        let (name, value, _) = self.named();
        json!({ name: value })
    }

    /// The path of its ban.
    pub(super) fn path(&self) -> String {
        let (_, value, kind) = self.named();
        format!("/v1/admin/bans/{kind}/{}", part(value))
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let (name, value, _) = self.named();
        format!("{} {value}", name.trim_end_matches("_id"))
    }
}
