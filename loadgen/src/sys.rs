//! The only raw system calls of the load generator: epoll, pinning, the open-files limit.
//!
//! Sockets themselves are `std` types; this file holds what `std` has no safe form for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// Readiness for reading (or the peer's end of stream).
pub(crate) const READABLE: u32 = libc::EPOLLIN as u32 | libc::EPOLLRDHUP as u32;
/// Readiness for writing.
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;

/// One epoll instance, level-triggered.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
}

/// The place for the events of one wait.
pub(crate) struct Events(Vec<libc::epoll_event>);

impl Events {
    /// Room for `capacity` events per wait (at least one).
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(vec![libc::epoll_event { events: 0, u64: 0 }; capacity.clamp(1, 65_536)])
    }

    /// Event `index` of the last wait as (token, readiness bits).
    pub(crate) fn get(&self, index: usize) -> (u64, u32) {
        let event = self.0[index];
        (event.u64, event.events)
    }
}

impl Epoll {
    /// A new instance, closed on exec.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is used.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor and nothing else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Watches a descriptor; closing it ends the watch.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes what a watched descriptor waits for.
    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Waits for nothing of this socket any more, not even its end.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, operation: i32, fd: BorrowedFd<'_>, token: u64, interest: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token };
        // SAFETY: both descriptors are open for the call and the event outlives it.
        let result =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits at most `timeout` (nanosecond resolution, Linux 5.11) and returns how many events there are;
    /// a signal counts as none.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Duration) -> io::Result<usize> {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        };
        let capacity = i32::try_from(events.0.len()).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds `capacity` events, the timeout outlives the call, no signal mask is given.
        let count = unsafe {
            libc::epoll_pwait2(
                self.fd.as_raw_fd(),
                events.0.as_mut_ptr(),
                capacity,
                &raw const timeout,
                ptr::null(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
            }
        }
    }
}

/// Pins this thread to one core.
///
/// # Errors
/// The core does not exist or this process may not use it.
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE.unsigned_abs() as usize {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the set is plain numbers, for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number was checked against the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the size is that of the set behind the pointer.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for wake-ups within a microsecond of their time; the default slack is 50 us. Best effort.
pub(crate) fn precise_timers() {
    // SAFETY: numbers only; a refusal changes nothing.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64) };
}

/// Raises the soft limit of open files to the hard limit and returns it.
///
/// # Errors
/// The kernel refused to tell or to change the limit.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is of the kernel's shape and outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_max)
}

/// Clock ticks per second of the times in `/proc/PID/stat`.
pub(crate) fn ticks_per_second() -> u64 {
    // SAFETY: no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_wait_tells_the_token_of_what_became_readable() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let epoll = Epoll::new().unwrap();
        let mut events = Events::with_capacity(4);
        epoll.add(far.as_fd(), 7, READABLE).unwrap();
        assert_eq!(epoll.wait(&mut events, Duration::ZERO).unwrap(), 0);
        near.write_all(b"x").unwrap();
        assert_eq!(epoll.wait(&mut events, Duration::from_secs(5)).unwrap(), 1);
        let (token, readiness) = events.get(0);
        assert_eq!(token, 7);
        assert_ne!(readiness & READABLE, 0);
        epoll.modify(far.as_fd(), 8, WRITABLE).unwrap();
        assert_eq!(epoll.wait(&mut events, Duration::from_secs(5)).unwrap(), 1);
        assert_eq!(events.get(0).0, 8);
    }

    #[test]
    fn a_core_that_cannot_exist_is_an_error() {
        assert!(pin_to_core(1 << 20).is_err());
    }

    #[test]
    fn the_open_files_limit_can_be_raised_to_what_is_allowed() {
        assert!(raise_open_files().unwrap() > 0);
        assert!(ticks_per_second() > 0);
    }
}
