//! [`parts`]: the parts of the hot path, to be timed and counted. [`wire`]: what the baselines share, just enough of
//! Fanfare's wire (JSON) for the load generator to drive them. [`baseline`]: what the two without a runtime share
//! beside it, all but their way of sending.
//!
//! The baselines answer the same commands with messages of the same size, so that a comparison measures the
//! way of sending and nothing else. They check no token, keep no history and limit nothing: all are faster
//! than a server could honestly be.

pub mod baseline;
pub mod parts;
pub mod wire;

/// CPU time of this thread so far, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is of the kernel's shape; a failure leaves it zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Raises the soft limit of open files to the hard limit, as far as the kernel lets it.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is of the kernel's shape; a failure leaves it zero.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    if limit.rlim_max > 0 {
        // SAFETY: as above; a refusal leaves the limit as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
