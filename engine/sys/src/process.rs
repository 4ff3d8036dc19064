//! Facts about this process.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Raises the soft limit of open descriptors to the hard one and returns it.
///
/// # Errors
/// The system refuses (the soft limit stays as it is).
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills one live rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads one live rlimit.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Makes the kernel's table of this process's descriptors large enough for `count` of them now. It grows by doubling
/// otherwise, and in a process of several threads each time costs all of them about ten milliseconds
/// (`expand_fdtable` waits for an RCU grace period), in the middle of a rush of connections.
///
/// # Errors
/// `count` is above the soft limit, or the system is out of descriptors; the table then grows as it always did.
pub fn reserve_descriptors(count: u64) -> io::Result<()> {
    let Some(highest) = count.checked_sub(1).and_then(|highest| libc::c_int::try_from(highest).ok()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let any = std::fs::File::open("/dev/null")?;
    // SAFETY: a plain system call on a descriptor that lives until the end of this function.
    let copy = unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, highest) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is fresh and nobody else owns it. The table stays large when it is closed.
    drop(unsafe { OwnedFd::from_raw_fd(copy) });
    Ok(())
}

/// CPU time that all threads used so far: in user mode and in the kernel, in microseconds' resolution.
pub fn cpu_time() -> (Duration, Duration) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills one live rusage; it is valid when zeroed, should the call fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: all of it is integers, zeroed above.
    let usage = unsafe { usage.assume_init() };
    let time = |of: libc::timeval| {
        Duration::from_secs(of.tv_sec.unsigned_abs()) + Duration::from_micros(of.tv_usec.unsigned_abs())
    };
    (time(usage.ru_utime), time(usage.ru_stime))
}

/// Resident memory in bytes, 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_table_is_as_large_as_asked_for() {
        let limit = raise_descriptor_limit().unwrap();
        let count = limit.min(5_000);
        reserve_descriptors(count).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(size.trim().parse::<u64>().unwrap() >= count, "{size}");
        assert!(reserve_descriptors(limit + 1).is_err() && reserve_descriptors(0).is_err());
    }
}
