//! Marsaglia's xorshift: the same numbers in every run with the same seed. Good enough for padding and scripts.

/// The generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A seed of 0 would give nothing but zeros, and small ones begin alike: so it is spread first.
    pub fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9).max(1))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % u64::from(bound)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_all_numbers_and_they_are_spread() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..1_000).map(|_| random.below(10)).collect::<Vec<u32>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(0), numbers(1));
        for digit in 0..10 {
            let count = numbers(3).iter().filter(|number| **number == digit).count();
            assert!((50..200).contains(&count), "{digit}: {count}");
        }
    }
}
