//! Room patterns: which rooms a token lets its bearer join.

/// A room name with `*` for any run of characters, also none: `team:7`, `team:*`, `*`.
///
/// Only `*` is special and it does not stop at `:`. Matching takes time linear in the name for each star
/// and never backtracks further than the last star, so a hostile token cannot make it slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPattern(Box<str>);

impl RoomPattern {
    /// Longest pattern, in characters: as long as a room's name may be.
    pub const CHARS_MAX: usize = 128;

    /// Takes a pattern of 1 to [`CHARS_MAX`](Self::CHARS_MAX) characters; `None` for any other length.
    pub fn new(pattern: &str) -> Option<Self> {
        (1..=Self::CHARS_MAX).contains(&pattern.chars().count()).then(|| Self(pattern.into()))
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `room` fits.
    pub fn matches(&self, room: &str) -> bool {
        let (pattern, room) = (self.0.as_bytes(), room.as_bytes());
        let (mut at, mut taken) = (0, 0);
        // The last star seen, and how much of the room it covers up to.
        let mut star: Option<(usize, usize)> = None;
        while taken < room.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, taken));
                    at += 1;
                }
                Some(byte) if *byte == room[taken] => {
                    at += 1;
                    taken += 1;
                }
                // A mismatch: the last star must cover one byte more. Earlier stars need not change,
                // for whatever they could give up the last one can take.
                _ => match star {
                    Some((star_at, covered)) => {
                        star = Some((star_at, covered + 1));
                        at = star_at + 1;
                        taken = covered + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, room: &str) -> bool {
        RoomPattern::new(pattern).unwrap().matches(room)
    }

    #[test]
    fn stars_cover_any_run() {
        assert!(matches("*", "chat:1"));
        assert!(matches("chat:*", "chat:"));
        assert!(matches("chat:*", "chat:a:b"));
        assert!(matches("*:1", "chat:1"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*b*c", "a-b-b"));
        assert!(!matches("chat:1", "chat:12"));
        assert!(!matches("chat:12", "chat:1"));
        assert!(!matches("chat:*", "chats"));
    }

    #[test]
    fn length_is_bounded() {
        assert!(RoomPattern::new("").is_none());
        assert!(RoomPattern::new(&"x".repeat(128)).is_some());
        assert!(RoomPattern::new(&"x".repeat(129)).is_none());
    }

    /// The obvious, exponential definition.
    fn oracle(pattern: &[u8], room: &[u8]) -> bool {
        match pattern.split_first() {
            None => room.is_empty(),
            Some((b'*', rest)) => (0..=room.len()).any(|cut| oracle(rest, &room[cut..])),
            Some((byte, rest)) => room.first() == Some(byte) && oracle(rest, &room[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{1,8}", room in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &room), oracle(pattern.as_bytes(), room.as_bytes()));
        }
    }
}
