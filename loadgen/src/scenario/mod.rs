//! What is measured, one file each.

mod capacity;
mod connect;
mod fanout;
mod idle;
mod in_flight;
mod tally;

use std::fs;
use std::io::Write;

use crate::cli::{Cli, CommonArgs, Scenario};
use crate::plan::Plan;
use crate::report::{Report, Verdict};
use crate::{interrupt, sys};

/// Why a run has no report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunError {
    /// The user has to change an argument (exit code 2).
    Usage(String),
    /// This machine did not let us run (exit code 1).
    Failed(String),
}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs what the command line asks for and prints its report.
///
/// # Errors
/// Nothing was measured.
pub(crate) fn run(cli: Cli) -> Result<Verdict, RunError> {
    interrupt::listen()?;
    let (report, common) = match &cli.scenario {
        Scenario::Fanout(args) => (fanout::run(args)?, &args.common),
        Scenario::Capacity(args) => (capacity::run(args)?, &args.fanout.common),
        Scenario::Connect(args) => (connect::run(args)?, &args.common),
        Scenario::Idle(args) => (idle::run(args)?, &args.common),
    };
    finish(report, common)
}

fn finish(mut report: Report, args: &CommonArgs) -> Result<Verdict, RunError> {
    report.check(&args.threshold);
    let failed = |option: &str, error: std::io::Error| RunError::Failed(format!("{option}: {error}"));
    if let Some(path) = &args.compare {
        say(&format!("{}\n", report.compared(path).map_err(|error| failed("--compare", error))?));
    }
    if let Some(path) = &args.json {
        report.write_json(path).map_err(|error| failed("--json", error))?;
    }
    if let Some(path) = &args.html {
        fs::write(path, report.html()).map_err(|error| failed("--html", error))?;
    }
    for (option, path, text) in [("--csv", &args.csv, report.csv()), ("--hdr", &args.hdr, report.hdr())] {
        let Some(path) = path else { continue };
        let Some(text) = text else {
            return Err(RunError::Usage(format!("{option}: this scenario measures no latency of messages")));
        };
        fs::write(path, text).map_err(|error| failed(option, error))?;
    }
    // Last, so that the last line says how it ended.
    say(&report.text());
    Ok(report.verdict())
}

/// Prints; whoever reads may have gone (`| head`), which changes nothing about the run.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Makes this thread ready: its core, its timers, its limit of open files.
fn prepare(args: &CommonArgs, plan: &Plan) -> Result<(), RunError> {
    if let Some(core) = args.cpu {
        sys::pin_to_core(core).map_err(|error| RunError::Usage(format!("--cpu {core}: {error}")))?;
    }
    if let Some(pid) = args.pid {
        crate::process::cpu(pid).map_err(|error| RunError::Usage(format!("--pid {pid}: {error}")))?;
    }
    sys::precise_timers();
    let limit = sys::raise_open_files()?;
    plan.check_open_files(limit).map_err(RunError::Failed)
}
