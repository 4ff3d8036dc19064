//! `connect`: opens many connections as fast as the server takes them.

use serde_json::json;

use super::{RunError, own, prepare};
use crate::cli::ConnectArgs;
use crate::client::Event;
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::plan::{Memberships, Plan};
use crate::process;
use crate::report::{Report, histogram};

/// Each connection in one of the rooms, as evenly as it goes; the last room may lack some members.
pub(super) fn evenly(connections: u32, rooms: u32) -> Result<Memberships, RunError> {
    if rooms == 0 {
        return Ok(Memberships { rooms: 0, members: 0, connections });
    }
    if !connections.is_multiple_of(rooms) {
        return Err(RunError::Usage(format!(
            "--connections ({connections}) must be a multiple of --rooms ({rooms})"
        )));
    }
    Ok(Memberships { rooms, members: connections / rooms, connections })
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &ConnectArgs) -> Result<Report, RunError> {
    let common = &args.common;
    let plan = Plan::new(common, evenly(args.connections, args.rooms)?, 0).map_err(RunError::Usage)?;
    let server = prepare(common, &plan)?;
    let clock = Clock::start();
    let mut fleet = Fleet::new(&plan, clock)?;
    let mut welcomed_at = vec![0; plan.connections() as usize];
    let before = (server.usage(), process::cpu(std::process::id()).ok());
    let begin = clock.now();
    fleet.open(0..plan.connections(), &mut |index, now, event| {
        if event == Event::Welcomed {
            welcomed_at[index as usize] = now;
        }
    })?;
    let seconds = clock.now().saturating_sub(begin) as f64 / 1e9;
    let after = (server.usage(), process::cpu(std::process::id()).ok());

    let mut times = histogram().map_err(RunError::Failed)?;
    for (index, &welcomed) in (0_u32..).zip(&welcomed_at).filter(|(_, welcomed)| **welcomed > 0) {
        times.saturating_record(welcomed.saturating_sub(fleet.started(index)).max(1));
    }
    let mut report = Report::new(
        "connect",
        json!({
            "url": common.url, "connections": args.connections, "opening": common.opening, "rooms": args.rooms,
            "encoding": plan.protocol(), "deflate": common.deflate,
        }),
    );
    write_report(&mut report, &fleet, seconds);
    after.0.tell_cpu(&before.0, seconds, ("connection", u64::from(fleet.live())), &mut report);
    own::tell_limit(before.1, after.1, seconds, &mut report);
    report.times("time_to_welcome", "TCP connect to welcome", &times);
    report.failures(fleet.failures());
    report.plot("TCP connect to welcome", times);
    Ok(report)
}

fn write_report(report: &mut Report, fleet: &Fleet<'_>, seconds: f64) {
    let live = u64::from(fleet.live());
    report.count("connected", "connected", live);
    report.count("failed", "failed", fleet.failures().total());
    report.number("seconds", "time for all", seconds, 3, "s");
    report.number("connections_per_second", "rate", live as f64 / seconds.max(1e-9), 0, "connections/s");
    if live == 0 {
        report.problem("no connection was accepted");
    }
}
