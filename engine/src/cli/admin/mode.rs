//! `fanfare admin mode`.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::{Common, table};
use crate::cli::remote::Refused;

const PATH: &str = "/v1/admin/mode";

/// `fanfare admin mode`: shows it, or sets what is given.
#[derive(Args, Clone, Debug)]
pub(super) struct ModeArgs {
    /// Publishes and commands that change something are refused.
    #[arg(long, value_name = "on|off")]
    read_only: Option<Switch>,
    /// 1: new connections are refused; 2: also messages without a priority; 3: also the most indebted connections end.
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=3))]
    shed: Option<u8>,
    /// Messages of this priority are taken even when the server is read-only: 1 to 9.
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(u8).range(1..=9))]
    priority_min: Option<u8>,
    /// Whether messages are compressed.
    #[arg(long, value_name = "on|off")]
    compression: Option<Switch>,
    /// A level or a filter of the log: info, debug, warn,fanfare::http=debug.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) fn run(args: &ModeArgs) -> Result<(), Refused> {
    let ModeArgs { read_only, shed, priority_min, compression, log_level, common } = args;
    let mut body = Map::new();
    let switched = |switch: &Option<Switch>| switch.map(|switch| Value::from(matches!(switch, Switch::On)));
    let given = [
        ("read_only", switched(read_only)),
        ("shed", shed.map(Value::from)),
        ("priority_min", priority_min.map(Value::from)),
        ("compression", switched(compression)),
        ("log_level", log_level.clone().map(Value::from)),
    ];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        body.insert(name.to_owned(), value);
    }
    let answer = match body.is_empty() {
        true => common.call("GET", PATH, None)?,
        false => common.call("PUT", PATH, Some(&body.into()))?,
    };
    common.show(&answer, words);
    Ok(())
}

fn words(mode: &Value) {
    let switch = |name: &str| if mode[name] == true { "on".to_owned() } else { "off".to_owned() };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    table::print(
        &["MODE", ""],
        &[
            row("read-only", switch("read_only")),
            row("shed", mode["shed"].to_string()),
            row("priority-min", mode["priority_min"].to_string()),
            row("compression", switch("compression")),
            row("log-level", mode["log_level"].as_str().unwrap_or_default().to_owned()),
        ],
    );
}
