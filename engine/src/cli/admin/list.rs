//! `fanfare admin bans`, `revocations`, `connections`, `rooms`: what is there.

use clap::Args;
use serde_json::Value;

use super::{Common, part, table};
use crate::cli::remote::Refused;
use crate::cli::shown;

/// What every list takes.
#[derive(Args, Clone, Debug)]
pub(super) struct ListArgs {
    /// At most so many: 1 to 10,000.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

/// `fanfare admin connections`.
#[derive(Args, Clone, Debug)]
pub(super) struct ConnectionsArgs {
    /// Only those of a user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Who is kept out, or what was revoked.
pub(super) fn denials(args: &ListArgs, kind: &str) -> Result<(), Refused> {
    let answer = args.common.call("GET", &format!("/v1/admin/{kind}?limit={}", args.limit), None)?;
    args.common.show(&answer, |answer| {
        let row = |denial: &Value| {
            let whom: Vec<String> =
                ["user_id", "client_id", "network", "token_id", "issued_before", "key_id"]
                    .iter()
                    .filter_map(|name| Some(format!("{name} {}", shown::value(denial[name].as_str()?))))
                    .collect();
            let until = denial["until"].as_str().unwrap_or("for good");
            vec![
                whom.join(", "),
                cell(&denial["since"]),
                until.to_owned(),
                cell(&denial["by"]),
                cell(&denial["reason"]),
            ]
        };
        table::print(&["WHO", "SINCE", "UNTIL", "BY", "REASON"], &rows(&answer[kind], row));
        println!("\n{} in all", answer["total"]);
    });
    Ok(())
}

pub(super) fn connections(args: &ConnectionsArgs) -> Result<(), Refused> {
    let ConnectionsArgs { user, list: ListArgs { limit, common } } = args;
    let path = match user {
        Some(user) => format!("/v1/users/{}/connections?limit={limit}", part(user)),
        None => format!("/v1/connections?limit={limit}"),
    };
    let answer = common.call("GET", &path, None)?;
    common.show(&answer, |answer| print_connections(&answer["connections"]));
    Ok(())
}

/// Connections as a table.
pub(super) fn print_connections(connections: &Value) {
    let row = |of: &Value| {
        let rooms = of["rooms"].as_array().map_or(0, Vec::len).to_string();
        let [user, client, role] = ["user_id", "client_id", "role"].map(|name| cell(&of[name]));
        let [shard, commands, backlog] = ["shard", "commands", "backlog_bytes"].map(|name| cell(&of[name]));
        vec![user, client, role, shard, rooms, commands, backlog]
    };
    let heads = ["USER", "CLIENT", "ROLE", "SHARD", "ROOMS", "COMMANDS", "BACKLOG BYTES"];
    table::print(&heads, &rows(connections, row));
}

pub(super) fn rooms(args: &ListArgs) -> Result<(), Refused> {
    let answer = args.common.call("GET", &format!("/v1/rooms?limit={}", args.limit), None)?;
    args.common.show(&answer, |answer| print_rooms(&answer["rooms"]));
    Ok(())
}

/// Rooms as a table.
pub(super) fn print_rooms(list: &Value) {
    let row = |of: &Value| ["room", "members", "epoch", "offset"].map(|name| cell(&of[name])).to_vec();
    table::print(&["ROOM", "MEMBERS", "EPOCH", "OFFSET"], &rows(list, row));
}

fn rows(list: &Value, row: impl FnMut(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => shown::value(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
