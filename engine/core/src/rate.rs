//! A token bucket in whole numbers, and which commands have one: sixteen bytes a connection for all its commands together.

use crate::pattern::RoomPattern;

/// How fast commands may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Commands a minute; 0: no limit.
    pub per_minute: u32,
    /// Commands at once.
    pub burst: u32,
}

/// Most rules that there may be: a set of them is one number.
pub const RATE_RULES_MAX: usize = 32;

/// How fast commands of some types may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRule {
    /// Their types: `join`, `chat.*`, `*`.
    pub command: RoomPattern,
    /// Of publishes, only those of these events.
    pub event: Option<RoomPattern>,
    /// Who is counted.
    pub per: RatePer,
    /// How fast.
    pub rate: Rate,
    /// Only for connections with one of these roles, when not empty.
    pub roles: Vec<String>,
}

/// Whose commands are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatePer {
    /// Those of one connection.
    Connection,
    /// Those of all connections of a user.
    User,
}

impl RateRule {
    /// Whether a command of this type, and event if it publishes, counts.
    pub(crate) fn is_for(&self, command: &str, event: Option<&str>, role: &str) -> bool {
        let of_event = |pattern: &RoomPattern| event.is_some_and(|event| pattern.matches(event));
        // One question has two names.
        let other = match command {
            "presence" => "presence.list",
            "presence.list" => "presence",
            only => only,
        };
        (self.command.matches(command) || self.command.matches(other))
            && self.event.as_ref().is_none_or(of_event)
            && (self.roles.is_empty() || crate::options::lists(&self.roles, role))
    }
}

/// What one connection or user has used of its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Debt in units of 1/60,000 command (so that one millisecond earns `per_minute` units).
    debt: u64,
    at_ms: u64,
}

const UNITS: u64 = 60_000;

impl Bucket {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { debt: 0, at_ms: now_ms }
    }

    /// Takes one command, if the rate allows it.
    pub(crate) fn take(&mut self, now_ms: u64, rate: Rate) -> bool {
        if rate.per_minute == 0 {
            return true;
        }
        self.debt = self.debt_at(now_ms, rate);
        self.at_ms = self.at_ms.max(now_ms);
        if self.debt + UNITS > rate.most() {
            return false;
        }
        self.debt += UNITS;
        true
    }

    /// One command was done elsewhere, whatever the rate allows.
    pub(crate) fn charge(&mut self, now_ms: u64, rate: Rate) {
        self.debt = (self.debt_at(now_ms, rate) + UNITS).min(rate.most());
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Milliseconds until it takes one more; 0: it does now.
    pub(crate) fn wait_ms(&self, now_ms: u64, rate: Rate) -> u64 {
        let over = (self.debt_at(now_ms, rate) + UNITS).saturating_sub(rate.most());
        if rate.per_minute == 0 { 0 } else { over.div_ceil(u64::from(rate.per_minute)) }
    }

    /// Whether it would take a whole burst: it says no more than none at all.
    pub(crate) fn is_full(&self, now_ms: u64, rate: Rate) -> bool {
        self.debt_at(now_ms, rate) == 0
    }

    fn debt_at(&self, now_ms: u64, rate: Rate) -> u64 {
        let earned = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_minute));
        self.debt.saturating_sub(earned)
    }
}

impl Rate {
    /// The largest debt there may be.
    fn most(self) -> u64 {
        u64::from(self.burst.max(1)) * UNITS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let rate = Rate { per_minute: 60, burst: 10 };
        let mut bucket = Bucket::new(5_000);
        let passed = (0..100).filter(|_| bucket.take(5_000, rate)).count();
        assert_eq!(passed, 10);
        assert_eq!((bucket.wait_ms(5_000, rate), bucket.wait_ms(5_400, rate)), (1_000, 600));
        assert!(!bucket.take(5_999, rate));
        assert!(bucket.take(6_000, rate));
        assert!(!bucket.take(6_000, rate));
        // A clock that goes back gives nothing away.
        assert!(!bucket.take(0, rate));
        assert_eq!((0..100).filter(|_| bucket.take(700_000, rate)).count(), 10);
    }

    #[test]
    fn no_rate_means_no_limit() {
        let mut bucket = Bucket::new(0);
        let none = Rate { per_minute: 0, burst: 0 };
        assert!((0..1_000).all(|_| bucket.take(0, none)));
        assert_eq!(bucket.wait_ms(0, none), 0);
    }

    #[test]
    fn what_was_done_elsewhere_counts_but_no_more_than_a_burst() {
        let rate = Rate { per_minute: 60, burst: 3 };
        let mut bucket = Bucket::new(0);
        bucket.charge(0, rate);
        assert!(!bucket.is_full(0, rate) && bucket.is_full(1_000, rate));
        (0..10).for_each(|_| bucket.charge(0, rate));
        assert!(!bucket.take(999, rate) && bucket.take(1_000, rate));
    }

    #[test]
    fn a_rule_is_for_a_type_an_event_and_a_role() {
        let pattern = |text: &str| RoomPattern::new(text).unwrap();
        let rate = Rate { per_minute: 1, burst: 1 };
        let rule = |command: &str, event: Option<&str>, roles: &[&str]| RateRule {
            command: pattern(command),
            event: event.map(pattern),
            per: RatePer::User,
            rate,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        assert!(rule("*", None, &[]).is_for("publish", Some("say"), "user"));
        assert!(rule("chat.*", None, &[]).is_for("chat.typing", None, "user"));
        assert!(!rule("chat.*", None, &[]).is_for("join", None, "user"));
        for command in ["presence", "presence.list"] {
            for pattern in ["presence", "presence.list", "presence.*"] {
                assert!(rule(pattern, None, &[]).is_for(command, None, "user"), "{pattern} {command}");
            }
        }
        assert!(!rule("presence", None, &[]).is_for("presence.set", None, "user"));
        let technique = rule("publish", Some("technique_*"), &["user"]);
        assert!(technique.is_for("publish", Some("technique_x"), "user"));
        assert!(!technique.is_for("publish", Some("say"), "user"));
        assert!(!technique.is_for("publish", Some("technique_x"), "admin"));
    }

    proptest! {
        /// After what it says to wait, and not a millisecond earlier, it takes one more.
        #[test]
        fn the_wait_is_exact(
            per_minute in 1_u32..100_000, burst in 1_u32..50, steps in proptest::collection::vec(0_u64..2_000, 1..60),
        ) {
            let (rate, mut now_ms) = (Rate { per_minute, burst }, 1);
            let mut bucket = Bucket::new(now_ms);
            for step_ms in steps {
                now_ms += step_ms;
                let wait_ms = bucket.wait_ms(now_ms, rate);
                let takes = |at_ms: u64| bucket.clone().take(at_ms, rate);
                prop_assert_eq!(takes(now_ms), wait_ms == 0);
                prop_assert!(takes(now_ms + wait_ms));
                prop_assert!(wait_ms == 0 || !takes(now_ms + wait_ms - 1));
                bucket.take(now_ms, rate);
            }
        }
    }
}
