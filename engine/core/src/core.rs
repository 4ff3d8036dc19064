//! The shard's state machine: every input goes through [`Core::handle`].

use std::sync::Arc;

use fanfare_protocol::wire::{CommandId, History, Join};
use fanfare_protocol::ws::{OpCode, encode_frame};
use fanfare_protocol::{Listener, Refusal, Request};
use foldhash::quality::FixedState;

use crate::close::Close;
use crate::command;
use crate::durable::{DeadLetter, StoredId, StoredRoom, StoredState};
use crate::effect::{Answer, Effects};
use crate::ending::{Ending, Search, Who};
use crate::fact::{FactKind, Label};
use crate::home::HomeRooms;
use crate::hook::Inquirer;
use crate::id::{ConnectionId, Random, RequestId, ShardId};
use crate::input::{Input, Opening};
use crate::latency::Latency;
use crate::local::{Batch, Local, Rest, State};
use crate::mesh::{Asker, Lookup, Mesh, Origin, ToHome, ToLocal};
use crate::options::Options;
use crate::stats::Stats;
use crate::time::Now;
use crate::view::{Question, Rows};

/// One shard: the rooms it orders and the connections it holds.
#[derive(Debug)]
pub struct Core {
    shard: ShardId,
    home: HomeRooms,
    local: Local,
    drained: u32,
    /// An input is being decided: a panic has left this half done.
    deciding: bool,
}

impl Core {
    /// A shard without connections. All shards of a process are given the same options.
    pub fn new(shard: ShardId, options: Arc<Options>, now: Now) -> Self {
        assert!(shard.0 < options.shards, "shard {} of {}", shard.0, options.shards);
        let hasher = FixedState::with_seed(options.seed);
        let own_seed = options.seed ^ (u64::from(shard.0) + 1) << 56;
        let mut random = Random::new(own_seed);
        let home = HomeRooms::new(Arc::clone(&options), hasher.clone(), Random::new(random.next_u64()));
        let local = Local::new(shard, options, hasher, random, now);
        Self { shard, home, local, drained: 0, deciding: false }
    }

    /// A connection was upgraded: the one input that has an answer of its own.
    pub fn open(&mut self, now: Now, opening: Opening, out: &mut Effects) -> ConnectionId {
        self.deciding = true;
        let id = self.local.open(now, opening, out);
        self.settle(now, out);
        self.deciding = false;
        id
    }

    /// Whether a panic was caught in the middle of a decision. Nothing of this core can be trusted then.
    pub fn is_broken(&self) -> bool {
        self.deciding
    }

    /// Connections opened since the start.
    pub fn opened(&self) -> u64 {
        self.local.stats.opened
    }

    /// Decides one input. What it means for sockets is found in `out` and by flushing.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Effects) {
        self.deciding = true;
        self.local.now_unix_ms = now.unix_ms;
        match input {
            Input::Command(id, request) => command::handle(&mut self.local, now, id, request, out),
            Input::Commands(id, requests) => {
                command::handle_all(&mut self.local, now, id, requests.into(), out);
            }
            Input::Malformed(id, refusal) => command::malformed(&mut self.local, now, id, refusal, out),
            Input::Token(id, command, outcome) => {
                command::token(&mut self.local, now, id, command, outcome, out);
            }
            Input::Ping(id, payload) => self.pong(now, id, &payload),
            Input::Heard(id) => self.heard(now, id),
            Input::Answer(id, frame) => self.answer(id, &frame),
            Input::PeerClosed(id, number) => self.peer_closed(now, id, number, out),
            Input::Close(id, close) => self.local.close(now, id, close, out),
            Input::Lost(id) => self.local.release(now, id, out),
            Input::Mesh(message) => self.mesh(now, message, out),
            Input::Publish { request, index, mut publish, user } => {
                let origin = Origin::Http(self.shard, request, index);
                command::publish::over_http(&mut self.local, now, &mut publish, user, origin, out);
            }
            Input::Ask(request, question) => self.ask(request, &question, out),
            Input::AskHome(request, question) => {
                let to = self.local.home_of(question.room());
                out.send(to, Mesh::Home(ToHome::Ask(self.shard, request, Box::new(question))));
            }
            Input::History(request, history) => self.look_up(request, history, out),
            Input::Call { request, spec, room, args, caller, patterns } => {
                let origin = Origin::Http(self.shard, request, 0);
                let called = command::call::Calling { spec, room, args, caller, origin };
                command::call::over_http(&mut self.local, now, called, patterns.as_ref(), out);
            }
            Input::End(ending) => self.end_everywhere(ending, out),
            Input::Found(search, found) => self.found(now, &search, &found, out),
            Input::Tick => {
                self.local.tick(now, out);
                self.local.give_up_inquiries(now, out);
                if self.local.options.mode.sheds_connections() {
                    self.local.shed_most_indebted(now, out);
                }
                self.home.look_after_readers(now, out);
                self.home.look_after_services(now, out);
                self.home.sweep(now, out);
            }
            Input::Drain { connections } => self.drain(now, connections, out),
            Input::Undrain => self.drained = 0,
        }
        self.settle(now, out);
        self.deciding = false;
    }

    /// Handles what this shard said to itself, until nothing is left, and lets commands go on that waited.
    fn settle(&mut self, now: Now, out: &mut Effects) {
        loop {
            while let Some(message) = out.own.pop_front() {
                self.mesh(now, message, out);
            }
            if self.local.chained.is_empty() {
                break;
            }
            command::chain::go_on_chains(&mut self.local, now, out);
        }
        self.local.forget_vacated();
        for (id, code) in std::mem::take(&mut self.local.refusals) {
            self.local.note_code(id, FactKind::Refused, Label::Nothing, code, "".into(), out);
        }
    }

    fn mesh(&mut self, now: Now, message: Mesh, out: &mut Effects) {
        match message {
            Mesh::Home(message) => self.home.handle(now, message, out),
            Mesh::Local(ToLocal::Joined { connection, room, class, kind, outcome, replay }) => {
                self.local.joined(now, connection, room, class, kind, outcome, replay, out);
                command::go_on(&mut self.local, now, connection, out);
            }
            Mesh::Local(ToLocal::Rejoined(id, rejoined)) => {
                self.local.rejoined(id, *rejoined);
                command::go_on(&mut self.local, now, id, out);
            }
            Mesh::Verdict(Inquirer::Connection(number), verdict) => {
                command::verdict(&mut self.local, now, number, verdict, out);
            }
            Mesh::Verdict(Inquirer::Http(request, index), verdict) => {
                out.answers.push((request, Answer::Verdict(index, verdict)));
            }
            Mesh::Store(report) => self.home.report(now, report, out),
            Mesh::Local(ToLocal::Again(id, room, replay)) => self.local.again(id, &room, &replay, out),
            Mesh::Local(ToLocal::MakeWay(client)) => self.local.make_way(now, &client, out),
            Mesh::Local(ToLocal::Spent(user, rules)) => self.local.spent(now, &user, rules),
            Mesh::Local(ToLocal::Receipt(id, receipt)) => self.local.receipt(id, &receipt),
            Mesh::Local(ToLocal::Reply(id, payload)) => self.local.finished_reply(id, &payload),
            Mesh::Local(ToLocal::Kept(request, payload)) => {
                out.answers.push((request, Answer::Kept(payload)));
            }
            Mesh::Local(ToLocal::ContextEnded(room)) => self.local.context_ended(&room, out),
            Mesh::Local(ToLocal::Deliver(prepared)) => self.local.deliver(&prepared, out),
            Mesh::Local(ToLocal::Refused(id, command, refusal)) => {
                let refusal = Refusal { id: command, ..*refusal };
                self.local.deny_at_home(id, FactKind::HistoryDenied, &refusal, out);
            }
            Mesh::Local(ToLocal::Expel(room, user, reason)) => {
                self.local.expel(now, &room, user.as_ref(), &reason, out);
            }
            Mesh::Local(ToLocal::Whisper(id, whisper)) => self.local.whisper(now, id, &whisper),
            Mesh::Local(ToLocal::Answered(origin, outcome)) => match origin {
                Origin::Silent => {}
                Origin::Roster(address, command) => {
                    command::presence::answer(&mut self.local, address.connection, command, outcome, out);
                }
                Origin::Connection(address, command) => {
                    command::call::answer(&mut self.local, address.connection, command, outcome, out);
                }
                Origin::Http(_, request, _) => {
                    out.answers.push((request, Answer::Done(outcome.map_err(|refusal| *refusal))));
                }
            },
            Mesh::Local(ToLocal::Published(origin, outcome)) => match origin {
                Origin::Silent | Origin::Roster(..) => {}
                Origin::Connection(address, command) => {
                    command::publish::answer(&mut self.local, address.connection, command, outcome, out);
                }
                Origin::Http(_, request, index) => {
                    let outcome = outcome.map(|placed| *placed).map_err(|refusal| *refusal);
                    out.answers.push((request, Answer::Published(index, outcome)));
                }
            },
            Mesh::Local(ToLocal::End(ending)) => self.end(now, &ending, None, out),
            Mesh::Local(ToLocal::Options(options)) => {
                self.home.set_options(Arc::clone(&options));
                self.local.options = options;
            }
            Mesh::Local(ToLocal::Ask(from, request, Question::Disconnect(ending)))
                if matches!(ending.who, Who::Network(_)) =>
            {
                self.end(now, &ending, Some((from, request)), out);
            }
            Mesh::Local(ToLocal::Ask(from, request, question)) => {
                let rows = crate::survey::rows(&mut self.local, &self.home, now, &question, out);
                out.send(from, Mesh::Local(ToLocal::Answer(request, rows)));
            }
            Mesh::Local(ToLocal::Answer(request, rows)) => out.answers.push((request, Answer::Rows(rows))),
        }
    }

    fn look_up(&mut self, request: RequestId, history: History, out: &mut Effects) {
        let to = self.local.home_of(&history.room);
        let asker = Asker::Http(self.shard, request);
        out.send(
            to,
            Mesh::Home(ToHome::History(Box::new(Lookup { history, role: None, caller: None, asker }))),
        );
    }

    fn ask(&mut self, request: RequestId, question: &Question, out: &mut Effects) {
        for shard in 0..self.local.options.shards {
            let ask = ToLocal::Ask(self.shard, request, question.clone());
            out.send(ShardId(shard), Mesh::Local(ask));
        }
    }

    fn end_everywhere(&self, ending: Ending, out: &mut Effects) {
        let ending = Arc::new(ending);
        for shard in 0..self.local.options.shards {
            out.send(ShardId(shard), Mesh::Local(ToLocal::End(Arc::clone(&ending))));
        }
    }

    fn end(
        &mut self,
        now: Now,
        ending: &Arc<Ending>,
        asker: Option<(ShardId, RequestId)>,
        out: &mut Effects,
    ) {
        if let Who::Network(network) = ending.who {
            out.searches.push(Search { network, ending: Arc::clone(ending), asker });
        } else {
            self.local.end(now, ending, out);
        }
    }

    fn found(&mut self, now: Now, search: &Search, found: &[ConnectionId], out: &mut Effects) {
        let count = self.local.end_these(now, found, &search.ending, out);
        if let Some((to, request)) = search.asker {
            out.send(to, Mesh::Local(ToLocal::Answer(request, Rows::Disconnected(count))));
        }
    }

    fn heard(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.local.connections.get_mut(id) {
            connection.received_ms = now.mono_ms();
            connection.pinged = false;
        }
    }

    fn pong(&mut self, now: Now, id: ConnectionId, payload: &[u8]) {
        let rate = self.local.rate();
        let Some(connection) = self.local.connections.get_mut(id) else { return };
        // A peer that pings faster than it may send commands is not answered: RFC 6455 §5.5.3 asks for a
        // pong to the latest ping only.
        let bare = connection.state == State::Bare;
        if connection.state != State::Closing && (bare || connection.bucket.take(now.mono_ms(), rate)) {
            self.local.write(id.slot, |bytes| encode_frame(bytes, OpCode::Pong, false, payload));
        }
    }

    /// Who a connection is to its dialect; nothing where it speaks the engine's own wire.
    pub fn listener(&self, id: ConnectionId) -> Option<Listener<'_>> {
        let connection = self.local.connections.get(id)?;
        connection.listener(self.local.roles.name(connection.role), self.local.now_unix_ms)
    }

    /// What was learned about a connection that speaks a dialect, with its token: what its upgrade gave, in full, rooms to join
    /// after its welcome, and what to do after that. Before the token's [`Input::Token`].
    pub fn introduce(
        &mut self,
        id: ConnectionId,
        given: serde_json::Value,
        rooms: Vec<Join>,
        requests: Vec<Request>,
    ) {
        self.local.introduce(id, given, rooms, requests);
    }

    fn answer(&mut self, id: ConnectionId, frame: &[u8]) {
        if self.local.connections.get(id).is_some_and(|connection| connection.state == State::Bare) {
            self.local.write(id.slot, |bytes| bytes.extend_from_slice(frame));
        }
    }

    fn peer_closed(&mut self, now: Now, id: ConnectionId, number: Option<u16>, out: &mut Effects) {
        let Some(connection) = self.local.connections.get_mut(id) else { return };
        connection.peer_closed = true;
        if connection.state == State::Closing {
            self.local.peer_closed_too(now, id, out);
            return;
        }
        self.local.close(now, id, Close::protocol(number.unwrap_or(1_000), ""), out);
    }

    fn drain(&mut self, now: Now, connections: u32, out: &mut Effects) {
        let mut left = connections;
        while left > 0 && self.drained < self.local.connections.slots() {
            let slot = self.drained;
            self.drained += 1;
            if self.local.connections.in_slot(slot).is_some() {
                left -= 1;
                let id = self.local.connections.id_of(slot);
                self.local.close(now, id, Close::protocol(1_012, "service restart; reconnect"), out);
            }
        }
    }

    /// Whether every connection was told that the server restarts.
    pub fn is_drained(&self) -> bool {
        self.drained >= self.local.connections.slots()
    }

    /// The rooms and connections are told apart by these; both must stay until all is out.
    pub fn connections(&self) -> usize {
        self.local.connections.len()
    }

    /// Puts back a room that outlived the process, on its home shard, before anything else happens there.
    pub fn restore_room(&mut self, now: Now, room: StoredRoom) {
        self.home.restore(now, room);
    }

    /// Puts back a publisher's id, on its room's home shard. All rooms must be there, and ids come in the order of their times.
    pub fn restore_id(&mut self, now: Now, id: &StoredId) {
        self.home.restore_id(now, id);
    }

    /// Puts back a dead letter, on the home shard of its user's own room.
    pub fn restore_letter(&mut self, now: Now, letter: DeadLetter) {
        self.home.restore_letter(now, letter);
    }

    /// Puts back what a service had of a room, on the room's home shard, after all rooms.
    pub fn restore_state(&mut self, now: Now, state: &StoredState) {
        self.home.restore_state(now, state);
    }

    /// Whether no publish waits for the store.
    pub fn awaits_no_store(&self) -> bool {
        self.home.store.waiting() == 0
    }

    /// Writes this shard has made so far: what [`crate::Report::Stored`] counts.
    pub fn written(&self) -> u64 {
        self.home.store.written()
    }

    /// How often this shard was told that the store failed. Writes from before do not count any more.
    pub fn store_failures(&self) -> u32 {
        self.home.store.failures
    }

    /// Whether a flush would send anything.
    pub fn has_output(&self) -> bool {
        self.local.has_output()
    }

    /// The largest tick buffer, in bytes: the shell flushes before it grows beyond what sockets take.
    pub fn tick_bytes(&self) -> u64 {
        self.local.stats.tick_bytes
    }

    /// Freezes what is to be sent; see [`Batch`].
    pub fn begin_flush(&mut self, now: Now, out: &mut Effects) {
        self.local.begin_flush(now, out);
        self.settle(now, out);
    }

    /// What single connections get: a number for [`Core::direct_rest`], the slot, the bytes.
    pub fn direct(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        self.local.direct()
    }

    /// One of [`Core::direct`] was not taken whole.
    pub fn direct_rest(&mut self, now: Now, number: u32, rest: Rest, out: &mut Effects) {
        self.local.direct_rest(now, number, rest, out);
        self.settle(now, out);
    }

    /// The next slice of members, at most `max`, and the bytes they all get; nothing when all are served.
    pub fn next_batch(&mut self, max: usize) -> Option<Batch<'_>> {
        self.local.next_batch(max)
    }

    /// A connection of the last batch did not take it whole.
    pub fn batch_rest(&mut self, now: Now, slot: u32, rest: Rest, out: &mut Effects) {
        self.local.batch_rest(now, slot, rest, out);
        self.settle(now, out);
    }

    /// Ends the flush.
    pub fn finish_flush(&mut self, now: Now, out: &mut Effects) {
        self.local.finish_flush(now, out);
        self.settle(now, out);
    }

    /// There is room to write to a connection again: `send` hands bytes over and says how many were taken.
    pub fn writable(
        &mut self,
        now: Now,
        id: ConnectionId,
        send: impl FnMut(&[u8]) -> Rest,
        out: &mut Effects,
    ) {
        self.local.drain_backlog(now, id, send, out);
        self.settle(now, out);
    }

    /// Whether bytes wait for this connection because it does not read.
    pub fn is_blocked(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some_and(|connection| connection.is_blocked())
    }

    /// Whether the core still holds this connection and has not closed it.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some_and(|connection| connection.state != State::Closing)
    }

    /// Whether the core still holds this connection at all.
    pub fn holds(&self, id: ConnectionId) -> bool {
        self.local.connections.get(id).is_some()
    }

    /// Counts and gauges of this shard.
    pub fn stats(&self) -> Stats {
        let mut stats = self.local.stats.clone();
        stats.connections = self.local.connections.len() as u64;
        stats.rate_users = self.local.rate_users() as u64;
        stats.local_rooms = self.local.rooms.len() as u64;
        stats.home_rooms = self.home.len() as u64;
        stats.inquiries_waiting = self.local.inquiries.len() as u64;
        stats.published = self.home.published;
        stats.repeated = self.home.repeated;
        stats.recovered = self.home.recovered;
        stats.unrecovered = self.home.unrecovered;
        stats.kept_messages = self.home.ledger.messages() as u64;
        stats.kept_bytes = self.home.ledger.bytes() as u64;
        stats.evicted = self.home.ledger.evicted;
        stats.message_ids = self.home.recent.len() as u64;
        let readers = &self.home.readers;
        stats.subscribers = readers.subscribers as u64;
        stats.acknowledged = readers.acknowledged;
        stats.redelivered = readers.redelivered;
        stats.buried = readers.buried;
        stats.overflowed = readers.overflowed;
        stats.expired_subscribers = readers.expired;
        stats.dead_letters = readers.dead_letters as u64;
        stats.dead_letters_dropped = readers.dead_letters_dropped;
        stats.store_waiting = self.home.store.waiting() as u64;
        stats.sessions = self.home.sessions.len() as u64;
        stats.resumed = self.home.sessions.resumed;
        stats.services = self.home.services.counts().to_vec();
        stats.services_dropped = self.home.services.dropped().to_vec();
        stats.encoded = self.home.encoder.encoded;
        stats.compressed = self.home.encoder.compressions;
        stats.contexts = self.home.compressors.used() as u64;
        stats.context_resets = self.home.compressors.resets;
        stats
    }

    /// How long messages took from being read to being flushed.
    pub fn latency(&self) -> &Latency {
        self.local.latency()
    }

    /// Counts a token that a connection shows against its rate, before anybody looks at it. False: it was refused, or the
    /// connection has ended. A connection's first token is what it is let in with.
    pub fn may_show_token(&mut self, now: Now, id: ConnectionId, command: Option<&CommandId>) -> bool {
        command::may_show_token(&mut self.local, now, id, command)
    }
}
