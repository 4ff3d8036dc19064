//! How a play ends: everybody comes back and reads to the end, everything is looked at, then everybody goes.

use std::collections::HashSet;

use crate::options::{ROLES, ROOMS};
use crate::play::{Notes, Play, check_thieves, publish};
use crate::survey::survey;
use crate::{Person, Tried, Who, World, lasting};

/// Messages that wait for each one who is away in the end, and for how many at most.
const WHISPERS: usize = 7;
const AWAY_MAX: usize = 8;

impl Play {
    /// Nothing moves any more, and all that came was taken.
    fn rest(&mut self) {
        let Self { world, people, notes: Notes { ledger, acks, .. }, .. } = self;
        for round in 0..10_000 {
            world.settle();
            world.store();
            world.settle();
            let mut waits = false;
            for person in &mut *people {
                if let Some(client) = person.client() {
                    world.reads(client, 1 << 20);
                    waits |= world.clients[client].waits_for_room;
                }
                person.take(world, ledger, acks);
            }
            if !waits && world.is_quiet() {
                return;
            }
            assert!(round < 9_999, "it never comes to rest");
        }
    }

    /// Who had tried to go on with what is another's was given something of its own by that, under the other's client id. It
    /// was in no room, so there is nothing to go on with.
    fn let_thieves_return(&mut self) {
        let Self { world, people, notes: Notes { thieves, .. }, .. } = self;
        let welcomes = check_thieves(world, thieves);
        world.settle();
        for welcome in welcomes {
            let text = |name: &str| welcome[name].as_str().expect("a welcome has it");
            let (user, role, resume) = (text("user_id"), text("role"), text("resume"));
            for person in people.iter_mut().filter(|person| person.who.user == user) {
                person.inbox.is_shared(world.life());
            }
            thieves.push(world.open_with(0, user, role, |opening| opening.resume = Some(resume.into())));
        }
        self.rest();
        let Self { world, notes: Notes { thieves, .. }, .. } = self;
        check_thieves(world, thieves);
    }

    /// Connections that were given up: those that others took the place of were told so, or were gone before. The others end
    /// now. How many made way.
    fn part_with_old(&mut self) -> u64 {
        let Self { world, people, .. } = self;
        let mut made_way = 0;
        for session in people.iter_mut().map(|person| &mut person.session) {
            for client in std::mem::take(&mut session.old) {
                world.reads(client, 1 << 30);
                let was_replaced = session.replaced.remove(&client);
                let end = world.take_messages(client).into_iter().rev().find(serde_json::Value::is_number);
                made_way += u64::from(end.as_ref().is_some_and(|number| *number == 4_009));
                assert!(!was_replaced || !world.is_open(client), "{client} should have made way");
                if !world.clients[client].closed {
                    world.lose(client);
                }
            }
        }
        made_way
    }

    /// To everybody who is away: more than may wait in some plays. Gives the messages, by person.
    fn whisper_to_the_absent(&mut self) -> Vec<(usize, HashSet<usize>)> {
        let away = |(at, person): (usize, &Person)| {
            (person.client().is_none() && !person.who.shares).then(|| (at, person.who.user.clone()))
        };
        let absent: Vec<_> = self.people.iter().enumerate().filter_map(away).take(AWAY_MAX).collect();
        let Self { world, notes: Notes { ledger, acks, .. }, .. } = self;
        let mut messenger = Person::new(Who::new("messenger", ROLES[0]));
        messenger.come_back(world, acks);
        let mut all = Vec::new();
        for (at, user) in absent {
            let from = ledger.len();
            for _ in 0..WHISPERS {
                publish(world, &mut messenger, usize::MAX, &format!("@user:{user}"), 0, ledger);
                world.settle();
                world.store();
                world.settle();
            }
            all.push((at, (from..ledger.len()).collect()));
        }
        messenger.take(world, ledger, acks);
        messenger.lose(world);
        all
    }

    /// Nobody acknowledges any more: in a while everything is settled for who is there.
    fn wait_for_acknowledgements(&mut self) {
        // Where little is sent at once, much may take its time.
        if self.world.options.limits.replay_bytes < 100_000 {
            return;
        }
        for _ in 0..5 {
            self.world.pass(10_000);
            self.rest();
        }
        let survey = survey(&mut self.world, &self.people, &mut self.notes.ledger);
        for person in &self.people {
            person.must_be_settled(&self.world, &self.notes.ledger, &survey);
        }
    }

    /// Somebody looks where every room stands: of a message that nobody saw nobody else would know.
    fn observe(&mut self) {
        let Self { world, notes: Notes { ledger, acks, .. }, .. } = self;
        let mut observer = Person::new(Who::new("observer", ROLES[0]));
        observer.come_back(world, acks);
        ROOMS.iter().for_each(|room| observer.join(world, acks, room));
        world.settle();
        observer.take(world, ledger, acks);
        observer.lose(world);
        world.settle();
    }

    /// Everybody comes back and reads to the end; then everybody goes.
    pub(crate) fn come_to_rest(mut self) -> Tried {
        self.world.heal_store();
        self.world.window = usize::MAX;
        self.rest();
        self.let_thieves_return();
        let replaced = self.part_with_old();
        self.rest();
        let whispers = self.whisper_to_the_absent();
        for person in &mut self.people {
            person.come_back(&mut self.world, &self.notes.acks);
        }
        self.rest();
        lasting::check_sizes(&self.world);
        let survey = survey(&mut self.world, &self.people, &mut self.notes.ledger);
        self.observe();
        self.wait_for_acknowledgements();
        let Self { mut world, mut people, notes: Notes { ledger, acks, .. }, failures, .. } = self;
        for (at, numbers) in &whispers {
            people[*at].must_have_heard(&ledger, numbers);
        }
        let mut tried = Tried {
            published: ledger.len() as u64,
            dead: survey.dead.len() as u64,
            receipts: acks.receipts(),
            shared: world.shared(),
            restarts: world.life(),
            replaced,
            failures,
            ..Tried::default()
        };
        for person in &mut people {
            person.check(&world, &ledger, &acks, &survey);
            tried += person.tried;
            person.lose(&mut world);
        }
        go(&mut world);
        tried
    }
}

/// Time passes until every room, its messages, its readers and its count are forgotten, with sweeps that look at all.
fn go(world: &mut World) {
    world.settle();
    for ms in [310_000, 3_700_000, 310_000, 310_000, 310_000] {
        world.pass(ms);
        world.settle();
        world.store();
    }
    let rooms: Vec<_> = world.disk.rooms().filter(|room| !room.room.is_engine_room()).collect();
    assert!(rooms.is_empty(), "rooms that the store has not forgotten: {rooms:?}");
    for core in &world.cores {
        let stats = core.stats();
        let left = [
            stats.connections,
            stats.local_rooms,
            stats.home_rooms,
            stats.kept_messages,
            stats.backlog_bytes,
            stats.subscribers,
            stats.sessions,
            stats.store_waiting,
        ];
        assert_eq!(
            left, [0; 8],
            "left behind: connections, member rooms, rooms, kept messages, backlog, readers, sessions, publishes"
        );
    }
}
