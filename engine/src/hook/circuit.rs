//! A backend that fails again and again is left alone for a while, so that those who wait are not kept waiting in vain.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which it is left alone.
const FAILURES_MAX: u32 = 5;
/// For how long at first; each time twice as long, to this at most.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Closed: everything goes through. Open: nothing does, but one question when the pause is over.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    pause: Duration,
    /// Whether a question has been let through to find out, and it is not known how that went.
    tries: bool,
}

impl Circuit {
    /// Whether to ask now.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // One tries; the others go on without until it is known how that went.
                state.open_until = Some(now + state.pause);
                state.tries = true;
                true
            }
        }
    }

    /// How it went.
    pub(super) fn report(&self, now: Instant, well: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if well {
            *state = State::default();
            return;
        }
        // What was asked before it opened says nothing new.
        if state.open_until.is_some() && !std::mem::take(&mut state.tries) {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            state.open_until = Some(now + state.pause);
        }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_success() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..4 {
            circuit.report(start, false);
        }
        circuit.report(start, true);
        for _ in 0..4 {
            circuit.report(start, false);
        }
        assert!(circuit.lets_through(start), "four in a row are not five");
        circuit.report(start, false);
        assert!(circuit.is_open() && !circuit.lets_through(start));
        assert!(circuit.lets_through(at(1)), "one tries");
        assert!(!circuit.lets_through(at(1)), "and only one");
        circuit.report(at(1), false);
        assert!(!circuit.lets_through(at(2)), "twice as long");
        assert!(circuit.lets_through(at(3)));
        circuit.report(at(3), true);
        assert!(!circuit.is_open() && circuit.lets_through(at(3)));
    }

    #[test]
    fn its_pause_is_bounded() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        for _ in 0..1_000 {
            now += PAUSE_MAX;
            assert!(circuit.lets_through(now));
            circuit.report(now, false);
        }
        assert!(!circuit.lets_through(now + PAUSE_MAX - Duration::from_millis(1)));
        assert!(circuit.lets_through(now + PAUSE_MAX));
    }

    #[test]
    fn what_fails_together_counts_once() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        for _ in 0..100 {
            circuit.report(start, false);
        }
        assert!(!circuit.lets_through(start + PAUSE_MIN - Duration::from_millis(1)));
        assert!(circuit.lets_through(start + PAUSE_MIN), "one pause, however many were on their way");
    }
}
