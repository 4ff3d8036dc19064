//! `mixed`: members that publish, leave, join again and lose their connection, by a seeded script, as people in
//! a chat do. Each does one thing at a time and waits for its answer; all that comes is checked.

use std::time::Duration;

use fanfare_loadgen::random::Random;
use hdrhistogram::Histogram;
use serde_json::json;

use super::tally::Tally;
use super::{RunError, check_rate, check_time, own, prepare};
use crate::cli::MixedArgs;
use crate::client::Event;
use crate::clock::{Clock, Schedule, nanos};
use crate::command;
use crate::fleet::Fleet;
use crate::interrupt;
use crate::payload::{Payload, Template};
use crate::plan::{Memberships, Plan};
use crate::process;
use crate::progress::{Progress, Standing};
use crate::report::{Report, histogram};
use crate::server_side::ServerSide;
use crate::stamp::Stamp;

/// Longest wait for the sockets.
const NAP: Duration = Duration::from_millis(20);
/// Deeds between two looks at the sockets.
const BURST: u32 = 64;

/// What a person waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// A publish to be answered.
    Published,
    Joined {
        since: u64,
    },
    Left,
    /// The new connection, with all its rooms joined again.
    Connected {
        since: u64,
    },
}

/// What people did.
#[derive(Default)]
struct Deeds {
    publishes: u64,
    joins: u64,
    leaves: u64,
    reconnects: u64,
    /// Times at which everybody still waited for an answer.
    all_busy: u64,
}

struct Script<'p> {
    args: &'p MixedArgs,
    plan: &'p Plan,
    clock: Clock,
    fleet: Fleet<'p>,
    tally: Tally,
    people: People,
    templates: Vec<Template>,
    random: Random,
    deeds: Deeds,
}

/// Who waits for what, and how long that took.
struct People {
    waiting: Vec<Waiting>,
    join_times: Histogram<u64>,
    reconnect_times: Histogram<u64>,
}

impl People {
    /// Takes an event that may be what its person waits for.
    fn on(&mut self, connection: u32, now: u64, event: Event<'_>) {
        let waiting = &mut self.waiting[connection as usize];
        let done = match (*waiting, event) {
            (Waiting::Published, Event::Published { .. } | Event::Refused { .. }) => true,
            (Waiting::Left, Event::Left { .. }) => true,
            (Waiting::Joined { since }, Event::Joined { .. }) => {
                self.join_times.saturating_record(now.saturating_sub(since).max(1));
                true
            }
            _ => false,
        };
        if done {
            *waiting = Waiting::Nothing;
        }
    }
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &MixedArgs) -> Result<Report, RunError> {
    check_rate(args.rate)?;
    check_time(&args.time)?;
    let memberships = Memberships { rooms: args.rooms, members: args.members, connections: args.connections };
    let plan = Plan::new(&args.common, memberships, 0).map_err(RunError::Usage)?;
    if plan.raw.is_some() {
        return Err(RunError::Usage("mixed needs the offsets of Fanfare: leave --raw out".into()));
    }
    let payload = Payload::new(&args.payload, &plan).map_err(RunError::Usage)?;
    let templates = (0..args.rooms).map(|room| Template::new(&plan, &plan.room(room), &payload));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    let server = prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let script = Script {
        args,
        plan: &plan,
        clock,
        fleet: Fleet::new(&plan, clock)?,
        tally: Tally::new(memberships).map_err(RunError::Failed)?,
        people: People {
            waiting: vec![Waiting::Nothing; args.connections as usize],
            join_times: histogram().map_err(RunError::Failed)?,
            reconnect_times: histogram().map_err(RunError::Failed)?,
        },
        templates,
        random: Random::new(args.seed),
        deeds: Deeds::default(),
    };
    script.run(&server)
}

impl Script<'_> {
    fn run(mut self, server: &ServerSide) -> Result<Report, RunError> {
        let args = self.args;
        let mut report = Report::new(
            "mixed",
            json!({
                "url": args.common.url, "connections": args.connections, "rooms": args.rooms, "members": args.members,
                "rate": args.rate, "seed": args.seed, "size": args.payload.size, "encoding": self.plan.protocol(),
                "deflate": args.common.deflate, "duration_s": args.time.duration.as_secs_f64(),
            }),
        );
        let tally = &mut self.tally;
        self.fleet.open(0..self.plan.connections(), &mut |connection, now, event| {
            tally.on(connection, now, event);
        })?;
        let begin = self.clock.now();
        let from = begin + nanos(args.time.warmup);
        let to = from + nanos(args.time.duration);
        self.tally.set_window(from, to).map_err(RunError::Failed)?;
        let mut schedule = Schedule::new(begin, args.rate);
        let mut progress = Progress::new();
        let mut at_start = None;
        loop {
            let now = self.clock.now();
            if now >= from && at_start.is_none() {
                let own = process::cpu(std::process::id()).ok();
                at_start = Some((now, server.usage(), own, self.tally.deliveries));
            }
            if now >= to {
                break;
            }
            if interrupt::happened() || (self.fleet.live() == 0 && !self.fleet.is_opening()) {
                let why = if interrupt::happened() { "ended early by a signal" } else { "all were lost" };
                report.problem(why);
                break;
            }
            if progress.is_due() {
                progress.tell(Standing {
                    deliveries: self.tally.deliveries,
                    p99_ns: self.tally.latency.value_at_quantile(0.99),
                    failures: self.fleet.failures().total() + self.tally.refusals.total(),
                    ..Standing::of_run((begin, from, to), now)
                });
            }
            let mut used = 0;
            while used < BURST
                && let Some(due) = schedule.take(now)
            {
                self.act(due);
                used += 1;
            }
            let wait = schedule.due().saturating_sub(self.clock.now());
            self.turn(NAP.min(Duration::from_nanos(wait)))?;
        }
        let last = (self.clock.now(), server.usage(), process::cpu(std::process::id()).ok());
        let deliveries = self.tally.deliveries;
        let still_waiting = self.drain()?;
        progress.end();

        report.count("publishes", "publishes", self.deeds.publishes);
        report.count("joins", "joins", self.deeds.joins);
        report.count("leaves", "leaves", self.deeds.leaves);
        report.count("reconnects", "reconnects", self.deeds.reconnects);
        report.count("all_busy", "deeds left out: all were waiting", self.deeds.all_busy);
        report.count("unanswered", "people still waiting at the end", still_waiting);
        report.count("members", "members at the end", self.tally.members());
        report.count("deliveries", "deliveries", self.tally.deliveries);
        report.faults(self.tally.verifier.faults());
        report.times("latency", "latency", &self.tally.latency);
        report.times("acknowledged", "publish to answer", &self.tally.acknowledged);
        report.times("join", "join to answer", &self.people.join_times);
        report.times("reconnect", "loss to all rooms joined again", &self.people.reconnect_times);
        if let Some((at, usage, own_cpu, before)) = at_start {
            let seconds = last.0.saturating_sub(at).max(1) as f64 / 1e9;
            last.1.tell_cpu(&usage, seconds, ("delivery", deliveries - before), &mut report);
            own::tell_cpu(own_cpu, last.2, seconds, 1, &mut report);
        }
        if still_waiting > 0 {
            report.problem("people were never answered");
        }
        if self.deeds.all_busy > 0 {
            report.problem("the server did not keep up: everybody waited for it");
        }
        report.failures(&self.tally.refusals);
        report.failures(self.fleet.failures());
        if let Some(timeline) = self.tally.timeline {
            report.plots(self.tally.latency, timeline);
        }
        Ok(report)
    }

    /// Somebody who waits for nothing does something.
    fn act(&mut self, due: u64) {
        let count = self.args.connections;
        let first = self.random.below(count);
        let idle = (0..count).map(|step| (first + step) % count).find(|&person| {
            self.people.waiting[person as usize] == Waiting::Nothing && self.fleet.is_live(person)
        });
        let Some(person) = idle else {
            self.deeds.all_busy += 1;
            return;
        };
        let rooms: Vec<u32> = self.plan.memberships.rooms_of(person).collect();
        let (inside, outside): (Vec<u32>, Vec<u32>) =
            rooms.into_iter().partition(|&room| self.tally.is_member(person, room));
        let deed = self.random.below(100);
        let pick = |random: &mut Random, rooms: &[u32]| {
            (!rooms.is_empty()).then(|| rooms[random.below(rooms.len() as u32) as usize])
        };
        match (pick(&mut self.random, &inside), pick(&mut self.random, &outside)) {
            (Some(room), _) if deed < 75 => self.publish(person, room, due),
            (Some(room), _) if deed < 85 => self.membership(person, "leave", room),
            (_, Some(room)) if deed < 97 => self.membership(person, "join", room),
            (Some(room), None) if deed < 97 => self.publish(person, room, due),
            _ => self.reconnect(person),
        }
    }

    fn publish(&mut self, person: u32, room: u32, due: u64) {
        let stamp = Stamp { intended: due, number: self.tally.next_number() };
        let command = self.templates[room as usize].stamped(stamp);
        self.fleet.send(person, command);
        self.tally.sent(room, due);
        self.deeds.publishes += 1;
        self.wait_for(person, Waiting::Published);
    }

    fn membership(&mut self, person: u32, kind: &'static str, room: u32) {
        let command = command::membership(self.plan.encoding, kind, room, &self.plan.room(room), None);
        self.fleet.send(person, &command);
        if kind == "join" {
            self.deeds.joins += 1;
            self.wait_for(person, Waiting::Joined { since: self.clock.now() });
        } else {
            self.deeds.leaves += 1;
            self.wait_for(person, Waiting::Left);
        }
    }

    fn wait_for(&mut self, person: u32, what: Waiting) {
        self.people.waiting[person as usize] = what;
        let (tally, people) = (&mut self.tally, &mut self.people);
        self.fleet.flush(person, &mut |connection, now, event| {
            tally.on(connection, now, event);
            people.on(connection, now, event);
        });
    }

    fn reconnect(&mut self, person: u32) {
        let tally = &mut self.tally;
        self.fleet.hang_up(person, &mut |connection, now, event| tally.on(connection, now, event));
        self.fleet.open_one(person);
        self.deeds.reconnects += 1;
        self.people.waiting[person as usize] = Waiting::Connected { since: self.clock.now() };
    }

    fn turn(&mut self, wait: Duration) -> Result<(), RunError> {
        let (tally, people) = (&mut self.tally, &mut self.people);
        self.fleet.turn(wait, &mut |connection, now, event| {
            tally.on(connection, now, event);
            people.on(connection, now, event);
        })?;
        for person in 0..self.args.connections {
            if let Waiting::Connected { since } = self.people.waiting[person as usize]
                && self.fleet.is_live(person)
            {
                let took = self.clock.now().saturating_sub(since).max(1);
                self.people.reconnect_times.saturating_record(took);
                self.people.waiting[person as usize] = Waiting::Nothing;
            }
        }
        Ok(())
    }

    /// Waits for what is under way; returns how many people still wait then.
    fn drain(&mut self) -> Result<u64, RunError> {
        let deadline = self.clock.now() + nanos(self.args.time.drain);
        let waits =
            |people: &People| people.waiting.iter().filter(|it| **it != Waiting::Nothing).count() as u64;
        while (waits(&self.people) > 0 || self.tally.missing() > 0) && !interrupt::happened() {
            if self.clock.now() >= deadline || (self.fleet.live() == 0 && !self.fleet.is_opening()) {
                break;
            }
            self.turn(NAP)?;
        }
        let missing = self.tally.missing();
        self.tally.verifier.give_up(missing);
        Ok(waits(&self.people))
    }
}
