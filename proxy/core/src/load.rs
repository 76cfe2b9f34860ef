//! An endpoint's load, shared between threads without a lock: peak-EWMA × (in flight + 1).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::backoff;
use crate::ewma::PeakEwma;

/// First pause after a failed connect, in ms.
const AVOID_MIN_MS: u64 = 100;
/// Longest pause after failed connects, in ms.
const AVOID_MAX_MS: u64 = 5_000;

/// What the balancer knows of one endpoint.
#[derive(Debug)]
pub struct Load {
    ewma: AtomicU64,
    in_flight: AtomicU32,
    connect_failures: AtomicU32,
    avoid_until_ns: AtomicU64,
}

impl Load {
    /// An endpoint that was just discovered. Seed it with its peers' estimate: a fixed small seed makes fresh
    /// endpoints look cheap beside a slow service and floods them.
    pub fn new(seed_rtt_ns: u64, now_ns: u64) -> Self {
        Self {
            ewma: AtomicU64::new(PeakEwma::seeded(seed_rtt_ns, now_ns).to_bits()),
            in_flight: AtomicU32::new(0),
            connect_failures: AtomicU32::new(0),
            avoid_until_ns: AtomicU64::new(0),
        }
    }

    /// A request was given to it.
    pub fn start(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// That request is over, however it went.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// It answered after `rtt_ns`.
    pub fn answered(&self, rtt_ns: u64, now_ns: u64) {
        // Nearly always zero already: a load is cheaper than a store on a shared line.
        if self.connect_failures.load(Relaxed) != 0 {
            self.connect_failures.store(0, Relaxed);
            self.avoid_until_ns.store(0, Relaxed);
        }
        let update = |bits| Some(PeakEwma::from_bits(bits).observe(rtt_ns, now_ns).to_bits());
        // The closure always gives a value, so this cannot fail.
        let _ = self.ewma.fetch_update(Relaxed, Relaxed, update);
    }

    /// It could not be connected to: the balancer avoids it for a while, longer each time. `jitter` is random.
    pub fn unreachable(&self, now_ns: u64, jitter: u64) {
        let failures = self.connect_failures.fetch_add(1, Relaxed);
        let pause_ms = backoff::delay_ms(AVOID_MIN_MS, AVOID_MAX_MS, failures, jitter);
        self.avoid_until_ns.store(now_ns.saturating_add(pause_ms.saturating_mul(1_000_000)), Relaxed);
    }

    /// Requests given to it and not over.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Latency estimate in ns.
    pub fn rtt_ns(&self, now_ns: u64) -> f64 {
        PeakEwma::from_bits(self.ewma.load(Relaxed)).estimate_ns(now_ns)
    }

    /// The balancer's measure; `None` while it is avoided.
    pub fn cost(&self, now_ns: u64) -> Option<f64> {
        if self.avoid_until_ns.load(Relaxed) > now_ns {
            return None;
        }
        Some(self.rtt_ns(now_ns) * (f64::from(self.in_flight()) + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn cost_is_latency_times_one_more_than_in_flight() {
        let load = Load::new(10 * MS, 0);
        let idle = load.cost(0).unwrap();
        load.start();
        load.start();
        assert!((load.cost(0).unwrap() / idle - 3.0).abs() < 1e-6);
        load.end();
        assert!((load.cost(0).unwrap() / idle - 2.0).abs() < 1e-6);
    }

    #[test]
    fn unreachable_is_avoided_longer_each_time_until_it_answers() {
        let load = Load::new(10 * MS, 0);
        load.unreachable(0, u64::MAX);
        assert_eq!(load.cost(0), None);
        assert!(load.cost(101 * MS).is_some());
        for _ in 0..20 {
            load.unreachable(0, u64::MAX);
        }
        assert_eq!(load.cost(4_000 * MS), None);
        assert!(load.cost(5_001 * MS).is_some());
        load.answered(10 * MS, 0);
        assert!(load.cost(0).is_some());
    }
}
