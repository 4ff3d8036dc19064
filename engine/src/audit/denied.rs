//! What anybody can cause without a good token: told at once the first time, and once more with a count for the rest of the minute.
//! So nobody can fill a disk with lines by asking for what they may not have.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::record::{Outcome, Record};

/// Kinds of denials told apart within one minute; what comes later is counted together.
const COUNTS_MAX: usize = 1_024;
/// How long further ones are only counted.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// What makes two denials the same: event, reason, who, from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    event: &'static str,
    code: Option<u16>,
    reason: Box<str>,
    actor: Option<Box<str>>,
    from: IpAddr,
}

/// Denials since the last lines about them.
#[derive(Debug)]
pub(super) struct Denied {
    /// With how many came after the first one.
    counts: BTreeMap<Kind, u64>,
    others: u64,
    since: Instant,
}

impl Default for Denied {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), others: 0, since: Instant::now() }
    }
}

impl Denied {
    /// One more; whether it is the first of its kind, and so has a line of its own.
    pub(super) fn is_first(&mut self, record: &Record, from: IpAddr) -> bool {
        let Record { event, code, reason, actor, .. } = record;
        let (reason, actor) = (reason.as_ref().into(), actor.clone());
        let kind = Kind { event, code: *code, reason, actor, from: network(from) };
        if let Some(count) = self.counts.get_mut(&kind) {
            *count += 1;
            return false;
        }
        let has_place = self.counts.len() < COUNTS_MAX;
        if has_place {
            self.counts.insert(kind, 0);
        } else {
            self.others += 1;
        }
        has_place
    }

    /// Whether a minute is over.
    pub(super) fn is_due(&self) -> bool {
        self.since.elapsed() >= MINUTE
    }

    /// The lines about those that had none; the next minute begins.
    pub(super) fn take(&mut self) -> Vec<Record> {
        let Self { counts, others, .. } = std::mem::take(self);
        let further = counts.into_iter().filter(|(_, count)| *count > 0);
        let mut records: Vec<Record> = further
            .map(|(Kind { event, code, reason, actor, from }, count)| {
                let record = Record::new(event, Outcome::Denied).because(String::from(reason));
                let remote_ip = Some(shown(from).into());
                Record { code, actor, remote_ip, ..record.with("count", count) }
            })
            .collect();
        if others > 0 {
            let reason = "from further addresses, not told apart";
            records.push(Record::new("denied", Outcome::Denied).because(reason).with("count", others));
        }
        records
    }
}

/// An IPv6 address has a network of its own for each of its users: the first half tells them apart.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(of) => of.into(),
        IpAddr::V6(of) => Ipv6Addr::from_bits(of.to_bits() >> 64 << 64).into(),
    }
}

fn shown(from: IpAddr) -> String {
    if from.is_ipv6() { format!("{from}/64") } else { from.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(reason: &'static str) -> Record {
        Record::new("api_denied", Outcome::Denied).because(reason)
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_by_their_number() {
        let mut denied = Denied::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut firsts = 0;
        for (reason, from) in [
            ("no token", "192.0.2.1"),
            ("no token", "::ffff:192.0.2.1"),
            ("no token", "192.0.2.1"),
            ("no token", "192.0.2.2"),
            ("banned", "192.0.2.1"),
            ("no token", "2001:db8:1:2::3"),
            ("no token", "2001:db8:1:2:ffff::4"),
            ("no token", "2001:db8:1:3::3"),
        ] {
            firsts += usize::from(denied.is_first(&record(reason), address(from)));
        }
        assert_eq!(firsts, 5);
        let lines: Vec<String> =
            denied.take().iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        let line = |from: &str, count| {
            format!(
                r#"{{"event":"api_denied","outcome":"denied","reason":"no token","remote_ip":"{from}","count":{count}}}"#
            )
        };
        assert_eq!(lines, [line("192.0.2.1", 2), line("2001:db8:1:2::/64", 1)]);
        assert!(denied.take().is_empty());
        assert!(denied.is_first(&record("no token"), address("192.0.2.1")), "another minute");
    }

    #[test]
    fn many_addresses_take_no_more_than_their_place() {
        let mut denied = Denied::default();
        let from = |at: usize| IpAddr::from((at as u32).to_be_bytes());
        let firsts = (0..COUNTS_MAX + 10).filter(|at| denied.is_first(&record("no"), from(*at)));
        assert_eq!(firsts.count(), COUNTS_MAX);
        let records = denied.take();
        assert_eq!((records.len(), &records[0].more["count"]), (1, &10.into()));
    }
}
