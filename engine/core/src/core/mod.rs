//! The shard's state machine: every input goes through [`Core::handle`].

mod shell;

use std::collections::VecDeque;
use std::sync::Arc;

use fanfare_protocol::wire::{History, Join};
use fanfare_protocol::ws::{OpCode, encode_frame};
use fanfare_protocol::{Listener, Request};
use foldhash::quality::FixedState;

use crate::close::Close;
use crate::command;
use crate::effect::{Answer, Effects};
use crate::ending::{Ending, Search, Who};
use crate::fact::{FactKind, Label};
use crate::home::HomeRooms;
use crate::hook::Inquirer;
use crate::id::{ConnectionId, Random, RequestId, ShardId};
use crate::input::{Input, Opening};
use crate::local::{Local, State};
use crate::mesh::{Asker, Lookup, Mesh, Origin, ToHome, ToLocal};
use crate::options::Options;
use crate::service::Caller;
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
        let hasher = FixedState::with_seed(options.seeds.hashes);
        let mut random = Random::new(options.seeds.ids ^ (u64::from(shard.0) + 1) << 56);
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
            Input::Command(id, request) => {
                command::handle(&mut self.local, now, id, request, VecDeque::new(), out);
            }
            Input::Commands(id, requests) => {
                let mut requests = VecDeque::from(requests);
                if let Some(first) = requests.pop_front() {
                    command::handle(&mut self.local, now, id, first, requests, out);
                }
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
            Input::Lost(id) => self.local.release(id, out),
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
            Input::History(request, history, caller) => self.look_up(request, history, caller, out),
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
                let refusal = (*refusal).of(command);
                self.local.deny_at_home(id, FactKind::HistoryDenied, &refusal, out);
            }
            Mesh::Local(ToLocal::CallRoll(room)) => self.local.call_roll(room, out),
            Mesh::Local(ToLocal::Expel(room, whom, reason)) => {
                self.local.expel(now, &room, &whom, &reason, out);
            }
            Mesh::Local(ToLocal::Whisper(id, whisper)) => self.local.whisper(now, id, &whisper),
            Mesh::Local(ToLocal::Answered(origin, outcome)) => match origin {
                Origin::Silent | Origin::Letter(_) => {}
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
                Origin::Silent | Origin::Letter(_) | Origin::Roster(..) => {}
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

    fn look_up(
        &mut self,
        request: RequestId,
        history: History,
        caller: Option<Box<Caller>>,
        out: &mut Effects,
    ) {
        let to = self.local.home_of(&history.room);
        let asker = Asker::Http(self.shard, request);
        let role = caller.as_ref().map(|caller| caller.role.clone());
        out.send(to, Mesh::Home(ToHome::History(Box::new(Lookup { history, role, caller, asker }))));
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
        if bare && connection.is_blocked() {
            // Who only pings and never reads would let pongs pile up.
            return;
        }
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
            self.local.peer_closed_too(id, out);
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
}
