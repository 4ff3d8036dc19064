//! `fanfare admin`: what an operator does to a running server, over its HTTP API.

mod ban;
mod confirm;
mod disconnect;
mod drain;
mod ending;
mod list;
mod mode;
mod reload;
mod revoke;
mod room;
mod table;
mod target;
mod top;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::remote::{Refused, Remote};

const EXAMPLES: &str = "Examples:
  fanfare admin disconnect --user ada --reconnect        ask a user's clients to come back
  fanfare admin ban --user eve --for 1h --reason spam    keep a user out
  fanfare admin ban --network 203.0.113.0/24             keep addresses out
  fanfare admin revoke --user ada --token-id 6f1         one token
  fanfare admin revoke --key 2026-10                     all tokens of a key
  fanfare admin reload --dry-run                         what another configuration would change
  fanfare admin drain --over 5m --wait                   send everybody away, gently
  fanfare admin mode --read-only on                      take nothing that is not urgent
  fanfare admin room freeze chat:1                       nobody publishes there
  fanfare admin top                                      who and what takes most

What cuts connections tells how many and asks, unless --yes is given or nobody is there to ask.
Exit code 1: it was not done.";

/// `fanfare admin`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AdminArgs {
    #[command(subcommand)]
    word: Word,
}

#[derive(Clone, Debug, Subcommand)]
enum Word {
    /// End connections, or ask clients to come back.
    Disconnect(disconnect::DisconnectArgs),
    /// Keep a user, a client id or addresses out, and end their connections.
    Ban(ban::BanArgs),
    /// Let somebody in again.
    Unban(ban::UnbanArgs),
    /// List who is kept out.
    Bans(list::ListArgs),
    /// Revoke a token, all older tokens of a user, or all tokens of a key.
    Revoke(revoke::RevokeArgs),
    /// Take a revocation back.
    Restore(revoke::RestoreArgs),
    /// List what was revoked.
    Revocations(list::ListArgs),
    /// Read the configuration again: keys, roles, limits.
    Reload(reload::ReloadArgs),
    /// Take no more connections and send those that are there away; the process stays.
    Drain(drain::DrainArgs),
    /// Take connections again.
    Undrain(drain::UndrainArgs),
    /// Show or set what an emergency needs: read-only, shedding, compression, the log's level.
    Mode(mode::ModeArgs),
    /// Freeze, purge or close a room.
    Room(room::RoomArgs),
    /// List connections.
    Connections(list::ConnectionsArgs),
    /// List rooms.
    Rooms(list::ListArgs),
    /// Show the server's counts, the slowest readers and the largest rooms.
    Top(top::TopArgs),
}

/// What every word takes.
#[derive(Args, Clone, Debug)]
struct Common {
    #[command(flatten)]
    remote: Remote,
    /// Print what the server answered, for scripts.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        self.remote.call(method, path, body)
    }

    /// Prints an answer: as it is for scripts, else in words.
    fn show(&self, answer: &Value, words: impl FnOnce(&Value)) {
        if self.json {
            println!("{answer:#}");
        } else {
            words(answer);
        }
    }
}

/// Does it. Exit code 1: it was not done.
pub fn run(args: &AdminArgs) -> ExitCode {
    let done = match &args.word {
        Word::Disconnect(args) => disconnect::run(args),
        Word::Ban(args) => ban::ban(args),
        Word::Unban(args) => ban::unban(args),
        Word::Bans(args) => list::denials(args, "bans"),
        Word::Revoke(args) => revoke::revoke(args),
        Word::Restore(args) => revoke::restore(args),
        Word::Revocations(args) => list::denials(args, "revocations"),
        Word::Reload(args) => reload::run(args),
        Word::Drain(args) => drain::drain(args),
        Word::Undrain(args) => drain::undrain(args),
        Word::Mode(args) => mode::run(args),
        Word::Room(args) => room::run(args),
        Word::Connections(args) => list::connections(args),
        Word::Rooms(args) => list::rooms(args),
        Word::Top(args) => top::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused { message, .. }) => {
            eprintln!("fanfare: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A name as a part of a path.
fn part(name: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"._-~:@+=".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(byte).collect()
}

/// A count with its word.
fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_so_that_a_path_holds_them() {
        assert_eq!(part("10.0.0.0/8"), "10.0.0.0%2F8");
        assert_eq!(part("a b?#é"), "a%20b%3F%23%C3%A9");
        assert_eq!(part("chat:1"), "chat:1");
        assert_eq!(
            (counted(1, "connection"), counted(0, "connection")),
            ("1 connection".into(), "0 connections".into())
        );
    }
}
