//! What plays had in them, to see that something was tried.

use std::fmt;
use std::ops::AddAssign;

/// Counts of one play or of many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// Messages published.
    pub published: u64,
    /// Joins that brought all that was missed.
    pub recovered: u64,
    /// Notices of messages that were dropped.
    pub gaps: u64,
    /// Messages that a more urgent one overtook on its way to a slow reader.
    pub overtaken: u64,
    /// Messages that came again after a recovery, having been ahead before it.
    pub repeated: u64,
    /// Acknowledgements that were answered.
    pub acked: u64,
    /// Messages that came again since they were not acknowledged.
    pub redelivered: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Receipts that publishers got.
    pub receipts: u64,
    /// Messages that came by users' own rooms.
    pub whispers: u64,
    /// Connections that went on with a session.
    pub resumed: u64,
    /// Connections that had to make way for one that did.
    pub replaced: u64,
    /// Frames that refer to those before them.
    pub shared: u64,
    /// How often the process died.
    pub restarts: u64,
    /// How often the store failed.
    pub failures: u64,
}

impl Tried {
    fn counts(&mut self) -> [(&'static str, &mut u64); 15] {
        [
            ("messages", &mut self.published),
            ("recoveries", &mut self.recovered),
            ("gaps", &mut self.gaps),
            ("overtaken", &mut self.overtaken),
            ("again after a recovery", &mut self.repeated),
            ("acknowledgements", &mut self.acked),
            ("redelivered", &mut self.redelivered),
            ("dead letters", &mut self.dead),
            ("receipts", &mut self.receipts),
            ("whispers heard", &mut self.whispers),
            ("sessions resumed", &mut self.resumed),
            ("connections replaced", &mut self.replaced),
            ("frames in step", &mut self.shared),
            ("restarts", &mut self.restarts),
            ("store failures", &mut self.failures),
        ]
    }
}

impl AddAssign for Tried {
    fn add_assign(&mut self, mut other: Self) {
        for ((_, count), (_, more)) in self.counts().into_iter().zip(other.counts()) {
            *count += *more;
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = *self;
        let words: Vec<String> =
            all.counts().into_iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&words.join(", "))
    }
}
