//! Scenarios from a TOML file: each run is a table whose keys are the long options of its scenario, so that
//! names, defaults and errors are those of the command line.

use std::path::Path;

use clap::Parser;
use toml::{Table, Value};

use crate::cli::{Cli, RunArgs, Scenario};
use crate::raw;

/// Runs in one file at most.
const RUNS_MAX: usize = 1_000;

/// The scenarios of a file, in its order.
///
/// # Errors
/// The sentence for the user, with the number of the run.
pub(crate) fn read(args: &RunArgs) -> Result<Vec<Scenario>, String> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| format!("{name}: {error}"))?;
    parse(&text, args).map_err(|error| format!("{name}: {error}"))
}

fn parse(text: &str, args: &RunArgs) -> Result<Vec<Scenario>, String> {
    let mut common: Table = text.parse().map_err(|error: toml::de::Error| format!("TOML: {error}"))?;
    let Some(Value::Array(runs)) = common.remove("run") else {
        return Err("there is no [[run]] in it".into());
    };
    if runs.len() > RUNS_MAX {
        return Err(format!("more than {RUNS_MAX} runs"));
    }
    let url = args.url.clone().map(|url| ("url".to_owned(), Value::String(url)));
    let pid = args.pid.map(|pid| ("pid".to_owned(), Value::Integer(pid.into())));
    let given: Table = url.into_iter().chain(pid).collect();
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let scenarios = (1..).zip(runs).map(|(number, run)| {
        scenario(&common, run, &given, folder).map_err(|error| format!("run {number}: {error}"))
    });
    scenarios.collect()
}

/// One run: what it says itself goes before what stands for all, and the command line before both.
fn scenario(common: &Table, run: Value, given: &Table, folder: &Path) -> Result<Scenario, String> {
    let Value::Table(own) = run else { return Err("must be a table".into()) };
    let mut run = common.clone();
    run.extend(own);
    run.extend(given.clone());
    if let Some(Value::String(raw)) = run.get_mut("raw") {
        *raw = beside(folder, raw);
    }
    let Some(Value::String(name)) = run.remove("scenario") else {
        return Err("scenario = \"fanout\" (or another one) is missing".into());
    };
    if matches!(name.as_str(), "run" | "preset") {
        return Err(format!("{name} is no scenario"));
    }
    let mut line = vec!["fanfare-loadgen".to_owned(), name];
    for (key, value) in run {
        let option = format!("--{}", key.replace('_', "-"));
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            match value {
                Value::Boolean(false) => {}
                Value::Boolean(true) => line.push(option.clone()),
                Value::String(text) => line.push(format!("{option}={text}")),
                Value::Integer(number) => line.push(format!("{option}={number}")),
                Value::Float(number) => line.push(format!("{option}={number}")),
                _ => return Err(format!("{key}: must be a text, a number, true or a list of those")),
            }
        }
    }
    Cli::try_parse_from(&line).map(|cli| cli.scenario).map_err(|error| first_line(&error))
}

/// A table of one's own is found from where the file is, whoever runs it from wherever; a ready one has no place.
fn beside(folder: &Path, raw: &str) -> String {
    if raw::preset_text(raw).is_some() {
        return raw.to_owned();
    }
    // Both came as text: nothing is lost.
    folder.join(raw).to_string_lossy().into_owned()
}

/// clap's error without its usage, which speaks of a command line that nobody typed.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    text.trim_start_matches("error: ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Deflate;

    fn parse(text: &str) -> Result<Vec<Scenario>, String> {
        super::parse(
            text,
            &RunArgs { file: "x.toml".into(), url: Some("ws://127.0.0.1:9/".into()), pid: None },
        )
    }

    #[test]
    fn runs_become_scenarios_with_the_command_lines_names_and_defaults() {
        let runs = parse(
            "dev = true\nurl = 'ws://elsewhere/'\n[[run]]\nscenario = 'fanout'\nin_flight = 4\nthreshold = ['p99<50ms', 'lost==0']\n\
             [[run]]\nscenario = 'storm'\nconnections = 50\nrate = 100.5\ndeflate = false\n\
             [[run]]\nscenario = 'idle'\ndeflate = true\n[[run]]\nscenario = 'idle'\ndeflate = 'alone'\n",
        )
        .unwrap();
        let [Scenario::Fanout(fanout), Scenario::Storm(storm), Scenario::Idle(shared), Scenario::Idle(alone)] =
            &runs[..]
        else {
            panic!("{runs:?}")
        };
        assert_eq!((fanout.common.deflate, storm.common.deflate), (Deflate::None, Deflate::None));
        assert_eq!((shared.common.deflate, alone.common.deflate), (Deflate::Shared, Deflate::Alone));
        assert_eq!((fanout.in_flight, fanout.common.threshold.len(), fanout.members), (Some(4), 2, 1_000));
        assert_eq!((storm.connections, storm.rate, storm.common.dev), (50, Some(100.5), true));
        assert_eq!(fanout.common.url, "ws://127.0.0.1:9/");
    }

    #[test]
    fn a_table_stands_beside_its_file_unless_it_is_ready_or_has_a_place() {
        let args = RunArgs { file: "some/where/x.toml".into(), url: None, pid: None };
        for (raw, found) in [
            ("own.toml", "some/where/own.toml"),
            ("../own.toml", "some/where/../own.toml"),
            ("ws", "ws"),
            ("/etc/own.toml", "/etc/own.toml"),
        ] {
            let runs = super::parse(&format!("raw = '{raw}'\n[[run]]\nscenario = 'idle'\n"), &args).unwrap();
            let [Scenario::Idle(idle)] = &runs[..] else { panic!("{runs:?}") };
            assert_eq!(idle.common.raw.as_deref(), Some(found));
        }
        assert_eq!(beside(Path::new(""), "own.toml"), "own.toml");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_run() {
        for (text, told) in [
            ("", "no [[run]]"),
            ("run = 5", "no [[run]]"),
            ("[[run]]\nmembers = 5", "run 1: scenario"),
            (
                "[[run]]\nscenario = 'fanout'\n[[run]]\nscenario = 'fanout'\nmembres = 5",
                "run 2: unexpected argument '--membres",
            ),
            ("[[run]]\nscenario = 'fanout'\nmembers = {}", "members"),
            ("[[run]]\nscenario = 'preset'", "no scenario"),
            ("[[run]\n", "TOML"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
