//! What a run tells in the end.

use serde_json::json;

use super::Run;
use crate::process::{self, Cpu};
use crate::report::Report;
use crate::scenario::own;
use crate::server_side::Usage;

/// Counters at one moment.
pub(super) struct Snapshot {
    at: u64,
    deliveries: u64,
    published: u64,
    received_bytes: u64,
    server: Usage,
    own: Option<Cpu>,
    machine_busy_ns: Option<u64>,
}

impl Run<'_> {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            at: self.clock.now(),
            deliveries: self.deliveries(),
            published: self.members.tally.published,
            received_bytes: self.members.fleet.received_bytes() + self.board.sums().received_bytes,
            server: self.server.usage(),
            own: process::cpu(std::process::id()).ok(),
            machine_busy_ns: process::machine_busy_ns().ok(),
        }
    }

    pub(super) fn parameters(&self) -> serde_json::Value {
        let args = self.args;
        json!({
            "url": args.common.url, "rooms": args.rooms, "members": args.members,
            "connections": self.plan.memberships.connections, "publishers": args.publishers,
            "rate": args.in_flight.is_none().then_some(args.rate), "in_flight": args.in_flight, "slow": args.slow,
            "threads": args.threads,
            "size": args.payload.size, "shape": args.payload.shape, "data": args.payload.data,
            "encoding": self.plan.protocol(), "deflate": args.common.deflate,
            "warmup_s": args.time.warmup.as_secs_f64(), "duration_s": args.time.duration.as_secs_f64(),
        })
    }

    pub(super) fn write_report(&self, first: &Snapshot, last: &Snapshot, report: &mut Report) {
        let tally = &self.members.tally;
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
        if deliveries > 0 {
            report.number("bytes_per_delivery", "of it per delivery", bytes / deliveries as f64, 1, "bytes");
        }
        report.times("latency", "latency", &tally.latency);
        report.times("acknowledged", "publish to answer", &tally.acknowledged);
        last.server.tell_cpu(&first.server, seconds, ("delivery", deliveries), report);
        if let Some(bytes) = last.server.resident_bytes {
            report.number("server_rss_bytes", "server memory", bytes as f64, 0, "bytes");
        }
        self.tell_spread(&last.server, report);
        tell_forms(&first.server, &last.server, report);
        if self.args.slow > 0 {
            let ended = self.fates.total();
            report.count("slow_ended", "slow members whose connection was ended", ended);
            for (how, count) in self.fates.counts() {
                report.row(&format!("slow members {how}"), &count.to_string());
            }
        }
        own::tell_cpu(first.own, last.own, seconds, self.args.threads, report);
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
        report.failures(&self.failures);
    }

    /// On how many shards a room has members, where the server tells it.
    fn tell_spread(&self, server: &Usage, report: &mut Report) {
        let Some(shards) = server.sum("fanfare_member_rooms") else { return };
        let each = shards / f64::from(self.args.rooms);
        report.number("shards_per_room", "shards with members, of each room", each, 2, "");
    }
}

/// In which forms connections with permessage-deflate got their frames, where the server tells it.
fn tell_forms(first: &Usage, last: &Usage, report: &mut Report) {
    let frames = |form: &str| last.sum_since(first, &format!("fanfare_compression_{form}_total"));
    let (Some(in_step), Some(alone), Some(none)) = (frames("in_step"), frames("alone"), frames("none"))
    else {
        return;
    };
    let all = in_step + alone + none;
    if all > 0.0 {
        report.number("in_step_percent", "frames with a shared context", in_step / all * 100.0, 2, "%");
        report.number("alone_percent", "frames compressed alone", alone / all * 100.0, 2, "%");
    }
}

/// CPU of everything but server and load generator: what disturbed the measurement.
fn foreign_percent(first: &Snapshot, last: &Snapshot, seconds: f64) -> Option<f64> {
    let machine = last.machine_busy_ns?.saturating_sub(first.machine_busy_ns?);
    let ours = last.server.cpu_since(&first.server)?.total_ns + last.own?.since(first.own?).total_ns;
    Some(machine.saturating_sub(ours) as f64 / 1e7 / seconds)
}
