//! `fanout`, and `rooms` and `mesh` with other numbers: publishes to rooms and receives everything at every member.
//!
//! Open the connections, warm up, measure for a fixed time, stop publishing, wait for what is under way, tell. The
//! first thread publishes; with `--threads` others have a share of the members.

mod crew;
mod members;
mod report;

use std::thread;
use std::time::Duration;

use self::crew::{Board, Share};
use self::members::{Members, NAP};
use self::report::Snapshot;
use super::{RunError, check_rate, check_time, prepare};
use crate::cli::FanoutArgs;
use crate::clock::{Clock, Schedule, nanos};
use crate::failure::Failures;
use crate::interrupt;
use crate::payload::{Payload, Template};
use crate::plan::{Memberships, Plan};
use crate::progress::{Progress, Standing};
use crate::report::Report;
use crate::server_side::ServerSide;
use crate::stamp::Stamp;

/// Publishes between two looks at the sockets.
const BURST: u32 = 256;

/// When messages are published.
enum Pace {
    Open(Schedule),
    Closed { in_flight: u32 },
}

struct Run<'p> {
    args: &'p FanoutArgs,
    plan: &'p Plan,
    clock: Clock,
    /// This thread's share of the members, and the publishers.
    members: Members<'p>,
    /// What the further threads tell.
    board: &'p Board,
    /// One per room.
    templates: Vec<Template>,
    server: ServerSide,
    progress: Progress,
    /// Connections of all threads that failed, and what became of slow ones; complete at the end.
    failures: Failures,
    fates: Failures,
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
    let payload = Payload::new(&args.payload, &plan).map_err(RunError::Usage)?;
    let templates = (0..args.rooms).map(|room| Template::new(&plan, &plan.room(room), &payload));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    let server = prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let further = args.threads - 1;
    // The first thread has the last share, and the publishers, who come after all members.
    let share = |number: u32| {
        let place =
            |number: u32| u64::from(memberships.connections) * u64::from(number) / u64::from(args.threads);
        place(number) as u32..place(number + 1) as u32
    };
    let own = share(further).start..plan.connections();
    let board = Board::new(further, args.rooms);
    let run = Run {
        args,
        plan: &plan,
        clock,
        members: Members::new(&plan, clock, own, args.slow)?,
        board: &board,
        templates,
        server,
        progress: Progress::new(),
        failures: Failures::default(),
        fates: Failures::default(),
        late_ns: 0,
    };
    thread::scope(|scope| {
        let crew: Vec<_> = (0..further)
            .map(|number| {
                let (board, plan) = (&board, &plan);
                let core = args.common.cpu.map(|core| core + 1 + number as usize);
                let (connections, patience) = (share(number), args.time.drain);
                scope.spawn(move || {
                    board.receive(number as usize, plan, clock, connections, args.slow, patience, core)
                })
            })
            .collect();
        run.run(name, || {
            let joined = crew.into_iter().map(|thread| thread.join());
            joined
                .map(|share| share.unwrap_or_else(|_| Err(RunError::Failed("a thread panicked".into()))))
                .collect()
        })
    })
}

fn memberships(args: &FanoutArgs) -> Result<Memberships, RunError> {
    check_rate(args.rate)?;
    check_time(&args.time)?;
    let total = args.rooms.checked_mul(args.members).filter(|total| *total <= 50_000_000);
    let total =
        total.ok_or_else(|| RunError::Usage("--rooms times --members must be at most 50,000,000".into()))?;
    let connections = args.connections.unwrap_or(total);
    if args.threads > connections {
        return Err(RunError::Usage("--threads must not be more than there are connections".into()));
    }
    if args.slow >= connections {
        return Err(RunError::Usage("--slow must leave at least one member that reads".into()));
    }
    Ok(Memberships { rooms: args.rooms, members: args.members, connections })
}

impl Run<'_> {
    /// `shares` waits for the further threads.
    fn run(
        mut self,
        name: &'static str,
        shares: impl FnOnce() -> Result<Vec<Share>, RunError>,
    ) -> Result<Report, RunError> {
        let mut report = Report::new(name, self.parameters());
        let measured = self.measure(&mut report);
        // Whatever happened, the other threads are waiting for the end.
        self.board.end(self.members.tally.last_offsets());
        let drained = measured.and_then(|moments| {
            self.members.drain(self.args.time.drain)?;
            Ok(moments)
        });
        let shares = shares();
        let (first, last) = drained?;
        self.failures = self.members.fleet.failures().clone();
        self.fates = self.members.fleet.fates().clone();
        for share in shares? {
            self.members.tally.add(&share.tally).map_err(RunError::Failed)?;
            self.failures.add(&share.failures);
            self.fates.add(&share.fates);
        }
        self.progress.end();
        self.write_report(&first, &last, &mut report);
        if let Some(timeline) = self.members.tally.timeline {
            report.plots(self.members.tally.latency, timeline);
        }
        Ok(report)
    }

    fn measure(&mut self, report: &mut Report) -> Result<(Snapshot, Snapshot), RunError> {
        let opened = self.members.open();
        self.board.opened();
        let begin = self.clock.now();
        let from = begin + nanos(self.args.time.warmup);
        let to = from + nanos(self.args.time.duration);
        self.board.begin((from, to));
        opened?;
        let members = self.members.tally.members() + self.board.sums().members;
        report.count("members", "members joined", members);
        self.members.tally.set_window(from, to).map_err(RunError::Failed)?;
        let mut pace = match self.args.in_flight {
            Some(in_flight) => Pace::Closed { in_flight },
            None => Pace::Open(Schedule::new(begin, self.args.rate)),
        };
        if members == 0 {
            report.problem("no member joined");
            return Ok((self.snapshot(), self.snapshot()));
        }
        let warmed_up = self.publish_until("warm-up", from, &mut pace, report)?;
        let first = self.snapshot();
        self.late_ns = 0;
        if warmed_up {
            self.publish_until("measuring", to, &mut pace, report)?;
        }
        let last = self.snapshot();
        self.members.await_answers(self.args.time.drain)?;
        Ok((first, last))
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
        let mut progress = (self.deliveries(), begin);
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
                    deliveries: self.deliveries(),
                    p99_ns: self.members.tally.latency.value_at_quantile(0.99),
                    failures: self.members.fleet.failures().total()
                        + self.members.tally.refusals.total()
                        + self.board.sums().failures,
                });
            }
            if self.members.tally.members() + self.board.sums().members == 0 {
                report.problem("all members were lost");
                return Ok(false);
            }
            if progress.0 != self.deliveries() || matches!(pace, Pace::Open(_)) {
                progress = (self.deliveries(), now);
            } else if now - progress.1 > nanos(self.args.time.drain) {
                report.problem("the closed loop stalled: nothing was delivered for the time of --drain");
                return Ok(false);
            }
            let wait = self.publish_due(now, pace).min(end - now);
            let Some(wait) = Some(Duration::from_nanos(wait)).filter(|_| self.any_publisher()) else {
                report.problem("all publishers were lost");
                return Ok(false);
            };
            self.members.turn(wait.min(NAP))?;
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
                Pace::Closed { in_flight } if self.under_way() < u64::from(*in_flight) => self.clock.now(),
                Pace::Closed { .. } => break,
            };
            self.publish(publisher, intended);
            used += 1;
        }
        if used > 0 {
            let tally = &mut self.members.tally;
            for publisher in self.plan.memberships.connections..self.plan.connections() {
                self.members
                    .fleet
                    .flush(publisher, &mut |connection, now, event| tally.on(connection, now, event));
            }
        }
        if used == BURST { 0 } else { wait }
    }

    /// Deliveries of all threads.
    fn deliveries(&self) -> u64 {
        self.members.tally.deliveries + self.board.sums().deliveries
    }

    /// Messages that not all members have. With several threads nobody knows which those are, only how many
    /// deliveries are missing.
    fn under_way(&self) -> u64 {
        let tally = &self.members.tally;
        if self.args.threads == 1 {
            return u64::from(tally.in_flight.under_way());
        }
        let done = self.deliveries() / u64::from(self.args.members);
        tally.sent.saturating_sub(tally.refused).saturating_sub(done)
    }

    fn publish(&mut self, publisher: u32, intended: u64) {
        let number = self.members.tally.next_number();
        let room = number % self.args.rooms;
        let command = self.templates[room as usize].stamped(Stamp { intended, number });
        if self.members.fleet.send(publisher, command) {
            self.members.tally.sent(room, intended);
            if let Some(raw) = &self.plan.raw {
                self.members.tally.accepted(number, raw.offset(number));
            }
        }
    }

    /// A publisher that takes a message now: each in turn.
    fn publisher(&mut self) -> Option<u32> {
        let (count, connections) = (self.plan.publishers, self.plan.memberships.connections);
        let first = self.members.tally.next_number() % count.max(1);
        // Where the server numbers nothing, order holds only within one connection: each room keeps its own.
        let choices = if self.plan.raw.is_some() { 1 } else { count };
        (0..choices)
            .map(|step| connections + (first + step) % count)
            .find(|&publisher| self.members.fleet.takes_more(publisher))
    }

    fn any_publisher(&self) -> bool {
        (self.plan.memberships.connections..self.plan.connections())
            .any(|index| self.members.fleet.is_live(index))
    }
}
