//! `fanout`: publishes to rooms and receives everything at every member.
//!
//! Open the connections, warm up, measure for a fixed time, stop publishing, wait for what is under way, tell.

use std::time::Duration;

use serde_json::json;

use super::tally::Tally;
use super::{RunError, prepare};
use crate::cli::FanoutArgs;
use crate::client::Event;
use crate::clock::{Clock, Schedule, nanos};
use crate::fleet::Fleet;
use crate::interrupt;
use crate::payload::Template;
use crate::plan::{Memberships, Plan};
use crate::process::{self, Cpu};
use crate::progress::{Progress, Standing};
use crate::report::Report;
use crate::stamp::Stamp;

/// Publishes between two looks at the sockets.
const BURST: u32 = 256;
/// Longest wait for the sockets.
const NAP: Duration = Duration::from_millis(20);
/// Busier than this, the load generator measures itself.
const OWN_CPU_PERCENT_MAX: f64 = 90.0;
/// Later than this, the open loop was none.
const LATE_NS_MAX: u64 = 250_000_000;

/// When messages are published.
enum Pace {
    Open(Schedule),
    Closed { in_flight: u32 },
}

/// Counters at one moment.
#[derive(Clone, Copy)]
struct Snapshot {
    at: u64,
    deliveries: u64,
    published: u64,
    received_bytes: u64,
    server: Option<Cpu>,
    own: Option<Cpu>,
    machine_busy_ns: Option<u64>,
}

struct Run<'p> {
    args: &'p FanoutArgs,
    plan: &'p Plan,
    clock: Clock,
    fleet: Fleet<'p>,
    tally: Tally,
    /// One per room.
    templates: Vec<Template>,
    next_number: u32,
    progress: Progress,
    /// The longest time by which a publish was late, in nanoseconds: this program's own fault.
    late_ns: u64,
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &FanoutArgs) -> Result<Report, RunError> {
    let memberships = memberships(args)?;
    let plan = Plan::new(&args.common, memberships, args.publishers).map_err(RunError::Usage)?;
    let templates =
        (0..args.rooms).map(|room| Template::new(plan.encoding, &plan.room(room), args.shape, args.size));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let fleet = Fleet::new(&plan, clock)?;
    let tally = Tally::new(memberships).map_err(RunError::Failed)?;
    let progress = Progress::new();
    Run { args, plan: &plan, clock, fleet, tally, templates, next_number: 0, progress, late_ns: 0 }.run()
}

fn memberships(args: &FanoutArgs) -> Result<Memberships, RunError> {
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 10_000_000.0)) {
        return Err(RunError::Usage(
            "--rate must be above 0 and at most 10,000,000 messages per second".into(),
        ));
    }
    if args.duration.is_zero() {
        return Err(RunError::Usage("--duration must not be 0".into()));
    }
    let total = args.rooms.checked_mul(args.members).filter(|total| *total <= 50_000_000);
    let total =
        total.ok_or_else(|| RunError::Usage("--rooms times --members must be at most 50,000,000".into()))?;
    let connections = args.connections.unwrap_or(total);
    if args.slow >= connections {
        return Err(RunError::Usage("--slow must leave at least one member that reads".into()));
    }
    Ok(Memberships { rooms: args.rooms, members: args.members, connections })
}

impl Run<'_> {
    fn run(mut self) -> Result<Report, RunError> {
        let mut report = Report::new("fanout", self.parameters());
        let tally = &mut self.tally;
        self.fleet.open(&mut |connection, now, event| tally.on(connection, now, event))?;
        report.count("members", "members joined", self.tally.members());
        if self.tally.members() == 0 {
            report.problem("no member joined");
            report.failures(self.fleet.failures());
            return Ok(report);
        }
        self.stall()?;
        let begin = self.clock.now();
        let (from, to) = {
            let from = begin + nanos(self.args.warmup);
            (from, from + nanos(self.args.duration))
        };
        self.tally.set_window(from, to).map_err(RunError::Failed)?;
        let mut pace = match (self.args.in_flight, self.args.rate) {
            (Some(in_flight), _) => Pace::Closed { in_flight },
            (None, rate) => Pace::Open(Schedule::new(begin, rate.unwrap_or(1.0))),
        };
        let warmed_up = self.publish_until("warm-up", from, &mut pace, &mut report)?;
        let first = self.snapshot();
        self.late_ns = 0;
        if warmed_up {
            self.publish_until("measuring", to, &mut pace, &mut report)?;
        }
        let last = self.snapshot();
        self.drain()?;
        self.progress.end();
        self.write_report(first, last, &mut report);
        if let Some(timeline) = self.tally.timeline {
            report.plots(self.tally.latency, timeline);
        }
        Ok(report)
    }

    /// The slow members stop reading; what they are sent is not waited for.
    fn stall(&mut self) -> Result<(), RunError> {
        for index in 0..self.args.slow {
            self.fleet.stop_reading(index)?;
            self.tally.on(index, self.clock.now(), Event::Gone);
        }
        Ok(())
    }

    /// Publishes and receives until `end`; `false` when that became pointless before.
    fn publish_until(
        &mut self,
        phase: &str,
        end: u64,
        pace: &mut Pace,
        report: &mut Report,
    ) -> Result<bool, RunError> {
        let begin = self.clock.now();
        let mut progress = (self.tally.deliveries, begin);
        loop {
            let now = self.clock.now();
            if now >= end {
                return Ok(true);
            }
            if interrupt::happened() {
                report.problem("ended early by a signal");
                return Ok(false);
            }
            if self.progress.is_due() {
                self.progress.tell(Standing {
                    phase,
                    part: (now - begin) as f64 / (end - begin) as f64,
                    left_s: (end - now) as f64 / 1e9,
                    deliveries: self.tally.deliveries,
                    p99_ns: self.tally.latency.value_at_quantile(0.99),
                    failures: self.fleet.failures().total() + self.tally.refusals.total(),
                });
            }
            if self.tally.members() == 0 {
                report.problem("all members were lost");
                return Ok(false);
            }
            if progress.0 != self.tally.deliveries || matches!(pace, Pace::Open(_)) {
                progress = (self.tally.deliveries, now);
            } else if now - progress.1 > nanos(self.args.drain) {
                report.problem("the closed loop stalled: nothing was delivered for the time of --drain");
                return Ok(false);
            }
            let wait = self.publish_due(now, pace).min(end - now);
            let Some(wait) = Some(Duration::from_nanos(wait)).filter(|_| self.any_publisher()) else {
                report.problem("all publishers were lost");
                return Ok(false);
            };
            let tally = &mut self.tally;
            self.fleet.turn(wait.min(NAP), &mut |connection, now, event| tally.on(connection, now, event))?;
        }
    }

    /// Publishes what is due, at most a burst; returns nanoseconds until there may be more to publish.
    fn publish_due(&mut self, now: u64, pace: &mut Pace) -> u64 {
        let mut used = 0;
        let mut wait = u64::MAX;
        while used < BURST {
            let Some(publisher) = self.publisher() else {
                // All are blocked: their sockets' writability ends the wait.
                break;
            };
            let intended = match pace {
                Pace::Open(schedule) => match schedule.take(now) {
                    Some(due) => {
                        self.late_ns = self.late_ns.max(now.saturating_sub(due));
                        due
                    }
                    None => {
                        wait = schedule.due().saturating_sub(now);
                        break;
                    }
                },
                Pace::Closed { in_flight } if self.tally.in_flight.under_way() < *in_flight => {
                    self.clock.now()
                }
                Pace::Closed { .. } => break,
            };
            self.publish(publisher, intended);
            used += 1;
        }
        if used > 0 {
            let tally = &mut self.tally;
            for publisher in self.plan.memberships.connections..self.plan.connections() {
                self.fleet.flush(publisher, &mut |connection, now, event| tally.on(connection, now, event));
            }
        }
        if used == BURST { 0 } else { wait }
    }

    fn publish(&mut self, publisher: u32, intended: u64) {
        let number = self.next_number;
        let room = self.tally.room_of(number) as usize;
        let command = self.templates[room].stamped(Stamp { intended, number });
        if self.fleet.send(publisher, command) {
            self.next_number = number.wrapping_add(1);
            self.tally.sent(number, intended);
        }
    }

    /// A publisher that takes a message now: each in turn.
    fn publisher(&mut self) -> Option<u32> {
        let count = self.plan.publishers;
        let first = self.next_number % count.max(1);
        (0..count)
            .map(|step| self.plan.memberships.connections + (first + step) % count)
            .find(|&publisher| self.fleet.takes_more(publisher))
    }

    fn any_publisher(&self) -> bool {
        (self.plan.memberships.connections..self.plan.connections()).any(|index| self.fleet.is_live(index))
    }

    /// Waits for what is under way.
    fn drain(&mut self) -> Result<(), RunError> {
        let deadline = self.clock.now() + nanos(self.args.drain);
        while self.tally.unanswered() > 0 || self.tally.missing() > 0 {
            if self.clock.now() >= deadline || self.fleet.live() == 0 {
                break;
            }
            let tally = &mut self.tally;
            self.fleet.turn(NAP, &mut |connection, now, event| tally.on(connection, now, event))?;
        }
        let missing = self.tally.missing();
        self.tally.verifier.give_up(missing);
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: self.clock.now(),
            deliveries: self.tally.deliveries,
            published: self.tally.published,
            received_bytes: self.fleet.received_bytes(),
            // A server that is gone shows by its lost connections.
            server: self.args.common.pid.and_then(|pid| process::cpu(pid).ok()),
            own: process::cpu(std::process::id()).ok(),
            machine_busy_ns: process::machine_busy_ns().ok(),
        }
    }

    fn parameters(&self) -> serde_json::Value {
        let args = self.args;
        json!({
            "url": args.common.url, "rooms": args.rooms, "members": args.members,
            "connections": self.plan.memberships.connections, "publishers": args.publishers,
            "rate": args.rate, "slow": args.slow, "in_flight": args.in_flight, "size": args.size, "shape": args.shape,
            "encoding": self.plan.encoding.subprotocol(), "deflate": args.common.deflate,
            "warmup_s": args.warmup.as_secs_f64(), "duration_s": args.duration.as_secs_f64(),
        })
    }

    fn write_report(&self, first: Snapshot, last: Snapshot, report: &mut Report) {
        let tally = &self.tally;
        let seconds = (last.at.saturating_sub(first.at)).max(1) as f64 / 1e9;
        let deliveries = last.deliveries - first.deliveries;
        report.count("sent", "messages sent", tally.sent);
        report.count("published", "messages accepted", tally.published);
        report.count("refused", "messages refused", tally.refused);
        report.count("unanswered", "messages unanswered", tally.unanswered());
        report.count("deliveries", "deliveries", tally.deliveries);
        report.faults(tally.verifier.faults());
        report.number("window_s", "measured", seconds, 3, "s");
        let rate = (last.published - first.published) as f64 / seconds;
        report.number("messages_per_second", "accepted", rate, 0, "messages/s");
        report.number("deliveries_per_second", "delivered", deliveries as f64 / seconds, 0, "deliveries/s");
        let bytes = (last.received_bytes - first.received_bytes) as f64;
        report.number("received_bytes_per_second", "received", bytes / seconds, 0, "bytes/s");
        report.times("latency", "latency", &tally.latency);
        report.times("acknowledged", "publish to answer", &tally.acknowledged);
        if let (Some(before), Some(after)) = (first.server, last.server) {
            let cpu = after.since(before);
            report.number("server_cpu_percent", "server CPU", percent(cpu, seconds), 1, "% of a core");
            if let Some(user) = cpu.user_share() {
                report.number("server_user_percent", "of it in user mode", user * 100.0, 1, "%");
            }
            if deliveries > 0 {
                let each = cpu.total_ns as f64 / 1e3 / deliveries as f64;
                report.number("server_cpu_us_per_delivery", "server CPU per delivery", each, 3, "us");
            }
        }
        if let (Some(before), Some(after)) = (first.own, last.own) {
            let busy = percent(after.since(before), seconds);
            report.number("client_cpu_percent", "load generator CPU", busy, 1, "% of a core");
            if busy > OWN_CPU_PERCENT_MAX {
                report.invalid(
                    "the load generator's own core was the bottleneck: use several, or a smaller load",
                );
            }
        }
        if self.args.rate.is_some() {
            report.number("late_ms", "publishes late by at most", self.late_ns as f64 / 1e6, 2, "ms");
            if self.late_ns > LATE_NS_MAX {
                report.invalid("the schedule lagged: publishes were sent long after they were due");
            }
        }
        if let Some(busy) = foreign_percent(&first, &last, seconds) {
            report.number("foreign_cpu_percent", "other programs' CPU", busy, 0, "% of a core");
        }
        if tally.unanswered() > 0 {
            report.problem("publishes were never answered");
        }
        if deliveries == 0 {
            report.problem("nothing was delivered during the measurement");
        }
        report.failures(&tally.refusals);
        report.failures(self.fleet.failures());
    }
}

fn percent(cpu: Cpu, seconds: f64) -> f64 {
    cpu.total_ns as f64 / 1e7 / seconds
}

/// CPU of everything but server and load generator: what disturbed the measurement. Only known when the
/// server runs here.
fn foreign_percent(first: &Snapshot, last: &Snapshot, seconds: f64) -> Option<f64> {
    let machine = last.machine_busy_ns?.saturating_sub(first.machine_busy_ns?);
    let ours = last.server?.since(first.server?).total_ns + last.own?.since(first.own?).total_ns;
    Some(machine.saturating_sub(ours) as f64 / 1e7 / seconds)
}
