//! One play: a deployment of some shape, some people, some thousand steps. What they leave behind is looked at in `end`.

use fanfare_core::{Devices, Input};
use serde_json::Value;

use crate::company::company;
use crate::ledger::Published;
use crate::options::{ACKNOWLEDGED, ROLES, ROOMS, options};
use crate::{Acks, Deed, Ledger, Person, Random, Tried, Weights, World, lasting};

/// What is played; the same script is the same play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Everything that is random comes from it.
    pub seed: u64,
    /// How many things happen.
    pub steps: u32,
    /// How many people there are, if that does not come from the seed.
    pub people: Option<usize>,
    /// What never happens.
    pub without: Vec<Deed>,
}

/// What people write down together.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) ledger: Ledger,
    pub(crate) acks: Acks,
    /// Connections that tried to go on with what is another's.
    pub(crate) thieves: Vec<usize>,
}

/// A play while it is played.
#[derive(Debug)]
pub struct Play {
    pub(crate) world: World,
    pub(crate) people: Vec<Person>,
    pub(crate) notes: Notes,
    weights: Weights,
    seed: u64,
    pub(crate) failures: u64,
}

/// Plays a script to its end.
///
/// # Panics
/// Something is not as it must be.
pub fn play(script: &Script) -> Tried {
    let mut play = Play::new(script);
    for step in 0..script.steps {
        play.step();
        if step % 64 == 0 {
            play.check_bounds();
        }
    }
    play.come_to_rest()
}

impl Play {
    /// The beginning of a script.
    pub fn new(script: &Script) -> Self {
        let mut random = Random::new(script.seed);
        let shards = 1 + random.below(4) as u8;
        let options = options(&mut random);
        let each =
            options.room_types.iter().any(|of| *of.name == *ACKNOWLEDGED && of.devices == Devices::Each);
        let mut world = World::new(shards, script.seed, options);
        world.window = [usize::MAX, 400, 3_000][random.below(3)];
        let drawn = 3 + random.below(9);
        let people = company(&mut random, script.people.unwrap_or(drawn), each);
        let weights = Weights::new(script.seed, &script.without);
        let notes = Notes::default();
        let mut play = Self { world, people, notes, weights, seed: script.seed, failures: 0 };
        if script.people.is_some_and(|people| people > drawn) {
            play.gather();
        }
        play
    }

    /// Everybody is there from the start.
    fn gather(&mut self) {
        for person in &mut self.people {
            person.come_back(&mut self.world, &self.notes.acks);
            let room = ROOMS[self.world.random.below(ROOMS.len())];
            person.join(&mut self.world, &self.notes.acks, room);
        }
    }

    /// One thing happens.
    ///
    /// # Panics
    /// It must not.
    pub fn step(&mut self) {
        let deed = self.weights.pick(&mut self.world.random);
        match deed {
            Deed::Flush => self.flush(),
            Deed::Restart => self.restart(),
            Deed::Jump => self.jump(),
            _ => {
                self.failures += u64::from(deed == Deed::FailStore && self.world.options.store);
                Self::act(deed, &mut self.world, &mut self.people, &mut self.notes);
            }
        }
    }

    fn act(deed: Deed, world: &mut World, people: &mut [Person], notes: &mut Notes) {
        let at = world.random.below(people.len());
        let room = ROOMS[world.random.below(ROOMS.len())];
        let Notes { ledger, acks, thieves } = notes;
        match deed {
            Deed::Join => people[at].join(world, acks, room),
            Deed::Leave => people[at].leave(world, room),
            Deed::Publish => publish(world, &mut people[at], at, room, 0, ledger),
            Deed::Urge => {
                // Few different ones, so that some are as urgent as others.
                let priority = [1, 5, 9][world.random.below(3)];
                publish(world, &mut people[at], at, room, priority, ledger);
            }
            Deed::Whisper => {
                let to = world.random.below(people.len());
                let room = format!("@user:{}", people[to].who.user);
                let priority = [0, 0, 0, 7][world.random.below(4)];
                publish(world, &mut people[at], at, &room, priority, ledger);
            }
            Deed::Retry if !ledger.is_empty() => {
                let number = world.random.below(ledger.len());
                let message = ledger.message(number);
                let by = people.get_mut(message.by).filter(|_| message.message_id.is_some());
                if let Some(person) = by {
                    person.publish(world, ledger, number);
                }
            }
            Deed::Ack => {
                let room = ROOMS.into_iter().find(|room| room.starts_with(ACKNOWLEDGED));
                people[at].acknowledge(world, acks, room.expect("there is one"));
            }
            Deed::History => people[at].read_history(world, room),
            Deed::Deliver => {
                for _ in 0..world.random.below(8) {
                    world.deliver_one();
                }
            }
            Deed::Read => {
                let person = &mut people[at];
                if let Some(client) = person.client() {
                    let bytes = world.random.below(5_000);
                    world.reads(client, bytes);
                }
                person.take(world, ledger, acks);
            }
            Deed::Lose => {
                let person = &mut people[at];
                person.take(world, ledger, acks);
                person.lose(world);
            }
            Deed::Forget => {
                let person = &mut people[at];
                person.take(world, ledger, acks);
                // Who always has the same client id would be there twice under it.
                if person.who.device.is_none() && person.session.may_forget(world) {
                    person.forget(world);
                }
            }
            Deed::Return => people[at].come_back(world, acks),
            Deed::Steal => {
                let from = world.random.below(people.len());
                thieves.extend(steal(world, people, at, from));
            }
            Deed::Pass => {
                let ms = [1, 300, 2_000, 12_000, 40_000][world.random.below(5)];
                world.pass(ms);
            }
            Deed::Store => world.store_one(),
            Deed::FailStore => world.fail_store(),
            Deed::HealStore => world.heal_store(),
            Deed::Retry | Deed::Flush | Deed::Restart | Deed::Jump => {}
        }
    }

    /// A flush in slices, with anything else between them.
    fn flush(&mut self) {
        let shard = self.world.random.below(self.world.cores.len());
        let Self { world, people, notes, weights, .. } = self;
        world.flush(shard, |world| {
            let deed = weights.pick(&mut world.random);
            // Time stands still within a tick, and a process that dies flushes nothing.
            if !matches!(deed, Deed::Flush | Deed::Restart | Deed::Pass | Deed::Jump) {
                Self::act(deed, world, people, notes);
            }
        });
    }

    /// The process dies in the middle of everything.
    fn restart(&mut self) {
        let Self { world, people, notes: Notes { ledger, acks, thieves }, .. } = self;
        for person in &mut *people {
            person.take(world, ledger, acks);
            person.is_still_in(world);
        }
        check_thieves(world, thieves);
        let lagged = !world.disk.is_up_to_date();
        world.restart(self.seed.wrapping_add((world.life() + 1) << 32));
        people.iter_mut().for_each(|person| person.lose(world));
        lasting::check(world, ledger);
        let readers = acks.restarted(world, lagged);
        let is_kept = |room: &str, reader: &str| readers.contains(&(room.to_owned(), reader.to_owned()));
        people.iter_mut().for_each(|person| person.restarted(world, is_kept));
    }

    /// The wall clock is set by up to an hour, and nobody is disconnected by it.
    fn jump(&mut self) {
        let world = &mut self.world;
        let open = |world: &World| (0..world.clients.len()).filter(|at| world.is_open(*at)).count();
        let before = open(world);
        let by_ms = world.random.below(3_600_000) as u64;
        let back = world.random.chance(50);
        let unix_ms = &mut world.now.unix_ms;
        *unix_ms = if back { *unix_ms - by_ms } else { *unix_ms + by_ms };
        for shard in 0..world.cores.len() {
            world.input(shard, Input::Tick);
        }
        assert_eq!(open(world), before, "the wall clock ended connections");
    }

    /// Every bound holds at any time.
    fn check_bounds(&self) {
        let limits = &self.world.options.limits;
        let mut connections = 0;
        for core in &self.world.cores {
            let stats = core.stats();
            assert!(stats.kept_bytes <= limits.history_bytes as u64, "{} bytes kept", stats.kept_bytes);
            assert!(stats.message_ids <= limits.message_ids as u64);
            assert!(
                stats.store_waiting <= limits.store_queue as u64,
                "{} await the store",
                stats.store_waiting
            );
            assert!(stats.sessions <= limits.sessions as u64);
            connections += stats.connections as usize;
        }
        assert_eq!(connections, self.world.connected(), "connections");
    }
}

/// Somebody opens a connection as itself with what another was given to come back.
fn steal(world: &mut World, people: &mut [Person], thief: usize, from: usize) -> Option<usize> {
    if people[thief].who.user == people[from].who.user {
        return None;
    }
    let token = people[from].session.token()?.to_owned();
    // The client id is free to take for who comes first.
    people[from].session.is_disturbed();
    let shard = world.random.below(world.cores.len());
    // What waits for its user goes there.
    people[thief].inbox.is_shared(world.life());
    let who = &people[thief].who;
    Some(world.open_with(shard, &who.user, who.role, |opening| opening.resume = Some(token.into())))
}

/// Nobody has got anything by that. Gives their welcomes.
pub(crate) fn check_thieves(world: &mut World, thieves: &mut Vec<usize>) -> Vec<Value> {
    let mut welcomes = Vec::new();
    for client in thieves.drain(..) {
        for message in world.take_messages(client) {
            let resumed = message["resumed"] == true || message["type"] == "joined";
            assert!(!resumed, "{message}: with what is another's");
            welcomes.extend((message["type"] == "welcome").then_some(message));
        }
        if !world.clients[client].closed {
            world.lose(client);
        }
    }
    welcomes
}

pub(crate) fn publish(
    world: &mut World,
    person: &mut Person,
    by: usize,
    room: &str,
    priority: u8,
    ledger: &mut Ledger,
) {
    let Some(client) = person.client() else { return };
    let random = &mut world.random;
    let message_id = random.chance(20).then(|| format!("id-{}", ledger.len()));
    let whispers = room.starts_with('@');
    let message = Published {
        room: room.to_owned(),
        by,
        user: person.who.user.clone(),
        clients: Vec::new(),
        receipts: random.chance(40) && room.starts_with(ACKNOWLEDGED),
        is_forbidden: whispers && person.who.role != ROLES[0],
        // Whose copy is left out would depend on which try came first.
        exclude: (message_id.is_none() && !whispers && random.chance(20)).then_some(client),
        roles: if !whispers && random.chance(15) { vec![person.who.role] } else { Vec::new() },
        key: random.chance(40).then(|| random.below(3)),
        priority,
        at_ms: world.now.mono_ms(),
        expires: !whispers && random.chance(5),
        message_id,
        place: None,
    };
    let number = ledger.publish(message);
    person.publish(world, ledger, number);
}
