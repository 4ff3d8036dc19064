//! Logs: for people by default, JSON by flag. Never a token, never a payload.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Puts another filter in the place of the one that the log was started with.
static SET: OnceLock<Box<Set>> = OnceLock::new();
type Set = dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync;

static LEVEL: Mutex<String> = Mutex::new(String::new());

/// Starts logging to standard error. `level` is a level or a filter (`info`, `fanfare=debug,audit=off`).
///
/// # Errors
/// The filter cannot be read.
pub fn start(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log.level: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lossy(io::stderr()))
        .log_internal_errors(false);
    level.clone_into(&mut LEVEL.lock().unwrap_or_else(PoisonError::into_inner));
    macro_rules! start {
        ($builder:expr) => {{
            let builder = $builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = SET.set(Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())));
            builder.try_init()
        }};
    }
    let started = match format {
        LogFormat::Human => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            start!(builder.with_ansi(ansi).with_target(true))
        }
        LogFormat::Json => start!(builder.json().flatten_event(true)),
    };
    started.map_err(|error| error.to_string())
}

/// Logs by another level or filter from now on.
///
/// # Errors
/// The filter cannot be read, or there is no log.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    SET.get().ok_or("the log was not started")?(filter)?;
    level.clone_into(&mut LEVEL.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// The level or the filter that counts now.
pub(crate) fn level() -> String {
    LEVEL.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Standard error that may go away: a server outlives the pipe that its log went into.
struct Lossy(io::Stderr);

impl Write for Lossy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
