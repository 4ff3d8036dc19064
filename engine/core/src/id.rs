//! Names of things inside the engine. An id of one kind never stands for another.

use std::fmt;
use std::hash::BuildHasher;

use fanfare_protocol::RoomName;
use foldhash::quality::FixedState;

/// A shard's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u8);

impl ShardId {
    /// The one shard that orders a room.
    pub(crate) fn home_of(hasher: &FixedState, shards: u8, room: &RoomName) -> Self {
        Self(((hasher.hash_one(room) >> 32) % u64::from(shards)) as u8)
    }

    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One connection of one shard. The generation makes an id of a closed connection match nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// Where the shard keeps it.
    pub slot: u32,
    /// How often that slot was given out.
    pub generation: u32,
}

impl ConnectionId {
    /// Both numbers in one.
    pub fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The reverse of [`ConnectionId::token`].
    pub fn from_token(token: u64) -> Self {
        Self { slot: token as u32, generation: (token >> 32) as u32 }
    }
}

/// A connection seen from any shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The shard that holds it.
    pub shard: ShardId,
    /// The connection there.
    pub connection: ConnectionId,
}

/// An HTTP request that waits for answers; the shell's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// A room's epoch: a short random word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 7];
        base32(u128::from(self.0), &mut digits);
        f.write_str(std::str::from_utf8(&digits).expect("invariant: base32 digits are ASCII"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Numbers that look random, from a seed: SplitMix64. Not for secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other numbers of the same seed.
    pub(crate) fn apart(&self) -> Self {
        Self(!self.0)
    }

    /// The next number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// An epoch that a room can have: not 0.
    pub(crate) fn epoch(&mut self) -> Epoch {
        Epoch((self.next_u64() as u32).max(1))
    }

    /// A client id of 13 digits.
    pub(crate) fn client_id(&mut self) -> String {
        word(self.next_u64())
    }

    /// A message id: 26 digits, of which the first ten are the time, so that ids sort by it.
    pub(crate) fn message_id(&mut self, unix_ms: u64) -> String {
        let random = u128::from(self.next_u64()) << 16 | u128::from(self.next_u64() & 0xFFFF);
        let mut digits = [0; 26];
        base32(u128::from(unix_ms) << 80 | random, &mut digits);
        String::from_utf8_lossy(&digits).into_owned()
    }
}

/// A number as a word of 13 digits.
pub(crate) fn word(number: u64) -> String {
    let mut digits = [0; 13];
    base32(u128::from(number), &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

/// Crockford's base 32, lower case, most significant digit first, as many digits as there is room.
fn base32(mut number: u128, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghjkmnpqrstvwxyz"[(number & 31) as usize];
        number >>= 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_sort_by_time_and_differ() {
        let mut random = Random::new(1);
        let (a, b, c) = (random.message_id(1_000), random.message_id(1_000), random.message_id(2_000));
        assert_ne!(a, b);
        assert!(a < c && b < c);
        assert_eq!(a.len(), 26);
    }

    #[test]
    fn tokens_come_back() {
        let id = ConnectionId { slot: 7, generation: u32::MAX };
        assert_eq!(ConnectionId::from_token(id.token()), id);
    }
}
