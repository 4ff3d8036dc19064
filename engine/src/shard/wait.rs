//! Sleeping until something can be done: one wait for all sockets, one for the inbox, one timer.

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use monoio::net::UnixStream;

use crate::shard::state::State;

type Readable = Pin<Box<dyn Future<Output = ()>>>;

/// Waits stay armed from turn to turn: one that has not fired costs nothing.
pub(super) struct Waiter {
    sockets: Rc<UnixStream>,
    inbox: Rc<UnixStream>,
    sockets_readable: Option<Readable>,
    inbox_readable: Option<Readable>,
}

impl Waiter {
    pub(super) fn new(state: &State) -> std::io::Result<Self> {
        Ok(Self {
            sockets: Rc::new(waitable(state.readiness.handle()?)?),
            inbox: Rc::new(waitable(state.port.inbox().handle()?)?),
            sockets_readable: None,
            inbox_readable: None,
        })
    }

    /// Sleeps until the inbox is signalled, a socket is ready (if `sockets`), or `patience` is over.
    pub(super) async fn wait(&mut self, sockets: bool, patience: Duration) {
        let Self { sockets: set, inbox, sockets_readable, inbox_readable } = self;
        let mut sleep = std::pin::pin!(monoio::time::sleep(patience));
        poll_fn(|cx| {
            let mut ready = sleep.as_mut().poll(cx).is_ready();
            let waiting = inbox_readable.get_or_insert_with(|| readable(inbox));
            if waiting.as_mut().poll(cx).is_ready() {
                *inbox_readable = None;
                ready = true;
            }
            if sockets {
                let waiting = sockets_readable.get_or_insert_with(|| readable(set));
                if waiting.as_mut().poll(cx).is_ready() {
                    *sockets_readable = None;
                    ready = true;
                }
            }
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// An epoll set or an eventfd as something the runtime can wait on. Nothing is read or written through it; the
/// socket type is the only one of the runtime whose `readable` works for any descriptor on both drivers.
fn waitable(fd: OwnedFd) -> std::io::Result<UnixStream> {
    UnixStream::from_std(fd.into())
}

fn readable(stream: &Rc<UnixStream>) -> Readable {
    let stream = Rc::clone(stream);
    // An error ends the wait as well: the turn that follows finds out what is wrong.
    Box::pin(async move {
        let _ = stream.readable(false).await;
    })
}
