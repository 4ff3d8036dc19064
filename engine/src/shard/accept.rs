//! Accepting connections, and living with it when there are no descriptors left.

use std::cell::Cell;
use std::future::Future;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use monoio::net::{TcpListener, TcpStream};

use crate::http::{self, Entered, Seat};
use crate::shard::Handle;

/// How long to wait when the system has no descriptor for one more connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// How often a shard's log says that there are too many.
const FULL_MS: u64 = 60_000;

/// The task that accepts until the process ends.
pub(super) fn accept(
    handle: Handle,
    listener: std::net::TcpListener,
) -> std::io::Result<impl Future<Output = ()>> {
    let listener = TcpListener::from_std(listener)?;
    let process = std::sync::Arc::clone(&handle.borrow().process);
    Ok(async move {
        let exhausted = Cell::new(false);
        let full_ms = Cell::new(0);
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    exhausted.set(false);
                    let (max, now_ms) =
                        (process.live().config.limits.http_connections, process.clock.now().mono_ms());
                    let entered = process.crowd.enter(peer.ip(), stream.as_raw_fd(), max, now_ms);
                    if !matches!(entered, Entered::Free(_)) && now_ms >= full_ms.get() + FULL_MS {
                        full_ms.set(now_ms);
                        tracing::warn!(
                            max,
                            "as many HTTP connections are open as limits.http_connections allows"
                        );
                    }
                    let seat = match entered {
                        Entered::Free(seat) => seat,
                        Entered::Instead(seat) => {
                            process.metrics.handshake_failed("displaced");
                            seat
                        }
                        Entered::Full => {
                            // Not even a refusal: the flood would be answered with our own work.
                            process.metrics.handshake_failed("overloaded");
                            continue;
                        }
                    };
                    monoio::spawn(Guard::new(Rc::clone(&handle), stream, peer, seat));
                }
                Err(error) => {
                    process.metrics.accept_failed();
                    if !exhausted.replace(true) {
                        tracing::warn!(%error, "cannot accept connections for now; open ones are not concerned");
                    }
                    monoio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    })
}

/// Keeps a panic in one HTTP connection's task from ending the shard (the runtime does not).
struct Guard {
    handle: Handle,
    process: std::sync::Arc<crate::process::Process>,
    serve: Pin<Box<dyn Future<Output = ()>>>,
}

impl Guard {
    fn new(handle: Handle, stream: TcpStream, peer: std::net::SocketAddr, seat: Seat) -> Self {
        let process = std::sync::Arc::clone(&handle.borrow().process);
        Self { process, serve: Box::pin(http::serve(Rc::clone(&handle), stream, peer, seat)), handle }
    }
}

impl Future for Guard {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match catch_unwind(AssertUnwindSafe(|| self.serve.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) => {
                if self.handle.borrow().core.is_broken() {
                    // Not this connection's business alone: clients of a half-done decision would wait for ever.
                    tracing::error!("a panic in the middle of a decision; the process ends");
                    std::process::abort();
                }
                tracing::error!("a panic in an HTTP connection's task; that connection is closed");
                self.process.panicked();
                Poll::Ready(())
            }
        }
    }
}
