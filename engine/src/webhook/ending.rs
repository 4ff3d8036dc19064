//! The end of the process, as the lanes are told of it: what waits is tried at once, and until a certain time only.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When it must be over, once that is known.
#[derive(Debug, Default)]
pub(super) struct Ending {
    until: Mutex<Option<Instant>>,
    announced: Condvar,
}

impl Ending {
    /// Everything must be over by then.
    pub(super) fn announce(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.announced.notify_all();
    }

    /// How much time is left, if it is limited.
    pub(super) fn left(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Sleeps, but not beyond the announcement, nor after it for longer than is left.
    pub(super) fn sleep(&self, patience: Duration) {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = *until {
            drop(until);
            std::thread::sleep(patience.min(end.saturating_duration_since(Instant::now())));
            return;
        }
        let wait = self.announced.wait_timeout_while(until, patience, |until| until.is_none());
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_sleeps_is_woken_and_sleeps_no_longer_than_is_left() {
        let (ending, began) = (Arc::new(Ending::default()), Instant::now());
        assert_eq!(ending.left(), None);
        let sleeper = Arc::clone(&ending);
        let thread = std::thread::spawn(move || sleeper.sleep(Duration::from_secs(600)));
        ending.announce(Instant::now() + Duration::from_millis(20));
        thread.join().unwrap();
        ending.sleep(Duration::from_secs(600));
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!(ending.left(), Some(Duration::ZERO));
    }
}
