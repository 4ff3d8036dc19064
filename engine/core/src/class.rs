//! Which form of a message is read.

use fanfare_protocol::Encoding;
use fanfare_protocol::deflate::WINDOW_BITS_MAX;

use crate::input::Window;

/// Encoding, compression window, and whether messages may refer to those before them: whoever reads a room in one class gets
/// the very same bytes.
///
/// A connection has one class for its life. Where its window may follow a room's context, that class is the form of those
/// in step, and it reads each room in one of three: that, waiting (each message on its own), or elsewhere
/// (as it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(u16);

/// Of two bits above encoding and window: what messages may refer to.
const FORM: u16 = 0b11 << 5;
const IN_STEP: u16 = 1 << 5;
const WAITING: u16 = 2 << 5;
const ELSEWHERE: u16 = 3 << 5;
/// Above these, the number of a dialect.
const DIALECT: u32 = 8;

impl Class {
    /// Each message on its own. `window_bits` is 9 to 15 for connections with permessage-deflate.
    pub fn new(encoding: Encoding, window_bits: Option<u8>) -> Self {
        let bits = window_bits.unwrap_or(0);
        assert!(bits == 0 || (9..=15).contains(&bits), "window of {bits} bits");
        Self(u16::from(bits) << 1 | u16::from(encoding == Encoding::MessagePack))
    }

    /// The class of a connection that agreed on this; `shares` says whether the server keeps contexts at all.
    pub(crate) fn of(encoding: Encoding, window: Option<Window>, shares: bool) -> Self {
        let class = Self::new(encoding, window.map(|window| window.bits));
        let may = window.is_some_and(|window| window.takeover && window.bits == WINDOW_BITS_MAX);
        if may && shares { Self(class.0 | IN_STEP) } else { class }
    }

    /// The class of a connection that speaks a dialect: each message on its own, in what the dialect makes of JSON.
    pub(crate) fn of_dialect(dialect: u8, window: Option<Window>) -> Self {
        let class = Self::new(Encoding::Json, window.map(|window| window.bits));
        Self(class.0 | u16::from(dialect) << DIALECT)
    }

    /// The number of its dialect; 0: the engine's own wire.
    pub(crate) fn dialect(self) -> u8 {
        (self.0 >> DIALECT) as u8
    }

    /// JSON or MessagePack.
    pub fn encoding(self) -> Encoding {
        if self.0 & 1 == 1 { Encoding::MessagePack } else { Encoding::Json }
    }

    /// The window, if compressed.
    pub fn window_bits(self) -> Option<u8> {
        let bits = (self.0 & !FORM) as u8 >> 1;
        (bits > 0).then_some(bits)
    }

    /// Whether it is one of a connection whose window may follow a room.
    pub(crate) fn may_follow(self) -> bool {
        self.0 & FORM != 0
    }

    /// Whether messages may refer to those before them.
    pub(crate) fn is_in_step(self) -> bool {
        self.0 & FORM == IN_STEP
    }

    /// Whether it is the form of those who may follow the room and do not yet.
    pub(crate) fn is_waiting(self) -> bool {
        self.0 & FORM == WAITING
    }

    /// Whether it is the form of those whose window follows another room.
    pub(crate) fn is_elsewhere(self) -> bool {
        self.0 & FORM == ELSEWHERE
    }

    /// What those read who may follow the room and do not yet: messages compressed on their own.
    pub(crate) fn waiting(self) -> Self {
        debug_assert!(self.may_follow(), "only some classes have forms");
        Self(self.0 & !FORM | WAITING)
    }

    /// What those read whose window follows another room: messages as they are, which never touch a window.
    pub(crate) fn elsewhere(self) -> Self {
        debug_assert!(self.may_follow(), "only some classes have forms");
        Self(self.0 & !FORM | ELSEWHERE)
    }

    /// The class of messages that are compressed on their own.
    pub(crate) fn alone(self) -> Self {
        Self(self.0 & !FORM)
    }

    /// The class of messages as they are.
    pub(crate) fn plain(self) -> Self {
        Self(self.0 & (1 | 0xff << DIALECT))
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
                assert!(!class.may_follow());
                assert_eq!((class.alone(), class.plain()), (class, Class::new(encoding, None)));
            }
        }
    }

    #[test]
    fn forms_are_told_apart_and_lead_back() {
        let window = Window { bits: 15, takeover: true };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let class = Class::of(encoding, Some(window), true);
            assert!(class.is_in_step() && class.waiting().is_waiting() && class.elsewhere().is_elsewhere());
            for form in [class, class.waiting(), class.elsewhere()] {
                assert_eq!((form.encoding(), form.window_bits()), (encoding, Some(15)));
                assert_eq!(form.alone(), Class::new(encoding, Some(15)));
                assert_eq!(form.plain(), Class::new(encoding, None));
            }
        }
    }

    #[test]
    fn a_context_needs_the_whole_window_and_leave_to_keep_it() {
        let of = |bits, takeover, shares| Class::of(Encoding::Json, Some(Window { bits, takeover }), shares);
        assert!(of(15, true, true).may_follow());
        for alone in [of(14, true, true), of(15, false, true), of(15, true, false)] {
            assert!(!alone.may_follow());
        }
        assert!(!Class::of(Encoding::Json, None, true).may_follow());
    }
}
