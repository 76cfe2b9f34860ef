//! KEDA's rules, by tables; and what they come to with the HPA behind them.

use autoscaler_hpa::{
    Answer, Controller, HpaStatus, Inputs, MetricTargetType, Pod, PodPhase, Scale, Selected, Settings,
};
use autoscaler_keda::executor::{Step, decide};
use autoscaler_keda::prometheus::{Reading, read};
use autoscaler_keda::quantity::milli;
use autoscaler_keda::{
    Fallback, FallbackBehavior, Operator, PrometheusTrigger, QueryResult, ScaledObject, Target, Trigger,
};

fn trigger() -> PrometheusTrigger {
    PrometheusTrigger { threshold: 10.0, ..PrometheusTrigger::default() }
}

fn object() -> ScaledObject {
    ScaledObject { triggers: vec![Trigger::Prometheus(trigger())], ..ScaledObject::default() }
}

fn falling_back(behavior: FallbackBehavior, replicas: i32) -> ScaledObject {
    let fallback = Some(Fallback { failure_threshold: 2, replicas, behavior });
    ScaledObject { fallback, ..object() }
}

const EIGHT: Option<Target> = Some(Target { replicas: 8, ready_pods: 4 });

fn failed() -> QueryResult {
    QueryResult::Failed("timeout".to_owned())
}

#[test]
fn a_result_is_one_number_or_an_error() {
    use QueryResult::{Empty, Many, Null, Value};
    let lenient = trigger();
    let strict = PrometheusTrigger { ignore_null_values: false, ..trigger() };
    let ok = |milli, active| Some(Reading { milli, active });
    for (result, leniently, strictly) in [
        (Value(80.0), ok(80_000, true), ok(80_000, true)),
        (Value(0.0), ok(0, false), ok(0, false)),
        (Value(0.0004), ok(0, true), ok(0, true)),
        (Value(-3.0), ok(0, false), ok(0, false)),
        (Empty, ok(0, false), None),
        (Value(f64::NAN), ok(0, false), None),
        (Value(f64::INFINITY), ok(0, false), None),
        (Null, ok(0, false), ok(0, false)),
        (Many, None, None),
        (failed(), None, None),
    ] {
        assert_eq!(read(&lenient, &result).ok(), leniently, "{result:?}, nulls ignored");
        assert_eq!(read(&strict, &result).ok(), strictly, "{result:?}, nulls told");
    }
}

#[test]
fn thousandths_are_the_nearest_and_never_negative() {
    for (value, expected) in [
        (1.0005, 1000),
        (0.0015, 2),
        (2.5, 2500),
        (1e300, i64::MAX),
        (-1.0, 0),
        (f64::NAN, 0),
        (f64::NEG_INFINITY, 0),
    ] {
        assert_eq!(milli(value), expected, "{value}");
    }
}

#[test]
fn a_fallback_asks_for_its_replicas_once_failures_exceed_the_threshold() {
    use FallbackBehavior::{
        CurrentReplicas, CurrentReplicasIfHigher, CurrentReplicasIfLower, ScalingModifiers, Static,
    };
    for (behavior, replicas, told) in [
        (Static, 5, 50_000),
        (CurrentReplicas, 5, 80_000),
        (CurrentReplicasIfHigher, 5, 80_000),
        (CurrentReplicasIfHigher, 9, 90_000),
        (CurrentReplicasIfLower, 5, 50_000),
        (CurrentReplicasIfLower, 9, 80_000),
        (ScalingModifiers, 5, -1000),
    ] {
        let object = falling_back(behavior, replicas);
        let mut operator = Operator::default();
        for n in 1..=2 {
            let answer = operator.external_metric(&object, 0, &failed(), EIGHT);
            assert_eq!(answer, Answer::Failed("timeout".to_owned()), "{behavior:?}, failure {n}");
        }
        let answer = operator.external_metric(&object, 0, &failed(), EIGHT);
        assert_eq!(answer, Answer::External(vec![told]), "{behavior:?} of {replicas}");
        assert_eq!(operator.failures(0), 3);
        operator.external_metric(&object, 0, &QueryResult::Value(1.0), EIGHT);
        assert_eq!(operator.failures(0), 0, "a number forgets failures");
    }
}

#[test]
fn a_fallback_for_a_value_is_divided_by_ready_pods() {
    let value = PrometheusTrigger { metric_type: MetricTargetType::Value, ..trigger() };
    let triggers = vec![Trigger::Prometheus(value)];
    let object = ScaledObject { triggers, ..falling_back(FallbackBehavior::Static, 6) };
    let third = |target| {
        let mut operator = Operator::default();
        let mut ask = || operator.external_metric(&object, 0, &failed(), target);
        ask();
        ask();
        ask()
    };
    // 10 a pod × 6 replicas ÷ 4 ready pods.
    assert_eq!(third(EIGHT), Answer::External(vec![15_000]));
    let none_ready = Some(Target { replicas: 8, ready_pods: 0 });
    assert_eq!(third(none_ready), Answer::Failed("timeout".to_owned()));
    assert_eq!(third(None), Answer::Failed("timeout".to_owned()));
}

#[test]
fn polls_and_requests_share_one_count_of_failures() {
    let object = falling_back(FallbackBehavior::Static, 5);
    let mut operator = Operator::default();
    let poll = operator.poll(&object, EIGHT, &[failed()], 0, |_| true);
    assert!(poll.error && !poll.fallback);
    operator.external_metric(&object, 0, &failed(), EIGHT);
    let poll = operator.poll(&object, EIGHT, &[failed()], 30_000, |_| true);
    assert!(poll.fallback && poll.active && !poll.error, "a fallback counts as activity");
}

#[test]
fn a_kept_fallback_resets_the_count() {
    let cached = PrometheusTrigger { use_cached_metrics: true, ..trigger() };
    let triggers = vec![Trigger::Prometheus(cached)];
    let object = ScaledObject { triggers, ..falling_back(FallbackBehavior::Static, 5) };
    let mut operator = Operator::default();
    for t in 0..3 {
        operator.poll(&object, EIGHT, &[failed()], t, |_| true);
    }
    assert_eq!(operator.failures(0), 3);
    let answer = operator.external_metric(&object, 0, &QueryResult::Value(1.0), EIGHT);
    assert_eq!(answer, Answer::External(vec![50_000]), "what the poll kept, not the query of now");
    assert_eq!(operator.failures(0), 0);
    let poll = operator.poll(&object, EIGHT, &[failed()], 4, |_| true);
    assert!(poll.error, "and the next failure is an error again");
}

#[test]
fn what_keda_does_to_the_scale_itself() {
    use Step::{Activate, Active, Deactivate, Nothing};
    const NOW: i64 = 1_000_000;
    let bare = object();
    let min = |min_replica_count| ScaledObject { min_replica_count, ..object() };
    let idle = ScaledObject { idle_replica_count: Some(0), ..min(Some(3)) };
    let fallback = |replicas| falling_back(FallbackBehavior::Static, replicas);
    let (cool, warm) = (Some(NOW - 300_001), Some(NOW - 300_000));
    let force = ScaledObject { force_activation: true, ..object() };
    let no_in = ScaledObject { paused_scale_in: true, ..object() };
    let no_out = ScaledObject { paused_scale_out: true, ..object() };
    let paused = ScaledObject { paused: true, ..object() };
    let young = ScaledObject { created_ms: NOW, initial_cooldown_period: Some(60), ..object() };
    for (name, object, last, active, error, replicas, expected) in [
        ("active at zero", &bare, None, true, false, 0, Activate(1)),
        ("active at zero, minimum", &min(Some(3)), None, true, false, 0, Activate(3)),
        ("active at the idle count", &idle, None, true, false, 0, Activate(3)),
        ("active, running", &bare, cool, true, false, 2, Active),
        ("active, another trigger fails", &bare, cool, true, true, 2, Nothing),
        ("forced", &force, None, false, false, 0, Activate(1)),
        ("raising paused", &no_out, None, true, false, 0, Nothing),
        ("inactive, cool", &bare, cool, false, false, 2, Deactivate(0)),
        ("inactive, exactly as long ago as the cool-down", &bare, warm, false, false, 2, Nothing),
        ("never active", &bare, None, false, false, 2, Deactivate(0)),
        ("never active, just made", &young, None, false, false, 2, Nothing),
        ("inactive, to the idle count", &idle, cool, false, false, 3, Deactivate(0)),
        ("inactive, minimum", &min(Some(3)), cool, false, false, 5, Nothing),
        ("inactive, below the minimum", &min(Some(3)), cool, false, false, 1, Deactivate(3)),
        ("lowering paused", &no_in, cool, false, false, 2, Nothing),
        ("paused", &paused, cool, true, false, 0, Nothing),
        ("error", &bare, cool, false, true, 2, Nothing),
        ("error, fallback ahead", &fallback(5), cool, false, true, 2, Nothing),
        ("error, fallback of zero", &fallback(0), cool, false, true, 2, Deactivate(0)),
    ] {
        assert_eq!(decide(object, last, (active, error), replicas, NOW).step, expected, "{name}");
    }
}

#[test]
fn activity_is_remembered_only_if_the_write_went_well() {
    let mut operator = Operator::default();
    let zero = Some(Target::default());
    let results = [QueryResult::Value(5.0)];
    let poll = operator.poll(&object(), zero, &results, 7, |_| false);
    assert_eq!((poll.write, operator.last_active_ms()), (Some(1), None));
    let poll = operator.poll(&object(), zero, &results, 8, |_| true);
    assert_eq!((poll.write, operator.last_active_ms()), (Some(1), Some(8)));
}

/// What the HPA orders after each result of the one query, eight replicas being there and needed.
fn ordered(object: &ScaledObject, results: &[QueryResult]) -> Vec<i32> {
    let mut operator = Operator::default();
    let mut hpa = Controller::new(Settings { downscale_stabilization_ms: 0, ..Settings::default() });
    let pods: Vec<Pod> = (0..8)
        .map(|n| Pod { name: format!("pod-{n}"), phase: PodPhase::Running, ..Pod::default() })
        .collect();
    let (spec, mut status, mut replicas) = (object.hpa_spec().expect("not paused"), HpaStatus::default(), 8);
    let mut after = Vec::new();
    for (result, now_ms) in results.iter().zip((0..).step_by(15_000)) {
        let target = Some(Target { replicas, ready_pods: replicas });
        let answers = [operator.external_metric(object, 0, result, target)];
        let inputs = Inputs {
            now_ms,
            spec: &spec,
            status: &status,
            scale: Ok(Scale { spec_replicas: replicas, status_replicas: replicas }),
            pods: Selected::Pods(&pods),
            answers: &answers,
        };
        let outputs = hpa.sync(&inputs, |_| Ok(()));
        replicas = outputs.write.unwrap_or(replicas);
        status = outputs.status;
        after.push(replicas);
    }
    after
}

#[test]
fn with_the_hpa_behind_it_a_lie_lowers() {
    use QueryResult::{Empty, Value};
    let strict = PrometheusTrigger { ignore_null_values: false, ..trigger() };
    let tuned = ScaledObject {
        triggers: vec![Trigger::Prometheus(strict)],
        ..falling_back(FallbackBehavior::CurrentReplicasIfHigher, 3)
    };
    let truth = Value(80.0);
    for (name, object, results, expected) in [
        ("the truth", object(), vec![truth.clone(), truth.clone()], vec![8, 8]),
        ("NaN", object(), vec![truth.clone(), Value(f64::NAN)], vec![8, 1]),
        ("nothing", object(), vec![truth.clone(), Empty], vec![8, 1]),
        ("one of two clusters, as a number", object(), vec![truth.clone(), Value(40.0)], vec![8, 4]),
        ("the same, tuned", tuned.clone(), vec![truth.clone(), Value(40.0)], vec![8, 4]),
        ("NaN, tuned", tuned.clone(), vec![Value(f64::NAN); 5], vec![8; 5]),
        ("no answer", object(), vec![failed(); 3], vec![8; 3]),
        (
            "a placeholder without a formula",
            ScaledObject {
                max_replica_count: Some(20),
                ..falling_back(FallbackBehavior::ScalingModifiers, 3)
            },
            vec![failed(), failed(), failed(), failed()],
            vec![8, 8, 16, 20],
        ),
    ] {
        assert_eq!(ordered(&object, &results), expected, "{name}");
    }
}

#[test]
fn the_hpa_is_made_of_the_object() {
    let resource = Trigger::Resource { name: "cpu".to_owned(), target: Default::default() };
    let object = ScaledObject {
        min_replica_count: Some(0),
        triggers: vec![resource, Trigger::Prometheus(trigger())],
        paused_scale_in: true,
        ..ScaledObject::default()
    };
    assert_eq!(ScaledObject { paused: true, ..object.clone() }.hpa_spec(), None);
    let spec = object.hpa_spec().expect("not paused");
    assert_eq!((spec.min_replicas, spec.max_replicas), (Some(1), 100));
    assert_eq!(object.metric_order(), [1, 0]);
    let kinds: Vec<_> = spec.metrics.iter().map(|metric| metric.kind()).collect();
    assert_eq!(kinds, ["External", "Resource"]);
    let behavior = spec.behavior.expect("paused rules");
    let complete = behavior.complete();
    assert_eq!(format!("{:?} {:?}", complete.up.select, complete.down.select), "Max Disabled");
}
