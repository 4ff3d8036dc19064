//! `fanfare admin ban`, `fanfare admin unban`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::ending::{count, put, would_end};
use super::target::Target;
use super::{Common, counted};
use crate::cli::remote::Refused;

/// `fanfare admin ban`.
#[derive(Args, Clone, Debug)]
pub(super) struct BanArgs {
    #[command(flatten)]
    whom: Target,
    /// For how long: 90s, 15m, 1h, 30d; without it, for good.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::cli::ttl)]
    time: Option<Duration>,
    /// Why; who is banned is told.
    #[arg(long)]
    reason: Option<String>,
    /// Only tell how many connections it would end.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

/// `fanfare admin unban`.
#[derive(Args, Clone, Debug)]
pub(super) struct UnbanArgs {
    #[command(flatten)]
    whom: Target,
    #[command(flatten)]
    common: Common,
}

pub(super) fn ban(args: &BanArgs) -> Result<(), Refused> {
    let BanArgs { whom, time, reason, dry_run, confirm, common } = args;
    let connections = count(common, whom.body())?;
    if *dry_run {
        would_end(common, connections);
        return Ok(());
    }
    confirm.ask(&format!("This bans {} and ends {}.", whom.words(), counted(connections, "connection")))?;
    let mut body = json!({});
    if let Some(time) = time {
        body["seconds"] = time.as_secs().into();
    }
    if let Some(reason) = reason {
        body["reason"] = reason.as_str().into();
    }
    put(common, &whom.path(), &body, connections, &format!("banned {}", whom.words()))
}

pub(super) fn unban(args: &UnbanArgs) -> Result<(), Refused> {
    let UnbanArgs { whom, common } = args;
    removed(common, &whom.path(), None, &format!("{} was not banned", whom.words()))
}

/// Takes something away; that it was not there is told and is no error.
pub(super) fn removed(
    common: &Common,
    path: &str,
    body: Option<&Value>,
    was_not: &str,
) -> Result<(), Refused> {
    let answer = common.call("DELETE", path, body)?;
    common.show(&answer, |answer| println!("{}", if answer["removed"] == true { "done" } else { was_not }));
    Ok(())
}
