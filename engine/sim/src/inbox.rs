//! What comes to somebody by the user's own room: nothing twice, and where it is known how far it had come, nothing
//! missing without a word.

use std::collections::HashSet;

use crate::stream::Stream;

/// What the server was told, or must know, when the connection was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opened {
    /// Nothing: it goes on behind what it had sent, whether that arrived or not.
    #[default]
    Somewhere,
    /// The place that the client had come to.
    Named,
    /// The user was never there: everything waits from the first message on.
    First,
    /// The first message has come.
    Begun,
}

/// See the module's own text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) stream: Stream,
    opened: Opened,
    /// In which life of the process something came last.
    heard_in: u64,
    /// The messages that came, by number.
    pub(crate) heard: HashSet<usize>,
    /// The places that were told to stay empty, by epoch.
    pub(crate) told: HashSet<(String, u64)>,
    /// In which life of the process there was a connection last.
    pub(crate) life: Option<u64>,
}

impl Inbox {
    /// The place to name when coming back.
    pub(crate) fn place(&self) -> Option<(&str, u64)> {
        self.stream.named()
    }

    /// A connection is opened.
    pub(crate) fn open(&mut self, named: bool, first: bool) {
        self.opened = match (named, first) {
            (true, _) => Opened::Named,
            (false, true) => Opened::First,
            (false, false) => Opened::Somewhere,
        };
    }

    /// The user opens another connection, in this life of the process: what waits may go there.
    pub(crate) fn is_shared(&mut self, life: u64) {
        self.life = Some(life);
        if self.opened == Opened::First {
            self.opened = Opened::Somewhere;
        }
    }

    /// Something comes, in this life of the process; with it a stream may begin.
    pub(crate) fn hear(&mut self, epoch: &str, life: u64) -> Result<(), String> {
        let forgot = std::mem::replace(&mut self.heard_in, life) != life;
        match std::mem::replace(&mut self.opened, Opened::Begun) {
            Opened::Begun if self.stream.epoch == epoch => Ok(()),
            Opened::Begun => Err(format!("the epoch was {}", self.stream.epoch)),
            Opened::Named if self.stream.epoch == epoch => self.stream.recovered(u64::MAX),
            Opened::First if self.stream.epoch != epoch => self.stream.begin(epoch, 0),
            _ => {
                self.stream.begin_somewhere(epoch, forgot);
                Ok(())
            }
        }
    }

    /// At rest, where the room stands: what has not come and should have.
    pub(crate) fn missing(&self, epoch: &str, stands: u64) -> Vec<u64> {
        let from_first = || (1..=stands).collect();
        match self.opened {
            Opened::Begun | Opened::Named if self.stream.unsure || self.stream.epoch != epoch => Vec::new(),
            Opened::Begun | Opened::Named => self.stream.missing(stands).collect(),
            Opened::First if self.stream.epoch != epoch => from_first(),
            Opened::First | Opened::Somewhere => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_come_depends_on_what_the_server_was_told() {
        let mut inbox = Inbox::default();
        inbox.open(false, true);
        assert_eq!(inbox.missing("e", 2), [1, 2]);
        inbox.hear("e", 0).unwrap();
        assert_eq!(inbox.stream.message(2, 0), Ok(vec![1]));
        inbox.open(false, false);
        inbox.hear("e", 0).unwrap();
        assert!(inbox.clone().stream.message(2, 0).is_err(), "twice");
        assert_eq!(inbox.stream.message(5, 0), Ok(vec![]), "what was sent before may be lost");
        inbox.open(true, false);
        assert_eq!(inbox.missing("e", 6), [6]);
        inbox.hear("e", 0).unwrap();
        assert_eq!(inbox.stream.message(7, 0), Ok(vec![6]));
        assert!(inbox.hear("f", 0).is_err(), "another epoch in the middle");
    }
}
