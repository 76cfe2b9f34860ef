//! One number out of several metrics.

use autoscaler_core::{
    Cause, Doubt, FailureKind, Fallback, FallbackBehavior, Formula, FormulaSpec, Input, MetricSpec, Reading,
    Settled, Target, Undefined, decide, explain,
};
use proptest::prelude::*;

use crate::build::{self, asks_for, input};
use crate::world::{REPLICAS, World};
use crate::worlds::world;

/// Ten replicas; `queue` and `requests` ask for nothing by themselves, and their formula for ten of it a replica.
fn formula(text: &str, queue: f64, requests: f64) -> Input {
    let silent = |name: &str, value: f64| {
        let (mut spec, mut seen) = asks_for(name, 0);
        spec.target = Target::None;
        seen.newest = Reading::Value(value.into());
        (spec, seen)
    };
    let mut input = input(10, vec![silent("queue", queue), silent("requests", requests)]);
    input.policy.formula = Some(FormulaSpec {
        expression: Formula::compile(text).expect("a formula"),
        target: Target::AverageValue { average_value_milli: 10_000 },
        activation_milli: 0,
    });
    input
}

#[test]
fn a_formula_asks_and_the_metrics_in_it_do_not() {
    for (text, expected) in [
        ("queue + requests", Some(15)),
        ("max(queue, requests)", None),
        ("min(queue, requests)", Some(5)),
        ("requests > 20 ? queue * 2 : 0", Some(20)),
    ] {
        let decision = decide(&formula(text, 100.0, 50.0));
        assert_eq!(decision.write, expected, "{text}");
        assert!(decision.metrics.iter().all(|verdict| verdict.proposal.is_none()));
        assert_eq!(decision.evidence_code(), "EvidenceComplete");
        assert!(matches!(decision.cause, Cause::Formula { .. }));
        assert!(!decision.failed_to_compute());
    }
}

#[test]
fn a_metric_beside_the_formula_may_have_its_own_target() {
    let mut both = formula("queue + requests", 100.0, 50.0);
    both.policy.metrics[0].target = Target::AverageValue { average_value_milli: 5_000 };
    let decision = decide(&both);
    assert_eq!((decision.write, &decision.cause), (Some(20), &Cause::Metric { index: 0, replicas: 20 }));
}

#[test]
fn tells_what_it_is() {
    let sum = formula("queue + requests", 100.0, 50.0);
    let decision = decide(&sum);
    assert_eq!(
        explain(&sum, &decision),
        [
            "Scale from 10 to 15: formula above target: 150 (15 a replica against 10) asks for 15.",
            "Metric queue is 100, for the formula, on sufficient evidence.",
            "Metric requests is 50, for the formula, on sufficient evidence.",
            "The formula queue + requests is 150 (15 a replica against 10) and asks for 15 replicas, on sufficient \
             evidence.",
        ]
    );
    let active =
        decision.conditions(&sum).into_iter().find(|c| c.kind.to_string() == "ScalingActive").unwrap();
    assert_eq!((active.status, active.reason.as_str()), (true, "ValidMetricFound"));
}

#[test]
fn one_insufficient_metric_of_it_forbids_lowering_and_not_raising() {
    for (requests, expected) in [(50.0, None), (200.0, Some(20))] {
        for spoilt in [0, 1] {
            let mut doubted = formula("max(queue, requests)", 50.0, requests);
            doubted.observations[spoilt].warnings.push("a store is lost".to_owned());
            let decision = decide(&doubted);
            assert_eq!(decision.write, expected, "{requests} {spoilt}: {:?}", decision.cause);
            assert_eq!(decision.evidence_code(), "QueryWarnings");
            let name = doubted.policy.metrics[spoilt].name.clone();
            let found = decision.formula.expect("a verdict");
            assert_eq!(found.evidence.doubts(), [Doubt::OfMetric { metric: name }]);
        }
    }
}

#[test]
fn the_newest_values_raise_and_the_settled_ones_lower() {
    // Settled, each metric's own time: may lower. Newest, all of now: may raise.
    for (settled, newest, expected) in [
        ((30.0, 20.0), (30.0, 20.0), Some(5)),
        ((60.0, 40.0), (10.0, 10.0), None),
        ((60.0, 40.0), (100.0, 80.0), Some(18)),
        ((30.0, 20.0), (100.0, 10.0), None),
    ] {
        let mut two = formula("queue + requests", newest.0, newest.1);
        for (observation, value) in two.observations.iter_mut().zip([settled.0, settled.1]) {
            let at_ms = two.now_ms - 2_000;
            observation.settled = Some(Settled { at_ms, reading: Reading::Value(value.into()) });
        }
        assert_eq!(decide(&two).write, expected, "{settled:?} {newest:?}");
    }
}

#[test]
fn what_has_no_number_is_a_doubt_by_its_name() {
    let silent = |input: &mut Input| {
        input.observations[1].newest = Reading::Failed { kind: FailureKind::Empty, message: String::new() };
    };
    let nothing = |_: &mut Input| ();
    type Change = fn(&mut Input);
    let no_value = Doubt::Undefined(Undefined::NoValue { metric: "requests".to_owned() });
    let cases: [(&str, Change, Doubt, &str, &str); 4] = [
        (
            "queue / (requests - 50)",
            nothing,
            Doubt::Undefined(Undefined::DivisionByZero),
            "FormulaUndefined",
            "it has no number: it divides by zero; guard the formula",
        ),
        (
            "queue * 1e308 * 1e308 + requests",
            nothing,
            Doubt::Undefined(Undefined::NotFinite),
            "FormulaUndefined",
            "it is not a finite number",
        ),
        (
            "requests - queue",
            nothing,
            Doubt::Negative,
            "NegativeValue",
            "its value is negative; correct the query or the formula",
        ),
        ("queue + requests", silent, no_value, "EmptyResult", "its query returned no series"),
    ];
    for (text, change, doubt, code, words) in cases {
        let mut undefined = formula(text, 100.0, 50.0);
        change(&mut undefined);
        let decision = decide(&undefined);
        assert_eq!((decision.write, &decision.cause), (None, &Cause::InsufficientEvidence), "{text}");
        assert_eq!(decision.evidence_code(), code);
        assert!(decision.failed_to_compute());
        let found = decision.formula.as_ref().expect("a verdict").evidence.doubts();
        assert!(found.contains(&doubt), "{text}: {found:?}");
        let told = decision.conditions(&undefined);
        assert!(told.iter().any(|c| c.message.contains(words)), "{text}: {told:?}");
        assert!(!explain(&undefined, &decision).is_empty());
    }
    // Guarded, it goes on without; but nothing is lowered.
    let mut guarded = formula("has(metrics.requests) ? queue + requests : queue * 2", 100.0, 50.0);
    silent(&mut guarded);
    assert_eq!(decide(&guarded).write, Some(20));
    guarded.observations[0].newest = Reading::Value(10.0.into());
    assert_eq!(decide(&guarded).write, None);
}

#[test]
fn a_fallback_of_a_metric_in_it_stands_in() {
    for (behavior, expected) in [(FallbackBehavior::Static, Some(4)), (FallbackBehavior::IfHigher, None)] {
        let mut lost = formula("queue + requests", 100.0, 50.0);
        lost.policy.metrics[1].fallback = Some(Fallback { after_ms: 0, replicas: 4, behavior });
        lost.observations[1].newest =
            Reading::Failed { kind: FailureKind::Unreachable, message: String::new() };
        assert_eq!(decide(&lost).write, expected, "{behavior:?}");
    }
}

#[test]
fn a_stale_ratio_of_a_formula_does_not_raise() {
    let mut stale = formula("queue / requests", 100.0, 10.0);
    stale.policy.formula.as_mut().unwrap().target = Target::Value { value_milli: 1_000 };
    assert_eq!(decide(&stale).write, Some(20), "at most the double at once");
    let now_ms = stale.now_ms;
    build::age(&mut stale.observations[0], now_ms, Some(60_000));
    assert_eq!(decide(&stale).write, None);
}

#[test]
fn a_formula_activates() {
    for (queue, expected) in [(20.0, None), (20.1, Some(4))] {
        let mut zero = formula("queue + requests", queue, 10.0);
        zero.scale = build::scale(0);
        zero.policy.min_replicas = 0;
        zero.policy.zero = Some(Default::default());
        zero.policy.formula.as_mut().unwrap().activation_milli = 30_000;
        // Of no account, as it asks for nothing by itself.
        zero.policy.metrics[0].activation_milli = 0;
        assert_eq!(decide(&zero).write, expected, "{queue}");
    }
}

#[test]
fn contradictions_are_named() {
    type Change = fn(&mut Input);
    let cases: [(Change, &str); 3] = [
        (
            |i| i.policy.formula = None,
            "metric queue has no target, and the formula does not read it; write either",
        ),
        (
            |i| i.policy.formula.as_mut().unwrap().target = Target::None,
            "the formula's target is not above zero; raise it",
        ),
        (
            |i| i.policy.metrics[1] = MetricSpec { name: "other".into(), ..i.policy.metrics[1].clone() },
            "the formula reads requests, which is no metric of the policy; add it, or correct the name",
        ),
    ];
    for (change, words) in cases {
        let mut wrong = formula("queue + requests", 1.0, 1.0);
        change(&mut wrong);
        let decision = decide(&wrong);
        assert!(decision.cause(&wrong).contains(words), "{}", decision.cause(&wrong));
        assert_eq!(decision.write, None);
    }
}

/// The world's own metric through a formula.
fn through(text: &str, start: &mut Input) {
    let target = std::mem::replace(&mut start.policy.metrics[0].target, Target::None);
    let expression = Formula::compile(text).expect("a formula");
    start.policy.formula = Some(FormulaSpec { expression, target, activation_milli: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_lowers_a_formula_under_constant_load(
        world in world(),
        terms in prop::sample::select(vec![
            (|start: &mut Input| through("requests", start)) as fn(&mut Input),
            |start: &mut Input| through("max(requests, 10)", start),
            |start: &mut Input| through("has(metrics.requests) ? requests / 2 + requests / 2 : 0", start),
        ]),
    ) {
        let world = World { terms, ..world };
        let lowest = world.lowest(world.end());
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
    }

    /// Schedules come and go, and the way to zero is open.
    #[test]
    fn nothing_lowers_beside_schedules_and_a_way_to_zero(world in world(), floor in 0..20i32, period in 5..60i64) {
        fn terms(start: &mut Input) {
            start.policy.min_replicas = 0;
            start.policy.zero = Some(autoscaler_core::Zero { cooldown_ms: 1_000, not_before_ms: None });
        }
        let world = World { terms, ..world };
        let lowest = world.lowest_with(world.end(), |run, now| {
            let is_in_force = now / 1_000 / period % 2 == 0;
            let floor = is_in_force.then_some(floor);
            run.schedules = vec![autoscaler_core::InForce { name: "s".into(), min_replicas: floor, max_replicas: None }];
        });
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
    }
}
