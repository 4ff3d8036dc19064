//! CPU time and memory of a process on this machine, from `/proc`.

use std::fs;
use std::io;

use crate::sys::ticks_per_second;

/// CPU time of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// All threads that still live, in nanoseconds (scheduler statistics).
    pub(crate) total_ns: u64,
    /// In user mode, in nanoseconds at the resolution of a tick (10 ms).
    pub(crate) user_ns: u64,
    /// In the kernel, in nanoseconds at the resolution of a tick (10 ms).
    pub(crate) system_ns: u64,
}

impl Cpu {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }

    /// The share of user mode by ticks, 0 to 1; `None` when no tick passed.
    pub(crate) fn user_share(self) -> Option<f64> {
        let ticks = self.user_ns + self.system_ns;
        (ticks > 0).then(|| self.user_ns as f64 / ticks as f64)
    }
}

/// CPU time of a process.
///
/// # Errors
/// There is no such process, or its files are not those of a Linux kernel.
pub(crate) fn cpu(pid: u32) -> io::Result<Cpu> {
    let (user, system) =
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?).ok_or_else(unreadable)?;
    let tick_ns = 1_000_000_000 / ticks_per_second();
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        total_ns += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    let (user_ns, system_ns) = (user * tick_ns, system * tick_ns);
    // A kernel without scheduler statistics tells zero: ticks are better than nothing.
    let total_ns = if total_ns == 0 { user_ns + system_ns } else { total_ns };
    Ok(Cpu { total_ns, user_ns, system_ns })
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// There is no such process, or its status has no `VmRSS`.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    parse_rss(&fs::read_to_string(format!("/proc/{pid}/status"))?).ok_or_else(unreadable)
}

/// Time that all cores of this machine together were busy, with anything, in nanoseconds at the resolution of
/// a tick (10 ms).
///
/// # Errors
/// `/proc/stat` is not that of a Linux kernel.
pub(crate) fn machine_busy_ns() -> io::Result<u64> {
    let ticks = parse_busy(&fs::read_to_string("/proc/stat")?).ok_or_else(unreadable)?;
    Ok(ticks * (1_000_000_000 / ticks_per_second()))
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "unreadable file in /proc")
}

/// Ticks in user mode and in the kernel. The second field, the name in parentheses, may hold anything.
fn parse_stat(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Ticks of all cores that were neither idle nor waiting for a disk: user, nice, system, irq, softirq, steal.
fn parse_busy(text: &str) -> Option<u64> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let busy = fields.take(8).enumerate().filter(|(place, _)| !matches!(place, 3 | 4));
    busy.map(|(_, field)| field.parse::<u64>().ok()).sum()
}

fn parse_rss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 111 222 0 0 20 0 1";
        assert_eq!(parse_stat(stat), Some((111, 222)));
        assert_eq!(parse_stat("42 (x"), None);
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    1234 kB\n"), Some(1_234 * 1_024));
        assert_eq!(parse_rss("Name:\tx\n"), None);
        assert_eq!(parse_busy("cpu  1 2 3 400 500 6 7 8 900 900\ncpu0 9 9"), Some(27));
        assert_eq!(parse_busy("cpu0 1 2 3"), None);
    }

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let pid = std::process::id();
        let before = cpu(pid).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        // Work until it shows, however slow the scheduler's statistics are.
        while cpu(pid).unwrap().since(before).total_ns == 0 {
            assert!(std::time::Instant::now() < deadline);
        }
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(machine_busy_ns().unwrap() > 0);
        assert!(cpu(u32::MAX).is_err());
    }
}
