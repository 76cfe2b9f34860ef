//! To zero and back.

use autoscaler_core::{
    Behavior, Cause, Decision, FailureKind, Fallback, FallbackBehavior, Float, Input, LimitKind, RateKind,
    RatePolicy, Reading, Rules, SelectPolicy, Target, WaitReason, Wish, Zero, decide, explain,
};
use proptest::prelude::*;

use crate::build::{self, NOW_MS, asks_for, input, observed_at};
use crate::sequences::tick;
use crate::world::{Cut, Part, World};
use crate::worlds::world;

/// Down to zero after a cool-down of a minute, `replicas` there.
fn to_zero(replicas: i32) -> Input {
    let mut input = input(replicas, vec![asks_for("queue", 0)]);
    input.policy.min_replicas = 0;
    input.policy.zero = Some(Zero { cooldown_ms: 60_000, not_before_ms: None });
    input.policy.interval_ms = 1_000;
    input
}

fn value(input: &mut Input, value: f64) {
    input.observations[0].newest = Reading::Value(Float::new(value));
}

fn limits(decision: &Decision) -> Vec<LimitKind> {
    decision.limits.iter().map(|limit| limit.kind).collect()
}

#[test]
fn from_zero_only_a_value_above_its_activation_raises_sufficient_or_not() {
    for (seen, activation_milli, sufficient, expected) in [
        (0.0, 0, true, None),
        (0.001, 0, true, Some(1)),
        (30.0, 0, true, Some(3)),
        (30.0, 0, false, Some(3)),
        (5.0, 5_000, true, None),
        (5.001, 5_000, true, Some(1)),
        (25.0, 30_000, true, None),
        (31.0, 30_000, true, Some(4)),
        (31.0, 30_000, false, Some(4)),
        // As upstream without behaviour: at most four at once.
        (900.0, 0, true, Some(4)),
        (f64::NAN, 0, false, None),
    ] {
        for target in [None, Some(Target::Value { value_milli: 10_000 })] {
            let mut zero = to_zero(0);
            zero.policy.metrics[0].activation_milli = activation_milli;
            zero.policy.metrics[0].target = target.unwrap_or(zero.policy.metrics[0].target);
            value(&mut zero, seen);
            if !sufficient {
                let now_ms = zero.now_ms;
                build::age(&mut zero.observations[0], now_ms, Some(90_000));
                build::clusters(&mut zero.observations[0])[1].slowest_ms = None;
            }
            let decision = decide(&zero);
            assert_eq!(decision.write, expected, "{seen} {activation_milli} {sufficient}: {decision:?}");
        }
    }
}

#[test]
fn what_is_below_its_activation_is_said_so() {
    let mut zero = to_zero(0);
    zero.policy.metrics[0].activation_milli = 30_000;
    value(&mut zero, 25.0);
    let decision = decide(&zero);
    assert_eq!(limits(&decision), [LimitKind::BelowActivation]);
    assert_eq!(decision.wish(0), Wish::Keep);
    let words = explain(&zero, &decision);
    assert_eq!(
        words[0],
        "Stay at 0: queue above target: 25 against 10 a replica asks for 3; 0 by BelowActivation."
    );
    assert_eq!(
        words[2],
        "BelowActivation changed 3 to 0: at zero replicas no value is above its activation threshold."
    );
}

#[test]
fn no_window_rate_or_other_metric_keeps_the_first_replica_away() {
    let rules = |rules| Some(Behavior { scale_up: Some(rules), scale_down: None });
    let percent = RatePolicy { kind: RateKind::Percent, value: 100, period_seconds: 15 };
    let slow =
        Rules { stabilization_window_seconds: Some(600), policies: Some(vec![percent]), ..Rules::default() };
    let none = Rules { select_policy: Some(SelectPolicy::Disabled), ..Rules::default() };
    for (behavior, expected) in [(rules(slow), Some(1)), (rules(none), None)] {
        let mut zero = to_zero(0);
        let (spec, mut silent) = asks_for("other", 0);
        silent.newest = Reading::Failed { kind: FailureKind::Empty, message: String::new() };
        zero.policy.metrics.push(spec);
        zero.observations.push(silent);
        zero.policy.behavior = behavior;
        zero.history.recommendations =
            Some(vec![autoscaler_core::Recommendation { at_ms: NOW_MS - 1_000, replicas: 0, held_ms: 0 }]);
        value(&mut zero, 70.0);
        assert_eq!(decide(&zero).write, expected);
    }
}

#[test]
fn there_are_no_pods_to_miss_at_zero() {
    for (replicas, is_sufficient) in [(0, true), (1, false)] {
        let mut zero = to_zero(replicas);
        zero.cluster = "east".into();
        build::clusters(&mut zero.observations[0])[0].silent_pods = 3;
        assert_eq!(decide(&zero).evidence_code() == "EvidenceComplete", is_sufficient, "{replicas}");
    }
}

/// Every second; what there is after each.
fn run(input: &mut Input, seconds: std::ops::Range<i64>, seen: impl Fn(i64) -> Option<f64>) -> Vec<i32> {
    let after = seconds.map(|second| {
        let now_ms = NOW_MS + second * 1_000;
        input.now_ms = now_ms;
        input.observations = vec![observed_at(now_ms, "queue", seen(second).unwrap_or(0.0))];
        if seen(second).is_none() {
            input.observations[0].warnings.push("a store is lost".to_owned());
        }
        tick(input, now_ms)
    });
    after.collect()
}

#[test]
fn the_last_replica_goes_after_a_whole_cool_down_without_activity() {
    let mut idle = to_zero(5);
    let after = run(&mut idle, 0..100, |_| Some(0.0));
    let first = |replicas| after.iter().position(|there| *there == replicas);
    assert_eq!(first(1), Some(0), "no window keeps more than one");
    assert_eq!(first(0), Some(60));
    // A value above the threshold begins it anew, and so does one that is doubted.
    for doubted in [false, true] {
        let mut busy = to_zero(1);
        busy.policy.metrics[0].activation_milli = 5_000;
        let mut after = run(&mut busy, 0..30, |_| Some(5.0));
        busy.now_ms = NOW_MS + 30_000;
        busy.observations = vec![observed_at(busy.now_ms, "queue", 6.0)];
        if doubted {
            busy.observations[0].warnings.push("a store is lost".to_owned());
        }
        let now_ms = busy.now_ms;
        after.push(tick(&mut busy, now_ms));
        after.extend(run(&mut busy, 31..200, |_| Some(5.0)));
        assert_eq!(after.iter().position(|there| *there == 0), Some(92), "{doubted}");
    }
}

#[test]
fn what_could_not_be_seen_does_not_count_as_idle() {
    let mut gap = to_zero(1);
    let after = run(&mut gap, 0..300, |second| (!(20..120).contains(&second)).then_some(0.0));
    let zero = after.iter().position(|there| *there == 0).expect("it goes");
    assert!((158..=162).contains(&zero), "after {zero} s");
    // Nor does a time without decisions.
    let mut stall = to_zero(1);
    let mut after = run(&mut stall, 0..20, |_| Some(0.0));
    after.extend(run(&mut stall, 600..700, |_| Some(0.0)));
    assert!(after[..20 + 38].iter().all(|there| *there == 1), "{after:?}");
}

#[test]
fn an_initial_cool_down_is_waited_for() {
    let mut young = to_zero(1);
    young.policy.zero = Some(Zero { cooldown_ms: 0, not_before_ms: Some(NOW_MS + 30_000) });
    let after = run(&mut young, 0..40, |_| Some(0.0));
    assert_eq!(after.iter().position(|there| *there == 0), Some(30));
}

#[test]
fn how_long_it_cools_down_is_said() {
    let mut idle = to_zero(1);
    run(&mut idle, 0..21, |_| Some(0.0));
    idle.now_ms = NOW_MS + 21_000;
    idle.observations = vec![observed_at(idle.now_ms, "queue", 0.0)];
    let decision = decide(&idle);
    assert_eq!(limits(&decision), [LimitKind::CoolingDown]);
    let wait = decision.limits[0].wait.expect("a wait");
    assert_eq!((wait.why, wait.left_ms), (WaitReason::CoolDown, 39_000));
    assert_eq!(
        decision.cause(&idle),
        "queue below target: 0 (0 a replica against 10) asks for 0; 1 by CoolingDown for another 39s"
    );
    run(&mut idle, 21..60, |_| Some(0.0));
    idle.now_ms = NOW_MS + 60_000;
    idle.observations = vec![observed_at(idle.now_ms, "queue", 0.0)];
    let decision = decide(&idle);
    assert_eq!((decision.write, &decision.cause), (Some(0), &Cause::Idle));
    assert_eq!((decision.cause_code(&idle), decision.wish(1)), ("ScaledToZero", Wish::Change(0)));
    assert_eq!(explain(&idle, &decision)[0], "Scale from 1 to 0: nothing was active for 60s.");
}

#[test]
fn what_is_idle_goes_to_zero_whatever_its_target_asks_for() {
    // KEDA: the activation threshold comes first.
    let mut idle = to_zero(4);
    idle.policy.metrics[0].activation_milli = 50_000;
    let after = run(&mut idle, 0..80, |_| Some(40.0));
    assert_eq!(after.iter().position(|there| *there == 0), Some(61));
    assert!(after[..60].iter().all(|there| *there == 4));
}

#[test]
fn windows_and_rates_hold_on_the_way_to_zero() {
    let mut slow = to_zero(10);
    let one_a_minute = RatePolicy { kind: RateKind::Pods, value: 1, period_seconds: 60 };
    let rules = Rules {
        policies: Some(vec![one_a_minute]),
        stabilization_window_seconds: Some(90),
        ..Rules::default()
    };
    slow.policy.behavior = Some(Behavior { scale_up: None, scale_down: Some(rules) });
    slow.history.recommendations = None;
    let after = run(&mut slow, 0..900, |_| Some(0.0));
    assert!(after[..90].iter().all(|there| *there == 10), "the window");
    assert_eq!(after.iter().position(|there| *there == 0), Some(90 + 9 * 60), "one a minute");
}

#[test]
fn a_fallback_in_force_is_active() {
    let mut lost = to_zero(0);
    lost.policy.metrics[0].fallback =
        Some(Fallback { after_ms: 0, replicas: 3, behavior: FallbackBehavior::IfHigher });
    lost.observations[0].newest = Reading::Failed { kind: FailureKind::Unreachable, message: String::new() };
    assert_eq!(decide(&lost).write, Some(3));
    lost.policy.metrics[0].fallback = None;
    assert_eq!((decide(&lost).write, decide(&lost).cause), (None, Cause::InsufficientEvidence));
}

#[test]
fn without_a_way_to_zero_the_hpas_rules_are_as_they_were() {
    let mut hpa = to_zero(3);
    hpa.policy.zero = None;
    assert_eq!(decide(&hpa).write, Some(0));
    hpa.scale = build::scale(0);
    hpa.policy.metrics[0].activation_milli = 1_000_000;
    value(&mut hpa, 20.0);
    assert_eq!(decide(&hpa).write, Some(2), "activation is of the way to zero");
}

/// One replica, with a load for just that; what is half of it or less is no activity.
fn one(start: &mut Input) {
    start.scale = build::scale(1);
    start.policy.min_replicas = 0;
    start.policy.zero = Some(Zero { cooldown_ms: 3_000, not_before_ms: None });
    start.policy.metrics[0].activation_milli = 7_000;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// A true load of ten is read as five or less by who loses a cluster; the cool-down is shorter than most gaps.
    #[test]
    fn a_lie_never_takes_the_last_replica(world in world()) {
        let world = World { load: (0, 1.0 / 12.0), terms: one, ..world };
        let lowest = world.lowest(world.end());
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= 1), "{lowest:?} replicas, ms");
    }
}

#[test]
fn the_last_replica_goes_in_a_world_that_is_quiet() {
    let world = World { load: (60_000, 0.0), terms: one, ..World::demo() };
    let first = world.decide(200_000).find(|(_, decision)| decision.desired_replicas == 0);
    let (at, decision) = first.expect("it goes");
    // The load is below seven after a third of the window.
    assert!((60_000 + 9_000 + 3_000..60_000 + 30_000 + 10_000).contains(&at), "after {at} ms");
    assert_eq!(decision.cause, Cause::Idle);
    // Half of the load is lost in a cut that nobody has noticed yet.
    let cut = Cut { during: 60_000..75_000, of: Part::West, ..Cut::none() };
    let cut = World { cut, load: (0, 1.0 / 12.0), terms: one, ..World::demo() };
    assert_eq!(cut.lowest(200_000).map(|(replicas, _)| replicas), Some(1));
}
