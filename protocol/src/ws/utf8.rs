//! UTF-8 that arrives in parts, refused at its first wrong byte.

/// A check of text that arrives in parts: holds the character that the last part cut, at most 3 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    cut: [u8; 4],
    cut_len: u8,
}

impl Utf8 {
    /// Checks the next part; `false` as soon as no continuation could make it right.
    pub(super) fn feed(&mut self, mut part: &[u8]) -> bool {
        while self.cut_len > 0 {
            let Some((byte, rest)) = part.split_first() else { return true };
            self.cut[usize::from(self.cut_len)] = *byte;
            self.cut_len += 1;
            part = rest;
            match str::from_utf8(&self.cut[..usize::from(self.cut_len)]) {
                Ok(_) => self.cut_len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = str::from_utf8(part) else { return true };
        if error.error_len().is_some() {
            return false;
        }
        let cut = &part[error.valid_up_to()..];
        self.cut[..cut.len()].copy_from_slice(cut);
        self.cut_len = cut.len() as u8;
        true
    }

    /// Whether the text may end here.
    pub(super) fn is_whole(self) -> bool {
        self.cut_len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_wrong_byte_is_enough() {
        // The prefixes of a surrogate, an overlong form and a code point beyond U+10FFFF.
        for wrong in [&b"\xed\xa0"[..], b"\xc0", b"\xe0\x80", b"\xf4\x90", b"\xf5", b"\x80"] {
            let mut check = Utf8::default();
            let (last, before) = wrong.split_last().unwrap();
            for byte in before {
                assert!(check.feed(&[*byte]));
            }
            assert!(!check.feed(&[*last]), "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_whole(bytes in prop_oneof![".{0,20}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..8)],
                                 cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut check, mut from, mut right) = (Utf8::default(), 0, true);
            for cut in cuts {
                right = right && check.feed(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(right && check.is_whole(), str::from_utf8(&bytes).is_ok());
        }
    }
}
