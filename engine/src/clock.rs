//! The process's clocks, read once a turn.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fanfare_core::Now;

/// Counts from its making, so that all shards agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins at zero.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks now.
    pub fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_us: self.start.elapsed().as_micros() as u64, unix_ms: unix.as_millis() as u64 }
    }
}
