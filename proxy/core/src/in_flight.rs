//! How many requests are in flight, and the integral of that over time.
//!
//! With A = Σ ends − Σ starts, the integral at time t is A + n·t: each finished request adds its duration and each
//! open one its age. So no timer is needed, and a burst between two readings is never missed.

/// Open requests and their time. Parts of one count may be kept apart (one a thread) and summed: a part may then
/// see an end whose start another part saw, so its own numbers may be negative; only the sum means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    open: i64,
    ends_minus_starts_ns: i128,
}

impl InFlight {
    /// A request began.
    pub fn start(&mut self, now_ns: u64) {
        self.open += 1;
        self.ends_minus_starts_ns -= i128::from(now_ns);
    }

    /// A request ended.
    pub fn end(&mut self, now_ns: u64) {
        self.open -= 1;
        self.ends_minus_starts_ns += i128::from(now_ns);
    }

    /// Sums parts of one count.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            ends_minus_starts_ns: self.ends_minus_starts_ns + other.ends_minus_starts_ns,
        }
    }

    /// Requests open.
    pub fn open(&self) -> u64 {
        u64::try_from(self.open).unwrap_or(0)
    }

    /// ∫ open dt up to `now_ns`, in ns. Never falls as long as `now_ns` is not before the last start or end.
    pub fn integral_ns(&self, now_ns: u64) -> u128 {
        let ns = self.ends_minus_starts_ns + i128::from(self.open) * i128::from(now_ns);
        u128::try_from(ns).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_sum_of_durations(
            spans in proptest::collection::vec((0u64..1_000_000, 0u64..1_000_000, 0usize..4, 0usize..4), 0..100),
            read_at in 1_000_000u64..2_000_000
        ) {
            // Each span starts and ends on shards of its own choice; some are still open at the reading.
            let mut shards = [InFlight::default(); 4];
            let (mut expected, mut open) = (0u128, 0u64);
            for (start, length, on, off) in spans {
                shards[on].start(start);
                if start + length <= 1_000_000 {
                    shards[off].end(start + length);
                    expected += u128::from(length);
                } else {
                    open += 1;
                    expected += u128::from(read_at - start);
                }
            }
            let sum = shards.iter().fold(InFlight::default(), |a, b| a.plus(*b));
            prop_assert_eq!(sum.open(), open);
            prop_assert_eq!(sum.integral_ns(read_at), expected);
        }

        #[test]
        fn never_falls(steps in proptest::collection::vec((any::<bool>(), 0u64..1000), 1..100)) {
            let (mut f, mut now, mut last) = (InFlight::default(), 0u64, 0u128);
            for (start, dt) in steps {
                now += dt;
                if start { f.start(now) } else if f.open() > 0 { f.end(now) }
                let integral = f.integral_ns(now);
                prop_assert!(integral >= last);
                last = integral;
            }
        }
    }
}
