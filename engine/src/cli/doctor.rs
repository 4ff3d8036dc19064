//! `fanfare doctor`: is this machine fit, and if not, what to set.

use std::fs;
use std::process::ExitCode;

use crate::cli::DoctorArgs;
use crate::config::Config;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    value: String,
    /// What to do about it.
    advice: String,
}

impl Finding {
    fn new(
        what: &'static str,
        value: impl Into<String>,
        fit: bool,
        otherwise: Verdict,
        advice: impl Into<String>,
    ) -> Self {
        let verdict = if fit { Verdict::Ok } else { otherwise };
        Self { verdict, what, value: value.into(), advice: advice.into() }
    }
}

/// Prints what was found. Exit code 1: something must change first; 2: the configuration is wrong.
pub fn run(args: &DoctorArgs) -> ExitCode {
    let config = match Config::read(args.config.as_deref(), &|_| None) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let connections = config.limits.connections;
    let findings = [
        kernel(),
        io_uring(),
        memlock(),
        descriptors(connections),
        at_least(
            "net.core.somaxconn",
            "/proc/sys/net/core/somaxconn",
            4_096,
            "connections that wait to be accepted",
        ),
        at_least(
            "net.ipv4.tcp_max_syn_backlog",
            "/proc/sys/net/ipv4/tcp_max_syn_backlog",
            4_096,
            "connections being made",
        ),
        at_least(
            "fs.file-max",
            "/proc/sys/fs/file-max",
            connections as u64 * 2,
            "open files of all processes",
        ),
        tcp_memory(connections, config.limits.send_buffer),
        memory(connections, config.limits.backlog),
    ];
    for finding in &findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Bad => "BAD ",
        };
        println!("{mark}  {:<30} {}", finding.what, finding.value);
        if finding.verdict != Verdict::Ok {
            println!("      {:<30} -> {}", "", finding.advice);
        }
    }
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    println!("\n{}", if bad { "something must change first" } else { "fit to serve" });
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let advice = "io_uring needs Linux 5.19 or later here; before that, epoll serves";
    Finding::new("kernel", release, version >= (5, 19), Verdict::Warn, advice)
}

fn io_uring() -> Finding {
    let value = crate::server::probe_io_uring();
    let advice = "epoll will serve, a little slower. Set kernel.io_uring_disabled=0; in containers allow io_uring_setup, \
                  io_uring_enter and io_uring_register in the seccomp profile (Docker: --security-opt seccomp=PROFILE)";
    let fit = value.is_ok();
    Finding::new(
        "io_uring",
        value.map_or_else(|reason| reason, |()| "permitted".into()),
        fit,
        Verdict::Warn,
        advice,
    )
}

fn memlock() -> Finding {
    let (soft, _) = limit("Max locked memory");
    let advice =
        "rings may be refused on kernels before 5.12: raise `ulimit -l` (systemd: LimitMEMLOCK=infinity)";
    Finding::new(
        "locked memory (bytes)",
        shown(soft),
        soft.is_none_or(|bytes| bytes >= 8 << 20),
        Verdict::Warn,
        advice,
    )
}

fn descriptors(connections: usize) -> Finding {
    let (_, hard) = limit("Max open files");
    let needed = connections as u64 + 1_024;
    let advice = format!(
        "for limits.connections = {connections}: `ulimit -Hn {needed}` (systemd: LimitNOFILE={needed}, Docker: --ulimit nofile={needed}), or lower limits.connections"
    );
    Finding::new(
        "open files (hard limit)",
        shown(hard),
        hard.is_none_or(|limit| limit >= needed),
        Verdict::Warn,
        advice,
    )
}

fn at_least(what: &'static str, path: &str, wanted: u64, why: &str) -> Finding {
    let value = read(path).and_then(|text| text.parse::<u64>().ok());
    let advice = format!("`sysctl -w {what}={wanted}` for many {why}");
    let shown = value.map_or("unknown".into(), |value| value.to_string());
    Finding::new(what, shown, value.is_none_or(|value| value >= wanted), Verdict::Warn, advice)
}

/// `tcp_mem` is in pages: low, pressure, high.
fn tcp_memory(connections: usize, send_buffer: usize) -> Finding {
    let text = read("/proc/sys/net/ipv4/tcp_mem").unwrap_or_default();
    let high = text.split_whitespace().nth(2).and_then(|pages| pages.parse::<u64>().ok());
    // One in a hundred connections with a full buffer.
    let wanted = (connections * send_buffer / 100 / 4_096) as u64;
    let advice = format!(
        "`sysctl -w net.ipv4.tcp_mem='{} {} {wanted}'` (pages) for one in a hundred peers that stall",
        wanted / 2,
        wanted * 3 / 4
    );
    let shown = high.map_or("unknown".into(), |pages| format!("{pages} pages at most"));
    Finding::new("net.ipv4.tcp_mem", shown, high.is_none_or(|pages| pages >= wanted), Verdict::Warn, advice)
}

fn memory(connections: usize, backlog: usize) -> Finding {
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = group.iter().find_map(|path| read(path)?.parse::<u64>().ok());
    let total = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1_024)
    });
    let bytes = group.into_iter().chain(total).min();
    // 4 KiB for a connection with its socket in the kernel, and one in a hundred with a full backlog.
    let wanted = (connections * 4_096 + connections / 100 * backlog) as u64;
    let advice = format!(
        "limits.connections = {connections} may need {} MiB; lower it or limits.backlog",
        wanted >> 20
    );
    let shown = bytes.map_or("unknown".into(), |bytes| format!("{} MiB", bytes >> 20));
    Finding::new("memory", shown, bytes.is_none_or(|bytes| bytes >= wanted), Verdict::Warn, advice)
}

/// The soft and hard limit of this process; nothing: unlimited or unknown.
fn limit(name: &str) -> (Option<u64>, Option<u64>) {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let mut columns = line.split_whitespace().map(|column| column.parse().ok());
    (columns.next().flatten(), columns.next().flatten())
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or("unlimited".into(), |limit| limit.to_string())
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
