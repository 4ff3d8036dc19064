//! `fanfare inspect`: takes what a running server remembers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::remote::Remote;

/// `fanfare inspect`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare inspect export --out before.json
  fanfare inspect export --url http://10.0.0.5:8080 --token \"$KEY\" --out - | jq .summary

The server must have its inspector on ([inspector] enabled = true; in development mode it is).")]
pub struct InspectArgs {
    #[command(subcommand)]
    command: InspectCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum InspectCommand {
    /// Write a summary, the last 500 messages, 500 events and 100 errors, and every room's counts into a file.
    Export {
        #[command(flatten)]
        remote: Remote,
        /// The file; `-` for standard output. A file that is there already is not touched.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Does it. Exit code 1: it could not be done.
pub fn run(args: &InspectArgs) -> ExitCode {
    let InspectCommand::Export { remote, out } = &args.command;
    let done = remote.get("/v1/inspector/export").and_then(|body| write(out, &body));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fanfare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn write(out: &Path, body: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    if out == Path::new("-") {
        return std::io::stdout().write_all(body).map_err(failed);
    }
    let mut file = std::fs::File::create_new(out).map_err(failed)?;
    file.write_all(body).map_err(failed)?;
    eprintln!("{}: {} bytes", out.display(), body.len());
    Ok(())
}
