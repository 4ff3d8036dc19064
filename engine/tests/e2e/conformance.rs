//! Clients and suites that other people wrote.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use crate::support::{Options, Server, token};

pub(crate) fn target() -> PathBuf {
    // …/target/debug/fanfare
    PathBuf::from(env!("CARGO_BIN_EXE_fanfare")).ancestors().nth(2).unwrap().to_owned()
}

pub(crate) fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(name)
}

/// Installs the clients, once. The exit code, and what it said.
pub(crate) fn setup() -> (i32, String) {
    static DONE: OnceLock<(i32, String)> = OnceLock::new();
    let run = || {
        let output = Command::new("sh").arg(script("setup.sh")).arg(target()).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&told).into_owned())
    };
    DONE.get_or_init(run).clone()
}

fn python(arguments: &[&str]) {
    succeeds(Command::new(target().join("venv/bin/python")).args(arguments));
}

/// Runs something to its end, which is to be a good one.
pub(crate) fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    eprintln!("{told}");
    assert!(output.status.success(), "{told}");
}

#[test]
fn clients_with_every_kind_of_deflate_and_without_read_the_same() {
    let (code, told) = setup();
    assert!([0, 3].contains(&code), "{told}");
    for driver in ["uring", "epoll"] {
        let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
        let server = Server::start(Options { driver, config, ..Options::default() });
        let token = token("ada", "user", json!({}));
        python(&[script("deflate_client.py").to_str().unwrap(), &server.address, &token]);
        assert!(server.metric("fanfare_compressed_total") > 0.0);
    }
}

/// All 517 cases with `FANFARE_AUTOBAHN=all`, a fifth of them otherwise.
#[test]
fn the_autobahn_suite_finds_nothing() {
    let (code, told) = setup();
    if code == 3 && std::env::var_os("CI").is_none() {
        eprintln!("not run: {told}");
        return;
    }
    assert_eq!(code, 0, "{told}");
    let server = Server::start(Options { echo: true, ..Options::default() });
    let all = std::env::var("FANFARE_AUTOBAHN").is_ok_and(|value| value == "all");
    let (suite, report) = (target().join("autobahn"), target().join("autobahn-report"));
    let (script, suite, report) = (script("autobahn.py"), suite.to_str().unwrap(), report.to_str().unwrap());
    let extent = if all { "all" } else { "quick" };
    python(&[script.to_str().unwrap(), &server.address, suite, report, extent]);
}
