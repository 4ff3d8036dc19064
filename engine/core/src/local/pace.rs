//! Rules for how fast commands of some types may come, of one connection or of all of a user's.
//!
//! A user's commands are counted on the shards that hold its connections: each decides by what it knows at once and tells the
//! others, by way of the user's own room, what was done. Two shards may so both let the last one of a burst pass, and
//! neither ever waits for the other.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Code, Command, Publish, Reply, Request, RoomName};
use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::close::Close;
use crate::effect::{Answer, Effects};
use crate::id::ConnectionId;
use crate::local::shard::Local;
use crate::mesh::{Mesh, Origin, ToHome};
use crate::options::Options;
use crate::rate::{Bucket, Rate, RatePer, RateRule};
use crate::time::Now;

/// For how long commands that were refused are held against a connection.
const OFFENCE_MS: u64 = 60_000;
/// How often users who owe nothing any more are forgotten, and how often where there is no place for another.
const SWEEP_MS: u64 = 60_000;
const SWEEP_FULL_MS: u64 = 1_000;

/// What one rule has counted.
#[derive(Debug)]
struct Counter {
    rule: u8,
    bucket: Bucket,
    /// Commands refused since then.
    refused: u32,
    since_ms: u64,
}

/// The counters of those rules that something was counted for. At most one for each rule.
#[derive(Debug, Default)]
pub(crate) struct Counters(Vec<Counter>);

impl Counters {
    fn find(&mut self, rule: usize) -> Option<&mut Counter> {
        self.0.iter_mut().find(|counter| usize::from(counter.rule) == rule)
    }

    fn bucket(&mut self, rule: usize, now_ms: u64) -> &mut Bucket {
        let at = self.0.iter().position(|counter| usize::from(counter.rule) == rule);
        let at = at.unwrap_or_else(|| {
            let bucket = Bucket::new(now_ms);
            self.0.push(Counter { rule: rule as u8, bucket, refused: 0, since_ms: now_ms });
            self.0.len() - 1
        });
        &mut self.0[at].bucket
    }

    fn is_blank(&self, now_ms: u64, rules: &[RateRule]) -> bool {
        let is_blank = |counter: &Counter| {
            let is_past = counter.refused == 0 || now_ms >= counter.since_ms + OFFENCE_MS;
            is_past && counter.bucket.is_full(now_ms, rules[usize::from(counter.rule)].rate)
        };
        self.0.iter().all(is_blank)
    }
}

impl Counter {
    /// One more was refused. True: far too many were.
    fn refuse(&mut self, now_ms: u64, most: u64) -> bool {
        if now_ms >= self.since_ms + OFFENCE_MS {
            (self.refused, self.since_ms) = (0, now_ms);
        }
        self.refused += 1;
        most > 0 && u64::from(self.refused) >= most
    }
}

/// What the users of this shard have used of their rates.
#[derive(Debug)]
pub(crate) struct Payers {
    users: HashMap<RoomName, Counters, FixedState>,
    swept_ms: u64,
}

impl Payers {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self { users: HashMap::with_hasher(hasher), swept_ms: 0 }
    }

    /// Users remembered.
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    /// The user's counters. Nothing when there are `max` other users who owe something.
    fn of(&mut self, user: &RoomName, now_ms: u64, options: &Options) -> Option<&mut Counters> {
        let max = options.limits.rate_users;
        if self.users.len() >= max && !self.users.contains_key(user) {
            self.sweep(now_ms, options, SWEEP_FULL_MS);
            if self.users.len() >= max {
                return None;
            }
        }
        Some(self.users.entry_ref(user).or_default())
    }

    /// Forgets users of whom there is nothing to remember, if that was not done a moment ago.
    fn sweep(&mut self, now_ms: u64, options: &Options, every_ms: u64) {
        if self.users.is_empty() || now_ms < self.swept_ms + every_ms {
            return;
        }
        self.swept_ms = now_ms;
        self.users.retain(|_, counters| !counters.is_blank(now_ms, &options.rates));
    }
}

/// A command that came too soon.
#[derive(Debug)]
pub(crate) struct Limited {
    message: String,
    retry_after_ms: u64,
    /// It was one of far too many.
    is_last: bool,
}

impl Limited {
    pub(crate) fn of(rate: Rate, what: &str, retry_after_ms: u64) -> Self {
        let Rate { per_minute, burst } = rate;
        let message = format!("more than {per_minute} {what} a minute (at once: {burst})");
        Self { message, retry_after_ms, is_last: false }
    }
}

/// A set of rules: bit `n` is the rule `n`.
#[derive(Clone, Copy, Debug)]
struct Rules(u32);

impl Rules {
    /// Those for a command.
    fn of(rules: &[RateRule], (command, event): (&str, Option<&str>), role: &str) -> Self {
        let bit = |(at, rule): (usize, &RateRule)| u32::from(rule.is_for(command, event, role)) << at;
        Self(rules.iter().enumerate().map(bit).sum())
    }

    /// Whether some of them count this way.
    fn any(self, per: RatePer, rules: &[RateRule]) -> bool {
        self.per(per, rules).next().is_some()
    }

    /// Those of them that count this way.
    fn per(self, per: RatePer, rules: &[RateRule]) -> impl Iterator<Item = usize> {
        let all = 0..rules.len();
        all.filter(move |at| self.0 >> at & 1 == 1 && rules[*at].per == per)
    }
}

fn described(command: &Command) -> (&str, Option<&str>) {
    let event = if let Command::Publish(publish) = command { Some(publish.event.as_str()) } else { None };
    (command.name(), event)
}

impl Local {
    /// Counts a connection's command by the rules for its type. False: it was refused.
    pub(crate) fn paced(&mut self, now: Now, id: ConnectionId, request: &Request, out: &mut Effects) -> bool {
        if self.options.rates.is_empty() {
            return true;
        }
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let rules = &self.options.rates;
        let role = self.roles.name(connection.role);
        let which = Rules::of(rules, described(&request.command), role);
        if which.0 == 0 {
            return true;
        }
        let user = connection.user.clone();
        // A connection's own counters first: what they refuse does not count against the user.
        let mut limited = None;
        if which.any(RatePer::Connection, rules) {
            let counters = &mut connection.extra.get_or_insert_default().counters;
            limited = check(counters, which, RatePer::Connection, now, &self.options).err();
        }
        let limited = limited.or_else(|| self.user_pays(now, &user, which, out).err());
        let Some(limited) = limited else {
            let connection = self.connections.get_mut(id).expect("invariant: just seen");
            if let Some(extra) = &mut connection.extra {
                take(&mut extra.counters, which, RatePer::Connection, now, &self.options);
            }
            return true;
        };
        let is_last = limited.is_last;
        self.limit(id, request.id.as_ref(), &limited);
        if is_last {
            let reason = "kept sending far more than it may";
            self.close(now, id, Close::code(Code::RateLimitExceeded, reason), out);
        }
        false
    }

    /// The same for a user who publishes over HTTP.
    pub(crate) fn paced_publish(
        &mut self,
        now: Now,
        user: &RoomName,
        role: &str,
        publish: &Publish,
        out: &mut Effects,
    ) -> Result<(), Limited> {
        self.paced_user(now, user, role, ("publish", Some(publish.event.as_str())), out)
    }

    /// The same for any command that a user gives over HTTP.
    pub(crate) fn paced_user(
        &mut self,
        now: Now,
        user: &RoomName,
        role: &str,
        what: (&str, Option<&str>),
        out: &mut Effects,
    ) -> Result<(), Limited> {
        let which = Rules::of(&self.options.rates, what, role);
        self.user_pays(now, user, which, out)
    }

    /// Tells an HTTP request that a command, or one item of it, came too soon.
    pub(crate) fn limit_http(&mut self, origin: &Origin, limited: Limited, out: &mut Effects) {
        self.stats.rate_limited += 1;
        if let Origin::Http(_, request, index) = origin {
            out.answers.push((*request, Answer::Limited(*index, limited.message, limited.retry_after_ms)));
        }
    }

    fn user_pays(
        &mut self,
        now: Now,
        user: &RoomName,
        which: Rules,
        out: &mut Effects,
    ) -> Result<(), Limited> {
        let rules = &self.options.rates;
        if !which.any(RatePer::User, rules) {
            return Ok(());
        }
        let Some(counters) = self.payers.of(user, now.mono_ms(), &self.options) else { return Ok(()) };
        check(counters, which, RatePer::User, now, &self.options)?;
        take(counters, which, RatePer::User, now, &self.options);
        if self.options.shards > 1 {
            let spent = ToHome::Spent { room: user.clone(), from: self.shard, rules: which.0 };
            out.send(self.home_of(user), Mesh::Home(spent));
        }
        Ok(())
    }

    /// A user's command was done on another shard.
    pub(crate) fn spent(&mut self, now: Now, user: &RoomName, rules: u32) {
        let Some(counters) = self.payers.of(user, now.mono_ms(), &self.options) else { return };
        for at in Rules(rules).per(RatePer::User, &self.options.rates) {
            counters.bucket(at, now.mono_ms()).charge(now.mono_ms(), self.options.rates[at].rate);
        }
    }

    /// Users whose use of the rates is remembered.
    pub(crate) fn rate_users(&self) -> usize {
        self.payers.len()
    }

    /// Tells a connection that a command came too soon.
    pub(crate) fn limit(&mut self, id: ConnectionId, command: Option<&CommandId>, limited: &Limited) {
        self.stats.rate_limited += 1;
        self.stats.refused += 1;
        if self.options.watch.refusals {
            self.refusals.push((id, Code::RateLimitExceeded.number()));
        }
        let Limited { message, retry_after_ms, .. } = limited;
        self.reply(id, command, &Reply::Limited { message, retry_after_ms: *retry_after_ms });
    }
}

/// Whether all of these rules allow one more.
fn check(
    counters: &mut Counters,
    which: Rules,
    per: RatePer,
    now: Now,
    options: &Options,
) -> Result<(), Limited> {
    let now_ms = now.mono_ms();
    for at in which.per(per, &options.rates) {
        let rate = options.rates[at].rate;
        let Some(counter) = counters.find(at) else { continue };
        let wait_ms = counter.bucket.wait_ms(now_ms, rate);
        if wait_ms > 0 {
            let most = u64::from(options.limits.rate_violations) * u64::from(rate.burst.max(1));
            let is_last = counter.refuse(now_ms, most);
            let what = match per {
                RatePer::Connection => "commands of this type",
                RatePer::User => "commands of this type by one user",
            };
            return Err(Limited { is_last, ..Limited::of(rate, what, wait_ms) });
        }
    }
    Ok(())
}

/// Counts one command by each of these rules.
fn take(counters: &mut Counters, which: Rules, per: RatePer, now: Now, options: &Options) {
    for at in which.per(per, &options.rates) {
        counters.bucket(at, now.mono_ms()).take(now.mono_ms(), options.rates[at].rate);
    }
}

/// Forgets users of whom there is nothing to remember.
pub(super) fn sweep(local: &mut Local, now: Now) {
    local.payers.sweep(now.mono_ms(), &local.options, SWEEP_MS);
}
