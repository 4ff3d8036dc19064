//! What the run costs the server: from `/proc` (`--pid`) or from its metrics page (`--metrics`).

use std::collections::BTreeMap;

use crate::cli::CommonArgs;
use crate::http;
use crate::plan::{Target, parse_url};
use crate::process::{self, Cpu};
use crate::report::Report;

/// Where the server's own figures come from.
#[derive(Debug)]
pub(crate) struct ServerSide {
    /// A process of this machine.
    process: Option<u32>,
    /// A page in the text format of Prometheus.
    page: Option<Target>,
}

/// The server's figures at one moment; what it does not tell is absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time so far.
    pub(crate) cpu: Option<Cpu>,
    /// Resident memory in bytes.
    pub(crate) resident_bytes: Option<u64>,
    /// All samples of the page by name, those with labels added up.
    sums: BTreeMap<String, f64>,
}

impl ServerSide {
    /// As the command line says; tried once, so that a wrong one is told before the run.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn new(args: &CommonArgs) -> Result<Self, String> {
        if let Some(pid) = args.pid {
            process::cpu(pid).map_err(|error| format!("--pid {pid}: {error}"))?;
        }
        let page = args.metrics.as_ref().map(|url| {
            let target = parse_url("--metrics", "http://", url)?;
            http::fetch(&target).map_err(|error| format!("--metrics {url}: {error}"))?;
            Ok::<_, String>(target)
        });
        Ok(Self { process: args.pid, page: page.transpose()? })
    }

    /// Whether the server runs on this machine and shares it with us.
    pub(crate) fn is_local(&self) -> bool {
        self.process.is_some()
    }

    /// The figures now. A server that is gone tells nothing; that shows by its lost connections.
    pub(crate) fn usage(&self) -> Usage {
        let page = self.page.as_ref().and_then(|target| http::fetch(target).ok());
        let mut usage = page.map(|page| read(&page)).unwrap_or_default();
        if let Some(pid) = self.process {
            // The kernel tells it finer than the page does.
            usage.cpu = process::cpu(pid).ok();
            usage.resident_bytes = process::resident_bytes(pid).ok();
        }
        usage
    }
}

impl Usage {
    /// The CPU time since an earlier moment, where both are known.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> Option<Cpu> {
        Some(self.cpu?.since(earlier.cpu?))
    }

    /// A sample of the page.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.sums.get(name).copied()
    }

    /// How much a sample of the page has grown since an earlier moment.
    pub(crate) fn sum_since(&self, earlier: &Self, name: &str) -> Option<f64> {
        Some(self.sum(name)? - earlier.sum(name)?)
    }

    /// Tells CPU time and its cost for each of `count` things of a kind.
    pub(crate) fn tell_cpu(&self, earlier: &Self, seconds: f64, each: (&str, u64), report: &mut Report) {
        let Some(cpu) = self.cpu_since(earlier) else { return };
        let busy = cpu.total_ns as f64 / 1e7 / seconds.max(1e-9);
        report.number("server_cpu_percent", "server CPU", busy, 1, "% of a core");
        if let Some(user) = cpu.user_share() {
            report.number("server_user_percent", "of it in user mode", user * 100.0, 1, "%");
        }
        let (what, count) = each;
        if count > 0 {
            let key = format!("server_cpu_us_per_{what}");
            let label = format!("server CPU per {what}");
            report.number(&key, &label, cpu.total_ns as f64 / 1e3 / count as f64, 3, "us");
        }
    }
}

/// Reads a page in the text format of Prometheus or OpenMetrics: `name{labels} value`, comments left out.
fn read(page: &str) -> Usage {
    let mut usage = Usage::default();
    let (mut total_s, mut user_s, mut system_s) = (None, None, None);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some(name_end) = line.find(['{', ' ']) else { continue };
        let name = &line[..name_end];
        // Labels may hold spaces, but no sample has one behind its last brace but before the value.
        let rest = line.rfind('}').map_or(&line[name_end..], |brace| &line[brace + 1..]);
        let Some(value) = rest.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()) else {
            continue;
        };
        match name {
            "process_cpu_seconds_total" => total_s = Some(value),
            "process_resident_memory_bytes" => usage.resident_bytes = Some(value as u64),
            "process_cpu_user_seconds_total" => user_s = Some(value),
            "process_cpu_system_seconds_total" => system_s = Some(value),
            _ => {}
        }
        *usage.sums.entry(name.to_owned()).or_default() += value;
    }
    let ns = |seconds: Option<f64>| (seconds.unwrap_or(0.0).max(0.0) * 1e9) as u64;
    usage.cpu =
        total_s.map(|total| Cpu { total_ns: ns(Some(total)), user_ns: ns(user_s), system_ns: ns(system_s) });
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_cpu_memory_and_sums() {
        let usage = read(
            "# HELP x y\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 2.5e6 1700000000\n\
             process_cpu_user_seconds_total 1\nprocess_cpu_system_seconds_total 0.5\n\
             fanfare_rooms{shard=\"0\"} 3\nfanfare_rooms{shard=\"a b}c\"} 4\nbroken\nalso broken\n",
        );
        let cpu = Cpu { total_ns: 1_500_000_000, user_ns: 1_000_000_000, system_ns: 500_000_000 };
        assert_eq!((usage.cpu, usage.resident_bytes), (Some(cpu), Some(2_500_000)));
        assert_eq!((usage.sum("fanfare_rooms"), usage.sum("broken")), (Some(7.0), None));
        assert_eq!(read("").cpu, None);
    }
}
