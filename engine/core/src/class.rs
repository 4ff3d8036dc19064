//! Which form of a message a connection reads.

use fanfare_protocol::Encoding;

/// Encoding and compression window: connections of one class get the very same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(u8);

impl Class {
    /// `window_bits` is 9 to 15 for connections with permessage-deflate.
    pub fn new(encoding: Encoding, window_bits: Option<u8>) -> Self {
        let bits = window_bits.unwrap_or(0);
        assert!(bits == 0 || (9..=15).contains(&bits), "window of {bits} bits");
        Self(bits << 1 | u8::from(encoding == Encoding::MessagePack))
    }

    /// JSON or MessagePack.
    pub fn encoding(self) -> Encoding {
        if self.0 & 1 == 1 { Encoding::MessagePack } else { Encoding::Json }
    }

    /// The window, if compressed.
    pub fn window_bits(self) -> Option<u8> {
        (self.0 > 1).then_some(self.0 >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            for bits in [None, Some(9), Some(15)] {
                let class = Class::new(encoding, bits);
                assert_eq!((class.encoding(), class.window_bits()), (encoding, bits));
            }
        }
    }
}
