//! `fanfare-instructions`: how many instructions each part of the hot path takes, counted by valgrind, so that a noisy
//! machine changes nothing. Fails when one takes over 3 % more than the accepted count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use fanfare_bench::parts;
use serde::{Deserialize, Serialize};

/// Counts the instructions of the hot path's parts and compares them with the accepted counts.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 nothing costs more, 1 something does (or could not be counted), 2 wrong usage.\n\n\
    Accept new counts on purpose:\n  cargo run --release -p fanfare-bench --bin fanfare-instructions -- --accept"
)]
struct Args {
    /// Write what was counted as the accepted counts.
    #[arg(long)]
    accept: bool,
    /// The accepted counts.
    #[arg(long, default_value = "docs/data/instructions.json", value_name = "FILE")]
    accepted: PathBuf,
    /// Only parts whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How much more is too much, in percent.
    #[arg(long, default_value_t = 3.0, value_name = "PERCENT")]
    tolerance: f64,
    /// Run one part so many times: what valgrind is given.
    #[arg(long, num_args = 2, value_names = ["PART", "TIMES"], hide = true)]
    run: Option<Vec<String>>,
}

/// What was accepted.
#[derive(Default, Deserialize, Serialize)]
struct Accepted {
    /// The compiler and the vectors that it was counted with: others make other instructions of the same code.
    counted_with: String,
    counts: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([name, times]) = args.run.as_deref() {
        return run(name, times);
    }
    match compare(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("fanfare-instructions: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The part, made and run: its making costs the same however often it is run afterwards.
fn run(name: &str, times: &str) -> ExitCode {
    let part = parts::all().into_iter().map(|make| make()).find(|part| part.name == name);
    let (Some(mut part), Ok(times)) = (part, times.parse::<u32>()) else { return ExitCode::from(2) };
    for _ in 0..times {
        (part.run)();
    }
    ExitCode::SUCCESS
}

fn compare(args: &Args) -> Result<bool, String> {
    let names: Vec<&str> = parts::all().into_iter().map(|make| make().name).collect();
    let wanted = |name: &&&str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut accepted = read(&args.accepted)?;
    let counted_with = counted_with()?;
    if accepted.counted_with != counted_with && !args.accept {
        println!(
            "the accepted counts are of\n  {}\nthis is\n  {counted_with}\nnothing was compared",
            accepted.counted_with
        );
        return Ok(true);
    }
    let mut good = true;
    let mut counted = BTreeMap::new();
    println!("{:<34} {:>14} {:>14} {:>9}", "instructions", "accepted", "now", "change");
    for name in names.iter().filter(wanted) {
        let now = count(name)?;
        counted.insert((*name).to_owned(), now.round() as u64);
        let Some(before) = accepted.counts.get(*name).map(|count| *count as f64) else {
            println!("{name:<34} {:>14} {now:>14.0} {:>9}", "-", "new");
            good &= args.accept;
            continue;
        };
        let change = (now / before - 1.0) * 100.0;
        let worse = change > args.tolerance;
        println!(
            "{name:<34} {before:>14.0} {now:>14.0} {change:>+8.2}%{}",
            if worse { "  <-- more" } else { "" }
        );
        good &= !worse || args.accept;
    }
    if args.accept {
        accepted.counted_with = counted_with;
        accepted.counts.extend(counted);
        write(&args.accepted, &accepted)?;
        println!("accepted: {}", args.accepted.display());
    } else if !good {
        println!(
            "\nsomething costs more (or is new); if that is meant, run again with --accept and commit the file"
        );
    }
    Ok(good)
}

/// Instructions of one run: the difference between few and many, so that making the part does not count.
fn count(name: &str) -> Result<f64, String> {
    let (few, many) = if name.ends_with("100000") { (3, 13) } else { (50, 250) };
    let counted = |times: u32| -> Result<f64, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
            .arg(program)
            .args(["--run", name, &times.to_string()])
            .output()
            .map_err(|error| format!("valgrind cannot be run ({error}): apt install valgrind"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line =
            told.lines().find_map(|line| line.split_once("I   refs:").or_else(|| line.split_once("I refs:")));
        let number = line.and_then(|(_, number)| number.trim().replace(',', "").parse().ok());
        number.filter(|_| output.status.success()).ok_or_else(|| format!("{name}: valgrind failed:\n{told}"))
    };
    Ok((counted(many)? - counted(few)?) / f64::from(many - few))
}

/// What decides, beside the code, which instructions there are.
fn counted_with() -> Result<String, String> {
    let output =
        Command::new("rustc").arg("--version").output().map_err(|error| format!("rustc: {error}"))?;
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vectors = if flags.contains(" avx2") { "AVX2" } else { "no AVX2" };
    Ok(format!("{}, {vectors}", String::from_utf8_lossy(&output.stdout).trim()))
}

fn read(path: &Path) -> Result<Accepted, String> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Accepted::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn write(path: &Path, accepted: &Accepted) -> Result<(), String> {
    let text = serde_json::to_string_pretty(accepted).map_err(|error| error.to_string())?;
    std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
}
