//! What must hold for every input, however absurd.

use std::collections::BTreeMap;

use autoscaler_core::{
    Ask, Behavior, Defaults, EvidenceSpec, FailureKind, Fallback, FallbackBehavior, Float, History, Input,
    MetricSpec, Mode, Observation, Policy, RateKind, RatePolicy, Reading, Recommendation, Record, Rules,
    Scale, ScaleEvent, SelectPolicy, Support, Target, canonical_json, decide, explain, replay,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::build::{NOW_MS, both_within, observed};

/// Ordinary numbers, edges and anything.
fn count() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0..60i32, 1 => any::<i32>(), 1 => prop_oneof![Just(i32::MIN), Just(i32::MAX), Just(-1)]]
}

fn time_ms() -> impl Strategy<Value = i64> {
    prop_oneof![4 => NOW_MS - 400_000..NOW_MS + 10_000, 1 => any::<i64>(), 1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)]]
}

fn span_ms() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..400_000i64, 1 => any::<i64>()]
}

fn float() -> impl Strategy<Value = Float> {
    prop_oneof![4 => 0.0..2000.0, 1 => any::<u64>().prop_map(f64::from_bits), 1 => Just(f64::NAN)]
        .prop_map(Float::new)
}

fn rules() -> impl Strategy<Value = Rules> {
    let kind = prop_oneof![Just(RateKind::Pods), Just(RateKind::Percent)];
    let rate = (kind, count(), count()).prop_map(|(kind, value, period_seconds)| RatePolicy {
        kind,
        value,
        period_seconds,
    });
    let select = prop_oneof![Just(SelectPolicy::Max), Just(SelectPolicy::Min), Just(SelectPolicy::Disabled)];
    let tolerance = prop_oneof![3 => (0.0..0.5).prop_map(Float::new), 1 => float()];
    (option::of(count()), option::of(select), option::of(vec(rate, 0..3)), option::of(tolerance)).prop_map(
        |(stabilization_window_seconds, select_policy, policies, tolerance)| Rules {
            stabilization_window_seconds,
            select_policy,
            policies,
            tolerance,
        },
    )
}

fn behavior() -> impl Strategy<Value = Option<Behavior>> {
    let sides = (option::of(rules()), option::of(rules()));
    option::of(sides.prop_map(|(scale_up, scale_down)| Behavior { scale_up, scale_down }))
}

fn fallback() -> impl Strategy<Value = Fallback> {
    let behavior = prop_oneof![
        Just(FallbackBehavior::IfHigher),
        Just(FallbackBehavior::Static),
        Just(FallbackBehavior::CurrentReplicas)
    ];
    (span_ms(), count(), behavior).prop_map(|(after_ms, replicas, behavior)| Fallback {
        after_ms,
        replicas,
        behavior,
    })
}

fn target() -> impl Strategy<Value = Target> {
    let milli = prop_oneof![6 => 1..100_000i64, 1 => any::<i64>()];
    (any::<bool>(), milli).prop_map(|(average, milli)| match average {
        true => Target::AverageValue { average_value_milli: milli },
        false => Target::Value { value_milli: milli },
    })
}

fn cluster() -> impl Strategy<Value = String> {
    prop_oneof![Just("east".to_owned()), Just("west".to_owned()), Just(String::new())]
}

fn metric() -> impl Strategy<Value = (MetricSpec, Observation)> {
    let kind = prop_oneof![Just(FailureKind::Timeout), Just(FailureKind::Empty), Just(FailureKind::Other)];
    let reading = prop_oneof![
        5 => float().prop_map(Reading::Value),
        1 => kind.prop_map(|kind| Reading::Failed { kind, message: "x".to_owned() }),
    ];
    let ages = proptest::collection::btree_map(cluster(), option::of(span_ms()), 0..3);
    let evidence = (span_ms(), vec(cluster(), 0..3), span_ms());
    let observation = (reading, prop_oneof![6 => Just(1), 1 => any::<u64>()], ages, any::<bool>(), 0..3usize);
    (target(), evidence, option::of(fallback()), observation).prop_map(
        |(target, evidence, fallback, seen)| {
            let (reading, series_count, newest_sample_age_ms, timeless, warnings) = seen;
            let (max_age_ms, clusters, window_ms) = evidence;
            let spec = MetricSpec {
                name: String::new(),
                target,
                evidence: EvidenceSpec { max_age_ms, clusters, window_ms },
                fallback,
            };
            let warnings = vec!["w".to_owned(); warnings];
            let name = String::new();
            (spec, Observation { name, reading, series_count, newest_sample_age_ms, timeless, warnings })
        },
    )
}

fn history() -> impl Strategy<Value = History> {
    let recommendation =
        (time_ms(), count()).prop_map(|(at_ms, replicas)| Recommendation { at_ms, replicas });
    let event = || {
        (time_ms(), count(), any::<bool>()).prop_map(|(at_ms, change, outdated)| ScaleEvent {
            at_ms,
            change,
            outdated,
        })
    };
    let refilling = proptest::collection::btree_map("[a-c]", option::of(time_ms()), 0..3);
    let ask = (span_ms(), count()).prop_map(|(until_ms, replicas)| Ask { until_ms, replicas });
    let support = (span_ms(), option::of(time_ms()), vec(ask, 0..4))
        .prop_map(|(clock_ms, decided_ms, asked)| Support { clock_ms, decided_ms, asked });
    let since = proptest::collection::btree_map("[a-c]", time_ms(), 0..3);
    (
        option::of(vec(recommendation, 0..5)),
        vec(event(), 0..4),
        vec(event(), 0..4),
        since,
        (refilling, option::of(support)),
    )
        .prop_map(
            |(recommendations, scale_up_events, scale_down_events, insufficient_since_ms, since)| {
                let (refilling_since_ms, support) = since;
                History {
                    recommendations,
                    scale_up_events,
                    scale_down_events,
                    insufficient_since_ms,
                    refilling_since_ms,
                    support,
                }
            },
        )
}

fn policy() -> impl Strategy<Value = Policy> {
    let bounds = prop_oneof![6 => (0..10i32, 10..60i32), 1 => (any::<i32>(), any::<i32>())];
    let mode = prop_oneof![4 => Just(Mode::Active), 1 => Just(Mode::Shadow), 1 => Just(Mode::Paused)];
    let defaults = prop_oneof![
        2 => Just(Defaults::default()),
        1 => (float(), span_ms(), count(), count()).prop_map(|(tolerance, downscale_window_ms, factor, minimum)| {
            Defaults {
                tolerance,
                downscale_window_ms,
                scale_up_limit_factor: factor,
                scale_up_limit_minimum: minimum,
            }
        }),
    ];
    (bounds, behavior(), mode, (defaults, prop_oneof![Just(0), span_ms()])).prop_map(
        |((min_replicas, max_replicas), behavior, mode, (defaults, interval_ms))| Policy {
            min_replicas,
            max_replicas,
            metrics: Vec::new(),
            behavior,
            mode,
            defaults,
            interval_ms,
        },
    )
}

fn any_input() -> impl Strategy<Value = Input> {
    let scale = (count(), count(), count()).prop_map(|(spec_replicas, status_replicas, ready_replicas)| {
        Scale { spec_replicas, status_replicas, ready_replicas }
    });
    let now_ms = prop_oneof![6 => Just(NOW_MS), 1 => any::<i64>()];
    (now_ms, policy(), scale, vec(metric(), 0..4), history()).prop_map(
        |(now_ms, mut policy, scale, metrics, history)| {
            let mut observations = Vec::new();
            for (name, (mut spec, mut observation)) in ["a", "b", "c"].into_iter().zip(metrics) {
                spec.name = name.to_owned();
                observation.name = name.to_owned();
                policy.metrics.push(spec);
                observations.push(observation);
            }
            Input { now_ms, policy, scale, observations, history }
        },
    )
}

/// One way to spoil an answer that was sound.
fn defect() -> impl Strategy<Value = fn(&mut Observation)> {
    prop_oneof![
        Just((|o| o.reading = Reading::Value(Float::new(f64::NAN))) as fn(&mut Observation)),
        Just((|o| o.reading = Reading::Value(Float::new(f64::INFINITY))) as fn(&mut Observation)),
        Just((|o| o.reading = Reading::Value(Float::new(-3.0))) as fn(&mut Observation)),
        Just(
            (|o| o.reading = Reading::Failed { kind: FailureKind::Timeout, message: String::new() })
                as fn(&mut Observation)
        ),
        Just((|o| o.series_count = 0) as fn(&mut Observation)),
        Just((|o| o.series_count = 2) as fn(&mut Observation)),
        Just((|o| o.warnings.push("partial".to_owned())) as fn(&mut Observation)),
        Just(
            (|o| {
                o.newest_sample_age_ms.remove("west");
            }) as fn(&mut Observation)
        ),
        Just(
            (|o| {
                o.newest_sample_age_ms.insert("west".to_owned(), None);
            }) as fn(&mut Observation)
        ),
        Just(
            (|o| {
                o.newest_sample_age_ms.insert("west".to_owned(), Some(20_001));
            }) as fn(&mut Observation)
        ),
        Just(
            (|o| {
                o.newest_sample_age_ms.insert("east".to_owned(), Some(-60_000));
            }) as fn(&mut Observation)
        ),
        Just((|o| o.newest_sample_age_ms = BTreeMap::new()) as fn(&mut Observation)),
        Just((|o| o.name = "somebody else's".to_owned()) as fn(&mut Observation)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_input_gets_a_decision_within_bounds(input in any_input()) {
        let decision = decide(&input);
        prop_assert!(!explain(&input, &decision).is_empty());
        prop_assert_eq!(decision.metrics.len(), input.policy.metrics.len());
        if let Some(write) = decision.write {
            prop_assert!(input.policy.mode == Mode::Active);
            prop_assert_eq!(write, decision.desired_replicas);
            prop_assert_ne!(write, input.scale.spec_replicas);
            prop_assert!(write >= input.policy.min_replicas && write <= input.policy.max_replicas);
        }
        let mut history = decision.history;
        history.record_written(&input.policy, input.now_ms, input.scale.spec_replicas, decision.desired_replicas);
    }

    /// The promise: with any one answer spoilt, in any of these ways, whatever the others say and whatever is
    /// remembered, replicas within bounds are not lowered, unless the user wrote a static fallback.
    #[test]
    fn insufficient_evidence_never_lowers(
        mut input in any_input(),
        which in any::<prop::sample::Index>(),
        defect in defect(),
        current in 1..60i32,
    ) {
        prop_assume!(!input.policy.metrics.is_empty());
        let spoilt = which.index(input.policy.metrics.len());
        for (index, (spec, seen)) in input.policy.metrics.iter_mut().zip(&mut input.observations).enumerate() {
            // The others may be anything; this one is sound but for its defect.
            if index == spoilt {
                let value = match &seen.reading {
                    Reading::Value(value) if value.get().is_finite() => value.get().abs(),
                    _ => 0.0,
                };
                *seen = observed(&spec.name, value);
                spec.evidence = both_within(20_000);
                spec.fallback = spec.fallback.take().filter(|f| f.behavior != FallbackBehavior::Static);
                defect(seen);
            }
        }
        input.policy.min_replicas = input.policy.min_replicas.min(current);
        input.policy.max_replicas = input.policy.max_replicas.max(current);
        input.scale.spec_replicas = current;
        let decision = decide(&input);
        prop_assert!(
            decision.desired_replicas >= current,
            "{current} to {}: {}", decision.desired_replicas, decision.cause
        );
        let insufficient = decision.conditions.iter().find(|c| c.kind.to_string() == "EvidenceSufficient");
        prop_assert!(insufficient.is_some_and(|condition| !condition.status));
    }

    #[test]
    fn the_same_record_gives_the_same_bytes(input in any_input(), rotate in 0..4usize) {
        let decision = decide(&input);
        let bytes = canonical_json(&Record::new(input.clone(), decision.clone())).unwrap();
        let replayed = replay(&bytes).unwrap();
        prop_assert!(replayed.identical);
        prop_assert_eq!(&replayed.record.input, &input);
        prop_assert_eq!(canonical_json(&replayed.record).unwrap(), bytes);
        // Nor does the order matter in which answers arrived.
        let mut shuffled = input;
        let by = rotate.min(shuffled.observations.len());
        shuffled.observations.rotate_left(by);
        prop_assert_eq!(canonical_json(&decide(&shuffled)).unwrap(), canonical_json(&decision).unwrap());
    }

    #[test]
    fn garbage_records_never_panic(input in any_input(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let decision = decide(&input);
        let mut bytes = canonical_json(&Record::new(input, decision)).unwrap();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let _ = replay(&bytes);
        let _ = replay(&bytes[..index]);
    }
}
