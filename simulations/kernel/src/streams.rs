//! Randomness: one seed, and a stream for each purpose.
//!
//! A stream is a keyed function of a counter. It can be moved to any position, and two streams share nothing but the
//! seed: a purpose that draws more than before changes no other.

use crate::hash::{hash, mix};

/// All streams of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// The streams of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream of a purpose, from its beginning: the same each time it is asked for.
    pub fn stream(&self, name: &str) -> Stream {
        let key = hash(self.seed, ["stream", name]);
        Stream { keys: (key, mix(key ^ GOLDEN)), at: 0 }
    }

    /// Streams of their own for a part of the world, such as a cluster or a fault.
    pub fn of(&self, part: &str) -> Self {
        Self { seed: hash(self.seed, ["part", part]) }
    }

    /// A number for what wants a seed of its own.
    pub fn seed(&self, name: &str) -> u64 {
        hash(self.seed, ["seed", name])
    }
}

/// 2⁶⁴ divided by the golden ratio: successive multiples are spread evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers in a fixed order.
///
/// Only additions, multiplications, comparisons and exact conversions stand between the counter and what is returned:
/// logarithms and sines differ between machines in their last bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    keys: (u64, u64),
    at: u64,
}

impl Stream {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.at = self.at.wrapping_add(1);
        let inner = mix(self.keys.0.wrapping_add(self.at.wrapping_mul(GOLDEN)));
        mix(inner ^ self.keys.1)
    }

    /// How many numbers have been drawn.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Goes on as if so many numbers had been drawn.
    pub fn seek(&mut self, position: u64) {
        self.at = position;
    }

    /// From 0 up to, but not, 1: 53 bits.
    pub fn fraction(&mut self) -> f64 {
        let numerator = (self.bits() >> 11) as f64;
        numerator * (1.0 / 9_007_199_254_740_992.0)
    }

    /// One of `0..bound`; 0 for a bound of 0. The bias is below 2⁻⁶⁴ × bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// One of `low..=high`; `low` where the two are the wrong way round.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(i128::from(high) - i128::from(low)).unwrap_or(0);
        let step = self.below(width.saturating_add(1));
        i64::try_from(i128::from(low) + i128::from(step)).unwrap_or(low)
    }

    /// From `low` up to, but not, `high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// True in `share` of all draws. It draws one number whatever the share is.
    pub fn chance(&mut self, share: f64) -> bool {
        self.fraction() < share
    }

    /// One of these; `None` where there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(u64::try_from(from.len()).ok()?)).ok()?;
        from.get(index)
    }

    /// Exponentially distributed, by comparisons alone (von Neumann, 1951).
    pub fn exponential(&mut self, mean: f64) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.fraction();
            let (mut last, mut run) = (first, 1_u64);
            loop {
                let next = self.fraction();
                if next >= last {
                    break;
                }
                last = next;
                run += 1;
            }
            if run % 2 == 1 {
                return mean * (whole + first);
            }
            whole += 1.0;
        }
    }

    /// About normally distributed: the sum of twelve fractions, which ends at six standard deviations.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.fraction()).sum();
        mean + deviation * (sum - 6.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streams_stay_what_they_are() {
        let mut stream = Streams::new(1).stream("pods");
        let first: Vec<u64> = (0..3).map(|_| stream.bits()).collect();
        assert_eq!(first, [0x5dc3_292f_3c17_1cd8, 0x32d0_852d_4d7c_0d54, 0x89fe_4209_86cb_c25e]);
        assert_eq!(Streams::new(1).of("east").stream("pods").bits(), 0x19ff_fb44_da34_c137);
    }

    #[test]
    fn no_two_streams_share_numbers() {
        let mut seen = BTreeSet::new();
        for seed in 0..20 {
            for name in ["a", "b", "ab", ""] {
                for streams in [Streams::new(seed), Streams::new(seed).of("x"), Streams::new(seed).of("y")] {
                    let mut stream = streams.stream(name);
                    seen.extend((0..50).map(|_| stream.bits()));
                }
            }
        }
        assert_eq!(seen.len(), 20 * 4 * 3 * 50);
    }

    proptest! {
        #[test]
        fn a_stream_goes_on_where_it_is_put(seed: u64, skipped in 0_u64..1000) {
            let mut drawn = Streams::new(seed).stream("x");
            (0..skipped).for_each(|_| { drawn.bits(); });
            let mut put = Streams::new(seed).stream("x");
            put.seek(skipped);
            prop_assert_eq!(drawn.position(), put.position());
            prop_assert_eq!(drawn.bits(), put.bits());
        }

        #[test]
        fn what_is_drawn_is_within_its_bounds(seed: u64, a: i64, b: i64, bound: u64, share in 0.0..1.0) {
            let mut stream = Streams::new(seed).stream("x");
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!((low..=high).contains(&stream.between(low, high)));
            prop_assert_eq!(stream.between(a, a), a);
            prop_assert!(stream.below(bound) < bound.max(1));
            prop_assert!((0.0..1.0).contains(&stream.fraction()));
            prop_assert!(stream.exponential(share) >= 0.0);
            prop_assert!(!stream.chance(0.0) && stream.chance(1.0));
        }
    }

    #[test]
    fn distributions_have_their_means() {
        let mut stream = Streams::new(7).stream("x");
        let mean = |draw: &mut dyn FnMut() -> f64| (0..100_000).map(|_| draw()).sum::<f64>() / 100_000.0;
        let near = |is: f64, wanted: f64| assert!((is - wanted).abs() < 0.02 * wanted, "{is} {wanted}");
        near(mean(&mut || stream.fraction()), 0.5);
        near(mean(&mut || stream.exponential(3.0)), 3.0);
        near(mean(&mut || stream.normal(10.0, 2.0)), 10.0);
        near(mean(&mut || (stream.normal(0.0, 2.0)).powi(2)), 4.0);
        near(mean(&mut || if stream.chance(0.3) { 1.0 } else { 0.0 }), 0.3);
        near(mean(&mut || stream.between(1, 9) as f64), 5.0);
    }

    #[test]
    fn every_one_is_picked() {
        let mut stream = Streams::new(3).stream("x");
        let all: BTreeSet<u8> = (0..200).filter_map(|_| stream.pick(&[1, 2, 3]).copied()).collect();
        assert_eq!(all, BTreeSet::from([1, 2, 3]));
        assert_eq!(stream.pick::<u8>(&[]), None);
    }
}
