//! Beginning a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

/// Begins a connection without waiting for it, from this address of our own if one is given.
///
/// # Errors
/// No socket is to be had, or the address is not ours.
pub(crate) fn connect(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_comes_from_the_address_it_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source: IpAddr = "127.0.0.9".parse().unwrap();
        let stream = connect(listener.local_addr().unwrap(), Some(source)).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), source);
        drop(stream);
        assert!(connect(listener.local_addr().unwrap(), Some("192.0.2.1".parse().unwrap())).is_err());
    }
}
