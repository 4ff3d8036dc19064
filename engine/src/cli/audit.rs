//! `fanfare audit`: the lines of an audit log that somebody asks for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde::Deserialize;

use crate::audit;

/// `fanfare audit`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare audit --user ada /var/log/fanfare/audit.jsonl
  fanfare audit --room chart:42 --since 2026-11-01 --until 2026-11-08 /var/log/fanfare/audit.jsonl
  fanfare audit --event join_denied --since 2h /var/log/fanfare/audit.jsonl
  fanfare audit --connection 0.7.1 /var/log/fanfare/audit.jsonl

Prints whole lines, oldest file first. All that is asked for must fit. A single file without a number brings the full ones beside it.
Whether the lines are what was written tells `fanfare verify-audit`.
Exit codes: 0 done (also without a line), 1 a file could not be read, 2 wrong usage.")]
pub struct AuditArgs {
    /// The files of one log, in any order.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Who did it, or to whom it was done.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The room.
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// What happened: connect, join_denied, admin, …
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// The connection's id; it is one connection's between two `start` lines.
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// From then on: 2026-11-01, 2026-11-01T08:00:00Z, or 2h ago.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Before then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
}

/// A day, a moment in UTC, or how long ago.
fn time(text: &str) -> Result<SystemTime, String> {
    if let Some(ago) = crate::config::duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| "is too long ago".to_owned());
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&whole)
        .map_err(|_| "write 2026-11-01, 2026-11-01T08:00:00Z, or 2h for two hours ago".to_owned())
}

/// What is looked at.
#[derive(Deserialize)]
struct Line {
    ts: String,
    event: String,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    connection: Option<String>,
}

impl AuditArgs {
    fn wants(&self, line: &Line) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        let at = humantime::parse_rfc3339(&line.ts).ok();
        (is(&self.user, line.user_id.as_ref()) || is(&self.user, line.actor.as_ref()))
            && is(&self.room, line.room.as_ref())
            && is(&self.event, Some(&line.event))
            && is(&self.connection, line.connection.as_ref())
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

/// Prints what fits.
pub fn run(args: &AuditArgs) -> ExitCode {
    match print(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(args: &AuditArgs) -> Result<(), String> {
    let files = audit::files_of(&args.paths).map_err(|error| error.to_string())?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut unread = 0_u64;
    for path in files {
        let told = |error: io::Error| format!("{}: {error}", path.display());
        let mut reader = BufReader::new(File::open(&path).map_err(told)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(told)? > 0 {
            match serde_json::from_slice::<Line>(&line) {
                // A reader that has gone is no failure.
                Ok(read) if args.wants(&read) && out.write_all(&line).is_err() => return Ok(()),
                Ok(_) => {}
                Err(_) => unread += 1,
            }
            line.clear();
        }
    }
    let _ = out.flush();
    if unread > 0 {
        return Err(format!("{unread} lines could not be read; `fanfare verify-audit` tells which"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(user: Option<&str>, room: Option<&str>, since: Option<&str>) -> AuditArgs {
        AuditArgs {
            paths: Vec::new(),
            user: user.map(str::to_owned),
            room: room.map(str::to_owned),
            event: None,
            connection: None,
            since: since.map(|text| time(text).unwrap()),
            until: None,
        }
    }

    #[test]
    fn all_that_is_asked_for_must_fit() {
        let line: Line = serde_json::from_str(
            r#"{"ts":"2026-11-02T10:00:00.000001Z","event":"join","user_id":"ada","room":"a:1","seq":1}"#,
        )
        .unwrap();
        for (user, room, since, fits) in [
            (None, None, None, true),
            (Some("ada"), Some("a:1"), Some("2026-11-02"), true),
            (Some("ada"), Some("a:2"), None, false),
            (Some("ben"), None, None, false),
            (None, None, Some("2026-11-02T10:00:01Z"), false),
        ] {
            assert_eq!(args(user, room, since).wants(&line), fits, "{user:?} {room:?} {since:?}");
        }
        let line: Line =
            serde_json::from_str(r#"{"ts":"2026-11-02T10:00:00Z","event":"admin","actor":"ada"}"#).unwrap();
        assert!(args(Some("ada"), None, None).wants(&line));
    }

    #[test]
    fn times_are_days_moments_or_durations() {
        assert_eq!(time("2026-11-02").unwrap(), time("2026-11-02T00:00:00Z").unwrap());
        assert!(time("2h").unwrap() < SystemTime::now());
        assert!(time("yesterday").is_err() && time("2026-13-01").is_err());
    }
}
