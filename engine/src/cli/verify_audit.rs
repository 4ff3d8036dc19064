//! `fanfare verify-audit`: whether an audit log is what was written.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::audit::{self, Failure, Finding, Key, Verified};

/// `fanfare verify-audit`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare verify-audit /var/log/fanfare/audit.jsonl
  fanfare verify-audit --key-file /etc/fanfare/audit.key /var/log/fanfare/audit.jsonl
  fanfare verify-audit --running /var/log/fanfare/audit.jsonl
  fanfare verify-audit archive/audit.12.jsonl archive/audit.13.jsonl

A single file without a number brings the full ones beside it (audit.1.jsonl, audit.2.jsonl, …). Tells the first place where lines
were edited, removed, moved or cut off. Compare the last seq and hash with what the server's own log told when it started or ended:
that is how an end that was cut off behind an earlier stop is found.
Exit codes: 0 the log is whole, 1 it is not, or could not be read, 3 it is whole as it stands, but a process died: what is told with
`warning` might have been changed or cut off before the next process signed it.")]
pub struct VerifyAuditArgs {
    /// The files of one log, in any order.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What `[audit] key_file` named: every checkpoint must be signed with it. Several times after a change of keys.
    #[arg(long = "key-file", value_name = "FILE")]
    key_files: Vec<PathBuf>,
    /// The server is still writing, so the log has no end yet.
    #[arg(long)]
    running: bool,
}

/// Whole as it stands, with places that nobody can vouch for.
const UNPROVEN: u8 = 3;

/// Does it and says what came of it.
pub fn run(args: &VerifyAuditArgs) -> ExitCode {
    match check(args) {
        Ok((text, is_proven)) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            if is_proven { ExitCode::SUCCESS } else { ExitCode::from(UNPROVEN) }
        }
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

/// What it found, and whether all of it is proven.
fn check(args: &VerifyAuditArgs) -> Result<(String, bool), String> {
    let keys: Result<Vec<Key>, String> = args.key_files.iter().map(key).collect();
    let keys = keys?;
    let files = audit::files_of(&args.paths).map_err(|error| format!("error: {error}"))?;
    let verified = audit::verify(&files, &keys).map_err(|failure| match failure {
        Failure::Broken(Finding { file, line, what }) => {
            format!("broken: {}, line {line}: {what}", file.display())
        }
        Failure::Unreadable(path, error) => format!("error: {}: {error}", path.display()),
    })?;
    let text = told(&verified, files.len(), !keys.is_empty());
    if verified.open_end && !args.running {
        let why =
            "the log ends without a stop: the process died or still runs (--running), or the end is missing";
        return Err(format!("{text}\nbroken: {why}"));
    }
    let is_proven = verified.warnings.is_empty();
    let but = if is_proven { "" } else { ", but for what is told with `warning`" };
    Ok((format!("{text}\nthe log is whole{but}"), is_proven))
}

fn key(path: &PathBuf) -> Result<Key, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("error: {}: {error}", path.display()))?;
    audit::key(bytes.trim_ascii_end()).map_err(|error| format!("error: {}: {error}", path.display()))
}

fn told(verified: &Verified, files: usize, with_key: bool) -> String {
    let Verified { lines, first_seq, last_seq, last_hash, signed, unseen, after_checkpoint, .. } = verified;
    let mut text =
        format!("{files} files, {lines} lines, seq {first_seq} to {last_seq}\nlast hash {last_hash}");
    if with_key {
        text += &format!("\n{signed} checkpoints signed; {after_checkpoint} lines after the last one");
    } else if *unseen > 0 {
        text += &format!("\n{unseen} signatures not looked at: give --key-file");
    }
    for warning in &verified.warnings {
        text += &format!("\nwarning: {warning}");
    }
    for note in &verified.notes {
        text += &format!("\nnote: {note}");
    }
    text
}
