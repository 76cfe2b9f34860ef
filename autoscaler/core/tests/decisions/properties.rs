//! What must hold for every input, however absurd.

use autoscaler_core::{
    Ask, Behavior, BlindSpan, ClusterSamples, ClusterScope, Compatibility, Course, Coverage, Defaults,
    EvidenceSpec, FailureKind, Fallback, FallbackBehavior, Float, Formula, FormulaSpec, History, InForce,
    Input, KnownCluster, KnownStart, MetricHistory, MetricKind, MetricSpec, Mode, Name, Observation, Pause,
    PodEvidence, Policy, RateKind, RatePolicy, Reading, Recommendation, Record, Rules, Samples, Scale,
    ScaleEvent, SelectPolicy, SelectorSamples, SeriesCount, Settled, StartSamples, Support, Target,
    WindowStart, Zero, canonical_json, decide, explain, replay,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::build::{self, NOW_MS, both_within, observed};

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
        Just(FallbackBehavior::CurrentReplicas),
        Just(FallbackBehavior::IfLower),
        Just(FallbackBehavior::CurrentReplicasIfHigher),
        Just(FallbackBehavior::CurrentReplicasIfLower)
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

fn cluster() -> impl Strategy<Value = Name> {
    prop_oneof![Just("east".into()), Just("west".into()), Just(Name::default())]
}

fn reading() -> impl Strategy<Value = Reading> {
    let kind = prop_oneof![Just(FailureKind::Timeout), Just(FailureKind::Empty), Just(FailureKind::Other)];
    prop_oneof![
        5 => float().prop_map(Reading::Value),
        1 => kind.prop_map(|kind| Reading::Failed { kind, message: "x".to_owned() }),
    ]
}

fn samples() -> impl Strategy<Value = Samples> {
    let counts = (0..9u32, prop_oneof![9 => Just(0), 1 => any::<u32>()]);
    let one = (cluster(), time_ms(), option::of(time_ms()), counts).prop_map(
        |(cluster, newest_ms, slowest_ms, (pods, silent_pods))| ClusterSamples {
            cluster,
            newest_ms,
            slowest_ms,
            pods,
            silent_pods,
        },
    );
    let scope = prop_oneof![
        8 => Just(ClusterScope::All),
        1 => vec(cluster(), 0..2).prop_map(ClusterScope::Only),
        1 => vec(cluster(), 0..2).prop_map(ClusterScope::Except),
    ];
    let selector =
        (prop::bool::weighted(0.1), scope, vec(one, 0..3)).prop_map(|(pinned, scope, clusters)| {
            SelectorSamples { selector: "x".into(), pinned, scope, clusters }
        });
    prop_oneof![
        8 => vec(selector, 0..3).prop_map(Samples::Seen),
        1 => Just(Samples::Timeless),
        1 => Just(Samples::Unknown("lost".to_owned())),
    ]
}

fn window_start() -> impl Strategy<Value = WindowStart> {
    (time_ms(), span_ms()).prop_map(|(at_ms, back_ms)| WindowStart { at_ms, back_ms })
}

fn series() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..20u32, 1 => any::<u32>()]
}

/// Of any time, and of none that was asked for.
fn starts() -> impl Strategy<Value = Vec<StartSamples>> {
    let counts = || {
        let count = (cluster(), series()).prop_map(|(cluster, series)| SeriesCount { cluster, series });
        vec(vec(count, 0..3), 0..3)
    };
    let seen = (window_start(), counts(), counts()).prop_map(|(start, selectors, broken)| StartSamples {
        start,
        selectors,
        broken,
    });
    vec(seen, 0..3)
}

fn evidence() -> impl Strategy<Value = EvidenceSpec> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let spans = (span_ms(), span_ms(), option::of(span_ms()), option::of(span_ms()));
    (spans, vec(cluster(), 0..3), flags).prop_map(|(spans, clusters, (sums, zero, pods))| EvidenceSpec {
        max_age_ms: spans.0,
        clusters,
        window_ms: spans.1,
        shortest_range_ms: spans.2,
        sums_over_window: sums,
        empty_is_zero: zero,
        pods: if pods { PodEvidence::Auto } else { PodEvidence::Ignore },
        forget_clusters_ms: spans.3,
    })
}

fn metric() -> impl Strategy<Value = (MetricSpec, Observation)> {
    let settled = (time_ms(), reading()).prop_map(|(at_ms, reading)| Settled { at_ms, reading });
    let incomplete = option::of(Just("half".to_owned()));
    let seen = (reading(), option::of(settled), samples(), starts(), 0..3usize, incomplete);
    let activation = prop_oneof![3 => Just(0), 1 => 0..200_000i64, 1 => any::<i64>()];
    let target = prop_oneof![9 => target(), 1 => Just(Target::None)];
    (target, evidence(), option::of(fallback()), seen, (0..3u64, activation)).prop_map(
        |(target, evidence, fallback, seen, (revision, activation_milli))| {
            let (newest, settled, samples, starts, warnings, incomplete) = seen;
            let (name, kind) = (Name::default(), MetricKind::Query);
            let spec = MetricSpec { name, revision, kind, target, evidence, fallback, activation_milli };
            let warnings = vec!["w".to_owned(); warnings];
            let name = Name::default();
            (spec, Observation { name, newest, settled, samples, starts, warnings, incomplete })
        },
    )
}

fn metric_history() -> impl Strategy<Value = MetricHistory> {
    let course = (time_ms(), time_ms(), option::of(span_ms()))
        .prop_map(|(newest_ms, lag_ms, step_ms)| Course { newest_ms, lag_ms, step_ms });
    let known =
        (
            cluster(),
            time_ms(),
            [option::of(time_ms()), option::of(time_ms())],
            span_ms(),
            vec(series(), 0..3),
            option::of(course),
        )
            .prop_map(|(name, seen_ms, [slowest_ms, silent_ms], missing_ms, series, course)| {
                KnownCluster { name, seen_ms, missing_ms, series, slowest_ms, course, silent_ms }
            });
    let start =
        (window_start(), prop_oneof![0..50, any::<i32>()], any::<bool>(), option::of(time_ms())).prop_map(
            |(at, ready, is_doubted, lost_since_ms)| KnownStart { at, ready, is_doubted, lost_since_ms },
        );
    let start = (option::of(start), prop::bool::weighted(0.05));
    let span = (option::of(time_ms()), time_ms(), span_ms(), any::<bool>())
        .prop_map(|(from_ms, to_ms, gap_ms, is_gap)| BlindSpan { from_ms, to_ms, gap_ms, is_gap });
    let times = (option::of(time_ms()), option::of(time_ms()), option::of(time_ms()));
    ("[a-c]", 0..3u64, times, vec(known, 0..3), any::<u64>(), vec(span, 0..4), start).prop_map(
        |(name, revision, times, clusters, pods_seen, spans, (start, clusters_lost))| MetricHistory {
            start,
            clusters_lost,
            name: name.into(),
            revision,
            insufficient_since_ms: times.0,
            missing_since_ms: times.1,
            settled_ms: times.2,
            clusters,
            pods_seen,
            coverage: Coverage::new(spans),
        },
    )
}

fn history() -> impl Strategy<Value = History> {
    let recommendation = (time_ms(), count(), span_ms())
        .prop_map(|(at_ms, replicas, held_ms)| Recommendation { at_ms, replicas, held_ms });
    let event = || {
        (time_ms(), count(), any::<bool>()).prop_map(|(at_ms, change, outdated)| ScaleEvent {
            at_ms,
            change,
            outdated,
        })
    };
    let ask = (span_ms(), count()).prop_map(|(until_ms, replicas)| Ask { until_ms, replicas });
    let clocks = (span_ms(), option::of(time_ms()), span_ms(), span_ms());
    let support = (clocks, vec(ask, 0..4)).prop_map(|((clock_ms, reached_ms, credit_ms, span_ms), asked)| {
        Support { clock_ms, reached_ms, credit_ms, span_ms, seen_ms: reached_ms, pace_ms: credit_ms, asked }
    });
    (
        option::of(vec(recommendation, 0..5)),
        vec(event(), 0..4),
        vec(event(), 0..4),
        (span_ms(), option::of(time_ms()), option::of(support)),
        (vec(metric_history(), 0..4), option::of(span_ms()), any::<bool>(), option::of(time_ms())),
    )
        .prop_map(
            |(
                recommendations,
                scale_up_events,
                scale_down_events,
                (held_ms, decided_ms, support),
                (metrics, idle_from_ms, parked, formula_since_ms),
            )| {
                History {
                    recommendations,
                    held_ms,
                    decided_ms,
                    scale_up_events,
                    scale_down_events,
                    ready: Default::default(),
                    support,
                    idle_from_ms,
                    parked,
                    formula_since_ms,
                    metrics,
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
                ..Defaults::default()
            }
        }),
    ];
    let terms = (option::of(zero()), pause(), option::of(formula()));
    (bounds, behavior(), mode, (defaults, prop_oneof![Just(0), span_ms()]), terms).prop_map(
        |((min_replicas, max_replicas), behavior, mode, (defaults, interval_ms), (zero, pause, formula))| {
            Policy {
                min_replicas,
                max_replicas,
                metrics: Vec::new(),
                behavior,
                mode,
                compatibility: Compatibility::None,
                defaults,
                interval_ms,
                zero,
                pause,
                formula,
            }
        },
    )
}

fn zero() -> impl Strategy<Value = Zero> {
    (span_ms(), option::of(time_ms()))
        .prop_map(|(cooldown_ms, not_before_ms)| Zero { cooldown_ms, not_before_ms })
}

fn pause() -> impl Strategy<Value = Pause> {
    let rarely = || prop::bool::weighted(0.1);
    (rarely(), rarely(), option::weighted(0.05, count())).prop_map(|(scale_up, scale_down, replicas)| Pause {
        scale_up,
        scale_down,
        replicas,
    })
}

/// Of metrics that there are, mostly.
fn formula() -> impl Strategy<Value = FormulaSpec> {
    let texts = vec![
        "a",
        "a + b",
        "a / b",
        "max(a, b, c)",
        "a - b",
        "has(metrics.b) ? b : a",
        "1e300 * a * a",
        "a + d",
    ];
    (prop::sample::select(texts), target(), span_ms()).prop_map(|(text, target, activation_milli)| {
        FormulaSpec { expression: Formula::compile(text).expect("a formula"), target, activation_milli }
    })
}

fn schedules() -> impl Strategy<Value = Vec<InForce>> {
    let one = (option::of(count()), option::of(count())).prop_map(|(min_replicas, max_replicas)| InForce {
        name: "office".into(),
        min_replicas,
        max_replicas,
    });
    prop_oneof![2 => Just(Vec::new()), 1 => vec(one, 1..3)]
}

fn any_input() -> impl Strategy<Value = Input> {
    let scale = (count(), count(), count()).prop_map(|(spec_replicas, status_replicas, ready_replicas)| {
        Scale { spec_replicas, status_replicas, ready_replicas }
    });
    let now_ms = prop_oneof![6 => Just(NOW_MS), 1 => any::<i64>()];
    (now_ms, policy().boxed(), scale, vec(metric().boxed(), 0..4), (history().boxed(), schedules().boxed()))
        .prop_map(|(now_ms, mut policy, scale, metrics, (history, schedules))| {
            let mut observations = Vec::new();
            for (name, (mut spec, mut observation)) in ["a", "b", "c"].into_iter().zip(metrics) {
                spec.name = name.into();
                observation.name = name.into();
                policy.metrics.push(spec);
                observations.push(observation);
            }
            Input {
                now_ms,
                cluster: "east".into(),
                policy,
                scale,
                schedules,
                pods: None,
                observations,
                history,
            }
        })
}

/// A way to spoil an answer that was sound.
type Defect = fn(&mut Observation);

fn defect() -> impl Strategy<Value = Defect> {
    let all: [Defect; 18] = [
        |o| o.newest = Reading::Value(Float::new(f64::NAN)),
        |o| o.newest = Reading::Value(Float::new(f64::INFINITY)),
        |o| o.newest = Reading::Value(Float::new(-3.0)),
        |o| o.newest = Reading::Failed { kind: FailureKind::Timeout, message: String::new() },
        |o| o.newest = Reading::Failed { kind: FailureKind::Empty, message: String::new() },
        |o| o.newest = Reading::Failed { kind: FailureKind::ManySeries, message: String::new() },
        |o| o.warnings.push("partial".to_owned()),
        |o| o.warnings.push("PromQL warning: bad bucket".to_owned()),
        |o| o.incomplete = Some("isPartial".to_owned()),
        |o| o.samples = Samples::Unknown("lost".to_owned()),
        |o| build::age(o, NOW_MS, None),
        |o| build::age(o, NOW_MS, Some(20_001)),
        |o| build::age(o, NOW_MS, Some(-60_000)),
        |o| build::clusters(o)[1].slowest_ms = None,
        |o| build::clusters(o)[1].silent_pods = 1,
        |o| build::clusters(o).clear(),
        |o| {
            // The settled time of an answer that had more than this one.
            let reading = o.newest.clone();
            o.settled = Some(Settled { at_ms: NOW_MS - 1_999, reading });
        },
        |o| o.name = "somebody else's".into(),
    ];
    prop::sample::select(all.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_input_gets_a_decision_within_bounds(input in any_input()) {
        let decision = decide(&input);
        prop_assert!(!explain(&input, &decision).is_empty());
        prop_assert!(decision.conditions(&input).len() >= 3);
        prop_assert_eq!(decision.metrics.len(), input.policy.metrics.len());
        if let Some(write) = decision.write {
            prop_assert!(input.policy.mode == Mode::Active);
            prop_assert_eq!(write, decision.desired_replicas);
            prop_assert_ne!(write, input.scale.spec_replicas);
            let is_paused = input.policy.pause.replicas == Some(write);
            prop_assert!(is_paused || write >= input.policy.min_replicas);
            prop_assert!(write <= input.policy.max_replicas);
        }
        let mut history = decision.history;
        history.record_written(&input.policy, input.now_ms, input.scale.spec_replicas, decision.desired_replicas);
    }

    /// The promise: with any one answer spoilt, in any of these ways, whatever the others say and whatever is
    /// remembered, replicas within bounds are not lowered, unless the user wrote a fallback that may.
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
                let value = match &seen.newest {
                    Reading::Value(value) if value.get().is_finite() => value.get().abs(),
                    _ => 0.0,
                };
                *seen = observed(&spec.name, value);
                spec.evidence = both_within(20_000);
                spec.fallback = spec.fallback.take().filter(|f| !f.behavior.may_lower());
                defect(seen);
            }
        }
        input.policy.min_replicas = input.policy.min_replicas.min(current);
        input.policy.max_replicas = input.policy.max_replicas.max(current);
        input.scale.spec_replicas = current;
        input.now_ms = NOW_MS;
        // The user's word, like a bound.
        input.policy.pause.replicas = None;
        input.schedules.iter_mut().for_each(|schedule| {
            schedule.max_replicas = schedule.max_replicas.map(|most| most.max(current));
        });
        let decision = decide(&input);
        prop_assert!(
            decision.desired_replicas >= current,
            "{current} to {}: {}", decision.desired_replicas, decision.cause(&input)
        );
        prop_assert_ne!(decision.evidence_code(), "EvidenceComplete");
    }

    #[test]
    fn the_same_record_gives_the_same_bytes(input in any_input(), rotate in 0..4usize) {
        let decision = decide(&input);
        let bytes = canonical_json(&Record::new(input.clone(), decision.clone())).unwrap();
        let replayed = replay(&bytes).unwrap();
        prop_assert!(replayed.identical);
        prop_assert_eq!(&replayed.input, &input);
        prop_assert_eq!(canonical_json(&Record::new(replayed.input, replayed.decision)).unwrap(), bytes);
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
