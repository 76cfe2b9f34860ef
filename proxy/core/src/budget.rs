//! A retry budget: retries are a share of requests, so that they cannot multiply the load of a service that fails.
//!
//! Finagle's and tower's rule: over the last ten seconds no more retries than a fifth of the requests, and ten a second
//! that even a quiet client may. Counted by second, so that it needs no lock; the bound is exact up to as many retries
//! as threads ask at the same moment while a second turns.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Retries for each request.
pub const RATIO: f64 = 0.2;
/// Retries a second that need no requests.
pub const MIN_PER_SECOND: u64 = 10;
/// Over how many seconds both are counted.
pub const WINDOW_S: u64 = 10;

const NS: u64 = 1_000_000_000;

/// See the module. One a service.
#[derive(Debug, Default)]
pub struct Budget {
    /// By second modulo their number: which second (32 bits), requests (16), retries (16), both saturating.
    seconds: [AtomicU64; WINDOW_S as usize],
}

impl Budget {
    /// A request came from a client.
    pub fn request(&self, now_ns: u64) {
        self.change(now_ns, |requests, retries| Some((requests.saturating_add(1), retries)));
    }

    /// Whether a retry may be made now; if so, it is counted.
    pub fn retry(&self, now_ns: u64) -> bool {
        let second = now_ns / NS;
        let (mut requests, mut retries) = (0u64, 0u64);
        for slot in &self.seconds {
            let (of, n, r) = unpack(slot.load(Relaxed));
            // The second that goes on is read below, with the change.
            if of != second as u32 && (second as u32).wrapping_sub(of) < WINDOW_S as u32 {
                requests += u64::from(n);
                retries += u64::from(r);
            }
        }
        let mut granted = false;
        self.change(now_ns, |n, r| {
            let allowed = (requests + u64::from(n)) as f64 * RATIO + (MIN_PER_SECOND * WINDOW_S) as f64;
            granted = ((retries + u64::from(r) + 1) as f64) <= allowed && r < u16::MAX;
            granted.then(|| (n, r + 1))
        });
        granted
    }

    fn change(&self, now_ns: u64, mut change: impl FnMut(u16, u16) -> Option<(u16, u16)>) {
        let second = now_ns / NS;
        let Some(slot) = self.seconds.get((second % WINDOW_S) as usize) else { return };
        // Where the closure gives nothing, nothing is written.
        let _ = slot.fetch_update(Relaxed, Relaxed, |bits| {
            let (of, n, r) = unpack(bits);
            let (n, r) = if of == second as u32 { (n, r) } else { (0, 0) };
            let (n, r) = change(n, r)?;
            Some(u64::from(second as u32) << 32 | u64::from(n) << 16 | u64::from(r))
        });
    }
}

fn unpack(bits: u64) -> (u32, u16, u16) {
    ((bits >> 32) as u32, (bits >> 16) as u16, bits as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fifth_of_the_requests_and_ten_a_second() {
        let b = Budget::default();
        assert_eq!((0..1_000).filter(|_| b.retry(0)).count(), 100);
        for i in 0..5_000u64 {
            b.request(NS + i * 1_000);
        }
        assert_eq!((0..5_000).filter(|_| b.retry(2 * NS)).count(), 1_000);
        // Ten seconds on the first hundred are forgotten, another nine and all is.
        assert_eq!((0..1_000).filter(|_| b.retry(10 * NS)).count(), 100);
        assert_eq!((0..1_000).filter(|_| b.retry(30 * NS)).count(), 100);
    }

    proptest! {
        #[test]
        fn never_exceeded(events in proptest::collection::vec((any::<bool>(), 0u64..800_000_000, 1usize..80), 1..40)) {
            let (b, mut now) = (Budget::default(), 0u64);
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            let last = |v: &[u64], now: u64| v.iter().filter(|s| **s + WINDOW_S > now / NS).count() as f64;
            for (retry, dt, n) in events {
                now += dt;
                for _ in 0..n {
                    if !retry {
                        b.request(now);
                        requests.push(now / NS);
                    } else if b.retry(now) {
                        retries.push(now / NS);
                        prop_assert!(last(&retries, now) <= last(&requests, now) * RATIO + 100.0);
                    }
                }
            }
        }

        #[test]
        fn any_times_are_bounded(times in proptest::collection::vec(any::<u64>(), 1..300)) {
            let b = Budget::default();
            for now in times {
                b.retry(now);
                prop_assert!(b.seconds.iter().all(|s| unpack(s.load(Relaxed)).2 <= 100));
            }
        }
    }
}
