//! The command line.

pub mod admin;
pub mod audit;
pub mod check;
pub mod doctor;
pub mod inspect;
mod remote;
mod shown;
pub mod store;
pub mod tail;
pub mod token;
pub mod verify_audit;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "Examples:
  fanfare                                        start on 127.0.0.1:8080, for development
  fanfare serve --config fanfare.toml            start with a configuration
  fanfare serve --profile sessions               let another system's clients connect as they are
  fanfare check --config fanfare.toml            find everything that is wrong with one
  fanfare token --user ada --role admin          make a token
  fanfare doctor                                 look at the machine
  fanfare store inspect fanfare.redb             look into a store
  fanfare audit --user ada audit.jsonl           who did what
  fanfare verify-audit audit.jsonl               whether that log is whole
  fanfare admin ban --user eve --for 1h          keep somebody out
  fanfare tail --room 'chat:*'                   watch what passes through a running server

Settings: flags over environment (FANFARE_LISTEN, FANFARE_LIMITS_CONNECTIONS, …) over the file over defaults.";

#[derive(Debug, Parser)]
#[command(name = "fanfare", version, about = "A real-time broadcast engine", after_help = EXAMPLES)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Cli>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Cli {
    /// Start the server (what `fanfare` alone does, too).
    Serve(ServeArgs),
    /// Make a token, or a key for the HTTP API.
    Token(TokenArgs),
    /// Do to a running server what an operator does: bans, keys, drains, emergencies.
    Admin(admin::AdminArgs),
    /// Find everything that is wrong with a configuration.
    Check(CheckArgs),
    /// Look into, check or compact the file of a store.
    Store(store::StoreArgs),
    /// Print the lines of an audit log that fit a user, a room, a time.
    Audit(audit::AuditArgs),
    /// Find out whether an audit log was edited, or lines of it removed.
    VerifyAudit(verify_audit::VerifyAuditArgs),
    /// Watch what passes through a running server: messages' headers, connections, errors.
    Tail(tail::TailArgs),
    /// Take what a running server remembers of what passed through it.
    Inspect(inspect::InspectArgs),
    /// Look at kernel, io_uring and limits of this machine, and say what to set.
    Doctor(DoctorArgs),
}

/// Flags of `fanfare serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// The configuration; see fanfare.example.toml.
    #[arg(long, value_name = "FILE", env = "FANFARE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Threads, each with its own share of the connections; 0 for one on each core.
    #[arg(long, value_name = "N")]
    pub shards: Option<usize>,
    /// What waits for sockets.
    #[arg(long, value_enum)]
    pub driver: Option<DriverArg>,
    /// Add GET /echo, a WebSocket that returns what it gets, for conformance suites.
    #[arg(long)]
    pub echo: bool,
    /// Speak another system's wire too: pipeline, sessions, surgery, documents, health, all, or a file of your own.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// How logs look.
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormatArg>,
}

/// `--driver`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DriverArg {
    /// io_uring, and epoll where the kernel refuses it.
    Auto,
    /// io_uring, or not at all.
    Uring,
    /// epoll.
    Epoll,
}

impl std::fmt::Display for DriverArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        })
    }
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormatArg {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl std::fmt::Display for LogFormatArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

/// Flags of `fanfare token`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare token --user ada --role admin
  fanfare token --user bob --ttl 15m --room 'team:7' --room 'chat:*'
  fanfare token --user svc --role service --claim aud=fanfare --config fanfare.toml
  fanfare token --api-key backend

Prints nothing but the token. Signs with the first shared secret (HS…) of the configuration; with none
configured, with the development secret that `fanfare serve` then takes.")]
pub struct TokenArgs {
    /// The user's id: the claim `sub`.
    #[arg(long, required_unless_present = "api_key")]
    pub user: Option<String>,
    /// The user's role: the claim `role`.
    #[arg(long, default_value = "user")]
    pub role: String,
    /// How long it is good for: 90s, 15m, 1h, 30d.
    #[arg(long, default_value = "1h", value_parser = ttl)]
    pub ttl: std::time::Duration,
    /// A room, or a pattern of rooms, that it lets its bearer join; without any, as the room types say.
    #[arg(long = "room", value_name = "PATTERN")]
    pub rooms: Vec<String>,
    /// Another claim; JSON where it is JSON, otherwise text.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    pub claims: Vec<(String, serde_json::Value)>,
    /// Make a key for the HTTP API instead, under this name: the key, and what to write into the configuration.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["user", "rooms", "claims"])]
    pub api_key: Option<String>,
    /// The configuration with the key to sign with.
    #[arg(long, value_name = "FILE", env = "FANFARE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Flags of `fanfare check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The configuration; see fanfare.example.toml.
    #[arg(long, value_name = "FILE", env = "FANFARE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Profiles to check with it: names, or files.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub profile: Vec<String>,
}

/// Flags of `fanfare doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The configuration that the machine should be fit for.
    #[arg(long, value_name = "FILE", env = "FANFARE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Reads the command line; wrong usage ends the process with 2.
pub fn parse() -> Cli {
    let CommandLine { command, serve } = CommandLine::parse();
    command.unwrap_or(Cli::Serve(serve))
}

fn ttl(text: &str) -> Result<std::time::Duration, String> {
    crate::config::duration(text)
        .filter(|ttl| ttl.as_secs() > 0)
        .ok_or_else(|| "write 90s, 15m, 1h or 30d".to_owned())
}

fn claim(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serve_is_what_is_meant_when_nothing_is_said() {
        let line = CommandLine::try_parse_from(["fanfare", "--listen", "127.0.0.1:0", "--echo"]).unwrap();
        assert!(line.command.is_none() && line.serve.echo);
        let line = CommandLine::try_parse_from(["fanfare", "serve", "--shards", "2"]).unwrap();
        assert!(matches!(line.command, Some(Cli::Serve(ServeArgs { shards: Some(2), .. }))));
        assert!(CommandLine::try_parse_from(["fanfare", "serve", "--shards", "two"]).is_err());
        assert!(CommandLine::try_parse_from(["fanfare", "token"]).is_err());
    }

    #[test]
    fn claims_are_json_where_they_are_json() {
        assert_eq!(claim("aud=fanfare").unwrap().1, "fanfare");
        assert_eq!(claim("team=7").unwrap().1, 7);
        assert_eq!(claim("x=[1,2]").unwrap().1, serde_json::json!([1, 2]));
        assert!(claim("x").is_err());
    }
}
