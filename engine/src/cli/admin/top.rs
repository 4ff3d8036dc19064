//! `fanfare admin top`: who and what takes most.

use clap::Args;
use serde_json::{Value, json};

use super::{Common, list};
use crate::cli::remote::Refused;

/// `fanfare admin top`. It looks at ten thousand connections and rooms at most.
#[derive(Args, Clone, Debug)]
pub(super) struct TopArgs {
    /// Rows of each table.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &TopArgs) -> Result<(), Refused> {
    let TopArgs { limit, common } = args;
    let get = |path: &str| common.call("GET", path, None);
    let statistics = get("/v1/statistics")?;
    let connections = most(&get("/v1/connections?limit=10000")?["connections"], "backlog_bytes", *limit);
    let rooms = most(&get("/v1/rooms?limit=10000")?["rooms"], "members", *limit);
    let answer = json!({ "statistics": statistics, "connections": connections, "rooms": rooms });
    common.show(&answer, |answer| {
        let of = &answer["statistics"];
        let number = |name: &str| of[name].as_u64().unwrap_or_default();
        println!(
            "{} connections, {} rooms, {} published, {} delivered, {} bytes wait, {} MiB resident, p99 {} ms",
            number("connections"),
            number("rooms"),
            number("published"),
            number("delivered"),
            number("backlog_bytes"),
            number("resident_bytes") >> 20,
            of["publish_to_flush_ms"]["p99"],
        );
        println!("\nSlowest readers");
        list::print_connections(&answer["connections"]);
        println!("\nLargest rooms");
        list::print_rooms(&answer["rooms"]);
    });
    Ok(())
}

/// Those with most of something.
fn most(rows: &Value, name: &str, limit: usize) -> Vec<Value> {
    let mut rows = rows.as_array().cloned().unwrap_or_default();
    rows.sort_by_key(|row| std::cmp::Reverse(row[name].as_u64()));
    rows.truncate(limit);
    rows
}
