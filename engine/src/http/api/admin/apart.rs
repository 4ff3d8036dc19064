//! Work that a shard's thread must not do: reading files, waiting for the inboxes of shards.

use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

/// How often it is asked whether it is done.
const LOOK: Duration = Duration::from_millis(5);

/// Does it on a thread of its own; nothing when there is none to be had.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, ready) = channel();
    let run = move || {
        // Who asked may have gone.
        let _ = done.send(work());
    };
    std::thread::Builder::new().name("operator".to_owned()).spawn(run).ok()?;
    loop {
        match ready.try_recv() {
            Ok(made) => return Some(made),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => monoio::time::sleep(LOOK).await,
        }
    }
}
