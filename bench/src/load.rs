//! One run: a fresh server, the load generator against it, its results.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::poll;
use crate::server::{Binaries, Server, Setup};

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The load generator's `results`.
    Done(Value),
    /// Why there are none to trust.
    Failed(String),
}

/// One run: the server, and what the load generator does to it.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// How the server is started.
    pub(crate) setup: Setup,
    /// Core of the load generator; none: wherever the kernel puts it.
    pub(crate) client_core: Option<u32>,
    /// The load generator's arguments, without address and core.
    pub(crate) args: Vec<&'a str>,
    /// Whether the load generator also asks the server's metrics page, at the begin and the end of its measurement.
    pub(crate) metrics: bool,
    /// After this time the run counts as hanging.
    pub(crate) limit: Duration,
}

impl Run<'_> {
    /// Runs it once.
    pub(crate) fn run(&self, binaries: &Binaries) -> Outcome {
        match self.try_run(binaries) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn try_run(&self, binaries: &Binaries) -> io::Result<Outcome> {
        let server = Server::start(binaries, &self.setup)?;
        let report = ReportFile::new();
        let mut command = Command::new(&binaries.loadgen);
        command.args(&self.args);
        command.args(["--dev", "--url", &server.url(), "--pid", &server.pid().to_string()]);
        if self.metrics {
            command.args(["--metrics", &server.metrics_url()]);
        }
        if let Some(core) = self.client_core {
            command.args(["--cpu", &core.to_string()]);
        }
        command.arg("--json").arg(&report.0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut status = None;
        let ended = poll(self.limit, || {
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
