//! `fanfare-bench`: compares the engine with its baselines, paired within one run.
//!
//! Machines differ, and a noisy one differs from itself a minute later. So no number here stands alone: each
//! round runs every contestant of a case one after the other, rounds start with another contestant each, and
//! what counts is the ratio of medians. The server has one core and the load generator another.

mod case;
mod chart;
mod load;
mod server;
mod summary;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::case::{Case, Kind};
use crate::load::{Load, Outcome};
use crate::server::Binaries;
use crate::summary::Summary;

/// Compares the engine with the kernel's floor and with a plain tokio server.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Build everything first: cargo build --release --workspace\n\n\
    Exit codes: 0 all runs went well, 1 some failed (they are named),\n\
    2 wrong usage, or slower than --gate allows."
)]
struct Args {
    /// Two short rounds: for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Rounds, each with every contestant [default: 5; 2 with --quick].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Only cases whose name contains this (repeatable).
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Only these servers (repeatable).
    #[arg(long = "server", value_enum, value_name = "SERVER")]
    servers: Vec<Kind>,
    /// The engine's binary [default: `fanfare` beside this program].
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// The load generator [default: `fanfare-loadgen` beside this program].
    #[arg(long, value_name = "FILE")]
    loadgen: Option<PathBuf>,
    /// Core of the server.
    #[arg(long, default_value_t = 0, value_name = "CORE")]
    server_core: u32,
    /// Core of the load generator.
    #[arg(long, default_value_t = 1, value_name = "CORE")]
    client_core: u32,
    /// Fail when a case's first number is more than so many times the floor's.
    #[arg(long, value_name = "RATIO")]
    gate: Option<f64>,
    /// Also draw the results.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Measure nothing: draw the chart of the results that are there already.
    #[arg(long, requires = "chart")]
    redraw: bool,
    /// Where the results go as JSON.
    #[arg(long, default_value = "docs/data/performance.json", value_name = "FILE")]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("fanfare-bench: {failed} runs failed; their numbers are left out");
            ExitCode::from(1)
        }
        Err(message) => {
            eprintln!("fanfare-bench: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs the cases; returns how many runs failed.
fn run(args: &Args) -> Result<usize, String> {
    if args.redraw {
        return draw(args).map(|()| 0);
    }
    let binaries =
        Binaries::find(args.engine.clone(), args.loadgen.clone()).map_err(|error| error.to_string())?;
    let servers = if args.servers.is_empty() { Kind::ALL.to_vec() } else { args.servers.clone() };
    for kind in &servers {
        binaries.check(*kind)?;
    }
    let wanted =
        |case: &Case| args.only.is_empty() || args.only.iter().any(|text| case.name.contains(text.as_str()));
    let cases: Vec<Case> = case::all(args.quick).into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err("--only matches no case".into());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 2 } else { 5 });
    let load = Load { binaries: &binaries, server_core: args.server_core, client_core: args.client_core };

    let mut summary = Summary::new(rounds, args.quick);
    for (number, case) in (1..).zip(&cases) {
        eprintln!("[{number}/{}] {}: {}", cases.len(), case.name, case.what);
        let outcomes = run_case(&load, case, &servers, rounds);
        println!("{}", summary.add(case, outcomes));
    }
    summary.write(&args.out).map_err(|error| format!("--out {}: {error}", args.out.display()))?;
    eprintln!("results: {}", args.out.display());
    draw(args)?;
    if let Some(above) = args.gate.map(|ratio| summary.above(ratio)).filter(|above| !above.is_empty()) {
        return Err(format!("slower than the gate allows\n  {}", above.join("\n  ")));
    }
    Ok(summary.failed())
}

/// Draws the results that were written, if a chart is wanted.
fn draw(args: &Args) -> Result<(), String> {
    let Some(chart) = &args.chart else { return Ok(()) };
    let failed =
        |path: &std::path::Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(&args.out).map_err(|error| failed(&args.out, &error))?;
    let results = serde_json::from_slice(&text).map_err(|error| failed(&args.out, &error))?;
    std::fs::write(chart, chart::draw(&results, &case::all(args.quick)))
        .map_err(|error| failed(chart, &error))
}

fn run_case(load: &Load<'_>, case: &Case, servers: &[Kind], rounds: u32) -> Vec<(&'static str, Outcome)> {
    let contestants: Vec<_> =
        case.contestants.iter().filter(|contestant| servers.contains(&contestant.kind)).collect();
    let mut outcomes = Vec::new();
    for round in 0..rounds as usize {
        // Each round begins with another one, so that no place in the order is always the same server's.
        for turn in 0..contestants.len() {
            let contestant = contestants[(round + turn) % contestants.len()];
            let outcome = load.run(case, contestant);
            let told = match &outcome {
                Outcome::Done(results) => case.headline(results),
                Outcome::Failed(why) => format!("FAILED: {why}"),
            };
            eprintln!("  round {}/{rounds} {:<15} {told}", round + 1, contestant.name);
            outcomes.push((contestant.name, outcome));
        }
    }
    outcomes
}

/// Polls until `done` says so or the time is over.
fn poll(limit: Duration, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let deadline = std::time::Instant::now() + limit;
    while !done()? {
        if std::time::Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
