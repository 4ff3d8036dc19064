//! `storm`: all connections are lost at once and come back, several times. What is published while they are away
//! they must get when they return, and one message to every room afterwards shows that all are members again.

use std::sync::Arc;
use std::time::Duration;

use fanfare_loadgen::shape::Shape;
use hdrhistogram::Histogram;
use serde_json::json;

use super::tally::Tally;
use super::{RunError, check_rate, connect::evenly, prepare};
use crate::cli::{PayloadArgs, StormArgs};
use crate::client::{Event, Place};
use crate::clock::{Clock, Schedule, nanos};
use crate::fleet::Fleet;
use crate::interrupt;
use crate::payload::{Payload, Template};
use crate::plan::{Memberships, Plan};
use crate::report::{Report, histogram};
use crate::server_side::ServerSide;
use crate::stamp::Stamp;

/// Longest wait for the sockets.
const NAP: Duration = Duration::from_millis(10);

struct Storm<'p> {
    args: &'p StormArgs,
    plan: &'p Plan,
    clock: Clock,
    fleet: Fleet<'p>,
    tally: Tally,
    templates: Vec<Template>,
    /// TCP connect to `welcome`, of connections that came back.
    welcome: Histogram<u64>,
    /// From the first reconnect of a storm to this one's `welcome`.
    back: Histogram<u64>,
    /// TCP connect to the first message that was missed.
    first_missed: Histogram<u64>,
    /// The rooms' epochs, once known.
    epochs: Vec<Arc<str>>,
    recovered: u64,
}

/// What one storm is measured by.
#[derive(Clone, Copy, Default)]
struct Return {
    welcomed_at: u64,
    first_message_at: u64,
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &StormArgs) -> Result<Report, RunError> {
    if let Some(rate) = args.rate {
        check_rate(rate)?;
    }
    let memberships: Memberships = evenly(args.connections, args.rooms)?;
    let plan = Plan::new(&args.common, memberships, 1).map_err(RunError::Usage)?;
    if plan.raw.is_some() {
        return Err(RunError::Usage("storm needs the offsets of Fanfare: leave --raw out".into()));
    }
    let payload = PayloadArgs { size: 128, shape: Shape::Text, data: None };
    let payload = Payload::new(&payload, &plan).map_err(RunError::Usage)?;
    let templates = (0..args.rooms).map(|room| Template::new(&plan, &plan.room(room), &payload));
    let templates = templates.collect::<Result<_, _>>().map_err(RunError::Usage)?;
    let server = prepare(&args.common, &plan)?;
    let clock = Clock::start();
    let storm = Storm {
        args,
        plan: &plan,
        clock,
        fleet: Fleet::new(&plan, clock)?,
        tally: Tally::new(memberships).map_err(RunError::Failed)?,
        templates,
        welcome: histogram().map_err(RunError::Failed)?,
        back: histogram().map_err(RunError::Failed)?,
        first_missed: histogram().map_err(RunError::Failed)?,
        epochs: vec!["".into(); args.rooms as usize],
        recovered: 0,
    };
    storm.run(&server)
}

impl Storm<'_> {
    fn run(mut self, server: &ServerSide) -> Result<Report, RunError> {
        let args = self.args;
        let mut report = Report::new(
            "storm",
            json!({
                "url": args.common.url, "connections": args.connections, "rooms": args.rooms, "rounds": args.rounds,
                "missed": args.missed, "rate": args.rate, "opening": args.common.opening, "encoding": self.plan.protocol(),
                "deflate": args.common.deflate,
            }),
        );
        let (tally, epochs) = (&mut self.tally, &mut self.epochs);
        let begin = self.clock.now();
        self.fleet.open(0..self.plan.connections(), &mut |connection, now, event| {
            if let Event::Joined { room, epoch, .. } = event
                && let Some(known) = epochs.get_mut(room as usize).filter(|known| known.is_empty())
            {
                *known = epoch.into();
            }
            tally.on(connection, now, event);
        })?;
        let first_s = (self.clock.now() - begin) as f64 / 1e9;
        report.count("connected", "connected at first", u64::from(self.fleet.live()));
        report.number("first_seconds", "time for all at first", first_s, 3, "s");
        if self.tally.members() == 0 {
            report.problem("no member joined");
            report.failures(self.fleet.failures());
            return Ok(report);
        }
        let usage = server.usage();
        let (storms_begin, mut slowest_s, mut returned) = (self.clock.now(), 0.0_f64, 0);
        for round in 0..args.rounds {
            if interrupt::happened() {
                report.problem("ended early by a signal");
                break;
            }
            let seconds = self.lose_all()?;
            slowest_s = slowest_s.max(seconds);
            returned += u64::from(self.fleet.live().saturating_sub(1));
            self.publish(1)?;
            self.await_all()?;
            eprintln!(
                "storm {} of {}: {} back after {seconds:.2} s",
                round + 1,
                args.rounds,
                self.fleet.live() - 1
            );
        }
        let seconds = (self.clock.now() - storms_begin) as f64 / 1e9;
        report.count("returned", "came back, in all storms", returned);
        report.count("members", "members at the end", self.tally.members());
        report.number("slowest_seconds", "time for all to come back, at worst", slowest_s, 3, "s");
        let rate = f64::from(args.connections) / slowest_s.max(1e-9);
        report.number("connections_per_second", "rate of the slowest storm", rate, 0, "connections/s");
        report.times("time_to_welcome", "TCP connect to welcome", &self.welcome);
        report.times("back", "first reconnect to welcome", &self.back);
        if args.missed > 0 {
            report.count("recovered", "recovered, in all storms", self.recovered);
            report.times("first_missed", "TCP connect to first missed message", &self.first_missed);
            if self.recovered < returned {
                report.problem("not all who came back got what they had missed");
            }
        }
        report.count("deliveries", "messages received", self.tally.deliveries);
        report.faults(self.tally.verifier.faults());
        server.usage().tell_cpu(&usage, seconds, ("connection", returned), &mut report);
        if self.tally.members() < u64::from(args.connections) {
            report.problem("not all members came back");
        }
        report.failures(&self.tally.refusals);
        report.failures(self.fleet.failures());
        report.plot("First reconnect to welcome", self.back);
        Ok(report)
    }

    /// Drops every member's connection and opens it again; returns the seconds until all had come back.
    fn lose_all(&mut self) -> Result<f64, RunError> {
        let members = self.plan.memberships.connections;
        let lost: Vec<u32> = (0..members).filter(|&index| self.fleet.is_live(index)).collect();
        let places: Vec<Vec<Place>> = lost.iter().map(|&index| self.places(index)).collect();
        let tally = &mut self.tally;
        for &index in &lost {
            self.fleet.hang_up(index, &mut |connection, now, event| tally.on(connection, now, event));
        }
        self.publish(self.args.missed)?;
        self.await_all()?;
        let begin = self.clock.now();
        let mut schedule = self.args.rate.map(|rate| Schedule::new(begin, rate));
        let mut returns = vec![Return::default(); members as usize];
        let mut returning = lost.iter().copied().zip(places);
        while (returning.len() > 0 || self.fleet.is_opening()) && !interrupt::happened() {
            let now = self.clock.now();
            let due = |schedule: &mut Option<Schedule>| {
                schedule.as_mut().is_none_or(|schedule| schedule.take(now).is_some())
            };
            while returning.len() > 0 && due(&mut schedule) {
                let Some((index, places)) = returning.next() else { break };
                self.fleet.open_again(index, places);
            }
            let next = schedule.as_ref().map_or(u64::MAX, |schedule| schedule.due().saturating_sub(now));
            self.turn(NAP.min(Duration::from_nanos(next)), &mut returns)?;
        }
        let seconds = (self.clock.now() - begin) as f64 / 1e9;
        // The last ones are members, but what they missed may be on its way.
        let deadline = self.clock.now() + nanos(self.args.common.timeout);
        while self.tally.missing() > 0 && self.clock.now() < deadline && !interrupt::happened() {
            self.turn(NAP, &mut returns)?;
        }
        for index in lost {
            let Return { welcomed_at, first_message_at } = returns[index as usize];
            let started = self.fleet.started(index);
            if welcomed_at > 0 {
                self.welcome.saturating_record(welcomed_at.saturating_sub(started).max(1));
                self.back.saturating_record(welcomed_at.saturating_sub(begin).max(1));
            }
            if first_message_at > 0 {
                self.first_missed.saturating_record(first_message_at.saturating_sub(started).max(1));
            }
        }
        Ok(seconds)
    }

    /// Where a member is to go on.
    fn places(&self, index: u32) -> Vec<Place> {
        if self.args.missed == 0 {
            return Vec::new();
        }
        let rooms = self.plan.memberships.rooms_of(index);
        let place = |room: u32| {
            let (epoch, offset) = (Arc::clone(&self.epochs[room as usize]), self.tally.place(index, room)?);
            Some(Place { room, epoch, offset })
        };
        rooms.filter_map(place).collect()
    }

    fn turn(&mut self, wait: Duration, returns: &mut [Return]) -> Result<(), RunError> {
        let (tally, recovered) = (&mut self.tally, &mut self.recovered);
        self.fleet.turn(wait, &mut |connection, now, event| {
            if let Some(of) = returns.get_mut(connection as usize) {
                match event {
                    Event::Welcomed => of.welcomed_at = now,
                    Event::Joined { recovered: true, .. } => *recovered += 1,
                    Event::Delivered(_) if of.first_message_at == 0 => of.first_message_at = now,
                    _ => {}
                }
            }
            tally.on(connection, now, event);
        })?;
        Ok(())
    }

    /// So many messages to each room.
    fn publish(&mut self, count: u32) -> Result<(), RunError> {
        let publisher = self.plan.memberships.connections;
        for _ in 0..count {
            for room in 0..self.args.rooms {
                let stamp = Stamp { intended: self.clock.now(), number: self.tally.next_number() };
                let command = self.templates[room as usize].stamped(stamp);
                if self.fleet.send(publisher, command) {
                    self.tally.sent(room, stamp.intended);
                }
            }
            let tally = &mut self.tally;
            self.fleet.flush(publisher, &mut |connection, now, event| tally.on(connection, now, event));
            self.fleet
                .turn(Duration::ZERO, &mut |connection, now, event| tally.on(connection, now, event))?;
        }
        Ok(())
    }

    /// Waits until every message is answered and every member has it.
    fn await_all(&mut self) -> Result<(), RunError> {
        let publisher = self.plan.memberships.connections;
        let deadline = self.clock.now() + nanos(self.args.common.timeout);
        while (self.tally.unanswered() > 0 || self.tally.missing() > 0) && self.clock.now() < deadline {
            if interrupt::happened() || !self.fleet.is_live(publisher) {
                break;
            }
            let tally = &mut self.tally;
            self.fleet.turn(NAP, &mut |connection, now, event| tally.on(connection, now, event))?;
        }
        let missing = self.tally.missing();
        self.tally.verifier.give_up(missing);
        Ok(())
    }
}
