//! `publish`: publishes with nobody listening, over WebSocket or HTTP: the rate and the time to the answer.

mod account;
mod over_http;
mod over_ws;

use std::io;
use std::time::Duration;

use serde_json::json;

use self::account::Account;
use self::over_http::OverHttp;
use self::over_ws::OverWs;
use super::{RunError, check_rate, check_time, own, prepare};
use crate::cli::{PublishArgs, Transport};
use crate::clock::{Clock, Schedule, nanos};
use crate::failure::Failures;
use crate::interrupt;
use crate::payload::{Payload, Template};
use crate::plan::{Memberships, Plan};
use crate::process::{self, Cpu};
use crate::progress::{Progress, Standing};
use crate::report::Report;
use crate::server_side::{ServerSide, Usage};
use crate::stamp::Stamp;

/// Longest wait for the sockets.
const NAP: Duration = Duration::from_millis(20);
/// Publishes between two looks at the sockets.
const BURST: u32 = 256;
/// Unanswered messages of one WebSocket in an open loop.
const OPEN_LOOP_UNANSWERED_MAX: u32 = 4_096;

/// What became of a publish.
enum Fate<'a> {
    /// It got a place.
    Accepted,
    /// It was refused; why.
    Refused(&'a str),
}

/// Is told connection, time of the read, the message's number and its fate.
type Sink<'s> = &'s mut dyn FnMut(u32, u64, u32, Fate<'_>);

/// Connections that carry publishes, numbered from 0.
trait Carrier {
    /// Whether the connection is open.
    fn is_live(&self, connection: u32) -> bool;
    /// Sends command `number`, or keeps it for [`Self::turn`] to send.
    fn send(&mut self, connection: u32, number: u32, command: &[u8]);
    /// Waits for at most `timeout` and takes answers.
    fn turn(&mut self, timeout: Duration, sink: Sink<'_>) -> io::Result<()>;
    /// Connections that failed.
    fn failures(&self) -> &Failures;
}

struct Run<'p> {
    args: &'p PublishArgs,
    clock: Clock,
    server: ServerSide,
    carrier: Box<dyn Carrier + 'p>,
    templates: Vec<Template>,
    account: Account,
    /// None: a closed loop.
    schedule: Option<Schedule>,
    /// Unanswered messages of one connection at most.
    unanswered_max: u32,
}

/// CPU at one moment: the server's and our own.
type Moment = (Usage, Option<Cpu>);

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &PublishArgs) -> Result<Report, RunError> {
    if let Some(rate) = args.rate {
        check_rate(rate)?;
    }
    check_time(&args.time)?;
    let memberships = Memberships { rooms: args.rooms, members: 0, connections: 0 };
    let plan = Plan::new(&args.common, memberships, args.publishers).map_err(RunError::Usage)?;
    if plan.raw.is_some() {
        return Err(RunError::Usage("publish needs the answers of Fanfare: leave --raw out".into()));
    }
    let payload = Payload::new(&args.payload, &plan).map_err(RunError::Usage)?;
    let templates = (0..args.rooms).map(|room| Template::new(&plan, &plan.room(room), &payload));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    let server = prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let carrier: Box<dyn Carrier> = match args.over {
        Transport::Ws => Box::new(OverWs::open(&plan, clock)?),
        Transport::Http => Box::new(OverHttp::open(&plan, clock)?),
    };
    let begin = clock.now();
    let from = begin + nanos(args.time.warmup);
    let run = Run {
        args,
        clock,
        server,
        carrier,
        templates,
        account: Account::new(args.publishers, (from, from + nanos(args.time.duration)))
            .map_err(RunError::Failed)?,
        schedule: args.rate.map(|rate| Schedule::new(begin, rate)),
        unanswered_max: match (args.over, args.rate) {
            (Transport::Http, _) => 1,
            (Transport::Ws, None) => args.in_flight,
            (Transport::Ws, Some(_)) => OPEN_LOOP_UNANSWERED_MAX,
        },
    };
    let report = Report::new("publish", parameters(args, &plan));
    run.run(begin, report)
}

fn parameters(args: &PublishArgs, plan: &Plan) -> serde_json::Value {
    json!({
        "url": args.common.url, "over": format!("{:?}", args.over).to_lowercase(), "publishers": args.publishers,
        "rooms": args.rooms, "rate": args.rate, "in_flight": args.rate.is_none().then_some(args.in_flight),
        "size": args.payload.size, "shape": args.payload.shape, "encoding": plan.protocol(),
        "deflate": args.common.deflate, "duration_s": args.time.duration.as_secs_f64(),
    })
}

impl Run<'_> {
    fn run(mut self, begin: u64, mut report: Report) -> Result<Report, RunError> {
        let (from, to) = self.account.window;
        let mut progress = Progress::new();
        let mut first = None;
        loop {
            let now = self.clock.now();
            if now >= from && first.is_none() {
                first = Some(self.moment());
            }
            if now >= to {
                break;
            }
            if interrupt::happened() || !self.any_live() {
                let why = if interrupt::happened() {
                    "ended early by a signal"
                } else {
                    "all publishers were lost"
                };
                report.problem(why);
                break;
            }
            if progress.is_due() {
                progress.tell(Standing {
                    deliveries: self.account.accepted,
                    p99_ns: self.account.latency.value_at_quantile(0.99),
                    failures: self.carrier.failures().total() + self.account.refusals.total(),
                    ..Standing::of_run((begin, from, to), now)
                });
            }
            let wait = self.publish_due();
            self.turn(wait)?;
        }
        let last = self.moment();
        let deadline = self.clock.now() + nanos(self.args.time.drain);
        while self.any_answer_to_come() && self.clock.now() < deadline && !interrupt::happened() {
            self.turn(NAP)?;
        }
        progress.end();
        self.write_report(first, &last, &mut report);
        report.plots(self.account.latency, self.account.timeline);
        Ok(report)
    }

    fn moment(&self) -> Moment {
        (self.server.usage(), process::cpu(std::process::id()).ok())
    }

    fn any_live(&self) -> bool {
        (0..self.args.publishers).any(|publisher| self.carrier.is_live(publisher))
    }

    fn any_answer_to_come(&self) -> bool {
        let waits = |publisher| self.account.unanswered_of(publisher) > 0 && self.carrier.is_live(publisher);
        (0..self.args.publishers).any(waits)
    }

    fn turn(&mut self, wait: Duration) -> Result<(), RunError> {
        let account = &mut self.account;
        self.carrier.turn(wait, &mut |connection, now, number, fate| {
            account.answered(connection, now, number, &fate);
        })?;
        Ok(())
    }

    /// Publishes what is due, at most a burst; returns how long nothing more will be.
    fn publish_due(&mut self) -> Duration {
        for _ in 0..BURST {
            let number = self.account.next_number();
            // Each in turn; when all have enough unanswered, their answers end the wait.
            let count = self.args.publishers;
            let mut choices = (0..count).map(|step| (number % count + step) % count);
            let free = choices.find(|&publisher| {
                self.account.unanswered_of(publisher) < self.unanswered_max && self.carrier.is_live(publisher)
            });
            let Some(publisher) = free else { return NAP };
            let now = self.clock.now();
            let intended = match &mut self.schedule {
                None => now,
                Some(schedule) => match schedule.take(now) {
                    Some(due) => due,
                    None => return NAP.min(Duration::from_nanos(schedule.due().saturating_sub(now))),
                },
            };
            self.account.sent(publisher, intended);
            let room = (number % self.args.rooms) as usize;
            let command = self.templates[room].stamped(Stamp { intended, number });
            self.carrier.send(publisher, number, command);
        }
        Duration::ZERO
    }

    fn write_report(&self, first: Option<Moment>, last: &Moment, report: &mut Report) {
        let account = &self.account;
        let seconds = self.args.time.duration.as_secs_f64();
        report.count("sent", "messages sent", account.sent_count());
        report.count("published", "messages accepted", account.accepted);
        report.count("refused", "messages refused", account.refusals.total());
        report.count("unanswered", "messages unanswered", account.unanswered());
        let rate = account.accepted_in_window as f64 / seconds;
        report.number("messages_per_second", "accepted", rate, 0, "messages/s");
        report.times("latency", "publish to answer", &account.latency);
        if let Some((usage, own_cpu)) = first {
            last.0.tell_cpu(&usage, seconds, ("message", account.accepted_in_window), report);
            own::tell_cpu(own_cpu, last.1, seconds, 1, report);
        }
        if account.unanswered() > 0 {
            report.problem("publishes were never answered");
        }
        if account.accepted == 0 {
            report.problem("nothing was accepted");
        }
        report.failures(&account.refusals);
        report.failures(self.carrier.failures());
    }
}
