//! The payload of a close frame (RFC 6455 §5.5.1, §7.4).

use super::Violation;

/// Whether a peer may send this close code: the registered ones that may appear on the wire, and 3000-4999
/// (RFC 6455 §7.4; 1012-1014 by the IANA registry).
pub const fn is_receivable(code: u16) -> bool {
    matches!(code, 1_000..=1_003 | 1_007..=1_014 | 3_000..=4_999)
}

/// Reads a close frame's payload: a code and a reason, or nothing.
pub(super) fn parse(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        let empty = payload.is_empty();
        return if empty { Ok((None, "")) } else { Err(Violation::protocol("close frame with half a code")) };
    };
    let code = u16::from_be_bytes(*code);
    if !is_receivable(code) {
        return Err(Violation::protocol("close code that may not be sent"));
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::data("close reason is not UTF-8"))?;
    Ok((Some(code), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_registry() {
        for code in [1_000, 1_001, 1_002, 1_003, 1_007, 1_011, 1_012, 1_014, 3_000, 4_012, 4_999] {
            assert!(is_receivable(code), "{code}");
        }
        for code in [0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 2_999, 5_000, 65_535] {
            assert!(!is_receivable(code), "{code}");
        }
    }

    #[test]
    fn payloads() {
        assert_eq!(parse(b""), Ok((None, "")));
        assert_eq!(parse(b"\x03\xe8bye"), Ok((Some(1_000), "bye")));
        assert_eq!(parse(b"\x03").unwrap_err().close_code, 1_002);
        assert_eq!(parse(b"\x03\xed").unwrap_err().close_code, 1_002);
        assert_eq!(parse(b"\x03\xe8\xff").unwrap_err().close_code, 1_007);
    }
}
