//! What is measured, one file each.

mod capacity;
mod connect;
mod fanout;
mod idle;
mod in_flight;
mod mixed;
mod own;
mod publish;
mod slow;
mod storm;
mod tally;

use std::fs;
use std::io::Write;

use crate::cli::{Cli, CommonArgs, PresetArgs, Scenario, TimeArgs};
use crate::plan::Plan;
use crate::report::Report;
use crate::server_side::ServerSide;
use crate::verdict::Verdict;
use crate::{batch, interrupt, raw, sys};

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
    match &cli.scenario {
        Scenario::Preset(args) => return preset(args),
        Scenario::Run(args) => {
            interrupt::listen()?;
            let runs = batch::read(args).map_err(RunError::Usage)?;
            let mut worst = Verdict::Ok;
            for (number, scenario) in (1..).zip(&runs) {
                if interrupt::happened() {
                    break;
                }
                eprintln!("run {number} of {}", runs.len());
                worst = worst.max(run_one(scenario)?);
            }
            return Ok(worst);
        }
        _ => interrupt::listen()?,
    }
    run_one(&cli.scenario)
}

fn run_one(scenario: &Scenario) -> Result<Verdict, RunError> {
    let (report, common) = match scenario {
        Scenario::Fanout(args) => (fanout::run("fanout", args)?, &args.common),
        Scenario::Rooms(args) => (fanout::run("rooms", args)?, &args.common),
        Scenario::Mesh(args) => (fanout::run("mesh", args)?, &args.common),
        Scenario::Slow(args) => (slow::run(args)?, &args.common),
        Scenario::Publish(args) => (publish::run(args)?, &args.common),
        Scenario::Mixed(args) => (mixed::run(args)?, &args.common),
        Scenario::Capacity(args) => (capacity::run(args)?, &args.fanout.common),
        Scenario::Connect(args) => (connect::run(args)?, &args.common),
        Scenario::Storm(args) => (storm::run(args)?, &args.common),
        Scenario::Idle(args) => (idle::run(args)?, &args.common),
        Scenario::Run(_) | Scenario::Preset(_) => return Err(RunError::Usage("no scenario".into())),
    };
    finish(report, common)
}

/// Prints a ready table, or their names.
fn preset(args: &PresetArgs) -> Result<Verdict, RunError> {
    let names = raw::preset_names();
    match &args.name {
        None => say(&format!("{}\n", names.join("\n"))),
        Some(name) => {
            let text = raw::preset_text(name).ok_or_else(|| {
                RunError::Usage(format!("there is no table `{name}`; there are {}", names.join(", ")))
            })?;
            say(text);
        }
    }
    Ok(Verdict::Ok)
}

fn check_rate(rate: f64) -> Result<(), RunError> {
    if rate > 0.0 && rate <= 10_000_000.0 {
        return Ok(());
    }
    Err(RunError::Usage("--rate must be above 0 and at most 10,000,000 per second".into()))
}

fn check_time(time: &TimeArgs) -> Result<(), RunError> {
    if time.duration.is_zero() { Err(RunError::Usage("--duration must not be 0".into())) } else { Ok(()) }
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

/// Makes this thread ready: its core, its timers, its limit of open files; and finds the server's own figures.
fn prepare(args: &CommonArgs, plan: &Plan) -> Result<ServerSide, RunError> {
    if let Some(core) = args.cpu {
        sys::pin_to_core(core).map_err(|error| RunError::Usage(format!("--cpu {core}: {error}")))?;
    }
    let server = ServerSide::new(args).map_err(RunError::Usage)?;
    sys::precise_timers();
    let limit = sys::raise_open_files()?;
    plan.check_open_files(limit).map_err(RunError::Failed)?;
    Ok(server)
}
