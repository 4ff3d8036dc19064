//! Starting and stopping the servers under test.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::case::Kind;
use crate::poll;

/// How long a server may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Binaries {
    engine: PathBuf,
    floor: PathBuf,
    plain: PathBuf,
    ring: PathBuf,
    /// The load generator.
    pub(crate) loadgen: PathBuf,
}

impl Binaries {
    /// Those given, else those beside this program.
    ///
    /// # Errors
    /// This program's own path is unknown.
    pub(crate) fn find(engine: Option<PathBuf>, loadgen: Option<PathBuf>) -> io::Result<Self> {
        let own = env::current_exe()?;
        let beside = |name: &str| own.with_file_name(name);
        Ok(Self {
            engine: engine.unwrap_or_else(|| beside("fanfare")),
            floor: beside("floor"),
            plain: beside("plain"),
            ring: beside("ring"),
            loadgen: loadgen.unwrap_or_else(|| beside("fanfare-loadgen")),
        })
    }

    /// Checks that a server and the load generator have been built.
    ///
    /// # Errors
    /// What to build.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), String> {
        for path in [self.path(kind), &self.loadgen] {
            if !path.is_file() {
                return Err(format!("{} is missing: cargo build --release --workspace", path.display()));
            }
        }
        Ok(())
    }

    fn path(&self, kind: Kind) -> &Path {
        match kind {
            Kind::Floor => &self.floor,
            Kind::Plain => &self.plain,
            Kind::Ring => &self.ring,
            Kind::Engine | Kind::Epoll => &self.engine,
        }
    }
}

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Which one.
    pub(crate) kind: Kind,
    /// The only core it may use; none: all of them.
    pub(crate) core: Option<u32>,
    /// The engine's shards; the others have one thread.
    pub(crate) shards: u32,
    /// Settings of the engine beside those that all runs share.
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    /// Starts a server on a free port and waits until it accepts connections.
    ///
    /// # Errors
    /// It cannot be started, ends at once or never listens.
    pub(crate) fn start(binaries: &Binaries, setup: &Setup) -> io::Result<Self> {
        let addr = free_port()?;
        let program = binaries.path(setup.kind);
        let mut command = match setup.core {
            // taskset replaces itself by the server, so the child's id is the server's.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        if let Some(driver) = match setup.kind {
            Kind::Engine => Some("auto"),
            Kind::Epoll => Some("epoll"),
            Kind::Floor | Kind::Plain | Kind::Ring => None,
        } {
            // One publisher is far above what a client may send by default.
            command
                .args(["serve", "--shards", &setup.shards.to_string(), "--driver", driver])
                .env("FANFARE_LIMITS_COMMANDS_PER_MINUTE", "0")
                // On in development mode, where it would be measured as well.
                .env("FANFARE_INSPECTOR_ENABLED", "false")
                .envs(setup.env.iter().copied());
        }
        command.args(["--listen", &addr.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut server = Self { child, addr };
        poll(START_LIMIT, || match server.child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("the server ended at once ({status})"))),
            None => Ok(TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok()),
        })?;
        Ok(server)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its WebSocket address.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/v1/ws", self.addr)
    }

    /// The engine's metrics page.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
