//! Listeners and non-blocking socket calls.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Options of a listener; accepted sockets inherit all of them, so no connection costs a system call.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Length of the queue of connections that wait to be accepted.
    pub backlog: i32,
    /// Cap of each connection's kernel send buffer in bytes; a stalled peer cannot hold more.
    pub send_buffer_bytes: usize,
}

/// Whether nobody listens on an address yet. [`listen`] shares a port with whoever shares it, and so would two processes, each with a
/// half of the clients.
///
/// # Errors
/// The address is taken, not ours, or not permitted.
pub fn check_free(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // What still waits for late packets of former connections does not matter.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Binds a listener that shares its port with the other shards (`SO_REUSEPORT`).
///
/// # Errors
/// The address is taken, not ours, or not permitted.
pub fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if options.send_buffer_bytes > 0 {
        socket.set_send_buffer_size(options.send_buffer_bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(socket.into())
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing to read now.
    Blocked,
    /// The peer has closed its side or the connection is dead.
    Gone,
}

/// Reads what is there, without waiting.
pub fn recv(fd: RawFd, buffer: &mut [u8]) -> Received {
    // SAFETY: pointer and length are those of one live slice; the kernel writes at most `len` bytes of it.
    let n = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
    match n {
        1.. => Received::Bytes(n.unsigned_abs()),
        0 => Received::Gone,
        _ if would_block() => Received::Blocked,
        _ => Received::Gone,
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel took so many bytes, at least one.
    Bytes(usize),
    /// The socket's buffer is full.
    Blocked,
    /// The connection is dead; the positive error number.
    Gone(i32),
}

/// Writes what fits, without waiting.
pub fn send(fd: RawFd, bytes: &[u8]) -> Sent {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: pointer and length are those of one live slice, which the kernel only reads.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    match n {
        0.. => Sent::Bytes(n.unsigned_abs()),
        _ if would_block() => Sent::Blocked,
        _ => Sent::Gone(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// Where a connection comes from; nothing once its peer has gone.
pub fn peer(socket: &impl AsFd) -> Option<SocketAddr> {
    SockRef::from(socket).peer_addr().ok()?.as_socket()
}

/// Ends both directions; what the kernel already holds is still delivered.
pub fn shutdown(fd: RawFd) {
    // SAFETY: a plain system call on a number; a wrong number is an error return.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}

/// Ends both directions at once: who waits to read is told that nothing more comes.
pub fn cut(fd: RawFd) {
    // SAFETY: a plain system call on a number; a wrong number is an error return.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

fn would_block() -> bool {
    matches!(io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ENOBUFS))
}

/// A second descriptor of the same socket, owned by the caller.
///
/// # Errors
/// Out of descriptors.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a plain system call on a number; a wrong number is an error return.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is fresh and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
