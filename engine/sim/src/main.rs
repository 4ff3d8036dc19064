//! Plays many seeds and stops at the first that fails.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use fanfare_sim::{Deed, Script, Tried, play, service, shrink};

/// A whole deployment in one thread, played from seeds and checked after every step.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 all plays went well, 1 one failed (it is shrunk, and told as a command line that plays it again).\n\n\
    Examples:\n  \
    fanfare-sim --plays 2000\n  \
    fanfare-sim --seconds 3600 --seed 1000000\n  \
    fanfare-sim --seed 42 --plays 1 --steps 137 --without join,history"
)]
struct Args {
    /// The first seed; each play takes the next.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// How many plays.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    plays: u64,
    /// Go on for so long instead.
    #[arg(long, value_name = "SECONDS", conflicts_with = "plays")]
    seconds: Option<u64>,
    /// How many plays of each service go before them.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    services: u64,
    /// Only plays of this service.
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Steps of each play.
    #[arg(long, default_value_t = 5_000, value_name = "COUNT")]
    steps: u32,
    /// How many people there are; drawn from the seed otherwise. More than a few are all there from the start.
    #[arg(long, value_name = "COUNT")]
    people: Option<usize>,
    /// What never happens.
    #[arg(long, value_name = "DEED", value_delimiter = ',', value_parser = deed)]
    without: Vec<Deed>,
}

fn deed(word: &str) -> Result<Deed, String> {
    let found = Deed::ALL.iter().find(|(_, name, _)| *name == word);
    found.map(|(deed, _, _)| *deed).ok_or_else(|| {
        let words: Vec<&str> = Deed::ALL.iter().map(|(_, word, _)| *word).collect();
        format!("must be one of {}", words.join(", "))
    })
}

/// Why the last play failed.
static FAILURE: Mutex<String> = Mutex::new(String::new());

fn fails(script: &Script) -> bool {
    catch_unwind(AssertUnwindSafe(|| play(script))).is_err()
}

fn main() -> ExitCode {
    let args = Args::parse();
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut failure) = FAILURE.lock() {
            *failure = info.to_string();
        }
    }));
    if !play_services(&args) {
        return ExitCode::FAILURE;
    }
    if args.service.is_some() {
        return ExitCode::SUCCESS;
    }
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (begin, mut told) = (Instant::now(), Instant::now());
    let (mut plays, mut all) = (0_u64, Tried::default());
    while end.map_or(plays < args.plays, |end| Instant::now() < end) {
        let (seed, without) = (args.seed + plays, args.without.clone());
        let script = Script { seed, steps: args.steps, people: args.people, without };
        let Ok(tried) = catch_unwind(AssertUnwindSafe(|| play(&script))) else {
            return tell(&script);
        };
        plays += 1;
        all += tried;
        if told.elapsed() > Duration::from_secs(2) {
            told = Instant::now();
            // Progress that cannot be written is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{plays} plays, {} steps", plays * u64::from(args.steps));
        }
    }
    println!(
        "{plays} plays of {} steps in {:.1} s: {all}; nothing wrong",
        args.steps,
        begin.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

/// Plays every service from the same seeds. False when something went wrong.
fn play_services(args: &Args) -> bool {
    for (name, part) in service::PARTS {
        if args.service.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        for seed in args.seed..args.seed + args.services {
            let play = AssertUnwindSafe(|| service::play(&mut *part(), seed, args.steps));
            if catch_unwind(play).is_err() {
                let why = FAILURE.lock().map_or_else(|_| String::new(), |failure| failure.clone());
                eprintln!(
                    "{why}\n\nfanfare-sim --service {name} --seed {seed} --services 1 --steps {}",
                    args.steps
                );
                return false;
            }
        }
        println!("{} plays of the service {name}; nothing wrong", args.services);
    }
    true
}

fn tell(script: &Script) -> ExitCode {
    let why = || FAILURE.lock().map_or_else(|_| String::new(), |failure| failure.clone());
    eprintln!("seed {} fails: {}\nshrinking", script.seed, why());
    let short = shrink(script, fails);
    // Once more, so that the reason told is the short play's.
    fails(&short);
    let words: Vec<&str> = Deed::ALL
        .iter()
        .filter(|(deed, _, _)| short.without.contains(deed))
        .map(|(_, word, _)| *word)
        .collect();
    let without = if words.is_empty() { String::new() } else { format!(" --without {}", words.join(",")) };
    let people = short.people.map_or_else(String::new, |people| format!(" --people {people}"));
    let (seed, steps) = (short.seed, short.steps);
    eprintln!("{}\n\nfanfare-sim --seed {seed} --plays 1 --steps {steps}{people}{without}", why());
    ExitCode::FAILURE
}
