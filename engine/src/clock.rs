//! The process's clocks, read once a turn.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fanfare_core::Now;

/// Counts from its making, so that all shards agree. The steady clock begins at the wall clock's time, so that what a store
/// has kept of an earlier life has an age.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    began_us: u64,
}

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), began_us: unix.as_micros() as u64 }
    }

    /// Since [`Clock::start`].
    pub fn uptime(self) -> Duration {
        self.start.elapsed()
    }

    /// Both clocks now.
    pub fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_us: self.began_us + self.start.elapsed().as_micros() as u64,
            unix_ms: unix.as_millis() as u64,
        }
    }
}
