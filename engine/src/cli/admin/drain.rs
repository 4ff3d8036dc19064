//! `fanfare admin drain`, `fanfare admin undrain`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::{Common, counted};
use crate::cli::remote::Refused;

const PATH: &str = "/v1/admin/drain";
/// How often it is asked how far it has come.
const LOOK: Duration = Duration::from_millis(500);

/// `fanfare admin drain`.
#[derive(Args, Clone, Debug)]
pub(super) struct DrainArgs {
    /// Over how long connections are told; two seconds at most by itself.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::ttl)]
    over: Option<Duration>,
    /// The process ends when they have gone, as upon SIGTERM.
    #[arg(long)]
    exit: bool,
    /// Wait until nobody is left, and tell how far it has come.
    #[arg(long, conflicts_with = "exit")]
    wait: bool,
    /// Only tell how far it has come.
    #[arg(long, conflicts_with_all = ["over", "exit", "wait"])]
    status: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

/// `fanfare admin undrain`.
#[derive(Args, Clone, Debug)]
pub(super) struct UndrainArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), Refused> {
    let DrainArgs { over, exit, wait, status, confirm, common } = args;
    let mut now = common.call("GET", PATH, None)?;
    if !status {
        let connections = counted(now["connections"].as_u64().unwrap_or_default(), "connection");
        let ends = if *exit { " and ends the process" } else { "" };
        confirm.ask(&format!("This sends {connections} away{ends}."))?;
        let mut body = json!({ "exit": exit });
        if let Some(over) = over {
            body["seconds"] = over.as_secs().into();
        }
        now = common.call("POST", PATH, Some(&body))?;
    }
    while *wait && now["state"] == "draining" {
        if !common.json {
            words(&now);
        }
        std::thread::sleep(LOOK);
        now = common.call("GET", PATH, None)?;
    }
    common.show(&now, words);
    Ok(())
}

pub(super) fn undrain(args: &UndrainArgs) -> Result<(), Refused> {
    let answer = args.common.call("DELETE", PATH, None)?;
    args.common.show(&answer, words);
    Ok(())
}

fn words(status: &Value) {
    let connections = counted(status["connections"].as_u64().unwrap_or_default(), "connection");
    let state = status["state"].as_str().unwrap_or_default();
    match status["seconds_left"].as_f64().filter(|_| state == "draining") {
        Some(seconds) => println!("{state}: {connections} left, some {seconds:.0} s to go"),
        None => println!("{state}: {connections}"),
    }
}
