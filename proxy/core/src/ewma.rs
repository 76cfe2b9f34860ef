//! Peak-EWMA: a latency estimate that jumps up at once and forgets slowly.
//!
//! An average would need several slow answers before it believes that an endpoint got slow, and sends it traffic
//! meanwhile; the peak-sensitive form (Finagle's `PeakEwma`) believes the first. It decays towards zero while
//! nothing is observed, so that an endpoint that was slow once is asked again.
//!
//! Before anything was observed there is no estimate, rather than a seed: a seed is a guess that competes with what
//! was measured, and a wrong one starves or floods its endpoint until it is forgotten. What stands in for it is what
//! the peers take *now*, see [`Typical`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How fast an estimate is forgotten: after this long it counts for 1/e. Linkerd's default.
pub const DECAY_NS: u64 = 10_000_000_000;

/// What an endpoint is assumed to take while neither it nor a peer has answered. Linkerd's default.
pub const SEED_RTT_NS: u64 = 30_000_000;

/// One tick of the packed clock: 2^17 ns, about 131 µs; 32 bits of them wrap after 6.5 days.
const TICK_SHIFT: u32 = 17;

/// An estimate and when it was made. Packs into 64 bits, so that it updates by one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    /// Negative while nothing was observed.
    rtt_ns: f32,
    at: u32,
}

impl PeakEwma {
    /// Nothing observed yet.
    pub const UNKNOWN: Self = Self { rtt_ns: -1.0, at: 0 };

    /// The estimate as it stands at `now_ns`, in ns: finite and not negative. `None` while nothing was observed.
    /// `decay_ns` is how fast it is forgotten, [`DECAY_NS`] as a rule.
    pub fn estimate_ns(self, now_ns: u64, decay_ns: u64) -> Option<f64> {
        (self.rtt_ns >= 0.0).then(|| f64::from(self.rtt_ns) * remaining(self.at, now_ns, decay_ns))
    }

    /// Takes one measured round trip into account.
    #[must_use]
    pub fn observe(self, rtt_ns: u64, now_ns: u64, decay_ns: u64) -> Self {
        let sample = rtt_ns as f64;
        let old = f64::from(self.rtt_ns);
        let rtt = if sample > old {
            sample
        } else {
            let w = remaining(self.at, now_ns, decay_ns);
            old * w + sample * (1.0 - w)
        };
        Self { rtt_ns: rtt as f32, at: tick(now_ns) }
    }

    /// Takes into account that a round trip would have lasted at least `rtt_ns`, had somebody waited for its end:
    /// raises the estimate or leaves it as it is.
    #[must_use]
    pub fn at_least(self, rtt_ns: u64, now_ns: u64, decay_ns: u64) -> Self {
        let known = self.estimate_ns(now_ns, decay_ns);
        if known.is_some_and(|estimate| estimate >= rtt_ns as f64) {
            return self;
        }
        Self { rtt_ns: rtt_ns as f32, at: tick(now_ns) }
    }

    /// As it was when it was last changed, in ns; negative while nothing was observed.
    pub fn last_ns(self) -> f64 {
        f64::from(self.rtt_ns)
    }

    /// How long ago it was last changed, in ns; what was never observed, or comes from the future, is not old.
    pub fn age_ns(self, now_ns: u64) -> u64 {
        if self.rtt_ns < 0.0 { 0 } else { elapsed_ns(self.at, now_ns) }
    }

    /// For an atomic.
    pub fn to_bits(self) -> u64 {
        u64::from(self.rtt_ns.to_bits()) << 32 | u64::from(self.at)
    }

    /// From an atomic. Bits that never came from [`Self::to_bits`] give some estimate, or none.
    pub fn from_bits(bits: u64) -> Self {
        let rtt = f32::from_bits((bits >> 32) as u32);
        if rtt.is_finite() && rtt >= 0.0 { Self { rtt_ns: rtt, at: bits as u32 } } else { Self::UNKNOWN }
    }
}

/// What the endpoints of one service usually take: the mean of their peak estimates over the last [`DECAY_NS`],
/// each counted as often as its endpoint answers. Shared by all of them without a lock.
///
/// It is the scale of a service: what an endpoint is assumed to take before it answered, and the unit in which
/// failures are paid for.
#[derive(Debug)]
pub struct Typical(AtomicU64);

impl Default for Typical {
    fn default() -> Self {
        Self(AtomicU64::new(PeakEwma::UNKNOWN.to_bits()))
    }
}

impl Typical {
    /// An endpoint answered, and is now estimated to take `estimate_ns`.
    pub fn observe(&self, estimate_ns: f64, now_ns: u64) {
        let update = |bits| {
            let old = PeakEwma::from_bits(bits);
            let w = if old.rtt_ns < 0.0 { 0.0 } else { remaining(old.at, now_ns, DECAY_NS) };
            let mean = f64::from(old.rtt_ns) * w + estimate_ns.max(0.0) * (1.0 - w);
            Some(PeakEwma { rtt_ns: mean as f32, at: tick(now_ns) }.to_bits())
        };
        // The closure always gives a value, so this cannot fail.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }

    /// In ns, over zero and finite; [`SEED_RTT_NS`] while no endpoint has answered. Does not change while nobody
    /// answers.
    pub fn ns(&self) -> f64 {
        let known = PeakEwma::from_bits(self.0.load(Relaxed)).rtt_ns;
        if known < 0.0 { SEED_RTT_NS as f64 } else { f64::from(known).max(1.0) }
    }
}

/// What is left at `now_ns` of something observed at the tick `at`: from 1 down to 0. Signed, so that a reader whose
/// clock reading is older than the writer's sees no time passed.
pub(crate) fn remaining(at: u32, now_ns: u64, decay_ns: u64) -> f64 {
    (-(elapsed_ns(at, now_ns) as f64) / decay_ns.max(1) as f64).exp()
}

fn elapsed_ns(at: u32, now_ns: u64) -> u64 {
    let ticks = (tick(now_ns).wrapping_sub(at) as i32).max(0);
    (ticks as u64) << TICK_SHIFT
}

pub(crate) fn tick(now_ns: u64) -> u32 {
    (now_ns >> TICK_SHIFT) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn ms(e: PeakEwma, now_ns: u64) -> f64 {
        e.estimate_ns(now_ns, DECAY_NS).unwrap() / MS as f64
    }

    #[test]
    fn jumps_to_a_peak_and_forgets_by_the_decay() {
        let e = PeakEwma::UNKNOWN.observe(10 * MS, 0, DECAY_NS).observe(500 * MS, MS, DECAY_NS);
        assert!((ms(e, MS) - 500.0).abs() < 0.1);
        let later = ms(e, MS + DECAY_NS);
        assert!((later - 500.0 / std::f64::consts::E).abs() < 0.1, "{later}");
        // A fast answer right after the peak hardly moves it; ten seconds later it moves it by 63 %.
        assert!(ms(e.observe(10 * MS, 2 * MS, DECAY_NS), 2 * MS) > 490.0);
        let moved = ms(e.observe(10 * MS, MS + DECAY_NS, DECAY_NS), MS + DECAY_NS);
        assert!(
            (moved - (500.0 / std::f64::consts::E + 10.0 * (1.0 - 1.0 / std::f64::consts::E))).abs() < 0.1
        );
    }

    #[test]
    fn the_first_observation_is_the_estimate() {
        assert_eq!(PeakEwma::UNKNOWN.estimate_ns(0, DECAY_NS), None);
        assert!((ms(PeakEwma::UNKNOWN.observe(MS, 0, DECAY_NS), 0) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_lower_bound_only_raises() {
        let e = PeakEwma::UNKNOWN.observe(10 * MS, 0, DECAY_NS);
        assert_eq!(e.at_least(9 * MS, 0, DECAY_NS), e);
        assert!((ms(e.at_least(200 * MS, 0, DECAY_NS), 0) - 200.0).abs() < 0.1);
        // Ten seconds later the estimate is 3.7 ms, and 5 ms are news.
        assert!((ms(e.at_least(5 * MS, DECAY_NS, DECAY_NS), DECAY_NS) - 5.0).abs() < 0.1);
    }

    #[test]
    fn an_older_reader_sees_no_time_passed() {
        let e = PeakEwma::UNKNOWN.observe(10 * MS, DECAY_NS, DECAY_NS);
        assert_eq!(e.estimate_ns(0, DECAY_NS), e.estimate_ns(DECAY_NS, DECAY_NS));
    }

    #[test]
    fn typical_is_the_mean_of_those_who_answer() {
        let t = Typical::default();
        assert_eq!(t.ns(), SEED_RTT_NS as f64);
        t.observe(MS as f64, 0);
        assert!((t.ns() / MS as f64 - 1.0).abs() < 1e-3);
        for i in 1..40_000u64 {
            t.observe((if i % 2 == 0 { 1 } else { 3 } * MS) as f64, i * MS);
        }
        assert!((t.ns() / MS as f64 - 2.0).abs() < 0.1, "{}", t.ns());
    }

    proptest! {
        #[test]
        fn stays_between_zero_and_the_largest_sample(
            samples in proptest::collection::vec((0u64..100_000_000_000, any::<u64>(), any::<bool>()), 1..50)
        ) {
            let (mut e, t) = (PeakEwma::UNKNOWN, Typical::default());
            let max = samples.iter().map(|s| s.0).max().unwrap_or(0) as f64 * 1.000_001 + 1.0;
            for (rtt, now, ended) in samples {
                e = if ended { e.observe(rtt, now, DECAY_NS) } else { e.at_least(rtt, now, DECAY_NS) };
                let estimate = e.estimate_ns(now, DECAY_NS).unwrap();
                prop_assert!(estimate >= 0.0 && estimate <= max);
                prop_assert_eq!(PeakEwma::from_bits(e.to_bits()), e);
                t.observe(estimate, now);
                prop_assert!(t.ns() > 0.0 && t.ns() <= max);
            }
        }

        #[test]
        fn any_bits_and_times_are_finite(bits: u64, rtt: u64, now: u64, decay: u64) {
            let e = PeakEwma::from_bits(bits);
            prop_assert!(e.estimate_ns(now, decay).is_none_or(|ns| ns.is_finite() && ns >= 0.0));
            for e in [e.observe(rtt, now, decay), e.at_least(rtt, now, decay)] {
                prop_assert!(e.estimate_ns(now, decay).is_some_and(|ns| ns.is_finite() && ns >= 0.0));
            }
        }
    }
}
