//! All connections of a run on one thread: one epoll loop, one read buffer, deadlines for whatever can hang.
//!
//! A fleet knows sockets and stages; what the events mean is the scenario's business, which gets them through
//! a closure as (connection, time of the read in clock nanoseconds, event).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::client::{Client, Event, Place, Shared};
use crate::clock::{Clock, nanos};
use crate::failure::{Failure, Failures, Stage};
use crate::interrupt;
use crate::memo::Memo;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::scan::Scanner;
use crate::socket;
use crate::sys::{Epoll, Events, READABLE, WRITABLE};
use crate::upgrade;

/// Bytes one read takes at most, from all connections in turn.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Events handled between two looks at the clock.
const EVENTS_PER_TURN: usize = 512;
/// Unsent bytes of one connection beyond which the server counts as stuck.
const BACKLOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One connection with its socket.
struct Berth {
    client: Client,
    stream: Option<TcpStream>,
    /// Whether epoll waits for the socket to become writable.
    wants_write: bool,
    /// Whether it was told to stop reading.
    stalled: bool,
    started: u64,
}

impl Berth {
    fn new(plan: &Plan, index: u32) -> Self {
        Self {
            client: Client::new(index, plan.deflate),
            stream: None,
            wants_write: false,
            stalled: false,
            started: 0,
        }
    }
}

/// The connections of a run.
pub(crate) struct Fleet<'p> {
    plan: &'p Plan,
    clock: Clock,
    epoll: Epoll,
    events: Events,
    buffer: Vec<u8>,
    shared: Shared<'p>,
    berths: Vec<Berth>,
    /// Connections to open when there is room for them.
    waiting: VecDeque<u32>,
    /// Deadlines of opening connections; all have the same allowance, so the front is the earliest.
    opening: VecDeque<(u64, u32)>,
    in_progress: u32,
    live: u32,
    failures: Failures,
    /// What became of connections that were told to stop reading.
    fates: Failures,
    received_bytes: u64,
}

impl<'p> Fleet<'p> {
    /// A fleet of the plan's connections, none of them opened yet.
    ///
    /// # Errors
    /// No epoll instance is to be had.
    pub(crate) fn new(plan: &'p Plan, clock: Clock) -> io::Result<Self> {
        let shared =
            Shared { plan, scanner: Scanner::new(plan.encoding, &plan.room_prefix), memo: Memo::new() };
        Ok(Self {
            plan,
            clock,
            epoll: Epoll::new()?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            buffer: vec![0; READ_BUFFER_BYTES],
            shared,
            berths: (0..plan.connections()).map(|index| Berth::new(plan, index)).collect(),
            waiting: VecDeque::new(),
            opening: VecDeque::new(),
            in_progress: 0,
            live: 0,
            failures: Failures::default(),
            fates: Failures::default(),
            received_bytes: 0,
        })
    }

    /// Opens these connections, as many at once as the plan allows, until each is live or failed.
    ///
    /// # Errors
    /// Waiting itself failed; a failing connection is counted and no error.
    pub(crate) fn open(
        &mut self,
        connections: Range<u32>,
        sink: &mut impl FnMut(u32, u64, Event<'_>),
    ) -> io::Result<()> {
        let all = connections.end.saturating_sub(connections.start);
        connections.for_each(|index| self.open_one(index));
        let (mut progress, clock) = (Progress::new(), self.clock);
        let begin = clock.now();
        while self.is_opening() && !interrupt::happened() {
            self.turn(Duration::from_millis(100), sink)?;
            if progress.is_due() {
                let done = u64::from(self.live);
                progress.tell_opening(done, self.failures.total(), all, clock.now() - begin);
            }
        }
        progress.end();
        Ok(())
    }

    /// Opens connection `index` (again) as soon as there is room for one more that is opening; it must not be
    /// open.
    pub(crate) fn open_one(&mut self, index: u32) {
        debug_assert!(matches!(self.berths[index as usize].client.stage(), Stage::Unopened | Stage::Gone));
        self.waiting.push_back(index);
    }

    /// The same for one that comes back and goes on where it had come to.
    pub(crate) fn open_again(&mut self, index: u32, places: Vec<Place>) {
        *self.berths[index as usize].client.places() = places;
        self.open_one(index);
    }

    /// Whether connections are opening, or wait to.
    pub(crate) fn is_opening(&self) -> bool {
        self.in_progress > 0 || !self.waiting.is_empty()
    }

    /// Drops a live connection without a word, as a network does; its scenario is told that it is gone.
    pub(crate) fn hang_up(&mut self, index: u32, sink: &mut impl FnMut(u32, u64, Event<'_>)) {
        let berth = &mut self.berths[index as usize];
        if berth.client.stage() == Stage::Live {
            berth.client.set_stage(Stage::Gone);
            berth.stream = None;
            self.live -= 1;
            sink(index, self.clock.now(), Event::Gone);
        }
    }

    /// Connections that are ready.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Whether connection `index` is ready.
    pub(crate) fn is_live(&self, index: u32) -> bool {
        self.berths.get(index as usize).is_some_and(|berth| berth.client.stage() == Stage::Live)
    }

    /// What failed so far.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Bytes read so far by members; answers to publishers are none of theirs.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// When connection `index` began to open, in clock nanoseconds.
    pub(crate) fn started(&self, index: u32) -> u64 {
        self.berths[index as usize].started
    }

    /// Queues a message on a connection; `false` when it is not live. [`Self::flush`] sends it.
    pub(crate) fn send(&mut self, index: u32, payload: &[u8]) -> bool {
        let berth = &mut self.berths[index as usize];
        let live = berth.client.stage() == Stage::Live;
        if live {
            berth.client.send(self.plan.encoding, payload);
        }
        live
    }

    /// Whether the connection takes more without piling up bytes here.
    pub(crate) fn takes_more(&mut self, index: u32) -> bool {
        let berth = &mut self.berths[index as usize];
        berth.client.stage() == Stage::Live && berth.client.out().len() < READ_BUFFER_BYTES
    }

    /// Sends what is queued on a connection, as far as its socket takes it.
    pub(crate) fn flush(&mut self, index: u32, sink: &mut impl FnMut(u32, u64, Event<'_>)) {
        let wrote = write_out(&self.epoll, &mut self.berths[index as usize], index);
        self.settle(index, wrote, sink);
    }

    /// Reads no more from a connection, though it stays open: a peer that has stalled.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn stop_reading(&mut self, index: u32) -> io::Result<()> {
        let berth = &mut self.berths[index as usize];
        berth.stalled = true;
        match &berth.stream {
            Some(stream) => self.epoll.remove(stream.as_fd()),
            None => Ok(()),
        }
    }

    /// Reads again from a connection that was told to stop.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn read_again(&mut self, index: u32) -> io::Result<()> {
        match &self.berths[index as usize].stream {
            Some(stream) => self.epoll.add(stream.as_fd(), u64::from(index), READABLE),
            None => Ok(()),
        }
    }

    /// How connections ended that were told to stop reading: no failure, but what was asked for.
    pub(crate) fn fates(&self) -> &Failures {
        &self.fates
    }

    /// Waits for at most `timeout` and handles what happened.
    ///
    /// # Errors
    /// Waiting itself failed.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        sink: &mut impl FnMut(u32, u64, Event<'_>),
    ) -> io::Result<()> {
        while self.in_progress < self.plan.opening {
            let Some(index) = self.waiting.pop_front() else { break };
            self.begin(index, sink);
        }
        let count = self.epoll.wait(&mut self.events, timeout)?;
        for event in 0..count {
            let (token, _) = self.events.get(event);
            // Tokens are indexes of `berths`, which fit 32 bits.
            self.ready(token as u32, sink);
        }
        self.expire(sink);
        Ok(())
    }

    fn begin(&mut self, index: u32, sink: &mut impl FnMut(u32, u64, Event<'_>)) {
        let started = self.clock.now();
        let mut berth = Berth { wants_write: true, started, ..Berth::new(self.plan, index) };
        berth.client.set_stage(Stage::Connecting);
        *berth.client.places() = std::mem::take(self.berths[index as usize].client.places());
        self.berths[index as usize] = berth;
        self.opening.push_back((started + nanos(self.plan.timeout), index));
        self.in_progress += 1;
        let watched = socket::connect(self.plan.target.addr, self.plan.source(index)).and_then(|stream| {
            self.epoll.add(stream.as_fd(), u64::from(index), READABLE | WRITABLE)?;
            self.berths[index as usize].stream = Some(stream);
            Ok(())
        });
        self.settle(index, watched.map_err(Failure::from), sink);
    }

    /// Something happened on a socket: goes on with whatever its stage waits for.
    fn ready(&mut self, index: u32, sink: &mut impl FnMut(u32, u64, Event<'_>)) {
        let outcome = self.advance(index, sink);
        self.settle(index, outcome, sink);
    }

    fn advance(&mut self, index: u32, sink: &mut impl FnMut(u32, u64, Event<'_>)) -> Result<(), Failure> {
        let berth = &mut self.berths[index as usize];
        let Some(stream) = &mut berth.stream else { return Ok(()) };
        if berth.client.stage() == Stage::Connecting {
            if let Some(error) = stream.take_error()? {
                return Err(error.into());
            }
            upgrade::write_request(self.plan, index, berth.client.out())?;
            write_out(&self.epoll, berth, index)?;
            // While it is upgrading, `out` collects the answer: a request is far smaller than a fresh
            // socket's buffer, so nothing of it is left.
            if !berth.client.out().is_empty() {
                return Err(Failure::Upgrade("the request did not fit the socket's buffer"));
            }
            berth.client.set_stage(Stage::Upgrading);
            return Ok(());
        }
        let before = berth.client.stage();
        let outcome = match stream.read(&mut self.buffer) {
            Ok(0) => Err(Failure::EndOfStream(before)),
            Ok(len) => {
                if index < self.plan.memberships.connections {
                    self.received_bytes += len as u64;
                }
                let now = self.clock.now();
                let bytes = &mut self.buffer[..len];
                berth.client.received(bytes, &mut self.shared, &mut |event| sink(index, now, event))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error.into()),
        };
        // Before any error is looked at: one read may bring both the last answer and what ends the connection.
        if before != Stage::Live && berth.client.stage() == Stage::Live {
            self.in_progress -= 1;
            self.live += 1;
        }
        outcome?;
        if berth.client.stage() != Stage::Upgrading && !berth.client.out().is_empty() {
            write_out(&self.epoll, berth, index)?;
        }
        Ok(())
    }

    /// Closes the connection when its last step failed.
    fn settle(
        &mut self,
        index: u32,
        outcome: Result<(), Failure>,
        sink: &mut impl FnMut(u32, u64, Event<'_>),
    ) {
        let Err(failure) = outcome else { return };
        let berth = &mut self.berths[index as usize];
        match berth.client.stage() {
            Stage::Gone => return,
            Stage::Live => self.live -= 1,
            _ => self.in_progress -= 1,
        }
        berth.client.set_stage(Stage::Gone);
        berth.stream = None;
        if berth.stalled {
            self.fates.count(&failure);
        } else {
            self.failures.count(&failure);
        }
        sink(index, self.clock.now(), Event::Gone);
    }

    /// Fails the connections that were not ready in time.
    fn expire(&mut self, sink: &mut impl FnMut(u32, u64, Event<'_>)) {
        while let Some(&(deadline, index)) = self.opening.front() {
            let berth = &self.berths[index as usize];
            let stage = berth.client.stage();
            // Also passed over: what the connection had to keep when it was opened before.
            let is_old = berth.started + nanos(self.plan.timeout) != deadline;
            if is_old || matches!(stage, Stage::Live | Stage::Gone) {
                self.opening.pop_front();
            } else if deadline <= self.clock.now() {
                self.opening.pop_front();
                self.settle(index, Err(Failure::Timeout(stage)), sink);
            } else {
                return;
            }
        }
    }
}

/// Sends queued bytes; asks epoll for writability while some are left, and no longer than that.
fn write_out(epoll: &Epoll, berth: &mut Berth, index: u32) -> Result<(), Failure> {
    let Some(stream) = &mut berth.stream else { return Ok(()) };
    let out = berth.client.out();
    let mut sent = 0;
    while sent < out.len() {
        match stream.write(&out[sent..]) {
            Ok(0) => break,
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    if sent == out.len() {
        // A quiet connection keeps no buffer; a publishing one keeps its own.
        if out.capacity() > 4_096 { out.clear() } else { *out = Vec::new() }
    } else {
        out.drain(..sent);
    }
    if out.len() > BACKLOG_BYTES_MAX {
        return Err(Failure::Backlog);
    }
    let wants_write = !out.is_empty();
    if wants_write != berth.wants_write {
        berth.wants_write = wants_write;
        let interest = if wants_write { READABLE | WRITABLE } else { READABLE };
        epoll.modify(stream.as_fd(), u64::from(index), interest)?;
    }
    Ok(())
}
