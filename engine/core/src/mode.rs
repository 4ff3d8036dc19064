//! What an operator sets for an emergency: nothing is written any more, or less is taken in.

use fanfare_protocol::limits::PRIORITY_MAX;
use fanfare_protocol::{Code, Refusal};

/// The highest level of shedding.
pub const SHED_MAX: u8 = 3;

/// See the module's own text. Read for a command, never for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Publishes and commands that change something are refused, but for those of [`Mode::priority_min`] and an operator's.
    pub read_only: bool,
    /// 0: nothing is shed. 1: new connections are refused. 2: also publishes without a priority. 3: connections for which most waits
    /// are ended as well.
    pub shed: u8,
    /// Messages of this priority or a higher one are taken even where nothing is written (1 to 9).
    pub priority_min: u8,
    /// Whether messages are compressed at all.
    pub compression: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Self { read_only: false, shed: 0, priority_min: PRIORITY_MAX, compression: true }
    }
}

impl Mode {
    /// Whether new connections are to be turned away.
    pub const fn refuses_connections(&self) -> bool {
        self.shed >= 1
    }

    /// Whether connections for which much waits are to be ended.
    pub(crate) const fn sheds_connections(&self) -> bool {
        self.shed >= SHED_MAX
    }

    /// Whether a message of this priority is taken.
    ///
    /// # Errors
    /// It is not.
    pub fn takes_publish(&self, priority: u8) -> Result<(), Refusal> {
        if self.read_only && priority < self.priority_min {
            return Err(refusal("an operator has made the server read-only; try again later"));
        }
        if self.shed >= 2 && priority == 0 {
            return Err(refusal("the server sheds load: only messages with a priority are taken now"));
        }
        Ok(())
    }

    /// Whether a service's command that changes something is taken.
    ///
    /// # Errors
    /// It is not.
    pub fn takes_change(&self) -> Result<(), Refusal> {
        if self.read_only {
            return Err(refusal("an operator has made the server read-only; try again later"));
        }
        Ok(())
    }
}

fn refusal(message: &str) -> Refusal {
    Refusal { id: None, code: Code::ServerError, message: message.to_owned(), field: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_urgent_is_taken_longest() {
        let takes = |mode: Mode| (0..=9).filter(|priority| mode.takes_publish(*priority).is_ok()).min();
        let usual = Mode::default();
        assert_eq!(takes(usual), Some(0));
        assert_eq!(takes(Mode { shed: 1, ..usual }), Some(0));
        assert_eq!(takes(Mode { shed: 2, ..usual }), Some(1));
        assert_eq!(takes(Mode { read_only: true, ..usual }), Some(9));
        assert_eq!(takes(Mode { read_only: true, priority_min: 5, ..usual }), Some(5));
        assert!(Mode { read_only: true, ..usual }.takes_change().is_err());
        assert!(Mode { shed: 3, ..usual }.takes_change().is_ok());
    }
}
