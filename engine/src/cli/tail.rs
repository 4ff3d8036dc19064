//! `fanfare tail`: what passes through a running server, one line for each record.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tungstenite::Message;

use crate::cli::remote::Remote;
use crate::cli::shown;

/// Flags of `fanfare tail`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare tail                                          everything, of a server in development mode
  fanfare tail --room 'chat:*' --kind messages          messages of these rooms
  fanfare tail --kind errors --user ada                 what goes wrong for one user
  fanfare tail --url http://10.0.0.5:8080 --token \"$KEY\" --json | jq -c 'select(.bytes > 1000)'

The server must have its inspector on ([inspector] enabled = true; in development mode it is).
Ends with 1 when the server ends it or cannot be reached.")]
pub struct TailArgs {
    #[command(flatten)]
    remote: Remote,
    /// Only of this room, or of rooms that fit a pattern.
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// Only of this type: a message's, what happened (join, close, …), or an error's name.
    #[arg(long = "type", value_name = "TYPE")]
    what: Option<String>,
    /// Only of this user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only events and errors of this client id.
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only events and errors with this code.
    #[arg(long, value_name = "CODE")]
    code: Option<u16>,
    /// Only these kinds.
    #[arg(long = "kind", value_name = "KIND", value_enum, value_delimiter = ',')]
    kinds: Vec<KindArg>,
    /// Print records as they come, one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// `--kind`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KindArg {
    /// Messages that were handed out.
    Messages,
    /// What happened to connections.
    Events,
    /// Refused commands, and connections that ended because something was wrong.
    Errors,
}

/// Prints until the server or the reader of the output ends it.
pub fn run(args: &TailArgs) -> ExitCode {
    let ended = match args.remote.open(&path(args)) {
        Ok(socket) => follow(socket, args.json),
        Err(message) => Err(message),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fanfare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn path(args: &TailArgs) -> String {
    let kinds: Vec<&str> = args
        .kinds
        .iter()
        .map(|kind| match kind {
            KindArg::Messages => "messages",
            KindArg::Events => "events",
            KindArg::Errors => "errors",
        })
        .collect();
    let given = [
        ("kind", (!kinds.is_empty()).then(|| kinds.join(","))),
        ("room", args.room.clone()),
        ("type", args.what.clone()),
        ("user", args.user.clone()),
        ("client", args.client.clone()),
        ("code", args.code.map(|code| code.to_string())),
    ];
    let pairs = given.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))));
    format!("/v1/inspector/tail?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// Percent-encoding of a value in a query (RFC 3986 §2.3).
fn encode(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:,".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn follow(mut socket: tungstenite::WebSocket<std::net::TcpStream>, json: bool) -> Result<(), String> {
    let stdout = std::io::stdout();
    let coloured = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    loop {
        let text = match socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(frame)) => {
                let why = frame.map(|frame| format!("{} {}", u16::from(frame.code), frame.reason));
                return Err(format!(
                    "the server ended it: {}",
                    why.unwrap_or_else(|| "no reason given".into())
                ));
            }
            Ok(_) => continue,
            Err(error) => return Err(format!("the connection is lost: {error}")),
        };
        let line = if json {
            text.to_string()
        } else {
            match serde_json::from_str(&text) {
                Ok(record) => line(&record, coloured),
                Err(_) => continue,
            }
        };
        // `| head` is a fine way to stop.
        if writeln!(stdout.lock(), "{line}").is_err() {
            return Ok(());
        }
    }
}

/// Time, kind, type, and what else there is.
fn line(record: &Value, coloured: bool) -> String {
    let text = |name: &str| record[name].as_str().map(shown::value);
    let words = |name: &str| record[name].as_str().map(shown::plain);
    let kind = text("kind").unwrap_or_default();
    let colour = match &*kind {
        "message" => "32",
        "event" => "36",
        "error" => "31",
        _ => "33",
    };
    let paint = |colour: &str, text: &str| {
        if coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    };
    if kind == "skipped" {
        let count = record["count"].as_u64().unwrap_or_default();
        return paint(colour, &format!("{count} records went by unread"));
    }
    let mut line = format!(
        "{} {} {}",
        paint("2", &time(record["at_unix_ms"].as_u64().unwrap_or_default())),
        paint(colour, &format!("{kind:<7}")),
        paint("1", &format!("{:<16}", text("type").unwrap_or_default())),
    );
    let mut add = |part: String| {
        line.push(' ');
        line.push_str(&part);
    };
    if let Some(room) = text("room") {
        add(room);
    }
    if let (Some(offset), Some(epoch)) = (record["offset"].as_u64(), text("epoch")) {
        add(format!("#{offset} ({epoch})"));
    }
    for (name, word) in [("user_id", "user"), ("client_id", "client"), ("role", "role"), ("peer", "from")] {
        if let Some(value) = text(name) {
            add(format!("{word}={value}"));
        }
    }
    if let (Some(bytes), Some(members)) = (record["bytes"].as_u64(), record["members"].as_u64()) {
        add(format!("{bytes} bytes to {members}"));
    }
    if let Some(priority) = record["priority"].as_u64().filter(|priority| *priority > 0) {
        add(format!("priority={priority}"));
    }
    if let Some(code) = record["code"].as_u64() {
        add(format!("{code} {}", words("reason").or_else(|| words("meaning")).unwrap_or_default()));
    }
    if let Some(during) = text("during") {
        add(format!("({during})"));
    }
    if let Some(data) = record.get("data") {
        add(shown::plain(&data.to_string()));
    } else if let Some(start) = words("data_start") {
        add(format!("{start}…"));
    }
    line
}

/// `10:30:00.123`, in UTC.
fn time(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_one_line() {
        let message = json!({"kind": "message", "at_unix_ms": 37_800_123, "type": "say", "room": "chat:1",
            "user_id": "ada", "offset": 5, "epoch": "k3f9", "bytes": 11, "members": 8, "priority": 4,
            "data": {"x": "\u{1b}[2J"}});
        assert_eq!(
            line(&message, false),
            "10:30:00.123 message say              chat:1 #5 (k3f9) user=ada 11 bytes to 8 priority=4 \
             {\"x\":\"\\u001b[2J\"}"
        );
        let error = json!({"kind": "error", "at_unix_ms": 0, "type": "FORBIDDEN", "room": "a\u{1b}[2J", "code": 4013,
            "meaning": "the token does not allow this", "during": "join_denied"});
        let line_of_error = line(&error, false);
        assert!(
            line_of_error.ends_with("a\\u{1b}[2J 4013 the token does not allow this (join_denied)"),
            "{line_of_error}"
        );
        let forger = json!({"kind": "event", "at_unix_ms": 0, "type": "join", "user_id": "eve role=admin", "role": "x\u{202e}y"});
        assert!(line(&forger, false).ends_with("user=\"eve role=admin\" role=x\\u{202e}y"));
        assert!(line(&error, true).contains("\x1b[31merror"));
        assert_eq!(line(&json!({"kind": "skipped", "count": 7}), false), "7 records went by unread");
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encode("chat:*&a=ü"), "chat:%2A%26a%3D%C3%BC");
        assert_eq!(crate::percent::decode(&encode("a+b c%")), "a+b c%");
    }
}
