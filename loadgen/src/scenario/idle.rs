//! `idle`: holds many quiet connections and reads the server's memory.

use std::time::Duration;

use serde_json::json;

use super::connect::evenly;
use super::{RunError, prepare};
use crate::cli::IdleArgs;
use crate::client::Event;
use crate::clock::{Clock, nanos};
use crate::fleet::Fleet;
use crate::plan::Plan;
use crate::report::Report;

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &IdleArgs) -> Result<Report, RunError> {
    let common = &args.common;
    let plan = Plan::new(common, evenly(args.connections, args.rooms)?, 0).map_err(RunError::Usage)?;
    let server = prepare(common, &plan)?;
    let clock = Clock::start();
    let mut fleet = Fleet::new(&plan, clock)?;
    let before = server.usage();
    let mut ignore = |_: u32, _: u64, _: Event<'_>| {};
    fleet.open(0..plan.connections(), &mut ignore)?;
    let opened = fleet.live();

    let quiet = server.usage();
    let end = clock.now() + nanos(args.duration);
    // Connections stay alive meanwhile: pings are answered.
    while let Some(left) = end.checked_sub(clock.now()).filter(|left| *left > 0 && fleet.live() > 0) {
        fleet.turn(Duration::from_nanos(left).min(Duration::from_millis(100)), &mut ignore)?;
    }
    let after = server.usage();

    let mut report = Report::new(
        "idle",
        json!({
            "url": common.url, "connections": args.connections, "rooms": args.rooms,
            "encoding": plan.protocol(), "deflate": common.deflate,
        }),
    );
    report.count("connected", "connected", u64::from(opened));
    report.count("still_connected", "still connected at the end", u64::from(fleet.live()));
    if let (Some(before), Some(after)) = (before.resident_bytes, after.resident_bytes)
        && fleet.live() > 0
    {
        let each = after.saturating_sub(before) as f64 / f64::from(fleet.live());
        report.number("server_rss_before_bytes", "server memory before", before as f64, 0, "bytes");
        report.number("server_rss_after_bytes", "server memory with all", after as f64, 0, "bytes");
        report.number("server_rss_bytes_per_connection", "server memory per connection", each, 0, "bytes");
    }
    if let Some(cpu) = after.cpu_since(&quiet) {
        let busy = cpu.total_ns as f64 / nanos(args.duration).max(1) as f64 * 100.0;
        report.number("server_cpu_percent", "server CPU while quiet", busy, 2, "% of a core");
    }
    if before.resident_bytes.is_some() && after.resident_bytes.is_none() {
        report.problem("the server ended during the run");
    }
    if opened == 0 {
        report.problem("no connection was accepted");
    }
    report.failures(fleet.failures());
    Ok(report)
}
