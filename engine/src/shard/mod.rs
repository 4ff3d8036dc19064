//! A shard: one pinned thread, one runtime, one listener, its connections and the rooms it orders.
//!
//! ```text
//! wait -> collect (mesh, sockets, timers) -> core decides -> mesh, answers -> flush in slices -> wait
//! ```

mod accept;
pub(crate) mod exchange;
mod hear;
mod hooks;
mod inspect;
mod perform;
mod read;
mod sockets;
pub(crate) mod state;
mod wait;

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use fanfare_core::{Input, ShardId};
use fanfare_sys::Flusher;

use crate::process::Process;
use crate::shard::exchange::Port;
pub(crate) use crate::shard::state::Came;
use crate::shard::state::State;
use crate::shard::wait::Waiter;
use crate::store::{Batch, Restored};
use crate::webhook::Teller;

/// A handle to the shard's state, for the tasks of its thread.
pub(crate) type Handle = Rc<RefCell<State>>;

/// How often a draining shard says goodbye to some more.
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// Runs a shard until the process ends. Returns when it is drained.
pub(crate) async fn run(
    shard: ShardId,
    process: Arc<Process>,
    listener: TcpListener,
    flusher: Flusher,
    store: Option<(Sender<Batch>, Restored)>,
    teller: Teller,
) -> std::io::Result<()> {
    let port = Port::new(Arc::clone(&process.exchange), shard);
    let state = State::new(shard, Arc::clone(&process), port, flusher, store, teller)?;
    let mut waiter = Waiter::new(&state)?;
    let handle: Handle = Rc::new(RefCell::new(state));
    monoio::spawn(accept::accept(Rc::clone(&handle), listener)?);
    let mut drain = Drain::default();
    let mut churn = Churn::default();
    loop {
        if drain.round != process.drain.round() {
            drain = Drain::new(&handle, &process);
        }
        if process.is_draining() && drain.step(&handle, &process) {
            handle.borrow_mut().leave();
            return Ok(());
        }
        let (more, paused, next_timer_ms) = {
            let mut state = handle.borrow_mut();
            (state.turn(), state.paused(), state.next_timer_ms())
        };
        if more {
            // The next wait must not last, but it must be: the runtime looks after sockets of HTTP there.
            handle.borrow_mut().port.rouse();
        }
        let now_ms = process.clock.now().mono_ms();
        churn.look(handle.borrow().core.opened(), now_ms);
        let mut patience = Duration::from_millis(next_timer_ms.saturating_sub(now_ms).max(1));
        if process.is_draining() {
            patience = patience.min(DRAIN_STEP);
        }
        waiter.wait(!paused, patience).await;
        handle.borrow_mut().port.clear();
    }
}

/// Connections that come bring memory that is needed only while they open; it is given back once no more come.
#[derive(Default)]
struct Churn {
    opened: u64,
    /// When the last one came, if nothing was given back since.
    since_ms: Option<u64>,
}

impl Churn {
    const QUIET_MS: u64 = 1_000;

    fn look(&mut self, opened: u64, now_ms: u64) {
        if std::mem::replace(&mut self.opened, opened) != opened {
            self.since_ms = Some(now_ms);
        } else if self.since_ms.take_if(|since_ms| now_ms >= *since_ms + Self::QUIET_MS).is_some() {
            fanfare_sys::memory::give_back();
        }
    }
}

/// The end of a shard: a share of its connections is told at each step, so that they do not all come back to
/// the other servers in one moment.
#[derive(Default)]
struct Drain {
    /// Of [`crate::drain::Drain`].
    round: u32,
    began_ms: Option<u64>,
    stepped_ms: u64,
    share: u32,
    done: bool,
}

impl Drain {
    /// Begins with the first connection again.
    fn new(handle: &Handle, process: &Process) -> Self {
        let state = &mut *handle.borrow_mut();
        state.core.handle(state.now(), Input::Undrain, &mut state.effects);
        Self { round: process.drain.round(), ..Self::default() }
    }

    /// True when the process may end, because nobody is left on any shard or the grace is over: a shard that went before the others would leave the
    /// connections unanswered that the kernel still gives to its listener.
    fn step(&mut self, handle: &Handle, process: &Process) -> bool {
        let mut state = handle.borrow_mut();
        let now = state.now();
        let ends = process.drain.ends();
        let grace_ms = process.live().config.timeouts.drain.as_millis() as u64;
        let began_ms = *self.began_ms.get_or_insert_with(|| {
            // All are told within two seconds or a third of the grace, whichever is less.
            let spread_ms = (grace_ms / 3).min(2_000);
            let spread_ms = match process.drain.spread_ms() {
                Some(wanted_ms) if ends => wanted_ms.min(grace_ms / 3),
                Some(wanted_ms) => wanted_ms,
                None => spread_ms,
            };
            let at_once_min = if process.drain.spread_ms().is_some() { 1 } else { 16 };
            let steps = spread_ms / DRAIN_STEP.as_millis() as u64;
            self.share = (state.core.connections() as u64).div_ceil(steps.max(1)).max(at_once_min) as u32;
            now.mono_ms()
        });
        if now.mono_ms() >= self.stepped_ms + DRAIN_STEP.as_millis() as u64 && !state.core.is_drained() {
            self.stepped_ms = now.mono_ms();
            // What was acknowledged by now is in the inbox at least: its members get it before their end.
            state.take_messages(now);
            let connections = self.share;
            let state = &mut *state;
            state.core.handle(now, Input::Drain { connections }, &mut state.effects);
        }
        let done = state.core.is_drained()
            && state.core.connections() == 0
            && !state.core.has_output()
            && state.core.awaits_no_store();
        if !ends {
            return false;
        }
        if done && !std::mem::replace(&mut self.done, true) {
            process.drain.drained.fetch_add(1, Ordering::Relaxed);
        }
        let all = process.drain.drained.load(Ordering::Relaxed) >= usize::from(process.options.shards);
        all || now.mono_ms() >= began_ms + grace_ms
    }
}
