//! Which of a shard's sockets can be read or written: one level-triggered `epoll` set.
//!
//! The runtime waits on the set's own descriptor, so ten thousand idle connections are one wait, own no task
//! and no buffer. Tokens carry a generation: an event of a connection that is gone matches nothing.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read, or the peer's end.
    pub readable: bool,
    /// Room to write.
    pub writable: bool,
}

impl Interest {
    /// Only reading: the usual state.
    pub const READ: Self = Self { readable: true, writable: false };

    fn mask(self) -> u32 {
        let mut mask = 0;
        if self.readable {
            mask |= libc::EPOLLIN | libc::EPOLLRDHUP;
        }
        if self.writable {
            mask |= libc::EPOLLOUT;
        }
        mask.cast_unsigned()
    }
}

/// One socket that can do something now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The token given at [`Readiness::add`].
    pub token: u64,
    /// There is something to read (data, end or error).
    pub readable: bool,
    /// There is room to write (or an error to learn of).
    pub writable: bool,
}

/// The set.
#[derive(Debug)]
pub struct Readiness {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

impl Readiness {
    /// An empty set that reports at most `events_max` sockets at a time.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new(events_max: usize) -> io::Result<Self> {
        assert!(events_max > 0);
        // SAFETY: a plain system call; a negative number is an error return.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; events_max] })
    }

    /// A second handle to the same set, for the runtime to wait on.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// Out of memory, or over the user's limit of watches.
    pub fn add(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Changes what to wait for.
    ///
    /// # Errors
    /// The socket is not in the set.
    pub fn change(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Takes a socket out, before it is closed.
    ///
    /// # Errors
    /// The socket is not in the set.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest { readable: false, writable: false })
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.mask(), u64: token };
        // SAFETY: `event` lives through the call and the kernel only reads it.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// What is ready now, without waiting.
    pub fn poll(&mut self, ready: &mut Vec<Ready>) {
        let room = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        // SAFETY: `events` holds `room` entries and the kernel fills at most as many.
        let n = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, 0) };
        let n = usize::try_from(n).unwrap_or(0);
        let failed = (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();
        for event in &self.events[..n] {
            let bits = event.events;
            let readable = bits & (Interest::READ.mask() | failed) != 0;
            let writable = bits & (libc::EPOLLOUT.cast_unsigned() | failed) != 0;
            ready.push(Ready { token: event.u64, readable, writable });
        }
    }
}
