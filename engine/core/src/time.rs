//! The time, as the shell reads it once a tick and hands it in.

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Microseconds of a clock that never goes back and is the same on all shards.
    pub mono_us: u64,
    /// Milliseconds since 1970 (UTC).
    pub unix_ms: u64,
}

impl Now {
    /// Milliseconds of the clock that never goes back.
    pub fn mono_ms(self) -> u64 {
        self.mono_us / 1_000
    }
}
