//! `fanfare admin room`: what is done to one room.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::confirm::Confirm;
use super::{Common, part};
use crate::cli::remote::Refused;

/// `fanfare admin room`.
#[derive(Args, Clone, Debug)]
pub(super) struct RoomArgs {
    /// What to do.
    action: Action,
    /// The room, like chat:1.
    room: String,
    /// What members are told when it is closed.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Tell what is known of it.
    Info,
    /// Nobody publishes to it.
    Freeze,
    /// Everybody may again.
    Unfreeze,
    /// Its messages are forgotten; its count begins anew in another epoch.
    Purge,
    /// Its members are sent away, and it is forgotten.
    Close,
}

pub(super) fn run(args: &RoomArgs) -> Result<(), Refused> {
    let RoomArgs { action, room, reason, confirm, common } = args;
    let path = format!("/v1/rooms/{}", part(room));
    let frozen =
        |frozen: bool| common.call("PUT", &format!("{path}/frozen"), Some(&json!({ "frozen": frozen })));
    let answer = match action {
        Action::Info => common.call("GET", &path, None)?,
        Action::Freeze => frozen(true)?,
        Action::Unfreeze => frozen(false)?,
        Action::Purge => {
            confirm.ask(&format!("This forgets all messages of {room}."))?;
            common.call("DELETE", &format!("{path}/history"), None)?
        }
        Action::Close => {
            let members = common.call("GET", &path, None).ok().and_then(|info| info["members"].as_u64());
            let members = members.map_or_else(String::new, |members| format!(" and sends {members} away"));
            confirm.ask(&format!("This forgets {room}{members}."))?;
            let body = reason.as_ref().map(|reason| json!({ "reason": reason }));
            common.call("DELETE", &path, body.as_ref())?
        }
    };
    common.show(&answer, words);
    Ok(())
}

fn words(answer: &Value) {
    for (name, value) in answer.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => println!("{name:<14} {text}"),
            other => println!("{name:<14} {other}"),
        }
    }
}
