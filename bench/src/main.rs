//! `fanfare-bench`: compares the engine with its baselines, paired within one run.
//!
//! Machines differ, and a noisy one differs from itself a minute later. So no number here stands alone: each
//! round runs every contestant of a case one after the other, rounds start with another contestant each, and
//! what counts is the ratio of medians. The server has one core and the load generator another.
//! With `--scaling` it measures instead how the engine's own cost grows with the load, with `--compression` what
//! compression costs and saves.

mod case;
mod chart;
mod compression;
mod load;
mod results;
mod scaling;
mod server;
mod summary;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fanfare_sys::Flusher;

use crate::case::{Case, Kind};
use crate::compression::Compression;
use crate::load::{Outcome, Run};
use crate::scaling::Scaling;
use crate::server::{Binaries, Setup};
use crate::summary::Summary;

/// Compares the engine with the kernel's floor, with its own send ring alone, and with a plain tokio server.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Build everything first: cargo build --release --workspace\n\n\
    Exit codes: 0 all runs went well, 1 some failed (they are named),\n\
    2 wrong usage, or slower than --gate allows."
)]
struct Args {
    /// Measure instead how the engine's cost grows with members, rooms, bytes and shards.
    #[arg(long, conflicts_with_all = ["gate", "servers"])]
    scaling: bool,
    /// Measure instead what compression costs and saves: of the compressor alone ("parts") and with clients ("wire").
    #[arg(long, conflicts_with_all = ["gate", "servers", "scaling", "chart"])]
    compression: bool,
    /// Two short rounds, of --scaling and --compression one: for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Rounds, each with every contestant [default: 5, 2 with --quick; of --scaling 3, 1 with --quick; of --compression 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Only cases, series or tables whose name contains this (repeatable).
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
    /// Where the results go as JSON [default: docs/data/performance.json, of --scaling docs/data/scaling.json, of
    /// --compression docs/data/compression.json].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    fn out(&self) -> PathBuf {
        let default = match (self.scaling, self.compression) {
            (true, _) => "docs/data/scaling.json",
            (_, true) => "docs/data/compression.json",
            _ => "docs/data/performance.json",
        };
        self.out.clone().unwrap_or_else(|| default.into())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text.as_str()))
    }
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

/// Measures and draws; returns how many runs failed.
fn run(args: &Args) -> Result<usize, String> {
    if args.redraw {
        return draw(args).map(|()| 0);
    }
    let binaries =
        Binaries::find(args.engine.clone(), args.loadgen.clone()).map_err(|error| error.to_string())?;
    match (args.scaling, args.compression) {
        (true, _) => measure_scaling(args, &binaries),
        (_, true) => measure_compression(args, &binaries),
        _ => compare(args, &binaries),
    }
}

fn compare(args: &Args, binaries: &Binaries) -> Result<usize, String> {
    let servers = servers(args)?;
    for kind in &servers {
        binaries.check(*kind)?;
    }
    let cases: Vec<Case> = case::all(args.quick).into_iter().filter(|case| args.wants(case.name)).collect();
    if cases.is_empty() {
        return Err("--only matches no case".into());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 2 } else { 5 });

    let mut summary = Summary::new(rounds, args.quick);
    for (number, case) in (1..).zip(&cases) {
        eprintln!("[{number}/{}] {}: {}", cases.len(), case.name, case.what);
        let outcomes = run_case(args, binaries, case, &servers, rounds);
        println!("{}", summary.add(case, outcomes));
    }
    written(args, summary.write(&args.out()))?;
    if let Some(above) = args.gate.map(|ratio| summary.above(ratio)).filter(|above| !above.is_empty()) {
        return Err(format!("slower than the gate allows\n  {}", above.join("\n  ")));
    }
    Ok(summary.failed())
}

fn measure_scaling(args: &Args, binaries: &Binaries) -> Result<usize, String> {
    for kind in [Kind::Engine, Kind::Floor] {
        binaries.check(kind)?;
    }
    let wanted: Vec<_> = scaling::all().into_iter().filter(|series| args.wants(series.name)).collect();
    if wanted.is_empty() {
        return Err("--only matches no series".into());
    }
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    let (server_core, client_core) = (args.server_core, args.client_core);
    let scaling = Scaling { binaries, server_core, client_core, rounds };
    let (mut entries, mut failed) = (Vec::new(), 0);
    for (number, series) in (1..).zip(&wanted) {
        eprintln!("[{number}/{}] {}: {}", wanted.len(), series.name, series.what);
        let (entry, failures) = scaling.measure(series);
        entries.push(entry);
        failed += failures;
    }
    written(args, results::write(&args.out(), rounds, args.quick, "series", &entries))?;
    Ok(failed)
}

fn measure_compression(args: &Args, binaries: &Binaries) -> Result<usize, String> {
    binaries.check(Kind::Engine)?;
    let rounds = args.rounds.unwrap_or(1);
    let (server_core, client_core, quick) = (args.server_core, args.client_core, args.quick);
    let (found, failed) =
        Compression { binaries, server_core, client_core, rounds, quick }.measure(|name| args.wants(name));
    if found.is_empty() {
        return Err("--only matches no table: there are parts and wire".into());
    }
    written(args, results::write(&args.out(), rounds, quick, "tables", &found))?;
    Ok(failed)
}

/// Tells where the results are, and draws them.
fn written(args: &Args, result: io::Result<()>) -> Result<(), String> {
    let out = args.out();
    result.map_err(|error| format!("--out {}: {error}", out.display()))?;
    eprintln!("results: {}", out.display());
    draw(args)
}

/// Those that were asked for, else all that can run here.
fn servers(args: &Args) -> Result<Vec<Kind>, String> {
    let mut servers = if args.servers.is_empty() { Kind::ALL.to_vec() } else { args.servers.clone() };
    if servers.contains(&Kind::Ring)
        && let Err(error) = Flusher::ring(8)
    {
        // The engine goes on without io_uring; a baseline that did would be the floor by another name.
        if !args.servers.is_empty() {
            return Err(format!("--server ring: io_uring is refused here: {error}"));
        }
        eprintln!("io_uring is refused here, so the ring is left out: {error}");
        servers.retain(|kind| *kind != Kind::Ring);
    }
    Ok(servers)
}

/// Draws the results that were written, if a chart is wanted.
fn draw(args: &Args) -> Result<(), String> {
    let Some(chart) = &args.chart else { return Ok(()) };
    let failed =
        |path: &std::path::Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let out = args.out();
    let text = std::fs::read(&out).map_err(|error| failed(&out, &error))?;
    let results = serde_json::from_slice(&text).map_err(|error| failed(&out, &error))?;
    let svg = if args.scaling {
        scaling::draw(&results, &scaling::all())
    } else {
        chart::draw(&results, &case::all(args.quick))
    };
    std::fs::write(chart, svg).map_err(|error| failed(chart, &error))
}

fn run_case(
    args: &Args,
    binaries: &Binaries,
    case: &Case,
    servers: &[Kind],
    rounds: u32,
) -> Vec<(&'static str, Outcome)> {
    let contestants: Vec<_> =
        case.contestants.iter().filter(|contestant| servers.contains(&contestant.kind)).collect();
    let mut outcomes = Vec::new();
    for round in 0..rounds as usize {
        // Each round begins with another one, so that no place in the order is always the same server's.
        for turn in 0..contestants.len() {
            let contestant = contestants[(round + turn) % contestants.len()];
            let setup = Setup { kind: contestant.kind, core: Some(args.server_core), shards: 1, env: &[] };
            let client_core = Some(args.client_core);
            let load = case.args.iter().map(String::as_str).chain(contestant.more.iter().copied()).collect();
            let outcome =
                Run { setup, client_core, args: load, metrics: false, limit: case.limit }.run(binaries);
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn scaling_has_its_own_file_and_neither_gate_nor_choice_of_servers() {
        let parse = |more: &[&str]| Args::try_parse_from([&["fanfare-bench"], more].concat());
        assert_eq!(parse(&[]).unwrap().out(), PathBuf::from("docs/data/performance.json"));
        assert_eq!(parse(&["--scaling"]).unwrap().out(), PathBuf::from("docs/data/scaling.json"));
        assert_eq!(parse(&["--scaling", "--out", "x"]).unwrap().out(), PathBuf::from("x"));
        assert_eq!(parse(&["--compression"]).unwrap().out(), PathBuf::from("docs/data/compression.json"));
        assert!(parse(&["--compression", "--scaling"]).is_err());
        assert!(parse(&["--scaling", "--gate", "1.5"]).is_err());
        assert!(parse(&["--scaling", "--server", "floor"]).is_err());
    }
}
