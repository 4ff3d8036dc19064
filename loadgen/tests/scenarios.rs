//! Every scenario against the real engine, short; what it writes, and how it ends when the run is cut off.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// A running engine; it ends with its owner.
struct Engine {
    child: Child,
    port: u16,
}

impl Engine {
    fn start(shards: u32) -> Self {
        // It chooses its port itself: one that was free a moment ago may be another test's by now.
        let mut child = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--shards", &shards.to_string()])
            .env("FANFARE_LIMITS_COMMANDS_PER_MINUTE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let start = lines
            .find_map(|line| line.split_once("listening on http://127.0.0.1:").map(|it| it.1.to_owned()));
        let port = start.and_then(|port| {
            let digits = port.find(|next: char| !next.is_ascii_digit()).unwrap_or(port.len());
            port[..digits].parse().ok()
        });
        // Nobody else reads what it logs, and a full pipe would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.expect("the engine tells where it listens") }
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1/ws", self.port)
    }

    /// Runs a scenario and returns its exit code, its table and its results.
    fn run(&self, line: &str) -> (Option<i32>, String, Value) {
        let json = file("json");
        let output = loadgen()
            .args(line.split(' '))
            .args(["--dev", "--url", &self.url(), "--timeout", "5s", "--json"])
            .arg(&json)
            .output()
            .unwrap();
        let report = std::fs::read(&json).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        // A run that failed early wrote none.
        let _ = std::fs::remove_file(&json);
        (output.status.code(), text(&output), report["results"].clone())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have been killed by its test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engine beside the load generator; built once if this package is tested alone.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_fanfare-loadgen")).with_file_name("fanfare");
        let cargo = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "fanfare"]).status();
        assert!(cargo.unwrap().success() && path.is_file(), "the engine cannot be built");
        path
    })
}

fn loadgen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen"))
}

/// A file name of this test alone.
fn file(extension: &str) -> PathBuf {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    std::env::temp_dir().join(format!("fanfare-scenario-{}-{number}.{extension}", std::process::id()))
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn rooms_and_mesh_deliver_all_and_the_mesh_reaches_every_shard() {
    let engine = Engine::start(2);
    let (code, told, results) =
        engine.run("rooms --rooms 5 --members 4 --rate 100 --warmup 50ms --duration 500ms");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(results["deliveries"].as_u64(), results["sent"].as_u64().map(|sent| sent * 4));
    let metrics = format!("http://127.0.0.1:{}/metrics", engine.port);
    let line = "mesh --rooms 10 --members 20 --connections 40 --rate 100 --warmup 50ms --duration 500ms";
    let (code, told, results) =
        engine.run(&format!("{line} --encoding msgpack --deflate --metrics {metrics}"));
    assert_eq!(code, Some(0), "{told}");
    assert!(results["shards_per_room"].as_f64().unwrap() > 1.5, "{told}");
    assert!(results["server_rss_bytes"].as_f64().unwrap() > 1e6, "{told}");
}

#[test]
fn several_threads_share_the_members_and_count_together() {
    let engine = Engine::start(2);
    for how in [
        "--rate 100",
        "--in-flight 4",
        "--rate 100 --slow 3 --encoding msgpack --deflate",
        "--in-flight 4 --size 1024 --deflate=alone",
    ] {
        let line = format!("fanout --threads 3 --members 10 --warmup 50ms --duration 500ms {how}");
        let (code, told, results) = engine.run(&line);
        assert_eq!(code, Some(0), "{how}: {told}");
        let readers = if how.contains("slow") { 7 } else { 10 };
        assert!(results["published"].as_u64().unwrap() > 20, "{how}: {told}");
        assert_eq!(
            results["deliveries"].as_u64(),
            results["published"].as_u64().map(|count| count * readers)
        );
        assert!(results["latency_us"]["count"].as_u64().unwrap() > 100, "{how}: {told}");
    }
}

#[test]
fn a_room_that_shares_its_context_sends_little_and_says_so() {
    let engine = Engine::start(2);
    let metrics = format!("http://127.0.0.1:{}/metrics", engine.port);
    let line =
        "fanout --members 10 --in-flight 4 --size 326 --shape progress --warmup 200ms --duration 500ms";
    let each = |how: &str| {
        let (code, told, results) = engine.run(&format!("{line} {how} --metrics {metrics}"));
        assert_eq!(code, Some(0), "{how}: {told}");
        (results["bytes_per_delivery"].as_f64().unwrap(), results["in_step_percent"].as_f64())
    };
    let (plain, none) = each("--deflate=none");
    assert!(plain > 500.0 && none.is_none(), "{plain}");
    let (alone, in_step) = each("--deflate=alone");
    // So short a message is not compressed alone; the data vary a little in length.
    assert!((alone - plain).abs() < 3.0 && in_step == Some(0.0), "{alone} {plain} {in_step:?}");
    let (shared, in_step) = each("--deflate=shared");
    assert!(shared < plain / 2.0 && in_step.is_some_and(|percent| percent > 80.0), "{shared} {in_step:?}");
}

#[test]
fn slow_members_are_told_apart_from_failures() {
    let engine = Engine::start(1);
    let (code, told, results) =
        engine.run("slow --members 8 --slow 2 --size 60000 --rate 200 --warmup 50ms --duration 1s");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(results["slow_ended"], 2, "{told}");
    assert!(results["p99_ratio"].as_f64().unwrap() > 0.0 && told.contains("SLOW_CONSUMER"), "{told}");
}

#[test]
fn publishes_are_answered_over_both_transports_and_refusals_are_counted() {
    let engine = Engine::start(1);
    for how in ["--over ws --in-flight 4", "--over http", "--over http --rate 100", "--over ws --rate 100"] {
        let (code, told, results) = engine.run(&format!("publish {how} --warmup 50ms --duration 300ms"));
        assert_eq!(code, Some(0), "{how}: {told}");
        assert_eq!(results["published"], results["sent"], "{how}");
        assert!(results["latency_us"]["p99"].as_f64().unwrap() > 0.0, "{how}");
    }
    for over in ["ws", "http"] {
        let (code, told, _) = engine
            .run(&format!("publish --over {over} --size 3000000 --rate 20 --warmup 50ms --duration 300ms"));
        assert_eq!(code, Some(1), "{over}: {told}");
        assert!(told.contains("failure: "), "{over}: {told}");
    }
}

#[test]
fn a_script_of_joins_leaves_and_reconnects_loses_nothing() {
    let engine = Engine::start(2);
    let (code, told, results) = engine
        .run("mixed --connections 20 --rooms 5 --members 8 --rate 400 --seed 7 --warmup 50ms --duration 1s");
    assert_eq!(code, Some(0), "{told}");
    for deed in ["publishes", "joins", "leaves", "reconnects"] {
        assert!(results[deed].as_u64().unwrap() > 0, "{deed}: {told}");
    }
}

#[test]
fn after_every_storm_all_members_are_back() {
    let engine = Engine::start(2);
    for rate in ["", " --rate 200", " --missed 0"] {
        let (code, told, results) = engine
            .run(&format!("storm --connections 60 --rooms 3 --rounds 2 --threshold back.p99<60s{rate}"));
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(results["returned"], 120, "{told}");
        let missed = if rate.contains("missed") { 0 } else { 120 * 10 };
        assert_eq!(results["deliveries"], 120 + missed, "{told}");
        assert_eq!(results["recovered"].as_u64().unwrap_or(0), missed / 10, "{told}");
    }
}

#[test]
fn a_file_of_runs_ends_with_the_worst_verdict() {
    let engine = Engine::start(1);
    let path = file("toml");
    let common =
        "dev = true\nwarmup = '50ms'\nduration = '200ms'\n[[run]]\nscenario = 'fanout'\nmembers = 3\n";
    let second = "[[run]]\nscenario = 'publish'\nthreshold = ['p50<1us']\n";
    for (file, code) in
        [(common.to_owned(), 0), (format!("{common}{second}"), 99), (format!("{common}x = 1"), 2)]
    {
        std::fs::write(&path, file).unwrap();
        let output = loadgen().arg("run").arg(&path).args(["--url", &engine.url()]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    }
    std::fs::remove_file(&path).unwrap();
}

/// Starts a long run and waits until it tells that it measures.
fn long_run(engine: &Engine) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = loadgen()
        .args(["fanout", "--dev", "--members", "5", "--duration", "1h", "--warmup", "10ms", "--drain", "1s"])
        .args(["--url", &engine.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("measuring") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the run ended before it measured");
    }
    (child, lines)
}

#[test]
fn an_interrupt_ends_the_run_with_the_report_so_far() {
    let engine = Engine::start(1);
    let (child, _lines) = long_run(&engine);
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    let output = child.wait_with_output().unwrap();
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("ended early by a signal") && told.contains("p99"), "{told}");
}

#[test]
fn a_server_that_dies_is_counted_and_ends_the_run() {
    let mut engine = Engine::start(1);
    let (child, _lines) = long_run(&engine);
    engine.child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("were lost") && told.contains("p99"), "{told}");
}
