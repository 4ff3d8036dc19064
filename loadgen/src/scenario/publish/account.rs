//! What became of every publish.

use hdrhistogram::Histogram;

use super::Fate;
use crate::failure::Failures;
use crate::report::histogram;
use crate::timeline::Timeline;

/// The account of a run.
pub(super) struct Account {
    /// When each message was due, by its number.
    intended: Vec<u64>,
    /// Unanswered messages of each connection.
    unanswered: Vec<u32>,
    /// The measurement, in clock nanoseconds.
    pub(super) window: (u64, u64),
    /// Due to answered, of messages due in the window.
    pub(super) latency: Histogram<u64>,
    /// The same by time.
    pub(super) timeline: Timeline,
    pub(super) accepted: u64,
    /// Answered in the window.
    pub(super) accepted_in_window: u64,
    pub(super) refusals: Failures,
}

impl Account {
    /// Nothing published yet, over so many connections.
    ///
    /// # Errors
    /// The histograms' bounds are wrong (never).
    pub(super) fn new(connections: u32, window: (u64, u64)) -> Result<Self, String> {
        Ok(Self {
            intended: Vec::new(),
            unanswered: vec![0; connections as usize],
            window,
            latency: histogram()?,
            timeline: Timeline::new(window.0, window.1)?,
            accepted: 0,
            accepted_in_window: 0,
            refusals: Failures::default(),
        })
    }

    /// The number of the next message.
    pub(super) fn next_number(&self) -> u32 {
        self.intended.len() as u32
    }

    /// Messages sent.
    pub(super) fn sent_count(&self) -> u64 {
        self.intended.len() as u64
    }

    /// The next message was sent.
    pub(super) fn sent(&mut self, connection: u32, intended: u64) {
        self.intended.push(intended);
        self.unanswered[connection as usize] += 1;
    }

    /// An answer came.
    pub(super) fn answered(&mut self, connection: u32, now: u64, number: u32, fate: &Fate<'_>) {
        let unanswered = &mut self.unanswered[connection as usize];
        *unanswered = unanswered.saturating_sub(1);
        let window = self.window.0..self.window.1;
        match fate {
            Fate::Refused(why) => self.refusals.count(&format_args!("publish refused: {why}")),
            Fate::Accepted => {
                self.accepted += 1;
                self.accepted_in_window += u64::from(window.contains(&now));
                let Some(&intended) = self.intended.get(number as usize) else { return };
                if window.contains(&intended) {
                    let latency = now.saturating_sub(intended).max(1);
                    self.latency.saturating_record(latency);
                    self.timeline.delivered(intended, latency);
                }
            }
        }
    }

    /// Unanswered messages of one connection.
    pub(super) fn unanswered_of(&self, connection: u32) -> u32 {
        self.unanswered[connection as usize]
    }

    /// Unanswered messages of all.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered.iter().copied().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_due_in_the_window_have_a_latency() {
        let mut account = Account::new(2, (100, 200)).unwrap();
        for (connection, intended) in [(0, 50), (1, 100), (1, 199)] {
            account.sent(connection, intended);
        }
        assert_eq!((account.unanswered(), account.unanswered_of(1)), (3, 2));
        account.answered(0, 150, 0, &Fate::Accepted);
        account.answered(1, 160, 1, &Fate::Accepted);
        account.answered(1, 250, 2, &Fate::Refused("X"));
        account.answered(1, 250, 2_000, &Fate::Accepted);
        assert_eq!((account.unanswered(), account.accepted, account.accepted_in_window), (0, 3, 2));
        assert_eq!((account.latency.len(), account.refusals.total()), (1, 1));
    }
}
