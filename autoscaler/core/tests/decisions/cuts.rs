//! Samples stop for a while, the load does not: whatever the cut's time and length, nothing is lowered.
//!
//! The value is what a Prometheus would give for `sum(rate(x[window]))`, computed from the samples that are
//! left; the ages are what it would give for `timestamp(x)`.

use std::collections::BTreeMap;
use std::ops::Range;

use autoscaler_core::{
    Behavior, Doubt, FailureKind, Float, History, Input, LimitKind, Observation, Reading, Rules, decide,
};
use proptest::prelude::*;

use crate::build::{NOW_MS, asks_for, both_within, input, scale};

const REPLICAS: i32 = 12;
/// How far back an instant selector looks, in milliseconds.
const LOOKBACK_MS: i64 = 300_000;

/// Two clusters under constant load, half of it each; times in milliseconds from the start of the run.
#[derive(Clone, Debug)]
struct World {
    scrape_ms: i64,
    window_ms: i64,
    max_age_ms: i64,
    interval_ms: i64,
    /// Seconds; `None`: no behaviour, and a controller-wide window of zero.
    user_window: Option<i32>,
    /// West has no samples, nor has east if `both`.
    cut: Range<i64>,
    both: bool,
    /// From one cut to the next, if there are several.
    again_ms: Option<i64>,
    /// The querier cannot be reached.
    outage: Range<i64>,
    /// The controller does not run.
    stall: Range<i64>,
    /// How much later than planned each decision comes, in percent of the interval, round and round.
    jitter: Vec<i64>,
}

impl World {
    /// A cluster's newest samples' times up to `now`, within the last `span`, oldest first.
    fn samples(&self, is_cut: bool, now: i64, span: i64) -> Vec<i64> {
        let first = (now - span).div_euclid(self.scrape_ms) + 1;
        let times = (first..=now.div_euclid(self.scrape_ms)).map(|scrape| scrape * self.scrape_ms);
        times.filter(|at| !(is_cut && self.is_cut(*at))).collect()
    }

    fn is_cut(&self, at: i64) -> bool {
        let since = at - self.cut.start;
        let since = self.again_ms.filter(|_| since >= 0).map_or(since, |again| since % again);
        (0..self.cut.end - self.cut.start).contains(&since)
    }

    /// Decides until `end`; the lowest that was desired, and when.
    fn lowest(&self, end: i64) -> Option<(i32, i64)> {
        let mut run = self.start();
        let ticks = self.ticks(end).into_iter().map(|now| {
            run.now_ms = NOW_MS + now;
            run.observations = vec![self.observe(now)];
            let decision = decide(&run);
            run.history = decision.history;
            (decision.desired_replicas, now)
        });
        ticks.min()
    }

    /// Prometheus' extrapolated rate of a counter that grows by `rate` a second.
    fn rate(&self, samples: &[i64], now: i64, rate: f64) -> Option<f64> {
        let (first, last) = (*samples.first()?, *samples.last()?);
        let sampled = (last - first) as f64;
        if sampled == 0.0 {
            return None;
        }
        let average = sampled / (samples.len() - 1) as f64;
        let up_to = |edge: i64| if edge as f64 >= average * 1.1 { average / 2.0 } else { edge as f64 };
        let covered = sampled + up_to(first - (now - self.window_ms)) + up_to(now - last);
        Some(rate * covered / self.window_ms as f64)
    }

    fn observe(&self, now: i64) -> Observation {
        let mut ages = BTreeMap::new();
        let mut rates = Vec::new();
        for (cluster, is_cut) in [("east", self.both), ("west", true)] {
            let newest = self.samples(is_cut, now, LOOKBACK_MS).last().copied();
            ages.insert(cluster.to_owned(), newest.map(|at| now - at));
            let load = f64::from(REPLICAS) * 10.0 / 2.0;
            rates.extend(self.rate(&self.samples(is_cut, now, self.window_ms), now, load));
        }
        let failed = |kind| Reading::Failed { kind, message: String::new() };
        let reading = match () {
            () if self.outage.contains(&now) => failed(FailureKind::Unreachable),
            () if rates.is_empty() => failed(FailureKind::Empty),
            () => Reading::Value(Float::new(rates.iter().sum())),
        };
        Observation {
            name: "requests".to_owned(),
            reading,
            series_count: 1,
            newest_sample_age_ms: ages,
            timeless: false,
            warnings: Vec::new(),
        }
    }

    fn start(&self) -> Input {
        let mut start = input(REPLICAS, vec![asks_for("requests", REPLICAS)]);
        start.history = History::default();
        start.policy.interval_ms = self.interval_ms;
        start.policy.metrics[0].evidence = both_within(self.max_age_ms);
        start.policy.metrics[0].evidence.window_ms = self.window_ms;
        start.policy.behavior = self.user_window.map(|seconds| {
            let rules = Rules { stabilization_window_seconds: Some(seconds), ..Rules::default() };
            Behavior { scale_up: None, scale_down: Some(rules) }
        });
        start
    }

    /// Long after everything is over.
    fn end(&self) -> i64 {
        let quiet = self.cut.end.max(self.outage.end).max(self.stall.end);
        quiet + 2 * (self.window_ms + self.max_age_ms + self.interval_ms)
    }

    /// When each decision is made.
    fn ticks(&self, end: i64) -> Vec<i64> {
        let late = self.jitter.iter().cycle();
        let ticks = (0..end / self.interval_ms).zip(late);
        let ticks = ticks.map(|(tick, late)| tick * self.interval_ms + late * self.interval_ms / 100);
        ticks.filter(|at| !self.stall.contains(at)).collect()
    }
}

fn span_ms() -> impl Strategy<Value = Range<i64>> {
    let length_ms = prop_oneof![Just(0), 0..30_000i64, 0..200_000i64];
    (-60_000..120_000i64, length_ms).prop_map(|(from, length)| from..from + length)
}

fn world() -> impl Strategy<Value = World> {
    let query = (500..5_000i64).prop_flat_map(|scrape| (Just(scrape), 2 * scrape..60_000));
    let policy = (500..40_000i64, 500..10_000i64, proptest::option::of(0..20));
    let faults = (span_ms(), any::<bool>(), span_ms(), span_ms());
    let jitter = proptest::collection::vec(0..100i64, 1..5);
    (query, policy, faults, jitter).prop_map(
        |((scrape_ms, window_ms), (max_age_ms, interval_ms, user_window), faults, jitter)| {
            let (cut, both, outage, stall) = faults;
            World {
                scrape_ms,
                window_ms,
                max_age_ms,
                interval_ms,
                user_window,
                cut,
                both,
                again_ms: None,
                outage,
                stall,
                jitter,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Before it is noticed, while it lasts, while the window refills; noticed or not; hidden by an outage of
    /// the querier or by a controller that stood still; begun before the controller did.
    #[test]
    fn a_cut_under_constant_load_lowers_nothing(world in world()) {
        let lowest = world.lowest(world.end());
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
    }
}

/// A scrape and a decision a second, a window of 30 s, a `maxAge` of 20 s, no window of the user's.
fn demo(cut: Range<i64>) -> World {
    World {
        scrape_ms: 1_000,
        window_ms: 30_000,
        max_age_ms: 20_000,
        interval_ms: 1_000,
        user_window: Some(0),
        cut,
        both: false,
        again_ms: None,
        outage: 0..0,
        stall: 0..0,
        jitter: vec![0],
    }
}

#[test]
fn the_model_lies_as_a_querier_would() {
    let world = demo(100_000..145_000);
    let value = |now| match world.observe(now).reading {
        Reading::Value(value) => value.get(),
        Reading::Failed { .. } => f64::NAN,
    };
    let age = |now| world.observe(now).newest_sample_age_ms["west"];
    assert_eq!((value(99_500), age(99_500)), (120.0, Some(500)));
    assert!((value(114_000) - 90.0).abs() < 2.0, "half a window is gone: {}", value(114_000));
    assert_eq!((value(130_000), age(130_000)), (60.0, Some(31_000)));
    assert!((value(160_000) - 90.0).abs() < 2.0, "half a window is back: {}", value(160_000));
    assert_eq!((value(175_000), age(175_000)), (120.0, Some(0)));
}

#[test]
fn after_a_gap_the_window_refills_and_says_for_how_long() {
    let world = demo(200_000..245_000);
    let mut run = world.start();
    let mut doubts = BTreeMap::new();
    for now in world.ticks(world.end()) {
        run.now_ms = NOW_MS + now;
        run.observations = vec![world.observe(now)];
        let decision = decide(&run);
        let words = decision.metrics[0].evidence.doubts().first().map(ToString::to_string);
        doubts.insert(now / 1000, words.unwrap_or_default());
        run.history = decision.history;
    }
    for (second, words) in [
        (219, ""),
        (220, "cluster west's newest sample is 21s old, more than 20s"),
        (244, "cluster west's newest sample is 45s old, more than 20s"),
        (245, "its window refills for another 30s after the gap"),
        (268, "its window refills for another 7s after the gap"),
        (274, "its window refills for another 1s after the gap"),
        (275, ""),
    ] {
        assert_eq!(doubts[&second], words, "after {second} s");
    }
}

#[test]
fn a_cut_hidden_by_another_fault_lowers_nothing() {
    let hidden = demo(200_000..350_000);
    for (fault, world) in [
        ("outage", World { outage: 219_000..360_000, ..hidden.clone() }),
        ("stall", World { stall: 219_000..360_000, ..hidden }),
    ] {
        assert_eq!(world.lowest(600_000).map(|(replicas, _)| replicas), Some(REPLICAS), "{fault}");
    }
}

/// Between cuts no window is ever full, so no answer is ever true.
#[test]
fn cuts_without_end_lower_nothing() {
    let flapping = World { again_ms: Some(55_000), max_age_ms: 2_000, ..demo(200_000..235_000) };
    assert_eq!(flapping.lowest(1_200_000).map(|(replicas, _)| replicas), Some(REPLICAS));
}

/// Seconds from the first decision that asks for less to the write.
fn seconds_to_lower(run: &mut Input, spoil: impl Fn(i64, &mut Observation)) -> Option<i64> {
    (0..400).find(|second| {
        run.now_ms = NOW_MS + second * 1000;
        run.observations = vec![asks_for("requests", 4).1];
        spoil(*second, &mut run.observations[0]);
        let decision = decide(run);
        run.history = decision.history;
        decision.write.is_some()
    })
}

#[test]
fn lowering_waits_for_as_long_as_a_lie_could_last() {
    let ready = |user_window| {
        let mut run = World { user_window, ..demo(0..0) }.start();
        run.policy.defaults.downscale_window_ms = 300_000;
        run
    };
    assert_eq!(seconds_to_lower(&mut ready(Some(0)), |_, _| ()), Some(51));
    assert_eq!(seconds_to_lower(&mut ready(Some(20)), |_, _| ()), Some(51));
    assert_eq!(seconds_to_lower(&mut ready(Some(90)), |_, _| ()), Some(90), "the user's is longer");
    assert_eq!(seconds_to_lower(&mut ready(None), |_, _| ()), Some(301), "the controller's is longer");
    let mut no_evidence = ready(Some(0));
    no_evidence.policy.metrics[0].evidence = both_within(0);
    let timeless = |_, seen: &mut Observation| seen.timeless = true;
    assert_eq!(seconds_to_lower(&mut no_evidence, timeless), Some(0));
}

#[test]
fn every_second_query_may_fail_and_lowering_only_takes_longer() {
    let mut run = demo(0..0).start();
    let unreachable = |second, seen: &mut Observation| {
        if second % 2 == 1 {
            seen.reading = Reading::Failed { kind: FailureKind::Unreachable, message: String::new() };
            seen.warnings = vec!["no evidence".to_owned()];
        }
    };
    assert_eq!(seconds_to_lower(&mut run, unreachable), Some(102));
}

#[test]
fn a_failed_query_refills_nothing_but_a_gap_does() {
    for (kind, refills) in [(FailureKind::Unreachable, false), (FailureKind::Empty, true)] {
        let mut run = demo(0..0).start();
        run.observations[0].reading = Reading::Failed { kind, message: String::new() };
        run.history = decide(&run).history;
        run.now_ms += 1000;
        run.observations = vec![asks_for("requests", 4).1];
        let decision = decide(&run);
        let doubts = decision.metrics[0].evidence.doubts();
        assert_eq!(doubts.contains(&Doubt::Refilling { left_ms: 30_000 }), refills, "{kind:?}");
        // Either holds: what was found at first sight is still in force.
        let limit = decision.limits.first().map(|limit| limit.kind);
        assert_eq!((decision.write, limit), (None, (!refills).then_some(LimitKind::EvidenceTooShort)));
    }
}

#[test]
fn refilling_may_raise() {
    let mut run = demo(0..0).start();
    run.observations[0].series_count = 0;
    run.history = decide(&run).history;
    run.now_ms += 1000;
    run.scale = scale(REPLICAS);
    run.observations = vec![asks_for("requests", 20).1];
    assert_eq!(decide(&run).write, Some(20));
}
