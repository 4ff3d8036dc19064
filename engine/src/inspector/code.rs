//! What the codes of closes and refusals mean, for who reads them.

use fanfare_protocol::code::CODES;

/// Name and meaning of a code.
pub(super) fn explain(number: u16) -> (&'static str, &'static str) {
    let own = CODES.iter().find(|code| code.number() == number);
    let name = own.map(|code| code.name());
    match number {
        1_000 => ("NORMAL", "the peer was done"),
        1_001 => ("GOING_AWAY", "the peer went away: a page was left, a program ended"),
        1_002 => ("PROTOCOL_ERROR", "the peer broke the WebSocket protocol"),
        1_003 => ("UNSUPPORTED_DATA", "text and binary messages were mixed up"),
        1_005 => ("NO_CODE", "the peer closed without a code"),
        1_006 => ("LOST", "the connection was lost without a close frame"),
        1_007 => ("INVALID_DATA", "a message was no UTF-8 or could not be inflated"),
        1_009 => ("TOO_BIG", "a message was larger than limits.message_size, or in too many fragments"),
        1_011 => ("INTERNAL_ERROR", "one of both sides failed"),
        1_012 => ("SERVICE_RESTART", "the server restarts"),
        _ => match name {
            Some(name) => (name, of_own(number)),
            None => ("OTHER", "a code of the peer's own"),
        },
    }
}

const fn of_own(number: u16) -> &'static str {
    match number {
        4_000 => "the connection could not be set up",
        4_001 => "the token is missing or was not accepted",
        4_002 => "there is no such room",
        4_003 => "the room holds as many members as it may",
        4_004 => "too many commands in too little time, or in too many rooms",
        4_005 => "the message could not be understood",
        4_006 => "the server failed or is overloaded",
        4_007 => "the peer did not answer a ping in time",
        4_008 => "the peer reads too slowly",
        4_009 => "a limit on connections was reached",
        4_010 => "nothing came for too long",
        4_011 => "an operator or the same client's newer connection ended it",
        4_012 => "the token's time ran out",
        4_013 => "the token does not allow this",
        4_014 => "what was asked for is there already, or over already",
        _ => "",
    }
}

/// Whether a connection that ended with this code ended because something was wrong.
pub(super) fn is_error(number: u16) -> bool {
    match number {
        1_002 | 1_003 | 1_007 | 1_009 | 1_011 => true,
        4_010 | 4_011 => false,
        _ => CODES.iter().any(|code| code.number() == number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_ours_has_a_meaning() {
        for code in CODES {
            let (name, meaning) = explain(code.number());
            assert_eq!(name, code.name());
            assert!(!meaning.is_empty(), "{name}");
        }
        assert_eq!(explain(3_999).0, "OTHER");
        assert!(
            is_error(4_008) && is_error(1_009) && !is_error(1_000) && !is_error(1_006) && !is_error(4_500)
        );
    }
}
