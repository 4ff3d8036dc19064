//! One play: a deployment of some shape, some people, some thousand steps, and what must be true afterwards.

use std::ops::AddAssign;

use crate::ledger::Published;
use crate::options::{ROLES, ROOMS, options};
use crate::{Deed, Ledger, Person, Random, Weights, World, lasting};

/// What is played; the same script is the same play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Everything that is random comes from it.
    pub seed: u64,
    /// How many things happen.
    pub steps: u32,
    /// What never happens.
    pub without: Vec<Deed>,
}

/// A play while it is played.
#[derive(Debug)]
pub struct Play {
    world: World,
    people: Vec<Person>,
    ledger: Ledger,
    weights: Weights,
    seed: u64,
    /// Times at which messages went because all together took too much.
    evicted: bool,
    failures: u64,
}

/// What a play had in it, to see that something was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// Messages published.
    pub published: u64,
    /// Joins that brought all that was missed.
    pub recovered: u64,
    /// Notices of messages that were dropped.
    pub gaps: u64,
    /// Messages that a more urgent one overtook on its way to a slow reader.
    pub overtaken: u64,
    /// Messages that came again after a recovery, having been ahead before it.
    pub repeated: u64,
    /// How often the process died.
    pub restarts: u64,
    /// How often the store failed.
    pub failures: u64,
}

impl AddAssign for Tried {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.recovered += other.recovered;
        self.gaps += other.gaps;
        self.overtaken += other.overtaken;
        self.repeated += other.repeated;
        self.restarts += other.restarts;
        self.failures += other.failures;
    }
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
        let mut world = World::new(shards, script.seed, options(&mut random));
        world.window = [usize::MAX, 400, 3_000][random.below(3)];
        let people = 3 + random.below(9);
        let people = (0..people).map(|number| Person::new(format!("user-{number}"), ROLES[number % 2]));
        let weights = Weights::new(script.seed, &script.without);
        Self {
            world,
            people: people.collect(),
            ledger: Ledger::default(),
            weights,
            seed: script.seed,
            evicted: false,
            failures: 0,
        }
    }

    /// One thing happens.
    ///
    /// # Panics
    /// It must not.
    pub fn step(&mut self) {
        let deed = self.weights.pick(&mut self.world.random);
        if deed == Deed::Flush {
            self.flush();
        } else {
            Self::act(deed, &mut self.world, &mut self.people, &mut self.ledger);
            match deed {
                Deed::Restart => self.restart(),
                Deed::FailStore if self.world.options.store => self.failures += 1,
                _ => {}
            }
        }
    }

    fn act(deed: Deed, world: &mut World, people: &mut [Person], ledger: &mut Ledger) {
        let at = world.random.below(people.len());
        let room = ROOMS[world.random.below(ROOMS.len())];
        let person = &mut people[at];
        match deed {
            Deed::Join => person.join(world, room),
            Deed::Leave => person.leave(world, room),
            Deed::Publish => publish(world, person, at, room, 0, ledger),
            Deed::Urge => {
                // Few different ones, so that some are as urgent as others.
                let priority = [1, 5, 9][world.random.below(3)];
                publish(world, person, at, room, priority, ledger);
            }
            Deed::Retry if !ledger.is_empty() => {
                let number = world.random.below(ledger.len());
                let message = ledger.message(number);
                if message.message_id.is_some() && message.by == at {
                    person.publish(world, ledger, number);
                }
            }
            Deed::History => person.read_history(world, room),
            Deed::Deliver => {
                for _ in 0..world.random.below(8) {
                    world.deliver_one();
                }
            }
            Deed::Read => {
                if let Some(client) = person.client() {
                    let bytes = world.random.below(5_000);
                    world.reads(client, bytes);
                }
                person.take(world, ledger);
            }
            Deed::Lose => {
                person.take(world, ledger);
                person.lose(world);
            }
            Deed::Return => person.come_back(world),
            Deed::Pass => {
                let ms = [1, 300, 2_000, 12_000, 40_000][world.random.below(5)];
                world.pass(ms);
            }
            Deed::Store => world.store_one(),
            Deed::FailStore => world.fail_store(),
            Deed::HealStore => world.heal_store(),
            Deed::Retry | Deed::Flush | Deed::Restart => {}
        }
    }

    /// A flush in slices, with anything else between them.
    fn flush(&mut self) {
        let shard = self.world.random.below(self.world.cores.len());
        let Self { world, people, ledger, weights, .. } = self;
        world.flush(shard, |world| {
            let deed = weights.pick(&mut world.random);
            // Time stands still within a tick, and a process that dies flushes nothing.
            if !matches!(deed, Deed::Flush | Deed::Restart | Deed::Pass) {
                Self::act(deed, world, people, ledger);
            }
        });
    }

    fn restart(&mut self) {
        for person in &mut self.people {
            person.take(&mut self.world, &mut self.ledger);
            person.is_still_in(&self.world);
        }
        self.evicted |= self.world.cores.iter().any(|core| core.stats().evicted > 0);
        self.world.restart(self.seed.wrapping_add((self.world.life() + 1) << 32));
        self.people.iter_mut().for_each(|person| person.lose(&mut self.world));
        lasting::check(&self.world, &self.ledger, self.evicted);
    }

    /// Every bound holds at any time.
    fn check_bounds(&self) {
        let limits = &self.world.options.limits;
        for core in &self.world.cores {
            let stats = core.stats();
            assert!(stats.kept_bytes <= limits.history_bytes as u64, "{} bytes kept", stats.kept_bytes);
            assert!(stats.message_ids <= limits.message_ids as u64);
            assert!(
                stats.store_waiting <= limits.store_queue as u64,
                "{} await the store",
                stats.store_waiting
            );
            assert!(stats.connections <= self.people.len() as u64 * 4, "{} connections", stats.connections);
        }
    }

    /// Somebody looks where every room stands: of a message that nobody saw nobody else would know.
    fn observe(&mut self) {
        let mut observer = Person::new("observer".into(), ROLES[0]);
        self.world.window = usize::MAX;
        observer.come_back(&mut self.world);
        ROOMS.iter().for_each(|room| observer.join(&mut self.world, room));
        self.world.settle();
        observer.take(&mut self.world, &mut self.ledger);
        observer.lose(&mut self.world);
    }

    /// Everybody reads to the end; then everybody goes.
    fn come_to_rest(mut self) -> Tried {
        self.world.heal_store();
        for round in 0..10_000 {
            self.world.settle();
            self.world.store();
            self.world.settle();
            let mut waits = false;
            for person in &mut self.people {
                if let Some(client) = person.client() {
                    self.world.reads(client, 1 << 20);
                    waits |= self.world.clients[client].waits_for_room;
                }
                person.take(&mut self.world, &mut self.ledger);
            }
            if !waits && self.world.is_quiet() {
                break;
            }
            assert!(round < 9_999, "it never comes to rest");
        }
        lasting::check_sizes(&self.world);
        self.observe();
        let (published, restarts) = (self.ledger.len() as u64, self.world.life());
        let mut tried = Tried { published, restarts, failures: self.failures, ..Tried::default() };
        for person in &mut self.people {
            person.check(&self.ledger);
            tried.recovered += person.recovered;
            tried.gaps += person.gaps;
            tried.overtaken += person.overtaken;
            tried.repeated += person.repeated;
            person.lose(&mut self.world);
        }
        self.world.settle();
        // Long enough for every room, its messages and its count to be forgotten, and for sweeps to look at all.
        for _ in 0..8 {
            self.world.pass(310_000);
            self.world.settle();
            self.world.store();
        }
        assert_eq!(self.world.disk.rooms().count(), 0, "rooms that the store has not forgotten");
        assert!(self.world.disk.ids().is_empty(), "ids that the store has not forgotten");
        for core in &self.world.cores {
            let stats = core.stats();
            let left = [
                stats.connections,
                stats.local_rooms,
                stats.home_rooms,
                stats.kept_messages,
                stats.backlog_bytes,
            ];
            assert_eq!(left, [0; 5], "left behind: connections, member rooms, rooms, kept messages, backlog");
        }
        tried
    }
}

fn publish(world: &mut World, person: &mut Person, by: usize, room: &str, priority: u8, ledger: &mut Ledger) {
    let Some(client) = person.client() else { return };
    let random = &mut world.random;
    let message_id = random.chance(20).then(|| format!("id-{}", ledger.len()));
    let message = Published {
        room: room.to_owned(),
        by,
        // Whose copy is left out would depend on which try came first.
        exclude: (message_id.is_none() && random.chance(20)).then_some(client),
        roles: if random.chance(15) { vec![person.role()] } else { Vec::new() },
        key: random.chance(40).then(|| random.below(3)),
        priority,
        at_ms: world.now.mono_ms(),
        expires: random.chance(5),
        message_id,
        place: None,
    };
    let number = ledger.publish(message);
    person.publish(world, ledger, number);
}
