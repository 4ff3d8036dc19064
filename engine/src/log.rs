//! Logs: for people by default, JSON by flag. Never a token, never a payload.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Puts another filter in the place of the one that the log was started with.
static SET: OnceLock<Box<Set>> = OnceLock::new();
type Set = dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync;

/// What a filter may name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const PARTS: [&str; 6] =
    ["fanfare", "fanfare_core", "fanfare_profile", "fanfare_protocol", "fanfare_store", "fanfare_sys"];
/// Under this target stand the lines of the audit.
const AUDIT: &str = "audit";

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

/// The same for who steers a running server, and so must neither misspell a filter nor silence what tells on them: lines of the audit
/// are written whatever is set.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn steer(level: &str) -> Result<(), String> {
    const RULE: &str = "must be off, error, warn, info, debug or trace, or some of these with commas between, \
                        also of one part: fanfare::http=debug; `audit` cannot be set";
    if !level.split(',').all(is_directive) {
        return Err(RULE.to_owned());
    }
    set_level(&format!("{level},{AUDIT}=info"))?;
    level.clone_into(&mut LEVEL.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// A level, or one for a part of the program.
fn is_directive(text: &str) -> bool {
    let is_level = |text: &str| LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level));
    let is_part = |text: &str| {
        let mut names = text.split("::");
        let is_own = names.next().is_some_and(|name| PARTS.contains(&name));
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_own && names.all(|name| !name.is_empty() && is_name(name))
    };
    text.split_once('=').map_or_else(|| is_level(text), |(part, level)| is_part(part) && is_level(level))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_while_it_runs_is_known() {
        let right = |level: &str| level.split(',').all(is_directive);
        for level in [
            "info",
            "off",
            "TRACE",
            "warn,fanfare=debug",
            "info,fanfare::http::api=trace",
            "info,fanfare_core=off",
        ] {
            assert!(right(level), "{level}");
        }
        for level in [
            "",
            "bogus!!",
            "audit=off",
            "info,audit=info",
            "fanfare=loud",
            "b=a=d",
            "info,",
            "fanfare",
            "fanfare::=info",
            "[x]=info",
        ] {
            assert!(!right(level), "{level}");
        }
    }
}
