//! What is measured, one file each.

mod connect;
mod fanout;
mod idle;
mod in_flight;
mod tally;

use std::path::Path;

use crate::cli::{Cli, CommonArgs, Scenario};
use crate::plan::Plan;
use crate::report::{Report, Verdict};
use crate::sys;

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
    let (report, json) = match &cli.scenario {
        Scenario::Fanout(args) => (fanout::run(args)?, &args.common.json),
        Scenario::Connect(args) => (connect::run(args)?, &args.common.json),
        Scenario::Idle(args) => (idle::run(args)?, &args.common.json),
    };
    finish(&report, json.as_deref())
}

fn finish(report: &Report, json: Option<&Path>) -> Result<Verdict, RunError> {
    println!("{}", report.text());
    if let Some(path) = json {
        report.write_json(path).map_err(|error| RunError::Failed(format!("--json: {error}")))?;
    }
    Ok(report.verdict())
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
