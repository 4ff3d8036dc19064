//! Compressing a message once.

use flate2::{Compress, Compression, FlushCompress};

use super::{TAIL, WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// A compressor for messages on their own ([`Deflater::compress`]), or for a row of them of which each may refer to
/// those before it ([`Deflater::compress_next`]). Holds about 270 KiB.
#[derive(Debug)]
pub struct Deflater {
    deflate: Compress,
    level: u32,
}

impl Deflater {
    /// A compressor of `level` 1 (fast) to 9 (small) for receivers with a window of `window_bits`, 9 to 15.
    ///
    /// # Panics
    /// On other values: they come from a checked configuration and a checked agreement.
    pub fn new(level: u32, window_bits: u8) -> Self {
        assert!((1..=9).contains(&level), "zlib's levels");
        assert!((WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&window_bits), "zlib's windows");
        let deflate = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
        Self { deflate, level }
    }

    /// As it was made with.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Appends the compressed form of one message that refers to nothing before it, without the tail that RFC 7692
    /// §7.2.1 cuts off.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.begin_anew();
        self.compress_next(payload, out);
    }

    /// What is compressed from here on refers to nothing before.
    pub fn begin_anew(&mut self) {
        self.deflate.reset();
    }

    /// Like [`Self::compress`], but the message may refer to those since [`Self::begin_anew`]: whoever is to read it must
    /// have inflated them all, in this order and with nothing in between (RFC 7692 §7.2.3.2).
    pub fn compress_next(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            // zlib makes no second flush where nothing came since the first. RFC 7692 §7.2.3.6.
            out.push(0);
            return;
        }
        out.reserve(payload.len() / 2 + 64);
        let before = self.deflate.total_in();
        let mut taken = 0;
        loop {
            let outcome = self.deflate.compress_vec(&payload[taken..], out, FlushCompress::Sync);
            outcome.expect("invariant: the stream's state is its own, and any bytes can be compressed");
            taken = (self.deflate.total_in() - before) as usize;
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
