//! Sockets, one epoll set that watches them, and the plain way to send.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Bytes kept for a client that does not read before it is dropped.
const BACKLOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Events that one wait takes.
const EVENTS_MAX: u16 = 1_024;

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) upgraded: bool,
    /// Read, but not yet a whole frame.
    pub(super) input: Vec<u8>,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

/// All clients.
#[derive(Debug)]
pub struct Sockets {
    epoll: OwnedFd,
    /// By descriptor, so that a send looks up nothing.
    connections: Vec<Option<Connection>>,
}

impl Sockets {
    /// None yet; the listener is watched.
    pub(super) fn new(listener: &TcpListener) -> io::Result<Self> {
        let sockets = Self { epoll: epoll()?, connections: Vec::new() };
        sockets.watch(listener.as_raw_fd(), libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
        Ok(sockets)
    }

    /// Waits for what can be done; how many events were found.
    pub(super) fn wait(&self, events: &mut Vec<libc::epoll_event>) -> usize {
        events.resize(usize::from(EVENTS_MAX), libc::epoll_event { events: 0, u64: 0 });
        // SAFETY: the buffer holds as many events as the call is told.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), i32::from(EVENTS_MAX), -1)
        };
        usize::try_from(count).unwrap_or(0)
    }

    fn watch(&self, fd: RawFd, operation: i32, interest: i32) -> io::Result<()> {
        let mut event =
            libc::epoll_event { events: interest.cast_unsigned(), u64: u64::from(fd.cast_unsigned()) };
        // SAFETY: both descriptors are open and the event outlives the call.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn get(&mut self, fd: RawFd) -> Option<&mut Connection> {
        self.connections.get_mut(index(fd))?.as_mut()
    }

    /// Takes everyone who waits at the door.
    pub(super) fn accept(&mut self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            let fd = stream.as_raw_fd();
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if ready.and_then(|()| self.watch(fd, libc::EPOLL_CTL_ADD, libc::EPOLLIN)).is_ok() {
                let connection =
                    Connection { stream, upgraded: false, input: Vec::new(), backlog: Vec::new() };
                let place = index(fd);
                if place >= self.connections.len() {
                    self.connections.resize_with(place + 1, || None);
                }
                self.connections[place] = Some(connection);
            }
        }
    }

    /// Closes a connection.
    pub(super) fn close(&mut self, fd: RawFd) {
        if let Some(place) = self.connections.get_mut(index(fd)) {
            *place = None;
        }
    }

    /// Goes on with what a socket did not take, now that it can be written.
    pub(super) fn resume(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(connection) = self.get(fd) else { return Ok(()) };
        let backlog = std::mem::take(&mut connection.backlog);
        self.send(fd, &backlog)?;
        if self.is_behind(fd) { Ok(()) } else { self.watch(fd, libc::EPOLL_CTL_MOD, libc::EPOLLIN) }
    }

    /// Whether something is kept for this connection: whatever comes after it must be kept as well.
    pub fn is_behind(&self, fd: RawFd) -> bool {
        let connection = self.connections.get(index(fd)).and_then(Option::as_ref);
        connection.is_some_and(|connection| !connection.backlog.is_empty())
    }

    /// One `send()`; what it does not take is kept.
    ///
    /// # Errors
    /// The connection is dead, or takes nothing for too long.
    pub fn send(&mut self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut sent = 0;
        if !self.is_behind(fd) {
            // SAFETY: the pointer and length are those of the slice; the kernel copies before it returns.
            let result = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
            match usize::try_from(result) {
                Ok(len) => sent = len,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != ErrorKind::WouldBlock {
                        return Err(error);
                    }
                }
            }
        }
        if sent == bytes.len() { Ok(()) } else { self.keep(fd, &bytes[sent..]) }
    }

    /// Keeps what a socket did not take, and watches for room.
    ///
    /// # Errors
    /// Too much is kept already.
    pub fn keep(&mut self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = self.get(fd) else { return Ok(()) };
        let watched = !connection.backlog.is_empty();
        connection.backlog.extend_from_slice(bytes);
        if connection.backlog.len() > BACKLOG_BYTES_MAX {
            return Err(ErrorKind::OutOfMemory.into());
        }
        if watched { Ok(()) } else { self.watch(fd, libc::EPOLL_CTL_MOD, libc::EPOLLIN | libc::EPOLLOUT) }
    }
}

/// A descriptor as an index; descriptors are never negative.
fn index(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX - 1)
}

pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before it is used.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
