//! Plays of services: some people on some shards ask a service for things, while queues between shards, sockets, time and
//! the store do as they like. Each service has a [`Part`] that knows what must come of it.

mod access;
mod chat;
mod monitor;
mod notification;
mod operation;
mod poll;
mod presence;
mod room;
mod score;

use std::collections::HashMap;

use fanfare_core::{Options, Presence, RoomType};
use fanfare_protocol::Encoding;
use serde_json::Value;

use crate::World;

/// What a service is asked for in a play, and what must come of it.
pub trait Part {
    /// Changes what the shards are started with.
    fn options(&self, options: &mut Options) {
        let _ = options;
    }

    /// Somebody does something. `who` is a number of [`Stage::people`] who is there.
    fn act(&mut self, stage: &mut Stage, who: usize);

    /// Somebody hears something: a message, or an answer with the command it belongs to.
    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>);

    /// The process was started anew: what only lived in memory is gone.
    fn restarted(&mut self, stage: &mut Stage) {
        let _ = stage;
    }

    /// Nothing moves any more, and everybody is there: all must agree.
    fn rest(&mut self, stage: &mut Stage);
}

/// Somebody with a name of its own.
#[derive(Debug)]
pub struct Actor {
    /// The user.
    pub user: String,
    /// The role.
    pub role: &'static str,
    /// The connection, while there is one.
    pub client: Option<usize>,
}

/// Where a play takes place.
#[derive(Debug)]
pub struct Stage {
    /// The deployment.
    pub world: World,
    /// Who takes part. The first one is an admin; two have the same name.
    pub people: Vec<Actor>,
    asked: HashMap<u64, Value>,
    next_id: u64,
    stores: bool,
}

/// Makes a part that has not begun.
pub type Make = fn() -> Box<dyn Part>;

/// Every part, by name.
pub const PARTS: [(&str, Make); 10] = [
    ("access", || Box::<access::Bans>::default()),
    ("operation", || Box::<operation::Operations>::default()),
    ("poll", || Box::<poll::Polls>::default()),
    ("presence", || Box::new(presence::Presence::of_users())),
    ("presence_each", || Box::new(presence::Presence::of_connections())),
    ("room", || Box::<room::Rooms>::default()),
    ("notification", || Box::<notification::Notifications>::default()),
    ("chat", || Box::<chat::Chats>::default()),
    ("monitor", || Box::<monitor::Monitors>::default()),
    ("score", || Box::new(score::Scores)),
];

/// Plays one part from a seed.
///
/// # Panics
/// Something is not as it must be.
pub fn play(part: &mut dyn Part, seed: u64, steps: u32) {
    let mut stage = Stage::new(part, seed);
    for _ in 0..steps {
        stage.step(part);
    }
    stage.come_to_rest(part);
}

impl Stage {
    fn new(part: &dyn Part, seed: u64) -> Self {
        let mut random = crate::Random::new(seed);
        let stores = random.chance(60);
        let mut options = Options {
            store: stores,
            room_types: vec![
                RoomType { presence: Presence::Users, ..RoomType::open("seen") },
                RoomType { presence: Presence::Connections, ..RoomType::open("met") },
            ],
            ..Options::default()
        };
        part.options(&mut options);
        let mut world = World::new(1 + random.below(4) as u8, seed, options);
        world.window = [usize::MAX, 2_000][random.below(2)];
        let actor = |(user, role): (&str, _)| Actor { user: user.to_owned(), role, client: None };
        let people = [("root", "admin"), ("ada", "user"), ("ben", "user"), ("ben", "user"), ("cyd", "nurse")];
        let people = people.into_iter().map(actor).collect();
        Self { world, people, asked: HashMap::new(), next_id: 0, stores }
    }

    /// Whether there is a store.
    pub fn stores(&self) -> bool {
        self.stores
    }

    /// Sends a command for somebody who is there, and remembers it until it is answered.
    pub fn ask(&mut self, who: usize, mut command: Value) {
        let Some(client) = self.people[who].client else { return };
        self.next_id += 1;
        command["id"] = self.next_id.into();
        self.asked.insert(self.next_id, command.clone());
        self.world.command(client, &command);
    }

    /// At rest: time passes, and everybody hears what comes of it.
    pub fn pass(&mut self, part: &mut dyn Part, ms: u64) {
        self.world.pass(ms);
        self.settle(part);
        self.gather(part);
    }

    /// Everybody is there.
    fn gather(&mut self, part: &mut dyn Part) {
        for who in 0..self.people.len() {
            if self.people[who].client.is_none() {
                self.come(who);
            }
        }
        self.settle(part);
    }

    /// At rest: asks something and gives the answer; what else somebody hears meanwhile is lost.
    ///
    /// # Panics
    /// There is no answer.
    pub fn answer(&mut self, who: usize, command: Value) -> Value {
        let client = self.people[who].client.expect("everybody is there");
        self.ask(who, command);
        self.asked.remove(&self.next_id);
        // Where sockets take little at a time a long answer comes in many pieces.
        for _ in 0..256 {
            self.world.settle();
            self.world.store();
            self.world.reads(client, usize::MAX);
            let answers = self.world.take_messages(client);
            if let Some(answer) = answers.into_iter().find(|of| of["id"] == self.next_id) {
                return answer;
            }
        }
        panic!("no answer");
    }

    /// At rest: time passes, and everybody comes anew, since nobody here answers pings.
    pub fn wait(&mut self, ms: u64) {
        self.world.pass(ms);
        for who in 0..self.people.len() {
            self.go(who);
            self.come(who);
        }
        self.world.settle();
        self.world.store();
    }

    /// What was asked in this life of the process and not answered: it may be on its way still, or never be heard of again.
    pub fn unanswered(&self) -> impl Iterator<Item = &Value> {
        self.asked.values()
    }

    /// Whether an answer is awaited.
    pub fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    fn step(&mut self, part: &mut dyn Part) {
        let world = &mut self.world;
        match world.random.below(100) {
            0..35 => {
                world.deliver_one();
            }
            35..50 => {
                let shard = world.random.below(world.cores.len());
                world.flush(shard, |_| {});
            }
            50..75 => {
                let who = world.random.below(self.people.len());
                match self.people[who].client {
                    Some(_) => part.act(self, who),
                    None => self.come(who),
                }
            }
            75..80 => {
                let who = world.random.below(self.people.len());
                if let Some(client) = self.people[who].client {
                    world.reads(client, usize::MAX);
                }
            }
            80..83 => {
                let ms = [1, 100, 700, 3_000, 20_000][world.random.below(5)];
                world.pass(ms);
            }
            83..85 => {
                let who = world.random.below(self.people.len());
                self.go(who);
            }
            85 if world.random.chance(10) => self.restart(part),
            86 if self.stores && world.random.chance(20) => world.fail_store(),
            87 if self.stores => world.heal_store(),
            _ => world.store_one(),
        }
        self.listen(part);
    }

    fn come(&mut self, who: usize) {
        let shard = self.world.random.below(self.world.cores.len());
        let encoding = [Encoding::Json, Encoding::MessagePack][self.world.random.below(2)];
        let Actor { user, role, .. } = &self.people[who];
        self.people[who].client = Some(self.world.open(shard, user, role, encoding));
    }

    fn go(&mut self, who: usize) {
        if let Some(client) = self.people[who].client.take()
            && !self.world.clients[client].closed
        {
            self.world.lose(client);
        }
    }

    /// The process dies and comes back with what its store has.
    fn restart(&mut self, part: &mut dyn Part) {
        let seed = (self.world.life() + 1) << 32 | 7;
        self.world.restart(seed);
        self.people.iter_mut().for_each(|actor| actor.client = None);
        self.asked.clear();
        part.restarted(self);
    }

    fn listen(&mut self, part: &mut dyn Part) {
        for who in 0..self.people.len() {
            let Some(client) = self.people[who].client else { continue };
            for message in self.world.take_messages(client) {
                // A close frame, as its number.
                if message.is_number() {
                    self.go(who);
                    break;
                }
                let asked = message["id"].as_u64().and_then(|id| self.asked.remove(&id));
                part.hear(self, who, &message, asked.as_ref());
            }
            if self.people[who].client.is_some() && self.world.clients[client].closed {
                self.people[who].client = None;
            }
        }
    }

    fn settle(&mut self, part: &mut dyn Part) {
        for _ in 0..64 {
            if self.stores {
                self.world.heal_store();
            }
            self.world.settle();
            self.world.store();
            for client in 0..self.world.clients.len() {
                self.world.reads(client, usize::MAX);
            }
            self.listen(part);
            if self.world.is_quiet() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn come_to_rest(&mut self, part: &mut dyn Part) {
        self.settle(part);
        self.gather(part);
        part.rest(self);
        self.settle(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_played_well() {
        for (_, part) in PARTS {
            (1..60).for_each(|seed| play(&mut *part(), seed, 2_000));
        }
    }
}
