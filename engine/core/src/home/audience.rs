//! Who listens to a room, as far as its home needs to know: how many members of which class on which shard.

use fanfare_protocol::Encoding;
use smallvec::SmallVec;

use crate::class::Class;
use crate::id::ShardId;

/// A multiset of (shard, class). Small for almost every room.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    counts: SmallVec<[(ShardId, Class, u32); 2]>,
}

impl Audience {
    pub(crate) fn add(&mut self, shard: ShardId, class: Class) {
        match self.counts.iter_mut().find(|(s, c, _)| (*s, *c) == (shard, class)) {
            Some((_, _, count)) => *count += 1,
            None => self.counts.push((shard, class, 1)),
        }
    }

    pub(crate) fn remove(&mut self, shard: ShardId, class: Class) {
        let at = self.counts.iter().position(|(s, c, _)| (*s, *c) == (shard, class));
        let at = at.expect("invariant: only members leave, and each of them once");
        self.counts[at].2 -= 1;
        if self.counts[at].2 == 0 {
            self.counts.swap_remove(at);
        }
    }

    pub(crate) fn members(&self) -> u32 {
        self.counts.iter().map(|(_, _, count)| count).sum()
    }

    /// Members of some classes.
    pub(crate) fn members_of(&self, wanted: impl Fn(Class) -> bool) -> u32 {
        self.counts.iter().filter(|(_, class, _)| wanted(*class)).map(|(_, _, count)| count).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The classes that have a member; one may be named more than once.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + Clone {
        self.counts.iter().map(|(_, class, _)| *class)
    }

    /// Whether anybody reads this encoding and may follow a shared context.
    pub(crate) fn may_follow(&self, encoding: Encoding) -> bool {
        self.classes().any(|class| class.may_follow() && class.encoding() == encoding)
    }

    /// Shards that hold somebody who may follow a shared context; one may be named more than once.
    pub(crate) fn followers(&self) -> impl Iterator<Item = ShardId> {
        self.counts.iter().filter(|(_, class, _)| class.may_follow()).map(|(shard, _, _)| *shard)
    }

    /// Each shard that has a member, once.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> {
        let counts = &self.counts;
        let first = move |at: usize| !counts[..at].iter().any(|(shard, _, _)| *shard == counts[at].0);
        (0..counts.len()).filter(move |&at| first(at)).map(move |at| counts[at].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_and_go() {
        let (json, packed) = (Class::new(Encoding::Json, None), Class::new(Encoding::MessagePack, None));
        let mut audience = Audience::default();
        audience.add(ShardId(0), json);
        audience.add(ShardId(0), json);
        audience.add(ShardId(0), packed);
        audience.add(ShardId(1), json);
        assert_eq!(audience.members(), 4);
        assert_eq!(audience.shards().collect::<Vec<_>>(), [ShardId(0), ShardId(1)]);
        audience.remove(ShardId(0), json);
        audience.remove(ShardId(0), json);
        audience.remove(ShardId(0), packed);
        assert_eq!(audience.shards().collect::<Vec<_>>(), [ShardId(1)]);
        audience.remove(ShardId(1), json);
        assert!(audience.is_empty());
    }
}
