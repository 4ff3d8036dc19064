//! `fanfare admin disconnect`.

use clap::Args;
use serde_json::json;

use super::confirm::Confirm;
use super::ending::{count, ended, would_end};
use super::{Common, counted};
use crate::cli::remote::Refused;

/// `fanfare admin disconnect`.
#[derive(Args, Clone, Debug)]
pub(super) struct DisconnectArgs {
    #[command(flatten)]
    whose: Whose,
    /// Why; they are told.
    #[arg(long)]
    reason: Option<String>,
    /// Ask the clients to come back (1012) instead of staying away (4011).
    #[arg(long)]
    reconnect: bool,
    /// Only tell how many connections it would end.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A user's.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Those with a client id.
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Those from an address or a range of addresses.
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Those whose tokens were signed by the key with this id.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Everybody's.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &DisconnectArgs) -> Result<(), Refused> {
    let DisconnectArgs { whose, reason, reconnect, dry_run, confirm, common } = args;
    let Whose { user, client, network, key, all } = whose;
    let mut body = json!({});
    let named = [("user_id", user), ("client_id", client), ("network", network), ("key_id", key)];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        body[name] = value.as_str().into();
    }
    if *all {
        body["all"] = true.into();
    }
    let connections = count(common, body.clone())?;
    if *dry_run {
        would_end(common, connections);
        return Ok(());
    }
    confirm.ask(&format!("This ends {}.", counted(connections, "connection")))?;
    if let Some(reason) = reason {
        body["reason"] = reason.as_str().into();
    }
    body["reconnect"] = (*reconnect).into();
    let answer = common.call("POST", "/v1/admin/disconnect", Some(&body))?;
    common.show(&answer, ended);
    Ok(())
}
