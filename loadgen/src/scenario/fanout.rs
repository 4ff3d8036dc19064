//! `fanout`, and `rooms` and `mesh` with other numbers: publishes to rooms and receives everything at every member.
//!
//! Open the connections, warm up, measure for a fixed time, stop publishing, wait for what is under way, tell.

use std::time::Duration;

use serde_json::json;

use super::tally::Tally;
use super::{RunError, check_rate, check_time, own, prepare};
use crate::cli::FanoutArgs;
use crate::client::Event;
use crate::clock::{Clock, Schedule, nanos};
use crate::fleet::Fleet;
use crate::interrupt;
use crate::payload::{Payload, Template};
use crate::plan::{Memberships, Plan};
use crate::process::{self, Cpu};
use crate::progress::{Progress, Standing};
use crate::report::Report;
use crate::server_side::{ServerSide, Usage};
use crate::stamp::Stamp;

/// Publishes between two looks at the sockets.
const BURST: u32 = 256;
/// Longest wait for the sockets.
const NAP: Duration = Duration::from_millis(20);
/// How long slow members may take at the end to read what they left.
const AWAKE: Duration = Duration::from_secs(5);

/// When messages are published.
enum Pace {
    Open(Schedule),
    Closed { in_flight: u32 },
}

/// Counters at one moment.
struct Snapshot {
    at: u64,
    deliveries: u64,
    published: u64,
    received_bytes: u64,
    server: Usage,
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
    server: ServerSide,
    progress: Progress,
    /// The longest time by which a publish was late, in nanoseconds: this program's own fault.
    late_ns: u64,
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(name: &'static str, args: &FanoutArgs) -> Result<Report, RunError> {
    let memberships = memberships(args)?;
    let plan = Plan::new(&args.common, memberships, args.publishers).map_err(RunError::Usage)?;
    let payload = Payload::new(&args.payload).map_err(RunError::Usage)?;
    let templates = (0..args.rooms).map(|room| Template::new(&plan, &plan.room(room), &payload));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    let server = prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let fleet = Fleet::new(&plan, clock)?;
    let tally = Tally::new(memberships).map_err(RunError::Failed)?;
    let progress = Progress::new();
    Run { args, plan: &plan, clock, fleet, tally, templates, server, progress, late_ns: 0 }.run(name)
}

fn memberships(args: &FanoutArgs) -> Result<Memberships, RunError> {
    check_rate(args.rate)?;
    check_time(&args.time)?;
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
    fn run(mut self, name: &'static str) -> Result<Report, RunError> {
        let mut report = Report::new(name, self.parameters());
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
            let from = begin + nanos(self.args.time.warmup);
            (from, from + nanos(self.args.time.duration))
        };
        self.tally.set_window(from, to).map_err(RunError::Failed)?;
        let mut pace = match self.args.in_flight {
            Some(in_flight) => Pace::Closed { in_flight },
            None => Pace::Open(Schedule::new(begin, self.args.rate)),
        };
        let warmed_up = self.publish_until("warm-up", from, &mut pace, &mut report)?;
        let first = self.snapshot();
        self.late_ns = 0;
        if warmed_up {
            self.publish_until("measuring", to, &mut pace, &mut report)?;
        }
        let last = self.snapshot();
        self.drain()?;
        self.wake_stalled()?;
        self.progress.end();
        self.write_report(&first, &last, &mut report);
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
            } else if now - progress.1 > nanos(self.args.time.drain) {
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
        let number = self.tally.next_number();
        let room = number % self.args.rooms;
        let command = self.templates[room as usize].stamped(Stamp { intended, number });
        if self.fleet.send(publisher, command) {
            self.tally.sent(room, intended);
            if let Some(raw) = &self.plan.raw {
                self.tally.accepted(number, raw.offset(number));
            }
        }
    }

    /// A publisher that takes a message now: each in turn.
    fn publisher(&mut self) -> Option<u32> {
        let (count, connections) = (self.plan.publishers, self.plan.memberships.connections);
        let first = self.tally.next_number() % count.max(1);
        // Where the server numbers nothing, order holds only within one connection: each room keeps its own.
        let choices = if self.plan.raw.is_some() { 1 } else { count };
        (0..choices)
            .map(|step| connections + (first + step) % count)
            .find(|&publisher| self.fleet.takes_more(publisher))
    }

    fn any_publisher(&self) -> bool {
        (self.plan.memberships.connections..self.plan.connections()).any(|index| self.fleet.is_live(index))
    }

    /// Waits for what is under way.
    fn drain(&mut self) -> Result<(), RunError> {
        let deadline = self.clock.now() + nanos(self.args.time.drain);
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

    /// Lets the slow members read at last, to see what the server has done to them.
    fn wake_stalled(&mut self) -> Result<(), RunError> {
        let slow = self.args.slow;
        for index in 0..slow {
            self.fleet.read_again(index)?;
        }
        let deadline = self.clock.now() + nanos(AWAKE);
        let (mut seen, mut quiet_since) = (self.fleet.received_bytes(), self.clock.now());
        // Until they have read all there is, or are gone.
        while slow > 0 && self.clock.now() < deadline && self.clock.now() - quiet_since < nanos(NAP * 10) {
            self.fleet.turn(NAP, &mut |_, _, _| {})?;
            if self.fleet.received_bytes() != seen {
                (seen, quiet_since) = (self.fleet.received_bytes(), self.clock.now());
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: self.clock.now(),
            deliveries: self.tally.deliveries,
            published: self.tally.published,
            received_bytes: self.fleet.received_bytes(),
            server: self.server.usage(),
            own: process::cpu(std::process::id()).ok(),
            machine_busy_ns: process::machine_busy_ns().ok(),
        }
    }

    fn parameters(&self) -> serde_json::Value {
        let args = self.args;
        json!({
            "url": args.common.url, "rooms": args.rooms, "members": args.members,
            "connections": self.plan.memberships.connections, "publishers": args.publishers,
            "rate": args.in_flight.is_none().then_some(args.rate), "in_flight": args.in_flight, "slow": args.slow,
            "size": args.payload.size, "shape": args.payload.shape, "data": args.payload.data,
            "encoding": self.plan.protocol(), "deflate": args.common.deflate,
            "warmup_s": args.time.warmup.as_secs_f64(), "duration_s": args.time.duration.as_secs_f64(),
        })
    }

    fn write_report(&self, first: &Snapshot, last: &Snapshot, report: &mut Report) {
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
        last.server.tell_cpu(&first.server, seconds, ("delivery", deliveries), report);
        if let Some(bytes) = last.server.resident_bytes {
            report.number("server_rss_bytes", "server memory", bytes as f64, 0, "bytes");
        }
        self.tell_spread(&last.server, report);
        if self.args.slow > 0 {
            let ended = self.fleet.fates().total();
            report.count("slow_ended", "slow members whose connection was ended", ended);
            for (how, count) in self.fleet.fates().counts() {
                report.row(&format!("slow members {how}"), &count.to_string());
            }
        }
        own::tell_cpu(first.own, last.own, seconds, report);
        if self.args.in_flight.is_none() {
            own::tell_lag(self.late_ns, report);
        }
        if let Some(busy) = foreign_percent(first, last, seconds).filter(|_| self.server.is_local()) {
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

    /// On how many shards a room has members, where the server tells it.
    fn tell_spread(&self, server: &Usage, report: &mut Report) {
        let Some(shards) = server.sum("fanfare_member_rooms") else { return };
        let each = shards / f64::from(self.args.rooms);
        report.number("shards_per_room", "shards with members, of each room", each, 2, "");
    }
}

/// CPU of everything but server and load generator: what disturbed the measurement.
fn foreign_percent(first: &Snapshot, last: &Snapshot, seconds: f64) -> Option<f64> {
    let machine = last.machine_busy_ns?.saturating_sub(first.machine_busy_ns?);
    let ours = last.server.cpu_since(&first.server)?.total_ns + last.own?.since(first.own?).total_ns;
    Some(machine.saturating_sub(ours) as f64 / 1e7 / seconds)
}
