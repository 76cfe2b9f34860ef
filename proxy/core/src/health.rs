//! How many of an endpoint's answers of the last ten seconds were failures.
//!
//! A mean in which each answer's weight decays with its age, and how many answers that mean stands for. Unlike a
//! window of buckets it packs into 64 bits, so that it updates by one compare-and-swap.

use crate::ewma::{DECAY_NS, remaining, tick};

/// What one answer counts in [`Health::answers`]' field: 32 steps, so that decay below one answer is seen.
const COUNT_UNIT: f64 = 32.0;
/// A share of one in [`Health::share`]'s field.
const SHARE_UNIT: f64 = u16::MAX as f64;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    share: u16,
    count: u16,
    at: u32,
}

impl Health {
    /// Takes one answer into account.
    #[must_use]
    pub fn observe(self, failed: bool, now_ns: u64) -> Self {
        let before = self.answers(now_ns);
        let share = (self.share() * before + f64::from(u8::from(failed))) / (before + 1.0);
        Self {
            // Away from what it was, so that rounding cannot hold a share where it is for ever.
            share: if failed { (share * SHARE_UNIT).ceil() } else { (share * SHARE_UNIT).floor() } as u16,
            count: ((before + 1.0) * COUNT_UNIT) as u16,
            at: tick(now_ns),
        }
    }

    /// Failures among the answers that still count, from 0 to 1. Does not change while there are no answers.
    pub fn share(self) -> f64 {
        f64::from(self.share) / SHARE_UNIT
    }

    /// For how many answers the share stands at `now_ns`: those of the last ten seconds, roughly; at most 2047.
    pub fn answers(self, now_ns: u64) -> f64 {
        f64::from(self.count) / COUNT_UNIT * remaining(self.at, now_ns, DECAY_NS)
    }

    /// The share as a reason to stay away, from 0 to 1: forgotten over ten seconds without an answer, so that an
    /// endpoint that failed once is asked again.
    pub fn blame(self, now_ns: u64) -> f64 {
        if self.share == 0 { 0.0 } else { self.share() * remaining(self.at, now_ns, DECAY_NS) }
    }

    /// For an atomic.
    pub fn to_bits(self) -> u64 {
        u64::from(self.share) << 48 | u64::from(self.count) << 32 | u64::from(self.at)
    }

    /// From an atomic; any bits are some health.
    pub fn from_bits(bits: u64) -> Self {
        Self { share: (bits >> 48) as u16, count: (bits >> 32) as u16, at: bits as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn converges_to_the_share_of_failures_and_back() {
        let mut h = Health::default();
        for i in 0..2_000u64 {
            h = h.observe(i % 10 < 3, i * 10 * MS);
        }
        assert!((h.share() - 0.3).abs() < 0.02, "{}", h.share());
        // Twenty seconds in, 1 - e^-2 of a hundred a second for ten seconds.
        assert!((h.answers(20_000 * MS) - 865.0).abs() < 30.0, "{}", h.answers(20_000 * MS));
        for i in 2_000..12_000u64 {
            h = h.observe(false, i * 10 * MS);
        }
        assert!(h.share() < 0.001, "{}", h.share());
    }

    #[test]
    fn blame_is_forgotten_and_the_share_is_not() {
        let h = Health::default().observe(true, 0);
        assert!((h.blame(0) - 1.0).abs() < 1e-3 && (h.share() - 1.0).abs() < 1e-3);
        assert!(h.blame(40_000 * MS) < 0.02 && (h.share() - 1.0).abs() < 1e-3);
        // After so long the next answer is nearly all that counts.
        assert!(h.observe(false, 40_000 * MS).share() < 0.02);
    }

    proptest! {
        #[test]
        fn stays_in_bounds_whatever_the_times(bits: u64, answers in proptest::collection::vec((any::<bool>(), any::<u64>()), 1..50)) {
            let mut h = Health::from_bits(bits);
            for (failed, now) in answers {
                h = h.observe(failed, now);
                prop_assert!((0.0..=1.0).contains(&h.share()) && (0.0..=1.0).contains(&h.blame(now)));
                prop_assert!(h.answers(now) >= 1.0 - 1.0 / COUNT_UNIT && h.answers(now) <= 2_048.0);
                prop_assert_eq!(Health::from_bits(h.to_bits()), h);
            }
        }
    }
}
