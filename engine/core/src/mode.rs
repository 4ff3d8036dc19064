//! What an operator sets for an emergency: nothing is written any more, or less is taken in.

use fanfare_protocol::limits::PRIORITY_MAX;
use fanfare_protocol::{Code, Refusal};

use crate::permission::{Permission, Permissions};

/// How urgent a message counts as at most where it is only its publisher who says so: enough not to be shed, too little for a server that
/// is read-only, unless an operator sets `priority_min` as low.
const CLAIM_MAX: u8 = 3;
/// The highest level of shedding.
pub const SHED_MAX: u8 = 3;

/// See the module's own text. Read for a command, never for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Publishes and commands that change something are refused, but for those of [`Mode::priority_min`] and an operator's.
    pub read_only: bool,
    /// 0: nothing is shed. 1: new connections are refused. 2: also publishes, and commands that change something, without a priority.
    /// 3: connections for which most waits are ended as well.
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

    /// Whether a message of this priority is taken; what its publisher may is asked for only where that decides.
    ///
    /// # Errors
    /// It is not.
    pub fn takes_publish(
        &self,
        priority: u8,
        permissions: impl FnOnce() -> Permissions,
    ) -> Result<(), Refusal> {
        let steers = |of: Permissions| of.has(Permission::Control) || of.has(Permission::Admin);
        let counts = |priority| priority >= self.priority_min;
        let is_urgent = || counts(priority.min(CLAIM_MAX)) || counts(priority) && steers(permissions());
        if self.read_only && !is_urgent() {
            return Err(Refusal::new(Code::ServerError, READ_ONLY));
        }
        if self.shed >= 2 && priority == 0 {
            return Err(Refusal::new(Code::ServerError, SHEDS));
        }
        Ok(())
    }

    /// Whether a service's command that changes something is taken; few have a priority.
    ///
    /// # Errors
    /// It is not.
    pub fn takes_change(&self, priority: u8) -> Result<(), Refusal> {
        if self.read_only {
            return Err(Refusal::new(Code::ServerError, READ_ONLY));
        }
        if self.shed >= 2 && priority == 0 {
            return Err(Refusal::new(Code::ServerError, SHEDS));
        }
        Ok(())
    }
}

const READ_ONLY: &str = "an operator has made the server read-only; try again later";
const SHEDS: &str = "the server sheds load: only messages with a priority are taken now";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_urgent_is_taken_longest() {
        let takes = |mode: Mode| {
            let taken = |priority: &u8| mode.takes_publish(*priority, || Permissions::ALL).is_ok();
            (0..=9).find(taken)
        };
        let usual = Mode::default();
        assert_eq!(takes(usual), Some(0));
        assert_eq!(takes(Mode { shed: 1, ..usual }), Some(0));
        assert_eq!(takes(Mode { shed: 2, ..usual }), Some(1));
        assert_eq!(takes(Mode { read_only: true, ..usual }), Some(9));
        assert_eq!(takes(Mode { read_only: true, priority_min: 5, ..usual }), Some(5));
        assert!(Mode { read_only: true, ..usual }.takes_change(9).is_err());
        assert!(Mode { shed: 1, ..usual }.takes_change(0).is_ok());
        assert!(Mode { shed: 2, ..usual }.takes_change(0).is_err());
        assert!(Mode { shed: 2, ..usual }.takes_change(1).is_ok());
    }

    #[test]
    fn who_may_not_steer_is_no_more_urgent_than_so() {
        let takes = |permissions, priority_min| {
            let mode = Mode { read_only: true, priority_min, ..Mode::default() };
            mode.takes_publish(PRIORITY_MAX, || permissions).is_ok()
        };
        assert!(!takes(Permissions::USUAL, CLAIM_MAX + 1) && takes(Permissions::USUAL, CLAIM_MAX));
        for may in [Permission::Control, Permission::Admin] {
            assert!(takes(Permissions::USUAL.with(may), PRIORITY_MAX));
        }
        let sheds = Mode { shed: 2, ..Mode::default() };
        assert!(sheds.takes_publish(1, || Permissions::USUAL).is_ok());
    }
}
