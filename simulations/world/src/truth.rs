//! What the true load asks for, and how whoever scaled did by it.
//!
//! ```text
//!  Journal of replicas ─┐
//!  Load λ(t), exactly ──┼─► Tally: lowerings that the load does not support, replica-hours, seconds of too few
//!  who served when ─────┘
//! ```
//!
//! The judge knows no metrics: what anybody was told is no excuse.

use std::ops::Range;

use crate::metrics::Metrics;
use crate::scaled::Scaled;

/// What a workload needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Requests a second that one replica is meant to have.
    pub per_replica: f64,
    /// Requests a second that one replica can serve.
    pub capacity: f64,
    /// Fewest and most replicas that may be ordered.
    pub bounds: (i32, i32),
    /// How far back a sound measurement may reach, in milliseconds: the query's window, and the age that samples may
    /// have. A load that rose since is nobody's lie.
    pub looks_back_ms: i64,
}

/// What a rate over a window may be low by while pods come and go: each counter's first and last part of an interval is
/// nobody's, and Prometheus extrapolates into it. A lowering that is off by no more is a matter of measurement.
const MEASURED: f64 = 0.9;

/// How far a load may be off its replicas' before anything moves, as the HPA has it.
const TOLERANCE: f64 = 0.1;

/// What a rate is off by while nothing comes and goes.
const NOISE: f64 = 0.02;

/// A step at which the load is looked at for whether it was served, in milliseconds.
const STEP_MS: i64 = 1000;

/// A lowering that the true load did not support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsafe {
    /// What was done.
    pub scaled: Scaled,
    /// The fewest replicas that the load supported.
    pub needed: i32,
}

impl std::fmt::Display for Unsafe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Scaled { at_ms, actor, name, from, to, .. } = &self.scaled;
        write!(f, "{actor} lowered {name} from {from} to {to} at {at_ms} ms; the load needed {}", self.needed)
    }
}

/// What came of a world for one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Lowerings.
    pub lowered: u32,
    /// Raises.
    pub raised: u32,
    /// Those of the lowerings that the load did not support.
    pub unsafe_lowerings: Vec<Unsafe>,
    /// Replicas ordered, times how long.
    pub replica_hours: f64,
    /// Seconds in which fewer replicas served than could serve the load.
    pub violated_s: u32,
}

impl Truth {
    /// Replicas below which nobody may lower at a time, in milliseconds since the world began: what the least load of
    /// the time that may still be measured asks for.
    pub fn needed(&self, metrics: &Metrics, at_ms: i64) -> i32 {
        let least = metrics.true_lowest(at_ms.saturating_sub(self.looks_back_ms), at_ms);
        self.clamped((least * MEASURED / self.per_replica).ceil())
    }

    /// The fewest and the most replicas that suit the load at a time: those that it asks for, and those from whose load
    /// it is within a tenth, all that as well as it can be measured.
    pub fn suits(&self, metrics: &Metrics, at_ms: i64) -> (i32, i32) {
        let asked = metrics.true_rate(at_ms) / self.per_replica;
        let (low, high) = (asked * (1.0 - NOISE), asked * (1.0 + NOISE));
        (
            self.clamped((low / (1.0 + TOLERANCE)).ceil()),
            self.clamped(high.ceil().max((high / (1.0 - TOLERANCE)).floor())),
        )
    }

    fn clamped(&self, replicas: f64) -> i32 {
        let (min, max) = self.bounds;
        (replicas as i32).max(min).min(max)
    }

    /// Judges a lowering; `None`: it is none, or the load supports it.
    pub fn judge(&self, metrics: &Metrics, scaled: &Scaled) -> Option<Unsafe> {
        let needed = self.needed(metrics, scaled.at_ms);
        (scaled.to < scaled.from && scaled.to < needed).then(|| Unsafe { scaled: scaled.clone(), needed })
    }

    /// Judges a part of a world, in milliseconds since it began, by the pods of one of its clusters and the changes of their replicas, which
    /// were `initial` before.
    pub fn tally(
        &self,
        metrics: &Metrics,
        cluster: usize,
        initial: i32,
        scaled: &[Scaled],
        during: Range<i64>,
    ) -> Tally {
        let mut tally = Tally::default();
        let (mut ordered, mut since_ms, mut replica_ms) = (initial, during.start, 0);
        let end = [(during.end, None)];
        let changes = scaled.iter().filter(|s| s.cluster == cluster).map(|s| (s.at_ms, Some(s)));
        for (at_ms, change) in changes.chain(end) {
            replica_ms += i64::from(ordered) * (at_ms - since_ms);
            since_ms = at_ms;
            let Some(change) = change else { continue };
            tally.raised += u32::from(change.to > change.from);
            tally.lowered += u32::from(change.to < change.from);
            tally.unsafe_lowerings.extend(self.judge(metrics, change));
            ordered = change.to;
        }
        tally.replica_hours = replica_ms as f64 / 3_600_000.0;
        let served: Vec<(i64, u32)> = metrics.fleet(cluster, |fleet, _| fleet.served_by().collect());
        let mut served = served.into_iter().peekable();
        let mut ready = 0;
        for at_ms in during.step_by(STEP_MS as usize) {
            while let Some((_, now)) = served.next_if(|(from_ms, _)| *from_ms <= at_ms) {
                ready = now;
            }
            tally.violated_s += u32::from(f64::from(ready) * self.capacity < metrics.true_rate(at_ms));
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use simulations_kernel::{Clock, Schedule};

    use super::*;
    use crate::{Cluster, Fleet, Load, Scrape};

    fn change(at_ms: i64, from: i32, to: i32) -> Scaled {
        let (actor, name) = ("a".into(), "web".into());
        Scaled { sent_ms: at_ms, at_ms, cluster: 0, actor, name, from, to, holder: None }
    }

    #[test]
    fn lowerings_are_judged_by_the_load_alone() {
        crate::run(async {
            let load = Load::through([(0, 1000.0), (100_000, 1000.0), (100_000, 400.0), (200_000, 400.0)]);
            let fleet = Fleet::new(load, Scrape::default(), 1);
            let cluster = Cluster { name: "east".into(), fleet, labels: Vec::new() };
            let metrics = Metrics::new(vec![cluster], Schedule::default(), Clock::starting_at_ms(0));
            metrics.fleet(0, |fleet, _| (0..8).for_each(|i| fleet.served(&format!("p{i}"), 0)));
            let truth = Truth { per_replica: 100.0, capacity: 125.0, bounds: (2, 20), looks_back_ms: 60_000 };
            for (at_ms, to, needed) in [
                (99_000, 9, None),
                (99_000, 8, Some(9)),
                // The window may still be full of what was before; what is least in it counts.
                (100_000, 4, None),
                (100_000, 3, Some(4)),
                (300_000, 4, None),
            ] {
                let found = truth.judge(&metrics, &change(at_ms, 10, to));
                assert_eq!(found.map(|u| u.needed), needed, "{at_ms} {to}");
            }
            assert_eq!(truth.judge(&metrics, &change(99_000, 5, 6)), None, "a raise");
            let scaled = [change(60_000, 10, 8), change(160_000, 8, 4), change(180_000, 4, 5)];
            let tally = truth.tally(&metrics, 0, 10, &scaled, 0..240_000);
            assert_eq!((tally.lowered, tally.raised, tally.unsafe_lowerings.len()), (2, 1, 1));
            let minutes = 10.0 * 1.0 + 8.0 * (100.0 / 60.0) + 4.0 * (20.0 / 60.0) + 5.0;
            assert!((tally.replica_hours - minutes / 60.0).abs() < 1e-9, "{}", tally.replica_hours);
            // Eight serve 1000, and all the more 400.
            assert_eq!(tally.violated_s, 0);
            let strict = Truth { capacity: 124.0, ..truth };
            assert_eq!(strict.tally(&metrics, 0, 10, &scaled, 0..240_000).violated_s, 100);
        });
    }
}
