//! What can happen in a step, and how often: every seed has its own favourites, so that some plays are all about
//! joining and others all about slow readers.

use crate::Random;

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Somebody joins a room.
    Join,
    /// Somebody leaves a room.
    Leave,
    /// Somebody publishes.
    Publish,
    /// Somebody publishes a message with a priority.
    Urge,
    /// Somebody publishes what was published before, with the same id.
    Retry,
    /// Somebody publishes to a user.
    Whisper,
    /// Somebody acknowledges what it has got.
    Ack,
    /// Somebody reads a page of history.
    History,
    /// A message between two shards arrives.
    Deliver,
    /// A shard flushes, with other things happening in between.
    Flush,
    /// Somebody reads what has arrived, or a little of it.
    Read,
    /// Somebody's connection breaks.
    Lose,
    /// Somebody comes back.
    Return,
    /// Somebody gives a connection up, which the server does not know.
    Forget,
    /// Somebody tries to go on with what is another's.
    Steal,
    /// Time passes.
    Pass,
    /// The wall clock is set.
    Jump,
    /// The whole process dies and starts again with what the store has.
    Restart,
    /// The store does what it was asked for first.
    Store,
    /// The store fails, and all writes from then on.
    FailStore,
    /// The store works again.
    HealStore,
}

impl Deed {
    /// All kinds, with their word on the command line and their usual share.
    pub const ALL: [(Self, &'static str, u32); 21] = [
        (Self::Join, "join", 60),
        (Self::Leave, "leave", 20),
        (Self::Publish, "publish", 250),
        (Self::Urge, "urge", 40),
        (Self::Retry, "retry", 10),
        (Self::Whisper, "whisper", 60),
        (Self::Ack, "ack", 60),
        (Self::History, "history", 10),
        (Self::Deliver, "deliver", 300),
        (Self::Flush, "flush", 120),
        (Self::Read, "read", 120),
        (Self::Lose, "lose", 15),
        (Self::Return, "return", 40),
        (Self::Forget, "forget", 8),
        (Self::Steal, "steal", 2),
        (Self::Pass, "pass", 20),
        (Self::Jump, "jump", 3),
        (Self::Restart, "restart", 1),
        (Self::Store, "store", 120),
        (Self::FailStore, "fail-store", 1),
        (Self::HealStore, "heal-store", 15),
    ];
}

/// How often each kind happens in one play.
#[derive(Clone, Debug)]
pub struct Weights([u32; Deed::ALL.len()]);

impl Weights {
    /// As this seed likes it: each kind between none and four times its usual share, but enough deliveries, flushes and
    /// writes for things to move.
    pub fn new(seed: u64, without: &[Deed]) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let weights = Deed::ALL.map(|(deed, _, usual)| {
            let factor = [0, 1, 1, 2, 4][random.below(5)];
            let moves =
                matches!(deed, Deed::Deliver | Deed::Flush | Deed::Read | Deed::Store | Deed::HealStore);
            let factor = if moves { factor.max(1) } else { factor };
            if without.contains(&deed) { 0 } else { usual * factor }
        });
        Self(weights)
    }

    /// What happens next.
    pub fn pick(&self, random: &mut Random) -> Deed {
        let all: u32 = self.0.iter().sum();
        let mut at = random.below(all.max(1) as usize) as u32;
        for (weight, (deed, _, _)) in self.0.iter().zip(Deed::ALL) {
            if at < *weight {
                return deed;
            }
            at -= weight;
        }
        Deed::Deliver
    }
}
