//! Inflating stops at its bound, whatever it is given; compressing can be undone.
#![no_main]

use fanfare_protocol::deflate::{Deflater, Inflater, Policy, negotiate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (choice, bytes) = input;
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    if inflater.inflate(bytes, usize::from(choice), &mut out).is_ok() {
        assert!(out.len() <= usize::from(choice));
    }
    let (level, window_bits) = (u32::from(choice % 9) + 1, (choice / 9 % 7) as u8 + 9);
    let mut compressed = Vec::new();
    Deflater::new(level, window_bits).compress(bytes, &mut compressed);
    out.clear();
    inflater.inflate(&compressed, bytes.len(), &mut out).unwrap();
    assert_eq!(out, bytes);
    if let Ok(offer) = str::from_utf8(bytes) {
        negotiate([offer], &Policy { enabled: true });
    }
});
