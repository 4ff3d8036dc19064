//! Inflating under a bound.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;

/// Why a compressed message was not inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// It holds more than it may.
    TooLarge,
    /// It is not deflate (RFC 1951).
    Broken,
}

impl std::fmt::Display for InflateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "over the limit once inflated",
            Self::Broken => "not deflate data",
        })
    }
}

impl std::error::Error for InflateError {}

/// What a reader inflates the messages of a connection with.
pub trait Inflate {
    /// What one whole compressed message holds, at most `bytes_max`; it serves until the next message.
    ///
    /// # Errors
    /// It holds more, or is broken.
    fn inflate_for_now(&mut self, compressed: &[u8], bytes_max: usize) -> Result<&[u8], InflateError>;
}

/// The output grows by this much at first, then by as much as there is.
const CHUNK_BYTES: usize = 4 << 10;
/// Output that is kept for the next message; an exceptional one gives its memory back.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// An inflater for messages of any window and of any number of connections, one after the other.
#[derive(Debug, Default)]
pub struct Inflater {
    /// 40 KiB, made at the first compressed message.
    inflate: Option<Decompress>,
    output: Vec<u8>,
}

impl Inflater {
    /// An inflater that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what one whole compressed message holds, and stops as soon as that is over `bytes_max`.
    ///
    /// # Errors
    /// It holds more, or is broken; `out` then has a part of it.
    pub fn inflate(
        &mut self,
        compressed: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        if let Some(inflate) = &mut self.inflate {
            inflate.reset(false);
        }
        self.inflate_next(compressed, bytes_max, out)
    }

    /// Like [`Self::inflate`], but the message may refer to `window`, the plain text before it, of which the last 32 KiB
    /// count: so one inflater serves connections whose other ends keep their contexts.
    ///
    /// # Errors
    /// As there; broken is also a message that refers to more than `window` holds.
    pub fn inflate_after(
        &mut self,
        window: &[u8],
        compressed: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        if !window.is_empty() {
            inflate.set_dictionary(window).map_err(|_| InflateError::Broken)?;
        }
        self.inflate_next(compressed, bytes_max, out)
    }

    /// Like [`Self::inflate`], but the message may refer to those before it: an inflater that does this serves one
    /// connection only, whose other end keeps its context (RFC 7692 §7.2.3.2).
    ///
    /// # Errors
    /// As there. After one, nothing that follows can be inflated.
    pub fn inflate_next(
        &mut self,
        compressed: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        let start = out.len();
        for mut input in [compressed, &TAIL] {
            loop {
                if out.len() == out.capacity() {
                    let made = out.len() - start;
                    // One byte over the limit is enough to know.
                    out.reserve_exact(made.max(CHUNK_BYTES).min(bytes_max - made + 1));
                }
                let (in_before, out_before) = (inflate.total_in(), out.len());
                let status = inflate.decompress_vec(input, out, FlushDecompress::Sync);
                let status = status.map_err(|_| InflateError::Broken)?;
                let taken = (inflate.total_in() - in_before) as usize;
                input = &input[taken..];
                if out.len() - start > bytes_max {
                    return Err(InflateError::TooLarge);
                }
                if status == Status::StreamEnd {
                    // A final block inside a message: RFC 7692 §7.2.3.5 has an example. Another may follow.
                    inflate.reset(false);
                }
                if input.is_empty() && out.len() < out.capacity() {
                    break;
                }
                if taken == 0 && out.len() == out_before && out.len() < out.capacity() {
                    return Err(InflateError::Broken);
                }
            }
        }
        Ok(())
    }
}

impl Inflate for Inflater {
    /// Each message on its own, into a buffer of the inflater's.
    fn inflate_for_now(&mut self, compressed: &[u8], bytes_max: usize) -> Result<&[u8], InflateError> {
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        output.shrink_to(KEPT_BYTES_MAX);
        let outcome = self.inflate(compressed, bytes_max, &mut output);
        self.output = output;
        outcome.map(|()| self.output.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Deflater;
    use proptest::prelude::*;

    fn inflated(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        Inflater::new().inflate(compressed, bytes_max, &mut out).map(|()| out)
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7692 §7.2.3.1, .3, .4, .5: one block, stored, final, two blocks.
        assert_eq!(inflated(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5).unwrap(), b"Hello");
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(inflated(&stored, 5).unwrap(), b"Hello");
        assert_eq!(inflated(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], 5).unwrap(), b"Hello");
        let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflated(&two, 5).unwrap(), b"Hello");
        assert_eq!(inflated(&[0x00], 5).unwrap(), b"");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut bomb = Vec::new();
        Deflater::new(9, 15).compress(&vec![0; 64 << 20], &mut bomb);
        assert!(bomb.len() < 100 << 10);
        let mut out = Vec::new();
        assert_eq!(Inflater::new().inflate(&bomb, 65_536, &mut out), Err(InflateError::TooLarge));
        assert!(out.capacity() <= 2 * 65_536, "{}", out.capacity());
        assert_eq!(inflated(&bomb, 64 << 20).unwrap().len(), 64 << 20);
    }

    #[test]
    fn what_is_broken_is_told_and_the_inflater_goes_on() {
        let mut inflater = Inflater::new();
        let mut out = Vec::new();
        for broken in [&[0x06][..], &[0xff, 0xff, 0xff], &[0x02, 0xff, 0xff]] {
            assert_eq!(inflater.inflate(broken, 100, &mut out), Err(InflateError::Broken), "{broken:x?}");
        }
        out.clear();
        inflater.inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5, &mut out).unwrap();
        assert_eq!(out, b"Hello");
    }

    proptest! {
        #[test]
        fn inflating_is_the_reverse_of_compressing(
            payload in prop_oneof![prop::collection::vec(any::<u8>(), 0..3_000), "[ab ]{0,3000}".prop_map(String::into_bytes)],
            level in 1..=9_u32, window_bits in 9..=15_u8,
        ) {
            let mut compressed = Vec::new();
            Deflater::new(level, window_bits).compress(&payload, &mut compressed);
            prop_assert_eq!(inflated(&compressed, payload.len()), Ok(payload.clone()));
            if !payload.is_empty() {
                prop_assert_eq!(inflated(&compressed, payload.len() - 1), Err(InflateError::TooLarge));
            }
        }

        #[test]
        fn a_row_comes_back_from_wherever_it_began_anew(
            rows in prop::collection::vec(prop::collection::vec("[abc ]{0,300}", 1..20), 1..5),
            joins in 0..5_usize,
        ) {
            let mut deflater = Deflater::new(6, 15);
            let (mut from_start, mut joiner) = (Inflater::new(), Inflater::new());
            for (number, row) in rows.iter().enumerate() {
                deflater.begin_anew();
                for message in row {
                    let mut compressed = Vec::new();
                    deflater.compress_next(message.as_bytes(), &mut compressed);
                    for inflater in [Some(&mut from_start), Some(&mut joiner).filter(|_| number >= joins)] {
                        let Some(inflater) = inflater else { continue };
                        let mut out = Vec::new();
                        prop_assert_eq!(inflater.inflate_next(&compressed, 300, &mut out), Ok(()));
                        prop_assert_eq!(&out, message.as_bytes());
                    }
                }
            }
        }

        #[test]
        fn a_window_and_what_it_lacks(
            messages in prop::collection::vec(
                prop_oneof!["[ab ]{0,300}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..9_000)],
                2..12,
            ),
            cut in 0..600_usize,
        ) {
            let (mut deflater, mut inflater) = (Deflater::new(6, 15), Inflater::new());
            let mut window = Vec::new();
            for message in &messages {
                let mut compressed = Vec::new();
                deflater.compress_next(message, &mut compressed);
                let mut out = Vec::new();
                prop_assert_eq!(inflater.inflate_after(&window, &compressed, 9_000, &mut out), Ok(()));
                prop_assert_eq!(&out, message);
                out.clear();
                // Less than the whole window is enough or an error, and never another message.
                let part = &window[cut.min(window.len())..];
                if inflater.inflate_after(part, &compressed, 9_000, &mut out).is_ok() {
                    prop_assert_eq!(&out, message);
                }
                window.extend_from_slice(message);
            }
        }

        #[test]
        fn any_bytes_are_answered_within_the_bound(bytes: Vec<u8>, bytes_max in 0..5_000_usize) {
            if let Ok(out) = inflated(&bytes, bytes_max) {
                prop_assert!(out.len() <= bytes_max);
            }
        }
    }
}
