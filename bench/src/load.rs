//! One run: a fresh server, the load generator against it, its results.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::case::{Case, Contestant};
use crate::poll;
use crate::server::{Binaries, Server};

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The load generator's `results`.
    Done(Value),
    /// Why there are none to trust.
    Failed(String),
}

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    /// The programs.
    pub(crate) binaries: &'a Binaries,
    /// Core of the server.
    pub(crate) server_core: u32,
    /// Core of the load generator.
    pub(crate) client_core: u32,
}

impl Load<'_> {
    /// Runs one contestant of a case once.
    pub(crate) fn run(&self, case: &Case, contestant: &Contestant) -> Outcome {
        match self.try_run(case, contestant) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn try_run(&self, case: &Case, contestant: &Contestant) -> io::Result<Outcome> {
        let server = Server::start(self.binaries, contestant.kind, self.server_core)?;
        let report = ReportFile::new();
        let mut child = Command::new(&self.binaries.loadgen)
            .args(&case.args)
            .args(contestant.more)
            .args(["--dev", "--url", &server.url(), "--pid", &server.pid().to_string()])
            .args(["--cpu", &self.client_core.to_string()])
            .arg("--json")
            .arg(&report.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut status = None;
        let ended = poll(case.limit, || {
            status = child.try_wait()?;
            Ok(status.is_some())
        });
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        let Some(status) = status else { return Ok(Outcome::Failed("the load generator hangs".into())) };
        let report: Value = match fs::read_to_string(&report.0) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => return Ok(Outcome::Failed(format!("the load generator has no report ({status})"))),
        };
        if status.success() {
            return Ok(Outcome::Done(report["results"].clone()));
        }
        Ok(Outcome::Failed(format!("{status}: {} {}", report["failures"], report["problems"])))
    }
}

/// A file for one report, removed at the end.
struct ReportFile(PathBuf);

impl ReportFile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("fanfare-bench-{}.json", std::process::id())))
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}
