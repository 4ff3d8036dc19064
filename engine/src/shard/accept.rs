//! Accepting connections, and living with it when there are no descriptors left.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use monoio::net::{TcpListener, TcpStream};

use crate::http;
use crate::shard::Handle;

/// How long to wait when the system has no descriptor for one more connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// The task that accepts until the process ends.
pub(super) fn accept(
    handle: Handle,
    listener: std::net::TcpListener,
) -> std::io::Result<impl Future<Output = ()>> {
    let listener = TcpListener::from_std(listener)?;
    let process = std::sync::Arc::clone(&handle.borrow().process);
    Ok(async move {
        let exhausted = Cell::new(false);
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    exhausted.set(false);
                    let open = process.http_connections.fetch_add(1, Ordering::Relaxed);
                    if open >= process.live().config.limits.http_connections {
                        // Not even a refusal: the flood would be answered with our own work.
                        process.http_connections.fetch_sub(1, Ordering::Relaxed);
                        process.metrics.handshake_failed("overloaded");
                        continue;
                    }
                    monoio::spawn(Guard::new(Rc::clone(&handle), stream, peer));
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
    fn new(handle: Handle, stream: TcpStream, peer: std::net::SocketAddr) -> Self {
        let process = std::sync::Arc::clone(&handle.borrow().process);
        Self { process, serve: Box::pin(http::serve(Rc::clone(&handle), stream, peer)), handle }
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

impl Drop for Guard {
    fn drop(&mut self) {
        self.process.http_connections.fetch_sub(1, Ordering::Relaxed);
    }
}
