//! Masking (RFC 6455 §5.3).

/// XORs `bytes` with the key over and over: masks, and unmasks what is masked.
///
/// Written over whole words so that the compiler turns it into vector instructions.
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u128::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
        key[0], key[1], key[2], key[3],
    ]);
    let (words, rest) = bytes.as_chunks_mut::<16>();
    for word in words {
        *word = (u128::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The key for what follows after `taken` bytes of the payload.
pub(super) fn rotated(key: [u8; 4], taken: u64) -> [u8; 4] {
    let mut key = key;
    key.rotate_left((taken % 4) as usize);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_what_the_rfc_says_in_any_parts(payload: Vec<u8>, key: [u8; 4], cut: prop::sample::Index) {
            let expected: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            let cut = cut.index(payload.len() + 1);
            let mut masked = payload;
            let (head, tail) = masked.split_at_mut(cut);
            apply_mask(head, key);
            apply_mask(tail, rotated(key, cut as u64));
            prop_assert_eq!(masked, expected);
        }
    }
}
