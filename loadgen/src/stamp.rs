//! The stamp in each message's data: when it was meant to be published, and its number.
//!
//! 24 hexadecimal digits, always: so every message of a run has the same length, and a receiver reads it
//! without parsing the message. 16 digits are nanoseconds of this process's clock, 8 the number modulo 2^32.

/// Length of a stamp as text.
pub(crate) const STAMP_LEN: usize = 24;
/// Length of a message number as text.
pub(crate) const NUMBER_LEN: usize = 8;

/// What a message tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The intended moment of publishing, nanoseconds of this process's clock.
    pub(crate) intended: u64,
    /// The message's number in this run.
    pub(crate) number: u32,
}

impl Stamp {
    /// Writes the text form over `place`.
    pub(crate) fn write(self, place: &mut [u8; STAMP_LEN]) {
        let (intended, number) = place.split_at_mut(STAMP_LEN - NUMBER_LEN);
        write_hex(self.intended, intended);
        write_hex(u64::from(self.number), number);
    }

    /// Reads the text form.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; STAMP_LEN] = text.get(..STAMP_LEN)?.try_into().ok()?;
        let (intended, number) = text.split_at(STAMP_LEN - NUMBER_LEN);
        Some(Self { intended: read_hex(intended)?, number: u32::try_from(read_hex(number)?).ok()? })
    }
}

/// Writes `value` in lower-case hexadecimal digits over all of `place`.
pub(crate) fn write_hex(value: u64, place: &mut [u8]) {
    let mut rest = value;
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
        rest >>= 4;
    }
}

/// Reads at most 16 lower-case hexadecimal digits.
pub(crate) fn read_hex(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        for stamp in [
            Stamp { intended: 0, number: 0 },
            Stamp { intended: 123_456_789_012, number: 42 },
            Stamp { intended: u64::MAX, number: u32::MAX },
        ] {
            let mut text = [0; STAMP_LEN];
            stamp.write(&mut text);
            assert_eq!(Stamp::read(&text), Some(stamp));
        }
    }

    #[test]
    fn anything_else_is_no_stamp() {
        assert_eq!(Stamp::read(b"0123"), None);
        assert_eq!(Stamp::read(b"00000000000000000000000G"), None);
        assert_eq!(read_hex(b""), None);
        assert_eq!(read_hex(b"00000000000000000"), None);
    }
}
