//! One HTTP connection: request after request until it is upgraded, ends, or misbehaves.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use fanfare_sys::socket::{self, Received, Sent};
use http::StatusCode;
use monoio::net::TcpStream;
use monoio::time::timeout;

use crate::http::check;
use crate::http::crowd::Seat;
use crate::http::head::{self, Head};
use crate::http::respond::Response;
use crate::http::route::{self, Next};
use crate::http::upgrade;
use crate::shard::Handle;

/// A TCP connection with what was read from it and is not used yet.
pub(crate) struct Connection {
    /// Dropped before the stream, see there.
    seat: Seat,
    stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) buffer: BytesMut,
}

/// Why a connection can serve no more requests.
pub(crate) enum End {
    /// The peer has gone.
    Gone,
    /// The peer took too long.
    Late,
}

/// Serves one connection until its end.
pub(crate) async fn serve(handle: Handle, stream: TcpStream, peer: SocketAddr, seat: Seat) {
    let mut connection = Connection { seat, stream, peer, buffer: BytesMut::new() };
    let process = std::sync::Arc::clone(&handle.borrow().process);
    let mut is_first = true;
    loop {
        let live = process.live();
        let timeouts = &live.config.timeouts;
        let patience = if is_first { timeouts.handshake } else { timeouts.http_keep_alive };
        let head = match head::read(&mut connection, live.config.limits.http_head, patience).await {
            Ok(head) => head,
            Err(head::Failure::End(End::Gone)) => return,
            Err(head::Failure::End(End::Late)) if connection.buffer.is_empty() => return,
            Err(failure) => {
                let (status, reason) = failure.answer();
                process.metrics.handshake_failed(reason);
                if !connection.seat.is_asked() {
                    return;
                }
                let response = Response::error(status, reason).closing();
                let _ = connection.send(&response.bytes(false), timeouts.handshake).await;
                connection.linger().await;
                return;
            }
        };
        if !connection.seat.is_asked() {
            return;
        }
        let keep_alive = head.keep_alive;
        let no_body = head.method == http::Method::HEAD;
        let next = match check::check(&process, &head) {
            Ok(()) => route::route(&handle, &process, &mut connection, head).await,
            Err((reason, response)) => {
                process.metrics.handshake_failed(reason);
                Next::Respond(response.closing())
            }
        };
        match next {
            Next::Respond(response) => {
                let keep_alive = keep_alive && !response.closes() && !process.is_draining();
                let response = if keep_alive { response } else { response.closing() };
                if connection.send(&response.bytes(no_body), timeouts.http_request).await.is_err() {
                    return;
                }
                if !keep_alive {
                    connection.linger().await;
                    return;
                }
            }
            Next::Upgrade(accepted) => {
                upgrade::finish(&handle, &process, connection, *accepted).await;
                return;
            }
            Next::End => return,
        }
        is_first = false;
        connection.seat.waits(process.clock.now().mono_ms());
        // Requests that are there already must not keep the shard from everything else.
        yield_now().await;
    }
}

/// Lets the shard's other work go first.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Connection {
    pub(crate) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Reads some more into the buffer. Nothing is in flight when the time is over, so nothing is lost.
    pub(crate) async fn read(&mut self, patience: Duration) -> Result<(), End> {
        const CHUNK: usize = 4_096;
        if patience.is_zero() {
            return Err(End::Late);
        }
        let deadline = monoio::time::Instant::now() + patience;
        loop {
            let old = self.buffer.len();
            self.buffer.resize(old + CHUNK, 0);
            let received = socket::recv(self.fd(), &mut self.buffer[old..]);
            let count = if let Received::Bytes(count) = received { count } else { 0 };
            self.buffer.truncate(old + count);
            match received {
                Received::Bytes(_) => {
                    yield_now().await;
                    return Ok(());
                }
                Received::Gone => return Err(End::Gone),
                Received::Blocked => {}
            }
            let waited = monoio::time::timeout_at(deadline, self.stream.readable(false)).await;
            if waited.map_err(|_| End::Late)?.is_err() {
                return Err(End::Gone);
            }
        }
    }

    /// Writes all of it.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            match socket::send(self.fd(), bytes) {
                Sent::Bytes(count) => bytes = &bytes[count..],
                Sent::Gone(errno) => return Err(io::Error::from_raw_os_error(errno)),
                Sent::Blocked => {
                    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
                    timeout(patience, self.stream.writable(false)).await.map_err(late)??;
                }
            }
        }
        Ok(())
    }

    /// Lets the last answer arrive: closing a socket with unread bytes would reset it and throw away what the
    /// peer has not read yet.
    pub(crate) async fn linger(&mut self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        const BYTES_MAX: usize = 256 * 1_024;
        socket::shutdown(self.fd());
        let deadline = monoio::time::Instant::now() + PATIENCE;
        let mut read = 0;
        while read < BYTES_MAX {
            self.buffer.clear();
            let left = deadline.saturating_duration_since(monoio::time::Instant::now());
            if left.is_zero() || self.read(left).await.is_err() {
                return;
            }
            read += self.buffer.len();
        }
    }
}

/// The answers to heads that cannot be served.
impl head::Failure {
    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::End(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive"),
            Self::TooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is larger than allowed")
            }
            Self::Malformed(reason) => (StatusCode::BAD_REQUEST, reason),
        }
    }
}

/// What a head says about the body after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// No body.
    None,
    /// So many bytes.
    Fixed(usize),
    /// Chunks.
    Chunked,
}

impl Head {
    /// Whether a body follows.
    pub(crate) fn has_body(&self) -> bool {
        self.body != BodyLength::None
    }
}
