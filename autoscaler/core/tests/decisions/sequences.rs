//! Decisions over time: what one hands to the next.

use autoscaler_core::{
    Behavior, FailureKind, Fallback, FallbackBehavior, History, Input, RateKind, RatePolicy, Reading, Rules,
    ScaleEvent, SelectPolicy, decide,
};
use proptest::prelude::*;

use crate::build::{self, NOW_MS, asks_for, input, observed, observed_at, scale};

/// Decides at `now_ms` on samples as old as they were, applies the write, hands the history on; the replicas
/// afterwards.
pub(crate) fn tick(input: &mut Input, now_ms: i64) -> i32 {
    let later_ms = now_ms - input.now_ms;
    for observation in &mut input.observations {
        for cluster in build::clusters(observation) {
            cluster.newest_ms += later_ms;
            cluster.slowest_ms = cluster.slowest_ms.map(|at_ms| at_ms + later_ms);
        }
    }
    input.now_ms = now_ms;
    let decision = decide(input);
    let from = input.scale.spec_replicas;
    input.history = decision.history;
    if let Some(to) = decision.write {
        input.history.record_written(&input.policy, now_ms, from, to);
        input.scale = scale(to);
    }
    input.scale.spec_replicas
}

#[test]
fn after_a_restart_nothing_is_lowered_for_one_window() {
    let mut fresh = input(10, vec![asks_for("requests", 4)]);
    fresh.policy.defaults.downscale_window_ms = 60_000;
    fresh.history = History::default();
    for (at_ms, replicas) in [(0, 10), (30_000, 10), (60_000, 10), (60_001, 4)] {
        assert_eq!(tick(&mut fresh, NOW_MS + at_ms), replicas, "after {at_ms} ms");
    }
}

#[test]
fn a_gap_does_not_delay_raising() {
    let mut gap = input(10, vec![asks_for("requests", 30)]);
    let rules = Rules { stabilization_window_seconds: Some(60), ..Rules::default() };
    gap.policy.behavior = Some(Behavior { scale_up: Some(rules), scale_down: None });
    gap.observations[0].newest = Reading::Failed { kind: FailureKind::Empty, message: String::new() };
    for second in 0..10 {
        assert_eq!(tick(&mut gap, NOW_MS + second * 1000), 10);
    }
    gap.observations = vec![observed_at(NOW_MS + 9_000, "requests", 300.0)];
    assert_eq!(tick(&mut gap, NOW_MS + 10_000), 20, "as fast as the default rate allows");
}

#[test]
fn resuming_from_a_pause_begins_like_a_restart() {
    let mut paused = input(10, vec![asks_for("requests", 4)]);
    paused.policy.defaults.downscale_window_ms = 60_000;
    paused.policy.mode = autoscaler_core::Mode::Paused;
    for second in 0..120 {
        assert_eq!(tick(&mut paused, NOW_MS + second * 1000), 10);
    }
    paused.policy.mode = autoscaler_core::Mode::Active;
    assert_eq!(tick(&mut paused, NOW_MS + 120_000), 10);
    assert_eq!(tick(&mut paused, NOW_MS + 180_001), 4);
}

#[test]
fn insufficiency_is_timed_without_interruption() {
    let mut flapping = input(10, vec![asks_for("requests", 10)]);
    flapping.policy.metrics[0].fallback =
        Some(Fallback { after_ms: 10_000, replicas: 20, behavior: FallbackBehavior::IfHigher });
    let (healthy, broken) = (flapping.observations[0].clone(), {
        let mut broken = flapping.observations[0].clone();
        broken.warnings.push("store lost".to_owned());
        broken
    });
    for second in 0..30 {
        flapping.now_ms = NOW_MS;
        flapping.observations = vec![if second % 5 == 0 { healthy.clone() } else { broken.clone() }];
        assert_eq!(tick(&mut flapping, NOW_MS + second * 1000), 10, "at {second} s");
    }
    flapping.now_ms = NOW_MS;
    flapping.observations = vec![broken];
    for (second, replicas) in [(31, 10), (35, 10), (36, 20)] {
        assert_eq!(tick(&mut flapping, NOW_MS + second * 1000), replicas, "at {second} s");
    }
}

#[test]
fn a_clock_set_back_holds_for_one_window_only() {
    let mut back = input(10, vec![asks_for("requests", 10)]);
    back.policy.defaults.downscale_window_ms = 60_000;
    tick(&mut back, NOW_MS + 3_600_000);
    back.now_ms = NOW_MS;
    back.observations = vec![observed("requests", 40.0)];
    assert_eq!(tick(&mut back, NOW_MS), 10);
    assert_eq!(tick(&mut back, NOW_MS + 60_000), 10);
    assert_eq!(tick(&mut back, NOW_MS + 60_001), 4);
}

#[test]
fn the_history_stays_small_however_long_it_runs() {
    let mut long = input(50, vec![asks_for("requests", 50)]);
    long.policy.defaults.downscale_window_ms = 3_600_000;
    for second in 0..2_000 {
        let now_ms = NOW_MS + i64::from(second) * 1000;
        long.now_ms = now_ms;
        long.observations = vec![observed_at(now_ms, "requests", f64::from(400 + (second * 7919) % 200))];
        tick(&mut long, now_ms);
        let kept = long.history.recommendations.as_ref().unwrap().len();
        assert!(kept <= 42, "{kept} recommendations after {second} s");
        let asked = long.history.support.as_ref().unwrap().asked.len();
        assert!(asked <= 42, "{asked} asks after {second} s");
    }
}

fn rate() -> impl Strategy<Value = RatePolicy> {
    let kind = prop_oneof![Just(RateKind::Pods), Just(RateKind::Percent)];
    (kind, 1..150i32, 1..120i32).prop_map(|(kind, value, period_seconds)| RatePolicy {
        kind,
        value,
        period_seconds,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let select = prop_oneof![Just(SelectPolicy::Min), Just(SelectPolicy::Max)];
    (proptest::collection::vec(rate(), 1..3), select).prop_map(|(policies, select)| Rules {
        stabilization_window_seconds: Some(0),
        select_policy: Some(select),
        policies: Some(policies),
        tolerance: None,
    })
}

/// The furthest that `rules` allow from `start` replicas, in either direction.
fn furthest(policy: &RatePolicy, start: i32, up: bool) -> i32 {
    let (start, value) = (f64::from(start), f64::from(policy.value));
    (match (policy.kind, up) {
        (RateKind::Pods, true) => start + value,
        (RateKind::Pods, false) => start - value,
        (RateKind::Percent, true) => (start * (1.0 + value / 100.0)).ceil(),
        (RateKind::Percent, false) => (start * (1.0 - value / 100.0)).trunc(),
    }) as i32
}

proptest! {
    /// Judged from the replicas themselves, not from the events: no window of any policy's period saw more
    /// change than the policies allow from the replicas at its start.
    #[test]
    fn rates_hold_over_every_window(
        up in rules(),
        down in rules(),
        asked in proptest::collection::vec((1..20i64, 1..400i32), 1..60),
    ) {
        let mut run = input(20, vec![asks_for("requests", 20)]);
        run.policy.max_replicas = 1000;
        run.policy.behavior = Some(Behavior { scale_up: Some(up.clone()), scale_down: Some(down.clone()) });
        let (mut now_ms, mut seen) = (NOW_MS, vec![(i64::MIN, 20)]);
        for (seconds, ask) in asked {
            now_ms += seconds * 1000;
            run.now_ms = now_ms;
            run.observations = vec![observed_at(now_ms, "requests", f64::from(ask) * 10.0)];
            let before = run.scale.spec_replicas;
            let after = tick(&mut run, now_ms);
            let rules = if after > before { &up } else { &down };
            let limits = rules.policies.iter().flatten().map(|policy| {
                let cutoff = now_ms - i64::from(policy.period_seconds) * 1000;
                let start = seen.iter().rev().find(|(at_ms, _)| *at_ms <= cutoff).map_or(20, |(_, was)| *was);
                furthest(policy, start, after > before)
            });
            let largest_change = (rules.select_policy == Some(SelectPolicy::Max)) == (after > before);
            let limit = if largest_change { limits.max() } else { limits.min() }.unwrap();
            if after > before {
                prop_assert!(after <= limit, "{before} to {after}, {limit} allowed by {up:?} after {seen:?}");
            } else if after < before {
                prop_assert!(after >= limit, "{before} to {after}, {limit} allowed by {down:?} after {seen:?}");
            }
            seen.push((now_ms, after));
        }
    }

    /// Judged from outside: replicas fall only on a sound answer, and not below what sound answers asked for
    /// within the window, counted by sound answers: an outage of any length forgets nothing of it.
    #[test]
    fn replicas_fall_only_on_lasting_sound_evidence(
        ticks in proptest::collection::vec((1..60i32, proptest::bool::weighted(0.8)), 1..160),
        (window, max_age) in (0..30usize, 0..30usize),
    ) {
        let mut run = input(30, vec![asks_for("requests", 30)]);
        run.policy.defaults.downscale_window_ms = window as i64 * 1000 - 1;
        run.policy.interval_ms = 1000;
        run.policy.metrics[0].evidence.max_age_ms = 2_000 + max_age as i64 * 1000;
        let mut asked: Vec<Option<i32>> = Vec::new();
        for (second, (ask, sound)) in ticks.into_iter().enumerate() {
            let now_ms = NOW_MS + second as i64 * 1000;
            let mut observation = observed_at(now_ms, "requests", f64::from(ask) * 10.0);
            if !sound {
                build::age(&mut observation, now_ms, Some(99_000));
                build::clusters(&mut observation)[1].slowest_ms = None;
            }
            run.now_ms = now_ms;
            run.observations = vec![observation];
            let before = run.scale.spec_replicas;
            let after = tick(&mut run, now_ms);
            // What raises is recommended, sound or not.
            asked.push((sound || f64::from(ask) > f64::from(before) * 1.1).then_some(ask));
            if after < before {
                prop_assert!(sound, "{before} to {after} at {second}: {asked:?}");
                // An ask within tolerance of what there was counted as what there was.
                let highest = asked.iter().rev().flatten().take(window.max(1)).max().copied().unwrap_or(0);
                prop_assert!(f64::from(after) * 1.1 >= f64::from(highest.min(before)), "{after} at {second}: {asked:?}");
            }
        }
    }
}

#[test]
fn a_failed_write_uses_up_no_rate() {
    let mut failing = input(10, vec![asks_for("requests", 50)]);
    let rules = Rules {
        policies: Some(vec![RatePolicy { kind: RateKind::Pods, value: 2, period_seconds: 60 }]),
        ..Rules::default()
    };
    failing.policy.behavior = Some(Behavior { scale_up: Some(rules), scale_down: None });
    for second in 0..5 {
        failing.now_ms = NOW_MS + second * 1000;
        let decision = decide(&failing);
        assert_eq!(decision.write, Some(12));
        failing.history = decision.history;
    }
    assert_eq!(tick(&mut failing, NOW_MS + 5_000), 12);
    let written = ScaleEvent { at_ms: NOW_MS + 5_000, change: 2, outdated: false };
    assert_eq!(failing.history.scale_up_events, [written]);
    assert_eq!(tick(&mut failing, NOW_MS + 6_000), 12, "the period's two are used up");
    assert_eq!(tick(&mut failing, NOW_MS + 65_000), 14);
}
