//! How long sufficient evidence has to ask for fewer replicas before they fall.

use autoscaler_core::{
    FailureKind, History, Input, LimitKind, Name, Observation, Reading, Rules, Samples, Scale, Settled,
    Target, WaitReason, decide,
};

use crate::build::{self, NOW_MS, asks_for, input, scale, seen};

/// A loop on samples of every `scrape_s` seconds, with a window.
struct Loop {
    run: Input,
    scrape_s: i64,
    interval_s: i64,
    now_s: i64,
}

impl Loop {
    fn new(scrape_s: i64, interval_s: i64, window_s: i64, max_age_s: i64) -> Self {
        let mut run = input(12, vec![asks_for("requests", 12)]);
        run.history = History::default();
        run.policy.interval_ms = interval_s * 1000;
        run.policy.metrics[0].evidence = build::both_within(max_age_s * 1000);
        run.policy.metrics[0].evidence.window_ms = window_s * 1000;
        Self { run, scrape_s, interval_s, now_s: 0 }
    }

    /// One decision on a value that asks for `replicas` at any time; what it wrote is not applied.
    fn tick(&mut self, replicas: i32, spoil: impl Fn(&mut Observation)) -> autoscaler_core::Decision {
        self.run.now_ms = NOW_MS + self.now_s * 1000;
        let newest_ms = NOW_MS + self.now_s / self.scrape_s * self.scrape_s * 1000;
        let value = Reading::Value((f64::from(replicas) * 10.0).into());
        let mut observation = build::observed_at(self.run.now_ms, "requests", 0.0);
        *build::clusters(&mut observation) = vec![seen("east", newest_ms), seen("west", newest_ms)];
        observation.newest = value.clone();
        let settled_ms = self.run.history.settled_ms("requests");
        observation.settled = settled_ms.map(|at_ms| Settled { at_ms, reading: value });
        spoil(&mut observation);
        self.run.observations = vec![observation];
        let decision = decide(&self.run);
        self.run.history = decision.history.clone();
        self.now_s += self.interval_s;
        decision
    }

    fn warmed_up(mut self) -> Self {
        for _ in 0..400 / self.interval_s {
            self.tick(12, |_| ());
        }
        self
    }

    /// Seconds from the first decision that asks for four to the first that wants them.
    fn seconds_to_lower(&mut self, spoil: impl Fn(i64, &mut Observation)) -> Option<i64> {
        let from_s = self.now_s;
        (0..1_000 / self.interval_s).find_map(|nth| {
            let passed_s = self.now_s - from_s;
            (self.tick(4, |seen| spoil(nth, seen)).desired_replicas == 4).then_some(passed_s)
        })
    }
}

fn unreachable(observation: &mut Observation) {
    let failed = Reading::Failed { kind: FailureKind::Unreachable, message: String::new() };
    observation.newest = failed.clone();
    if let Some(settled) = &mut observation.settled {
        settled.reading = failed;
    }
    observation.samples = Samples::Unknown("unreachable".to_owned());
}

/// What a lowering waits for, beside what the window itself takes to fall: blind span and one decision. Where it
/// was `maxAge`, range and one decision, that was 9, 51 and 120 s.
#[test]
fn a_lowering_waits_for_a_blind_span_and_one_decision() {
    for ((scrape_s, interval_s, window_s, max_age_s), expected) in [
        ((1, 1, 5, 3), 2),
        ((1, 1, 30, 20), 2),
        ((15, 1, 60, 45), 30),
        ((15, 15, 60, 45), 30),
        ((1, 15, 10, 20), 30),
        ((1, 1, 0, 20), 1),
    ] {
        // The longest, whenever the load falls between two scrapes.
        let phases = (0..scrape_s).step_by(interval_s as usize).map(|phase_s| {
            let mut warm = Loop::new(scrape_s, interval_s, window_s, max_age_s).warmed_up();
            for _ in 0..phase_s / interval_s {
                warm.tick(12, |_| ());
            }
            warm.seconds_to_lower(|_, _| ())
        });
        let which = format!("scrape {scrape_s}, interval {interval_s}, window {window_s}");
        assert_eq!(phases.max().flatten(), Some(expected), "{which}");
    }
}

#[test]
fn the_users_window_counts_if_it_is_longer() {
    let mut run = Loop::new(1, 1, 30, 20).warmed_up();
    let rules = Rules { stabilization_window_seconds: Some(90), ..Rules::default() };
    run.run.policy.behavior = Some(autoscaler_core::Behavior { scale_up: None, scale_down: Some(rules) });
    assert_eq!(run.seconds_to_lower(|_, _| ()), Some(89));
}

#[test]
fn at_first_sight_one_window_is_waited_for_and_said() {
    let mut fresh = Loop::new(1, 1, 30, 20);
    fresh.tick(4, |_| ());
    let first = fresh.tick(4, |_| ());
    let limit = &first.limits[0];
    assert_eq!((limit.kind, first.desired_replicas), (LimitKind::EvidenceTooShort, 12));
    let wait = limit.wait.expect("a wait");
    assert_eq!((wait.left_ms, wait.why), (32_000, WaitReason::FirstSight));
    let words = &first.conditions(&fresh.run)[0].message;
    assert!(
        words.ends_with("for another 32s: the window before the first decision was not watched"),
        "{words}"
    );
    assert_eq!(fresh.seconds_to_lower(|_, _| ()), Some(30));
}

#[test]
fn a_failed_query_costs_about_the_tick_that_it_was_lost_in() {
    let mut run = Loop::new(1, 1, 300, 20).warmed_up();
    assert_eq!(
        run.seconds_to_lower(|nth, seen| if nth == 1 {
            unreachable(seen)
        }),
        Some(3)
    );
    let mut every_second = Loop::new(1, 1, 30, 20).warmed_up();
    let lost = |nth, seen: &mut Observation| {
        if nth % 2 == 0 {
            unreachable(seen)
        }
    };
    assert!(every_second.seconds_to_lower(lost).is_some_and(|seconds| seconds <= 9));
    let mut slow = Loop::new(1, 15, 10, 20).warmed_up();
    assert!(slow.seconds_to_lower(lost).is_some_and(|seconds| seconds <= 240));
}

#[test]
fn a_warned_spell_costs_its_length_and_at_most_a_window() {
    let warned = |from, to| {
        move |nth: i64, seen: &mut Observation| {
            if (from..to).contains(&nth) {
                seen.warnings.push("no store matched".to_owned());
            }
        }
    };
    let waits = |window_s, to| Loop::new(1, 1, window_s, 20).warmed_up().seconds_to_lower(warned(0, to));
    assert!(waits(30, 5).is_some_and(|seconds| (5..=13).contains(&seconds)), "{:?}", waits(30, 5));
    assert!(waits(30, 100).is_some_and(|seconds| (130..=136).contains(&seconds)), "{:?}", waits(30, 100));
    assert!(waits(5, 100).is_some_and(|seconds| (104..=111).contains(&seconds)), "{:?}", waits(5, 100));
}

#[test]
fn a_remark_on_the_query_costs_its_tick_and_no_more() {
    let remark = |text: &'static str| {
        move |nth: i64, seen: &mut Observation| {
            if nth < 5 {
                seen.warnings.push(text.to_owned());
            }
        }
    };
    let waits = |text| Loop::new(1, 1, 30, 20).warmed_up().seconds_to_lower(remark(text));
    assert_eq!(waits("PromQL info: metric might not be a counter"), Some(2));
    assert!(waits("PromQL warning: bucket label \"le\" is missing").is_some_and(|s| (5..=8).contains(&s)));
}

/// Recommendations grow older only while something is recommended.
#[test]
fn an_outage_as_long_as_the_window_forgets_no_window() {
    let mut run = Loop::new(1, 1, 5, 3).warmed_up();
    run.run.policy.defaults.downscale_window_ms = 300_000;
    run.tick(12, |_| ());
    for _ in 0..301 {
        assert_eq!(run.tick(12, unreachable).desired_replicas, 12);
    }
    let after = run.seconds_to_lower(|_, _| ()).expect("it lowers");
    assert!((295..=312).contains(&after), "{after} s");
}

/// While the window bridges the gap its value is whole; when it begins in the gap, it is not.
#[test]
fn after_a_gap_evidence_is_sufficient_at_once_and_waits_only_where_the_window_begins_in_the_gap() {
    let mut run = Loop::new(1, 1, 300, 20).warmed_up();
    for _ in 0..100 {
        run.tick(12, |seen| seen.incomplete = Some("isPartial".to_owned()));
    }
    assert!(run.run.history.metrics[0].missing_since_ms.is_some());
    for (seconds, expected) in [
        (10, None),
        (180, None),
        (15, Some(WaitReason::Gap)),
        (80, Some(WaitReason::Gap)),
        (25, None),
        (100, None),
    ] {
        for _ in 0..seconds {
            run.tick(12, |_| ());
        }
        let mut probe = Loop { run: run.run.clone(), ..run };
        probe.tick(4, |_| ());
        probe.tick(4, |_| ());
        let asks_less = probe.tick(4, |_| ());
        assert_eq!(asks_less.evidence_code(), "EvidenceComplete");
        assert_eq!(probe.run.history.metrics[0].missing_since_ms, None);
        let wait = asks_less.limits.iter().find(|limit| limit.kind == LimitKind::EvidenceTooShort);
        assert_eq!(wait.and_then(|limit| limit.wait).map(|wait| wait.why), expected, "{}", run.now_s);
    }
}

/// The first settled value after an outage is from before it.
#[test]
fn what_was_asked_for_before_an_outage_raises_nothing_after_it() {
    let mut run = Loop::new(1, 1, 30, 20).warmed_up();
    for _ in 0..600 {
        run.tick(12, unreachable);
    }
    let first = run.tick(12, |seen| {
        let settled = seen.settled.as_mut().expect("a settled value");
        settled.reading = Reading::Value(900.0.into());
    });
    assert_eq!((first.desired_replicas, first.evidence_code()), (12, "NotSettled"));
}

/// A query that sums over its window is low for all of it after a gap.
#[test]
fn a_sum_over_time_waits_until_its_window_has_passed_a_gap() {
    let mut run = Loop::new(1, 1, 60, 20).warmed_up();
    run.run.policy.metrics[0].evidence.sums_over_window = true;
    let spoilt = |nth: i64, seen: &mut Observation| {
        if nth < 15 {
            seen.warnings.push("no store matched".to_owned());
        }
    };
    let waited = run.seconds_to_lower(spoilt).expect("it lowers");
    assert!((75..=80).contains(&waited), "{waited} s");
}

/// Latency measured before a pod was ready is not multiplied by that pod.
#[test]
fn a_ratio_does_not_multiply_what_it_already_raised() {
    for (interval_s, start_up_s) in [(1, 5), (1, 20), (15, 10)] {
        let (mut pods, mut peak) = (vec![i64::MIN; 4], 4);
        let mut run = Loop::new(1, interval_s, 30, 20);
        run.run.policy.metrics[0].target = Target::Value { value_milli: 100_000 };
        run.run.policy.interval_ms = interval_s * 1000;
        let ready_at =
            |pods: &[i64], at_s: i64| pods.iter().filter(|ready_s| **ready_s <= at_s).count() as f64;
        // Latency is twice the target with four replicas ready, and in proportion: eight are needed.
        let latency = |pods: &[i64], at_s: i64| {
            let load: f64 =
                (at_s - 30..at_s).map(|s| if s < 100 { 4.0 } else { 8.0 } / ready_at(pods, s)).sum();
            load / 30.0 * 100.0
        };
        while run.now_s < 600 {
            let now_s = run.now_s;
            run.run.scale =
                Scale { ready_replicas: ready_at(&pods, now_s) as i32, ..scale(pods.len() as i32) };
            let settled_ms = run.run.history.settled_ms("requests");
            let decision = run.tick(0, |seen| {
                seen.newest = Reading::Value(latency(&pods, now_s).into());
                seen.settled = settled_ms.map(|at_ms| Settled {
                    at_ms,
                    reading: Reading::Value(latency(&pods, (at_ms - NOW_MS) / 1000).into()),
                });
            });
            if let Some(to) = decision.write {
                run.run.history.record_written(&run.run.policy, run.run.now_ms, pods.len() as i32, to);
                pods.resize(to as usize, now_s + start_up_s);
            }
            peak = peak.max(pods.len());
        }
        assert!(
            (8..=10).contains(&peak),
            "{peak} at their most with an interval of {interval_s} s, {start_up_s} s to start"
        );
        assert!((8..=9).contains(&pods.len()), "{} in the end", pods.len());
    }
}

#[test]
fn without_behaviour_raises_are_limited_by_the_sync_period_and_not_by_the_evaluation() {
    let mut run = Loop::new(1, 1, 5, 3);
    run.run.policy.behavior = None;
    run.run.scale = scale(1);
    let mut replicas = 1;
    let mut at = Vec::new();
    for _ in 0..60 {
        let decision = run.tick(64, |_| ());
        if let Some(to) = decision.write {
            run.run.history.record_written(&run.run.policy, run.run.now_ms, replicas, to);
            replicas = to;
            at.push((run.now_s - 1, to));
            run.run.scale = scale(to);
        }
    }
    assert_eq!(at, [(0, 4), (15, 8), (30, 16), (45, 32)]);
}

#[test]
fn a_new_query_begins_like_a_new_metric_but_its_evidence_stays_missing() {
    let mut run = Loop::new(1, 1, 30, 20).warmed_up();
    run.tick(12, unreachable);
    let missing = run.run.history.metrics[0].missing_since_ms;
    assert!(missing.is_some());
    run.run.policy.metrics[0].revision = 7;
    run.tick(12, unreachable);
    let known = &run.run.history.metrics[0];
    assert_eq!((known.missing_since_ms, known.settled_ms), (missing, None));
    // Whoever answered stays expected, but nothing of its samples was watched.
    let clusters: Vec<_> = known.clusters.iter().map(|c| (c.name.as_str(), c.slowest_ms)).collect();
    assert_eq!(clusters, [("east", None), ("west", None)]);
    run.run.policy.metrics[0].name = Name::from("other");
    assert_eq!(run.tick(12, unreachable).evidence_code(), "NotObserved");
}
