//! The real binary on a free port, stopped by its own handle.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::eventually;

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) listen: &'static str,
    pub(crate) driver: &'static str,
    pub(crate) shards: u32,
    /// TOML.
    pub(crate) config: String,
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) echo: bool,
    /// `ulimit -n`, if it should be small.
    pub(crate) descriptors: Option<u32>,
    /// A shell command that goes before, in a mount namespace of the server's own.
    pub(crate) before: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0",
            driver: "auto",
            shards: 2,
            config: String::new(),
            env: Vec::new(),
            echo: false,
            descriptors: None,
            before: None,
        }
    }
}

/// Both drivers, with fewer, as many and more shards than this machine may have cores.
pub(crate) fn deployments() -> impl Iterator<Item = Options> {
    let drivers = ["uring", "epoll"].into_iter();
    drivers.flat_map(|driver| [1, 2, 4].map(|shards| Options { driver, shards, ..Options::default() }))
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
    config: Option<std::path::PathBuf>,
}

impl Server {
    /// With the defaults but for `config`.
    pub(crate) fn with(config: &str) -> Self {
        Self::start(Options { config: config.to_owned(), ..Options::default() })
    }

    pub(crate) fn start(options: Options) -> Self {
        let binary = env!("CARGO_BIN_EXE_fanfare");
        // The clients are in this process.
        let _ = fanfare_sys::process::raise_descriptor_limit();
        let mut command = match (options.descriptors, &options.before) {
            (Some(count), _) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\""), binary]);
                shell
            }
            (None, Some(before)) => {
                let mut shell = Command::new("unshare");
                shell.args(["-rm", "sh", "-c", &format!("{before} && exec \"$0\" \"$@\""), binary]);
                shell
            }
            (None, None) => Command::new(binary),
        };
        command.args(["serve", "--listen", options.listen, "--driver", options.driver]);
        command.args(["--shards", &options.shards.to_string()]);
        if options.echo {
            command.arg("--echo");
        }
        let config = (!options.config.is_empty()).then(|| {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("fanfare-{}-{number}.toml", std::process::id()));
            std::fs::write(&path, &options.config).unwrap();
            path
        });
        if let Some(path) = &config {
            command.arg("--config").arg(path);
        }
        command.envs(options.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, collected) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *collected.lock().unwrap() += &format!("{line}\n");
            }
        });
        let address = eventually("the start line", || {
            let log = log.lock().unwrap();
            let rest = log.split_once("listening on http://")?.1;
            // The line may be JSON.
            let (address, _) =
                rest.split_once(|end: char| !(end.is_ascii_digit() || end == '.' || end == ':'))?;
            Some(address.to_owned())
        });
        Self { child, address, log, config }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the server's end", || child.try_wait().unwrap())
    }

    /// CPU time it has used, from `/proc`: its own pages may be out of reach.
    pub(crate) fn cpu(&self) -> Duration {
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name in parentheses may hold anything; user and system time are the 12th and 13th after it.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
        Duration::from_secs_f64(ticks / TICKS_A_SECOND)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Writes another text into the file of its configuration, which must have been there at the start.
    pub(crate) fn reconfigure(&self, text: &str) {
        std::fs::write(self.config.as_ref().expect("a configuration"), text).unwrap();
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The sum of a metric over its labels, or of one with labels if they are part of the name.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = super::request(self, "GET", "/metrics", &[], "").body;
        let lines = page
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let values: Vec<f64> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!values.is_empty(), "no metric {name} in\n{page}");
        values.iter().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(path) = &self.config {
            let _ = std::fs::remove_file(path);
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}

/// A token of development mode with these claims added.
pub(crate) fn token(user: &str, role: &str, more: Value) -> String {
    signed(fanfare_protocol::DEVELOPMENT_SECRET, user, role, more)
}

/// The same of a server with a secret of its own.
pub(crate) fn signed(secret: &str, user: &str, role: &str, more: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({"sub": user, "role": role, "exp": now + 3_600});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}
