//! One shard's whole state, and one turn of its loop: collect, decide, flush.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use fanfare_core::{Answer, ConnectionId, Core, Effects, Input, Now, Opening, RequestId, Rest, ShardId};
use fanfare_protocol::ws::MessageReader;
use fanfare_sys::socket::{self, Received, Sent};
use fanfare_sys::{Flusher, Interest, Readiness, Ready, SendError, Target, Unsent};

use crate::addresses::Place;
use crate::audit::Visitor;
use crate::clock::Clock;
use crate::http::Pass;
use crate::inspector::Tail;
use crate::process::Process;
use crate::shard::exchange::Port;
use crate::shard::inspect::Watch;
use crate::shard::read::{Event, Reading};
use crate::shard::sockets::{Socket, Sockets};
use crate::store::{Batch, Restored};
use crate::webhook::Teller;

/// Messages of other shards that one turn takes.
const MESSAGES_A_TURN: usize = 4_096;
/// Sockets that one turn reads from, and that one pause of a flush does.
const SOCKETS_A_TURN: usize = 256;
/// Bytes in one room's buffer from which on a turn stops collecting: more than a socket takes at once only
/// makes backlogs.
const TICK_BYTES: u64 = 64 * 1_024;
/// Sends between two looks at what came in.
const SLICE: usize = 512;
/// How long a turn may leave timers alone.
const TIMER_MS: u64 = 250;
/// One read.
const READ_BYTES: usize = 64 * 1_024;

/// Everything a shard owns. Borrowed for one step at a time, never across an `await`.
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) effects: Effects,
    pub(crate) port: Port,
    pub(crate) readiness: Readiness,
    pub(crate) process: Arc<Process>,
    /// HTTP requests that wait for answers, and what they were answered so far.
    pub(crate) requests: HashMap<RequestId, Waiting>,
    pub(crate) shard: ShardId,
    pub(super) watch: Option<Watch>,
    pub(super) clock: Clock,
    pub(super) sockets: Sockets,
    pub(super) flusher: Flusher,
    pub(super) reading: Reading,
    pub(super) buffer: Box<[u8]>,
    pub(super) ready: Vec<Ready>,
    pub(super) events: Vec<Event>,
    pub(super) unsent: Vec<Unsent>,
    pub(super) next_timer_ms: u64,
    pub(super) next_request: u64,
    pub(super) store: Option<Sender<Batch>>,
    pub(super) teller: Teller,
}

/// How a connection came, beside what the core must know.
pub(crate) struct Came {
    /// For `/echo`: the window to answer with.
    pub(crate) echo: Option<u8>,
    /// For a live tail: what it wants, and what it may stay by.
    pub(crate) tail: Option<(Tail, Pass)>,
    /// What stands for its address, where connections of one address are limited.
    pub(crate) address: Option<Place>,
}

/// The answers a request has so far, and whom to wake when the last one is there.
pub(crate) struct Waiting {
    pub(crate) missing: usize,
    pub(crate) answers: Vec<Answer>,
    pub(crate) waker: Option<std::task::Waker>,
}

impl State {
    pub(crate) fn new(
        shard: ShardId,
        process: Arc<Process>,
        port: Port,
        flusher: Flusher,
        store: Option<(Sender<Batch>, Restored)>,
        teller: Teller,
    ) -> std::io::Result<Self> {
        let clock = process.clock;
        let limits = &process.config.limits;
        let (store, restored) = store.unzip();
        Ok(Self {
            core: core(shard, &process, restored.unwrap_or_default()),
            store,
            teller,
            effects: Effects::new(shard),
            readiness: Readiness::new(SOCKETS_A_TURN)?,
            reading: Reading::new(
                limits.message_size,
                limits.fragments,
                process.config.compression.rooms.level,
                process.config.profiles.message_sizes(),
            ),
            port,
            watch: Watch::new(shard, &process),
            process,
            requests: HashMap::new(),
            shard,
            clock,
            sockets: Sockets::default(),
            flusher,
            buffer: vec![0; READ_BYTES].into(),
            ready: Vec::new(),
            events: Vec::new(),
            unsent: Vec::new(),
            next_timer_ms: 0,
            next_request: 0,
        })
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Takes over an upgraded socket, with what it has sent since its upgrade.
    pub(crate) fn adopt(
        &mut self,
        fd: OwnedFd,
        opening: Opening,
        came: Came,
        leftover: &mut [u8],
        visitor: &Visitor,
    ) -> std::io::Result<()> {
        let now = self.now();
        let Came { echo, tail, address } = came;
        let encoding = opening.encoding;
        let dialect = opening.speaker.as_ref().map_or(0, |speaker| speaker.dialect);
        let deflate = opening.window.is_some();
        let id = self.core.open(now, opening, &mut self.effects);
        self.process.audit.handshake(self.shard, id, visitor);
        if let Err(error) = self.readiness.add(fd.as_raw_fd(), id.token(), Interest::READ) {
            self.core.handle(now, Input::Lost(id), &mut self.effects);
            return Err(error);
        }
        let reader = MessageReader::new(deflate);
        let socket = Socket { fd, reader, generation: id.generation, encoding, address, dialect, echo };
        self.sockets.insert(id.slot, socket);
        if let (Some(watch), Some((tail, pass))) = (&mut self.watch, tail) {
            watch.follow(now, id, tail, pass);
        }
        if !leftover.is_empty() {
            self.understand(now, id, leftover);
        }
        // A connection that ended already must free its slot before the next one opens.
        self.perform(now);
        Ok(())
    }

    /// The shard ends: the store's thread and those of webhooks end with the last of them. (Tasks of this thread may keep
    /// the state.)
    pub(crate) fn leave(&mut self) {
        self.perform(self.now());
        self.store = None;
        self.teller.leave();
        self.port.close();
    }

    /// A number for a request that waits for `answers`.
    pub(crate) fn request(&mut self, answers: usize) -> RequestId {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.requests.insert(request, Waiting { missing: answers, answers: Vec::new(), waker: None });
        request
    }

    /// Asks the core something for a request that waits for so many answers; gives the request's number.
    pub(crate) fn ask(&mut self, answers: usize, input: impl FnOnce(RequestId) -> Input) -> RequestId {
        let request = self.request(answers);
        let now = self.now();
        self.core.handle(now, input(request), &mut self.effects);
        self.port.rouse();
        request
    }

    /// Whether sockets must not be read now.
    pub(crate) fn paused(&self) -> bool {
        self.port.must_pause()
    }

    /// One turn. True when there is more to do at once.
    pub(crate) fn turn(&mut self) -> bool {
        let now = self.now();
        self.port.inbox().awake();
        self.collect_messages(now, MESSAGES_A_TURN);
        if !self.paused() {
            self.collect_reads(now);
        }
        if now.mono_ms() >= self.next_timer_ms {
            self.next_timer_ms = now.mono_ms() + TIMER_MS;
            self.core.handle(now, Input::Tick, &mut self.effects);
            self.publish_stats();
            if let Some(watch) = &mut self.watch {
                watch.check(now, &self.process, &mut self.core, &mut self.effects);
            }
        }
        self.perform(now);
        self.inspect(now);
        if self.core.has_output() {
            self.flush();
        }
        self.port.finish();
        self.core.has_output() || !self.effects.is_empty() || !self.port.inbox().prepare_sleep()
    }

    /// When the timers want to be looked at, in milliseconds of the steady clock.
    pub(crate) fn next_timer_ms(&self) -> u64 {
        self.next_timer_ms
    }

    /// Takes what other shards have sent, all of it.
    pub(crate) fn take_messages(&mut self, now: Now) {
        while !self.port.inbox().is_empty() {
            self.collect_messages(now, MESSAGES_A_TURN);
            if self.core.tick_bytes() >= TICK_BYTES {
                self.flush();
            }
        }
    }

    fn collect_messages(&mut self, now: Now, max: usize) {
        for _ in 0..max {
            let Some(message) = self.port.pop() else { break };
            self.core.handle(now, Input::Mesh(message), &mut self.effects);
            if self.core.tick_bytes() >= TICK_BYTES {
                break;
            }
        }
    }

    fn collect_reads(&mut self, now: Now) {
        let mut ready = std::mem::take(&mut self.ready);
        self.readiness.poll(&mut ready);
        for Ready { token, readable, writable } in ready.drain(..) {
            let id = ConnectionId::from_token(token);
            if writable {
                self.write(now, id);
            }
            // What is not read now is reported again.
            if readable && self.core.tick_bytes() < TICK_BYTES {
                self.read(now, id);
            }
        }
        self.ready = ready;
    }

    fn read(&mut self, now: Now, id: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        match socket::recv(socket.fd.as_raw_fd(), &mut buffer) {
            Received::Bytes(count) => {
                self.core.handle(now, Input::Heard(id), &mut self.effects);
                self.understand(now, id, &mut buffer[..count]);
            }
            Received::Blocked => {}
            Received::Gone => self.core.handle(now, Input::Lost(id), &mut self.effects),
        }
        self.buffer = buffer;
    }

    fn write(&mut self, now: Now, id: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let fd = socket.fd.as_raw_fd();
        let send = |bytes: &[u8]| match socket::send(fd, bytes) {
            Sent::Bytes(taken) => Rest::Blocked(taken),
            Sent::Blocked => Rest::Blocked(0),
            Sent::Gone(_) => Rest::Gone,
        };
        self.core.writable(now, id, send, &mut self.effects);
    }

    /// Sends everything the core has for sockets.
    fn flush(&mut self) {
        let now = self.now();
        self.core.begin_flush(now, &mut self.effects);
        self.flush_direct(now);
        let mut sliced = 0;
        while let Some(batch) = self.core.next_batch(SLICE) {
            let fds = self.sockets.fds();
            let targets = batch.slots.iter().map(|&slot| Target { fd: fds[slot as usize], token: slot });
            sliced += batch.slots.len();
            self.flusher.send(batch.bytes, targets, &mut self.unsent);
            let mut unsent = std::mem::take(&mut self.unsent);
            for Unsent { token, error } in unsent.drain(..) {
                self.core.batch_rest(now, token, rest(error), &mut self.effects);
            }
            self.unsent = unsent;
            if sliced >= SLICE {
                sliced = 0;
                self.look_up(now);
            }
        }
        let now = self.now();
        self.core.finish_flush(now, &mut self.effects);
        self.perform(now);
    }

    fn flush_direct(&mut self, now: Now) {
        let fds = self.sockets.fds();
        let each = self.core.direct();
        let sends =
            each.map(|(number, slot, bytes)| (bytes, Target { fd: fds[slot as usize], token: number }));
        self.flusher.send_each(sends, &mut self.unsent);
        let mut unsent = std::mem::take(&mut self.unsent);
        for Unsent { token, error } in unsent.drain(..) {
            self.core.direct_rest(now, token, rest(error), &mut self.effects);
        }
        self.unsent = unsent;
    }

    /// In the middle of a long flush: what came in is read, so that a ping or a publish does not wait until the
    /// last member is served. Sockets are closed only after the flush, so no descriptor changes its owner.
    fn look_up(&mut self, now: Now) {
        self.perform_mesh();
        self.collect_messages(now, SOCKETS_A_TURN);
        if !self.paused() {
            self.collect_reads(now);
        }
    }

    fn publish_stats(&self) {
        let inbox_depth = self.port.inbox().len() as u64;
        let outbox_depth = self.port.held() as u64;
        self.process.metrics.publish(
            self.shard,
            self.core.stats(),
            self.core.latency(),
            inbox_depth,
            outbox_depth,
        );
    }
}

/// A core with what outlived the process.
fn core(shard: ShardId, process: &Process, restored: Restored) -> Core {
    let now = process.clock.now();
    let mut core = Core::new(shard, Arc::clone(&process.options), now);
    let Restored { rooms, ids, letters, states } = restored;
    rooms.into_iter().for_each(|room| core.restore_room(now, room));
    ids.iter().for_each(|id| core.restore_id(now, id));
    for state in &states {
        if let Err(why) = core.restore_state(now, state) {
            let (room, service) = (state.room.as_str(), &*state.service);
            tracing::error!(
                room,
                service,
                "what the store has of a service is left there, and not used: {why}"
            );
        }
    }
    letters.into_iter().for_each(|letter| core.restore_letter(now, letter));
    core
}

fn rest(error: SendError) -> Rest {
    match error {
        SendError::Blocked { taken } => Rest::Blocked(taken),
        SendError::Gone { .. } => Rest::Gone,
    }
}
