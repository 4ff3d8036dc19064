//! Compressing a message once.

use flate2::{Compress, Compression, FlushCompress};

use super::{TAIL, WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// A compressor whose context is thrown away after each message. Holds about 270 KiB.
#[derive(Debug)]
pub struct Deflater {
    deflate: Compress,
}

impl Deflater {
    /// A compressor of `level` 1 (fast) to 9 (small) for receivers with a window of `window_bits`, 9 to 15.
    ///
    /// # Panics
    /// On other values: they come from a checked configuration and a checked agreement.
    pub fn new(level: u32, window_bits: u8) -> Self {
        assert!((1..=9).contains(&level), "zlib's levels");
        assert!((WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&window_bits), "zlib's windows");
        Self { deflate: Compress::new_with_window_bits(Compression::new(level), false, window_bits) }
    }

    /// Appends the compressed form of one message, without the tail that RFC 7692 §7.2.1 cuts off.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.deflate.reset();
        out.reserve(payload.len() / 2 + 64);
        let mut taken = 0;
        loop {
            let outcome = self.deflate.compress_vec(&payload[taken..], out, FlushCompress::Sync);
            outcome.expect("invariant: the stream's state is its own, and any bytes can be compressed");
            taken = self.deflate.total_in() as usize;
            // Room left over means that the flush is complete (zlib's rule).
            if taken == payload.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(payload.len() - taken + 64);
        }
        assert!(out.ends_with(&TAIL), "a sync flush ends so");
        out.truncate(out.len() - TAIL.len());
    }
}
