//! Peak-EWMA: a latency estimate that jumps up at once and forgets slowly.
//!
//! An average would need several slow answers before it believes that an endpoint got slow, and sends it traffic
//! meanwhile; the peak-sensitive form (Finagle's `PeakEwma`) believes the first. It decays towards zero while
//! nothing is observed, so that an endpoint that was slow once is asked again.

/// How fast an estimate is forgotten: after this long it counts for 1/e. Linkerd's default.
pub const DECAY_NS: u64 = 10_000_000_000;

/// What an endpoint is assumed to take before it answered once. Linkerd's default.
pub const SEED_RTT_NS: u64 = 30_000_000;

/// One tick of the packed clock: 2^17 ns, about 131 µs; 32 bits of them wrap after 6.5 days.
const TICK_SHIFT: u32 = 17;

/// An estimate and when it was made. Packs into 64 bits, so that it updates by one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    rtt_ns: f32,
    at: u32,
}

impl PeakEwma {
    /// An estimate before any observation.
    pub fn seeded(rtt_ns: u64, now_ns: u64) -> Self {
        Self { rtt_ns: rtt_ns as f32, at: tick(now_ns) }
    }

    /// The estimate as it stands at `now_ns`, in ns: finite and not negative.
    pub fn estimate_ns(self, now_ns: u64) -> f64 {
        f64::from(self.rtt_ns) * self.weight(now_ns)
    }

    /// Takes one measured round trip into account.
    #[must_use]
    pub fn observe(self, rtt_ns: u64, now_ns: u64) -> Self {
        let sample = rtt_ns as f64;
        let old = f64::from(self.rtt_ns);
        let rtt = if sample > old {
            sample
        } else {
            let w = self.weight(now_ns);
            old * w + sample * (1.0 - w)
        };
        Self { rtt_ns: rtt as f32, at: tick(now_ns) }
    }

    /// For an atomic.
    pub fn to_bits(self) -> u64 {
        u64::from(self.rtt_ns.to_bits()) << 32 | u64::from(self.at)
    }

    /// From an atomic. Bits that never came from [`Self::to_bits`] give an estimate of zero.
    pub fn from_bits(bits: u64) -> Self {
        let rtt = f32::from_bits((bits >> 32) as u32);
        Self { rtt_ns: if rtt.is_finite() && rtt >= 0.0 { rtt } else { 0.0 }, at: bits as u32 }
    }

    fn weight(self, now_ns: u64) -> f64 {
        // Signed, so that a reader whose clock reading is older than the writer's sees no time passed.
        let ticks = (tick(now_ns).wrapping_sub(self.at) as i32).max(0);
        let elapsed_ns = (ticks as u64) << TICK_SHIFT;
        (-(elapsed_ns as f64) / DECAY_NS as f64).exp()
    }
}

fn tick(now_ns: u64) -> u32 {
    (now_ns >> TICK_SHIFT) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn jumps_to_a_peak_and_forgets_by_the_decay() {
        let e = PeakEwma::seeded(10 * MS, 0).observe(500 * MS, MS);
        assert!((e.estimate_ns(MS) / MS as f64 - 500.0).abs() < 0.1);
        let later = e.estimate_ns(MS + DECAY_NS) / MS as f64;
        assert!((later - 500.0 / std::f64::consts::E).abs() < 0.1, "{later}");
        // A fast answer right after the peak hardly moves it; ten seconds later it moves it by 63 %.
        assert!(e.observe(10 * MS, 2 * MS).estimate_ns(2 * MS) > 490.0 * MS as f64);
        let moved = e.observe(10 * MS, MS + DECAY_NS).estimate_ns(MS + DECAY_NS) / MS as f64;
        assert!(
            (moved - (500.0 / std::f64::consts::E + 10.0 * (1.0 - 1.0 / std::f64::consts::E))).abs() < 0.1
        );
    }

    #[test]
    fn an_older_reader_sees_no_time_passed() {
        let e = PeakEwma::seeded(10 * MS, DECAY_NS);
        assert_eq!(e.estimate_ns(0), e.estimate_ns(DECAY_NS));
    }

    proptest! {
        #[test]
        fn stays_between_zero_and_the_largest_sample(
            samples in proptest::collection::vec((0u64..100_000_000_000, any::<u64>()), 1..50), seed in 0u64..1_000_000_000
        ) {
            let mut e = PeakEwma::seeded(seed, 0);
            let max = samples.iter().map(|s| s.0).max().unwrap_or(0).max(seed) as f64 * 1.000_001 + 1.0;
            for (rtt, now) in samples {
                e = e.observe(rtt, now);
                prop_assert!(e.estimate_ns(now) >= 0.0 && e.estimate_ns(now) <= max);
                prop_assert_eq!(PeakEwma::from_bits(e.to_bits()), e);
            }
        }

        #[test]
        fn any_bits_and_times_are_finite(bits: u64, rtt: u64, now: u64) {
            let e = PeakEwma::from_bits(bits);
            prop_assert!(e.estimate_ns(now).is_finite() && e.estimate_ns(now) >= 0.0);
            prop_assert!(e.observe(rtt, now).estimate_ns(now).is_finite());
        }
    }
}
