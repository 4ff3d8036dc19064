//! Shards, the queues between them, and sockets that take as much as they like.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fanfare_core::{
    Answer, ConnectionId, Core, Effects, Identity, Input, Inquiry, Mesh, Now, Opening, Options, RequestId,
    Seeds, ShardId, Verdict,
};
use fanfare_protocol::deflate::Inflater;
use fanfare_protocol::{Encoding, RoomName, json};
use serde_json::Value;

use crate::{Disk, Random};

/// A client's end: what arrived, and how much more its socket takes.
#[derive(Debug)]
pub struct Client {
    /// The shard that holds it.
    pub shard: usize,
    /// Its name there.
    pub id: ConnectionId,
    /// Its role.
    pub role: String,
    /// Bytes that arrived and were not taken.
    pub received: Vec<u8>,
    /// What it reads compressed messages with.
    pub inflater: Inflater,
    /// Bytes the kernel would still take.
    pub room: usize,
    /// Whether its shard waits for the socket to take more.
    pub waits_for_room: bool,
    /// Whether its shard has let go of it.
    pub closed: bool,
}

/// A deployment.
#[derive(Debug)]
pub struct World {
    /// What orders everything.
    pub random: Random,
    /// The shards.
    pub cores: Vec<Core>,
    /// The time, the same for all.
    pub now: Now,
    /// What all shards were started with.
    pub options: Arc<Options>,
    pub(crate) effects: Vec<Effects>,
    queues: HashMap<(usize, usize), VecDeque<Mesh>>,
    /// All connections there ever were.
    pub clients: Vec<Client>,
    by_id: HashMap<(usize, u64), usize>,
    /// Who had a slot of a shard last.
    pub(crate) by_slot: HashMap<(usize, u32), usize>,
    life: u64,
    connected: usize,
    /// Whether a life before this one had to let go of messages because all took too much.
    evicted: bool,
    /// Room of a socket whose client reads.
    pub window: usize,
    /// What the shards' stores were asked to keep.
    pub disk: Disk,
    /// Answers to [`Input::AskHome`] and the like.
    pub answers: Vec<(RequestId, Answer)>,
    /// What a backend was asked, and by which shard.
    pub inquiries: Vec<(usize, Inquiry)>,
}

impl World {
    /// A deployment of so many shards. Commands have no rate here.
    pub fn new(shards: u8, seed: u64, mut options: Options) -> Self {
        options.shards = shards;
        options.seeds = Seeds { hashes: seed, ids: !seed };
        options.limits.commands_per_minute = 0;
        let options = Arc::new(options);
        let now = Now { mono_us: 1_000_000, unix_ms: 1_700_000_000_000 };
        let ids = || (0..shards).map(ShardId);
        Self {
            random: Random::new(seed),
            cores: ids().map(|shard| Core::new(shard, Arc::clone(&options), now)).collect(),
            now,
            options: Arc::clone(&options),
            effects: ids().map(Effects::new).collect(),
            queues: HashMap::new(),
            clients: Vec::new(),
            by_id: HashMap::new(),
            by_slot: HashMap::new(),
            life: 0,
            connected: 0,
            evicted: false,
            window: usize::MAX,
            disk: Disk::new(usize::from(shards)),
            answers: Vec::new(),
            inquiries: Vec::new(),
        }
    }

    /// The process dies and starts again with what its store kept; the time goes on.
    pub fn restart(&mut self, seed: u64) {
        let mut options = Options::clone(&self.options);
        options.seeds = Seeds { hashes: seed, ids: !seed };
        self.life += 1;
        self.evicted = self.has_evicted();
        self.options = Arc::new(options);
        let ids = || (0..self.options.shards).map(ShardId);
        self.cores = ids().map(|shard| Core::new(shard, Arc::clone(&self.options), self.now)).collect();
        self.effects = ids().map(Effects::new).collect();
        self.queues.clear();
        self.by_id.clear();
        self.by_slot.clear();
        self.connected = 0;
        self.clients.iter_mut().for_each(|client| client.closed = true);
        let first_came_through = self.random.chance(50);
        self.disk.crash(first_came_through);
        self.restore();
    }

    fn restore(&mut self) {
        let Self { cores, disk, now, options, .. } = self;
        for room in disk.rooms() {
            let home = options.home_of(&room.room);
            cores[home.index()].restore_room(*now, room);
        }
        for id in disk.ids() {
            let home = options.home_of(&id.room);
            cores[home.index()].restore_id(*now, id);
        }
        for state in disk.states() {
            let home = options.home_of(&state.room);
            cores[home.index()].restore_state(*now, &state).expect("it was written here");
        }
        for letter in disk.dead() {
            let home = options.home_of(&letter.user);
            cores[home.index()].restore_letter(*now, letter.clone());
        }
    }

    /// The store fails, perhaps after it has written the first of what waits; shards are told.
    pub fn fail_store(&mut self) {
        let torn = self.random.chance(50);
        for (shard, report) in self.disk.fail(torn) {
            self.input(shard, Input::Mesh(Mesh::Store(report)));
        }
    }

    /// The store works again; shards are told.
    pub fn heal_store(&mut self) {
        for (shard, report) in self.disk.heal() {
            self.input(shard, Input::Mesh(Mesh::Store(report)));
        }
    }

    /// The store does what it was asked for first, if anything.
    pub fn store_one(&mut self) {
        if let Some((shard, report)) = self.disk.commit() {
            self.input(shard, Input::Mesh(Mesh::Store(report)));
        }
    }

    /// Whether messages of a room are handed out only when the store has them.
    pub fn is_durable(&self, room: &RoomName) -> bool {
        self.options.store
            && self.options.type_of(room).durable
            && (!room.is_engine_room() || room.is_inbox())
    }

    /// Whether the server holds a connection and has not closed it.
    pub fn is_open(&self, client: usize) -> bool {
        let Client { shard, id, closed, .. } = self.clients[client];
        !closed && self.cores[shard].is_open(id)
    }

    /// How many connections the shards hold.
    pub fn connected(&self) -> usize {
        self.connected
    }

    /// Whether a shard ever had to let go of messages because all together took too much.
    pub fn has_evicted(&self) -> bool {
        self.evicted || self.cores.iter().any(|core| core.stats().evicted > 0)
    }

    /// Frames that the shards have sent since they were started that refer to those before them.
    pub fn shared(&self) -> u64 {
        self.cores.iter().flat_map(|core| core.stats().wire).map(|of| of.shared).sum()
    }

    /// How often it was restarted.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Opens a connection with a good token.
    pub fn open(&mut self, shard: usize, user: &str, role: &str, encoding: Encoding) -> usize {
        self.open_with(shard, user, role, |opening| opening.encoding = encoding)
    }

    /// The same, with an upgrade that says more.
    pub fn open_with(
        &mut self,
        shard: usize,
        user: &str,
        role: &str,
        change: impl FnOnce(&mut Opening),
    ) -> usize {
        let identity = Identity {
            user_id: user.into(),
            role: role.into(),
            rooms: None,
            key: 0,
            expires_at_unix_ms: self.now.unix_ms + 3_600_000,
        };
        let mut opening = Opening { identity: Some(identity), ..Opening::new(Encoding::Json) };
        change(&mut opening);
        let id = self.cores[shard].open(self.now, opening, &mut self.effects[shard]);
        let client = self.clients.len();
        self.connected += 1;
        self.by_id.insert((shard, id.token()), client);
        self.by_slot.insert((shard, id.slot), client);
        self.clients.push(Client {
            shard,
            id,
            role: role.to_owned(),
            received: Vec::new(),
            inflater: Inflater::new(),
            room: self.window,
            waits_for_room: false,
            closed: false,
        });
        self.perform(shard);
        client
    }

    /// Something happens to a shard.
    pub fn input(&mut self, shard: usize, input: Input) {
        self.cores[shard].handle(self.now, input, &mut self.effects[shard]);
        self.perform(shard);
    }

    /// One command, as the client would write it.
    pub fn command(&mut self, client: usize, command: &Value) {
        let Client { shard, id, closed, .. } = self.clients[client];
        if closed {
            return;
        }
        let mut requests = Vec::new();
        json::decode(command.to_string().as_bytes(), &mut |request| requests.push(request));
        for request in requests {
            match request {
                Ok(request) => self.input(shard, Input::Command(id, request)),
                Err(refusal) => self.input(shard, Input::Malformed(id, refusal)),
            }
        }
    }

    /// The client is gone without a word.
    pub fn lose(&mut self, client: usize) {
        let Client { shard, id, .. } = self.clients[client];
        self.input(shard, Input::Lost(id));
    }

    pub(crate) fn perform(&mut self, shard: usize) {
        let effects = &mut self.effects[shard];
        for (to, message) in effects.mesh.drain(..) {
            assert_ne!(to.index(), shard, "a shard's own messages stay inside");
            self.queues.entry((shard, to.index())).or_default().push_back(message);
        }
        for (id, waits) in effects.writable.drain(..) {
            if let Some(&client) = self.by_id.get(&(shard, id.token())) {
                self.clients[client].waits_for_room = waits;
            }
        }
        for id in effects.closed.drain(..) {
            let client = self.by_id[&(shard, id.token())];
            assert!(!self.clients[client].closed, "closed twice");
            self.clients[client].closed = true;
            self.connected -= 1;
        }
        let writes = std::mem::take(&mut effects.writes);
        self.answers.append(&mut effects.answers);
        let effects = &mut self.effects[shard];
        self.inquiries.extend(effects.inquiries.drain(..).map(|inquiry| (shard, inquiry)));
        let denials = std::mem::take(&mut effects.denials);
        effects.facts.clear();
        effects.finished.clear();
        if !writes.is_empty() {
            let core = &self.cores[shard];
            self.disk.ask(shard, core.store_failures(), core.written(), writes);
        }
        // As the shell does, which notes them first.
        for ending in denials.iter().filter_map(|change| change.ending(|_| Vec::new())) {
            self.input(shard, Input::End(ending));
        }
    }

    /// One message of one pair of shards arrives. False when none is on its way.
    pub fn deliver_one(&mut self) -> bool {
        let mut waiting: Vec<(usize, usize)> =
            self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(pair, _)| *pair).collect();
        if waiting.is_empty() {
            return false;
        }
        waiting.sort_unstable();
        let pair = waiting[self.random.below(waiting.len())];
        let message = self.queues.get_mut(&pair).unwrap().pop_front().unwrap();
        self.input(pair.1, Input::Mesh(message));
        true
    }

    /// Delivers and flushes until nothing moves any more.
    pub fn settle(&mut self) {
        loop {
            while self.deliver_one() {}
            let mut flushed = false;
            for shard in 0..self.cores.len() {
                flushed |= self.cores[shard].has_output();
                self.flush(shard, |_| {});
            }
            if !flushed && self.queues.values().all(VecDeque::is_empty) {
                return;
            }
        }
    }

    /// The store does all it was asked for and says so.
    pub fn store(&mut self) {
        while let Some((shard, report)) = self.disk.commit() {
            self.input(shard, Input::Mesh(Mesh::Store(report)));
        }
    }

    /// Whether no message is on its way and nothing waits to be flushed or stored.
    pub fn is_quiet(&self) -> bool {
        !self.disk.is_waiting()
            && self.queues.values().all(VecDeque::is_empty)
            && !self.cores.iter().any(Core::has_output)
    }

    /// A backend answers what it was asked.
    pub fn answer(&mut self, shard: usize, inquiry: &Inquiry, verdict: Verdict) {
        self.input(shard, Input::Mesh(Mesh::Verdict(inquiry.inquirer, verdict)));
    }

    /// Time passes, and every shard notices.
    pub fn pass(&mut self, ms: u64) {
        self.now.mono_us += ms * 1_000;
        self.now.unix_ms += ms;
        for shard in 0..self.cores.len() {
            self.input(shard, Input::Tick);
        }
    }
}
