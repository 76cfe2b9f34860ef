//! The pods of one cluster as their metrics show them: who served when, and what each counter stood at, exactly.
//!
//! ```text
//!  Load λ(t) ─► shared evenly by those that are ready ─► a pod's counter at t = what it served since it started
//! ```
//!
//! Nothing is scraped ahead: a sample is worked out when a query first reads it, and kept, for what is past stays as it
//! was. A counter at a time is the difference of two sums of `λ ÷ ready`, so no rounding adds up over a world's life.

use std::sync::Arc;

use simulations_kernel::hash::hash;

use crate::load::Load;

/// What is scraped, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Between two scrapes of a pod, in milliseconds. Each pod has a phase of its own.
    pub interval_ms: i64,
    /// From a scrape to when queries see it, in milliseconds.
    pub delay_ms: i64,
    /// More of that, drawn anew for each scrape, in milliseconds.
    pub jitter_ms: i64,
}

impl Default for Scrape {
    fn default() -> Self {
        Self { interval_ms: 1000, delay_ms: 200, jitter_ms: 100 }
    }
}

/// The pods of one cluster. Times are milliseconds since the world began.
#[derive(Debug, Clone)]
pub struct Fleet {
    load: Load,
    scrape: Scrape,
    seed: u64,
    pods: Vec<Pod>,
    shares: Vec<Share>,
    ready: u32,
}

/// From a time on, so many shared the load.
#[derive(Debug, Clone, Copy)]
struct Share {
    from_ms: i64,
    ready: u32,
    /// Requests that one that was always ready would have served until then.
    sum: f64,
    /// All requests until then.
    arrived: f64,
}

/// A pod's life as its counters have it.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) name: Arc<str>,
    hash: u64,
    phase_ms: i64,
    /// When it could be scraped, the last span perhaps still open.
    up: Vec<Span>,
    /// When it served, and what its counter stood at when that began. A start is a leg of no length.
    legs: Vec<Leg>,
    kept: Kept,
}

/// What a pod's counter stood at, scrape by scrape.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// The number of the first scrape that is kept.
    first: i64,
    counts: Vec<f64>,
}

impl Kept {
    fn get(&self, number: i64) -> Option<f64> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.counts.get(index).copied()
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from_ms: i64,
    to_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Leg {
    from_ms: i64,
    to_ms: Option<i64>,
    base: f64,
    /// What one that was always ready would have served until it began.
    sum: f64,
}

/// What one scrape found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scraped {
    /// When, in milliseconds since the world began.
    pub(crate) at_ms: i64,
    /// What it found; `None`: the pod is no longer there, and a staleness marker is written.
    pub(crate) count: Option<f64>,
    /// Which scrape of the pod, for what is drawn for each.
    pub(crate) number: u64,
}

impl Fleet {
    /// A cluster without pods, on which this load comes down. The seed draws phases and jitter.
    pub fn new(load: Load, scrape: Scrape, seed: u64) -> Self {
        let scrape = Scrape { interval_ms: scrape.interval_ms.max(1), ..scrape };
        let shares = vec![Share { from_ms: 0, ready: 0, sum: 0.0, arrived: 0.0 }];
        Self { load, scrape, seed, pods: Vec::new(), shares, ready: 0 }
    }

    /// The load that comes down on the cluster.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// How its pods are scraped.
    pub fn scrape(&self) -> &Scrape {
        &self.scrape
    }

    /// How many serve now.
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// From when on how many served, in order of time; the first from when the world began.
    pub fn served_by(&self) -> impl Iterator<Item = (i64, u32)> {
        self.shares.iter().map(|share| (share.from_ms, share.ready))
    }

    pub(crate) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The pod's process started: it can be scraped from now on, and its counters are at zero.
    pub fn started(&mut self, name: &str, at_ms: i64) {
        self.served_no_longer(name, at_ms);
        let index = self.index(name);
        let Some(pod) = self.pods.get_mut(index) else { return };
        if pod.up.last().is_none_or(|span| span.to_ms.is_some()) {
            pod.up.push(Span { from_ms: at_ms, to_ms: None });
        }
        pod.legs.push(Leg { from_ms: at_ms, to_ms: Some(at_ms), base: 0.0, sum: 0.0 });
    }

    /// The pod serves from now on.
    pub fn served(&mut self, name: &str, at_ms: i64) {
        let index = self.index(name);
        let (base, sum) = (self.count(index, at_ms), self.sum(at_ms));
        let Some(pod) = self.pods.get_mut(index) else { return };
        if pod.legs.last().is_some_and(|leg| leg.to_ms.is_none()) {
            return;
        }
        pod.legs.push(Leg { from_ms: at_ms, to_ms: None, base, sum });
        self.share(at_ms, self.ready + 1);
    }

    /// The pod serves no longer, but can be scraped.
    pub fn served_no_longer(&mut self, name: &str, at_ms: i64) {
        let index = self.index(name);
        let open = self.pods.get_mut(index).and_then(|pod| pod.legs.last_mut()).filter(|l| l.to_ms.is_none());
        if let Some(leg) = open {
            leg.to_ms = Some(at_ms);
            self.share(at_ms, self.ready.saturating_sub(1));
        }
    }

    /// The pod's process ended: it can be scraped no longer.
    pub fn ended(&mut self, name: &str, at_ms: i64) {
        self.served_no_longer(name, at_ms);
        let index = self.index(name);
        let open = self.pods.get_mut(index).and_then(|pod| pod.up.last_mut()).filter(|s| s.to_ms.is_none());
        if let Some(span) = open {
            span.to_ms = Some(at_ms);
        }
    }

    fn index(&mut self, name: &str) -> usize {
        // The youngest are told of most.
        if let Some(index) = self.pods.iter().rposition(|pod| &*pod.name == name) {
            return index;
        }
        let hash = hash(self.seed, [name]);
        let interval = u64::try_from(self.scrape.interval_ms).unwrap_or(1);
        let phase_ms = i64::try_from(hash % interval).unwrap_or(0);
        let (up, legs, kept) = (Vec::new(), Vec::new(), Kept::default());
        self.pods.push(Pod { name: name.into(), hash, phase_ms, up, legs, kept });
        self.pods.len() - 1
    }

    fn share(&mut self, at_ms: i64, ready: u32) {
        let (sum, arrived) = (self.sum(at_ms), self.load.sum(at_ms));
        self.ready = ready;
        self.shares.push(Share { from_ms: at_ms, ready, sum, arrived });
    }

    /// Requests that one that was always ready would have served.
    fn sum(&self, at_ms: i64) -> f64 {
        let after = self.shares.partition_point(|share| share.from_ms <= at_ms);
        let Some(share) = after.checked_sub(1).and_then(|i| self.shares.get(i)) else { return 0.0 };
        if share.ready == 0 {
            return share.sum;
        }
        share.sum + (self.load.sum(at_ms) - share.arrived) / f64::from(share.ready)
    }

    /// What a pod's counter stood at.
    fn count(&self, index: usize, at_ms: i64) -> f64 {
        let Some(pod) = self.pods.get(index) else { return 0.0 };
        let after = pod.legs.partition_point(|leg| leg.from_ms <= at_ms);
        let Some(leg) = after.checked_sub(1).and_then(|i| pod.legs.get(i)) else { return 0.0 };
        let upto = leg.to_ms.map_or(at_ms, |to| to.min(at_ms));
        if upto <= leg.from_ms { leg.base } else { leg.base + self.sum(upto) - leg.sum }
    }

    /// Keeps what a pod's scrapes before a time found. Nothing may be told any more of what happened before it.
    pub(crate) fn keep(&mut self, index: usize, before_ms: i64) {
        let interval = self.scrape.interval_ms;
        let Some(pod) = self.pods.get_mut(index) else { return };
        let Some(begin_ms) = pod.up.first().map(|span| span.from_ms) else { return };
        let mut kept = std::mem::take(&mut pod.kept);
        let phase_ms = pod.phase_ms;
        if kept.counts.is_empty() {
            kept.first = (begin_ms - phase_ms).div_euclid(interval);
        }
        let next = |kept: &Kept| phase_ms + (kept.first + kept.counts.len() as i64) * interval;
        while next(&kept) < before_ms {
            let count = self.count(index, next(&kept));
            kept.counts.push(count);
        }
        if let Some(pod) = self.pods.get_mut(index) {
            pod.kept = kept;
        }
    }

    /// The scrapes of a pod between two times, both inclusive, ascending.
    pub(crate) fn scrapes(&self, index: usize, from_ms: i64, to_ms: i64, mut each: impl FnMut(Scraped)) {
        let Some(pod) = self.pods.get(index) else { return };
        let interval = self.scrape.interval_ms;
        // The first scrape at or after a time.
        let number = |at_ms: i64| {
            (at_ms - pod.phase_ms).div_euclid(interval)
                + i64::from((at_ms - pod.phase_ms).rem_euclid(interval) > 0)
        };
        let time = |number: i64| pod.phase_ms + number * interval;
        for (i, span) in pod.up.iter().enumerate() {
            if span.from_ms > to_ms {
                break;
            }
            if span.to_ms.is_some_and(|to| to.saturating_add(interval) < from_ms) {
                continue;
            }
            let mut n = number(span.from_ms.max(from_ms));
            let last = span.to_ms.unwrap_or(i64::MAX).min(to_ms.saturating_add(1));
            while time(n) < last {
                let count = Some(pod.kept.get(n).unwrap_or_else(|| self.count(index, time(n))));
                each(Scraped { at_ms: time(n), count, number: n.unsigned_abs() });
                n += 1;
            }
            // The first scrape that finds it gone, unless it is up again by then, or never was scraped at all.
            let Some(ended) = span.to_ms else { continue };
            let marker = number(ended);
            let again = pod.up.get(i + 1).is_some_and(|next| next.from_ms <= time(marker));
            let scraped = number(span.from_ms) < marker;
            if scraped && !again && (from_ms..=to_ms).contains(&time(marker)) {
                each(Scraped { at_ms: time(marker), count: None, number: marker.unsigned_abs() });
            }
        }
    }
}

impl Pod {
    /// Whether the pod is of a part of the fleet: part `is` of `of` about equal ones.
    pub(crate) fn is_of(&self, of: u64, is: u64) -> bool {
        self.hash.rotate_left(32) % of.max(1) == is
    }

    /// A number that is this scrape's alone.
    pub(crate) fn draw(&self, number: u64, purpose: &str) -> u64 {
        hash(self.hash.wrapping_add(number), [purpose])
    }

    /// Whether it could have been scraped after a time.
    pub(crate) fn is_up_after(&self, at_ms: i64) -> bool {
        self.up.last().is_some_and(|span| span.to_ms.is_none_or(|to| to > at_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fleet(load: Load, interval_ms: i64) -> Fleet {
        Fleet::new(load, Scrape { interval_ms, ..Scrape::default() }, 1)
    }

    fn scraped(fleet: &Fleet, pod: usize, from: i64, to: i64) -> Vec<(i64, Option<f64>)> {
        let mut all = Vec::new();
        fleet.scrapes(pod, from, to, |s| all.push((s.at_ms, s.count)));
        all
    }

    #[test]
    fn those_that_are_ready_share_the_load_and_a_restart_begins_at_zero() {
        let mut fleet = fleet(Load::constant(100.0), 1000);
        fleet.started("a", 0);
        fleet.served("a", 0);
        fleet.started("b", 4000);
        fleet.served("b", 10_000);
        fleet.served("b", 11_000);
        fleet.served_no_longer("a", 20_000);
        fleet.served("a", 30_000);
        fleet.ended("b", 40_000);
        fleet.started("b", 45_000);
        fleet.served("b", 50_000);
        let count = |pod, at| fleet.count(pod, at);
        for (at, a, b) in [
            (0, 0.0, 0.0),
            (10_000, 1000.0, 0.0),
            (20_000, 1500.0, 500.0),
            (30_000, 1500.0, 1500.0),
            (40_000, 2000.0, 2000.0),
            (44_000, 2400.0, 2000.0),
            (45_000, 2500.0, 0.0),
            (50_000, 3000.0, 0.0),
            (60_000, 3500.0, 500.0),
        ] {
            assert_eq!((count(0, at), count(1, at)), (a, b), "{at}");
        }
        assert_eq!(fleet.ready(), 2);
    }

    #[test]
    fn a_pod_that_goes_is_marked_once() {
        let mut fleet = fleet(Load::constant(10.0), 1000);
        fleet.started("a", 0);
        fleet.ended("a", 3500);
        let phase = scraped(&fleet, 0, 0, 999)[0].0;
        let times: Vec<_> =
            scraped(&fleet, 0, 0, 60_000).iter().map(|(at, c)| (at - phase, c.is_some())).collect();
        let mut expected = vec![(0, true), (1000, true), (2000, true)];
        if phase < 500 {
            expected.push((3000, true));
        }
        let last = expected.last().unwrap().0;
        expected.push((last + 1000, false));
        assert_eq!(times, expected);
        // Up again before anybody looked: no marker.
        fleet.started("b", 0);
        fleet.ended("b", 10_000);
        fleet.started("b", 10_001);
        let all = scraped(&fleet, 1, 0, 20_000);
        assert_eq!((all.len(), all.iter().all(|(_, c)| c.is_some())), (20, true));
        // Never scraped: never marked.
        let at = scraped(&fleet, 1, 5000, 6999)[0].0 + 1;
        fleet.started("c", at);
        fleet.ended("c", at + 1);
        assert!(scraped(&fleet, 2, 0, 60_000).len() <= 2);
    }

    proptest! {
        /// What all counters gained is what arrived, as long as somebody was ready.
        #[test]
        fn no_request_is_lost_or_counted_twice(changes in prop::collection::vec((1_i64..5000, 0_usize..5, any::<bool>()), 1..40), rate in 1.0..1000.0) {
            let mut fleet = fleet(Load::constant(rate), 1000);
            fleet.started("always", 0);
            fleet.served("always", 0);
            let mut now = 0;
            for (after, pod, ready) in changes {
                now += after;
                let name = format!("p{pod}");
                if ready { fleet.served(&name, now) } else { fleet.served_no_longer(&name, now) }
            }
            now += 1000;
            let total: f64 = (0..fleet.pods.len()).map(|i| fleet.count(i, now)).sum();
            let arrived = fleet.load.arrived(now);
            prop_assert!((total - arrived).abs() < 1e-6 * arrived, "{total} {arrived}");
        }

        /// What is kept is what would be worked out.
        #[test]
        fn what_is_kept_is_what_was(changes in prop::collection::vec((1_i64..3000, any::<bool>()), 1..20), interval in 1_i64..2000) {
            let load = Load::through([(0, 10.0), (30_000, 90.0)]);
            let (mut kept, mut plain) = (fleet(load.clone(), interval), fleet(load, interval));
            let mut now = 0;
            for (after, up) in changes {
                now += after;
                kept.keep(0, now);
                for fleet in [&mut kept, &mut plain] {
                    if up {
                        fleet.started("a", now);
                        fleet.served("a", now);
                    } else {
                        fleet.ended("a", now);
                    }
                }
            }
            prop_assert_eq!(scraped(&kept, 0, 0, now), scraped(&plain, 0, 0, now));
        }

        /// Any cut of a span of time into two gives the same scrapes.
        #[test]
        fn ranges_join(from in 0_i64..20_000, middle in 0_i64..20_000, to in 0_i64..20_000, end in 0_i64..14_000, interval in 1_i64..7000) {
            let mut fleet = fleet(Load::constant(5.0), interval);
            fleet.started("a", 100);
            fleet.ended("a", 100 + end);
            fleet.started("a", 15_000);
            let mut edges = [from, middle, to];
            edges.sort_unstable();
            let [from, middle, to] = edges;
            let mut joined = scraped(&fleet, 0, from, middle - 1);
            joined.extend(scraped(&fleet, 0, middle, to));
            prop_assert_eq!(joined, scraped(&fleet, 0, from, to));
        }
    }
}
