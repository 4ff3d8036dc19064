//! `fanfare admin revoke`, `fanfare admin restore`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::ban::removed;
use super::confirm::Confirm;
use super::ending::{count, put};
use super::{Common, counted, part};
use crate::cli::remote::Refused;

/// `fanfare admin revoke`.
#[derive(Args, Clone, Debug)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    whose: Whose,
    /// One token of the user: its `jti`. Without it, all that were issued before now.
    #[arg(long, value_name = "JTI", requires = "user")]
    token_id: Option<String>,
    /// All tokens of the user that were issued before this time, like 2026-11-20T10:30:00Z.
    #[arg(long, value_name = "TIME", requires = "user", conflicts_with = "token_id")]
    issued_before: Option<String>,
    /// How long it is remembered: as long as such a token could live; without it, a year.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::cli::ttl)]
    time: Option<Duration>,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

/// `fanfare admin restore`.
#[derive(Args, Clone, Debug)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    whose: Whose,
    /// Only this token of the user.
    #[arg(long, value_name = "JTI", requires = "user")]
    token_id: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A user's.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Those that the key with this id has signed.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Whose {
    fn path(&self) -> String {
        match (&self.user, &self.key) {
            (Some(user), _) => format!("/v1/admin/revocations/users/{}", part(user)),
            (_, Some(key)) => format!("/v1/admin/revocations/keys/{}", part(key)),
            (None, None) => unreachable!("invariant: the command line asks for one"),
        }
    }
}

pub(super) fn revoke(args: &RevokeArgs) -> Result<(), Refused> {
    let RevokeArgs { whose, token_id, issued_before, time, reason, confirm, common } = args;
    let cut = match (&whose.user, &whose.key) {
        (Some(user), _) => json!({ "user_id": user }),
        (_, key) => json!({ "key_id": key }),
    };
    let connections = count(common, cut)?;
    let ends = counted(connections, "connection");
    confirm.ask(&format!("This ends {ends}; who has a good token comes back."))?;
    let mut body = json!({});
    for (name, value) in [("token_id", token_id), ("issued_before", issued_before), ("reason", reason)] {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    if let Some(time) = time {
        body["seconds"] = time.as_secs().into();
    }
    put(common, &whose.path(), &body, connections, "revoked")
}

pub(super) fn restore(args: &RestoreArgs) -> Result<(), Refused> {
    let RestoreArgs { whose, token_id, common } = args;
    let body = token_id.as_ref().map(|token_id| json!({ "token_id": token_id }));
    removed(common, &whose.path(), body.as_ref(), "nothing of it was revoked")
}
