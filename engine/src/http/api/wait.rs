//! Waiting for the answers of shards.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use fanfare_core::{Answer, RequestId};

use crate::shard::Handle;

/// How long an answer may take; shards answer in microseconds unless something is very wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's place in the shard's table, given back however the wait ends.
struct Place<'a> {
    handle: &'a Handle,
    request: RequestId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.handle.borrow_mut().requests.remove(&self.request);
    }
}

/// All answers to a request, or nothing when they took too long.
pub(super) async fn answers(handle: &Handle, request: RequestId) -> Option<Vec<Answer>> {
    answers_within(PATIENCE, handle, request).await
}

/// The same with a patience of its own.
pub(super) async fn answers_within(
    patience: Duration,
    handle: &Handle,
    request: RequestId,
) -> Option<Vec<Answer>> {
    let place = Place { handle, request };
    let complete = poll_fn(|cx| {
        let mut state = place.handle.borrow_mut();
        let waiting = state.requests.get_mut(&place.request).expect("invariant: removed by its place only");
        if waiting.missing == 0 {
            return Poll::Ready(std::mem::take(&mut waiting.answers));
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    });
    monoio::time::timeout(patience, complete).await.ok()
}
