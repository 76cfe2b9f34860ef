//! One metric's replicas, and whole syncs that use External metrics only.

use autoscaler_core::replicas::{Answer, average_milli, replicas};
use autoscaler_core::{
    ClusterSamples, Defaults, EvidenceSpec, FailureKind, Float, History, Input, MetricSpec, Name,
    Observation, Policy, Reading, Samples, Scale, SelectorSamples, Support, Target, decide,
};
use autoscaler_hpa::ConditionStatus;
use autoscaler_hpa::ratio::Tolerances;
use serde_json::Value;

use crate::harness::calculations::{Calculated, Calculation};
use crate::harness::cases::{NOW_MS, PodCase, each_that, same};
use crate::harness::syncs::{Reconcile, Reconciled};

fn ready_count(pods: &[PodCase]) -> i32 {
    pods.iter().filter(|pod| pod.pod().is_ready()).count() as i32
}

/// Object metrics are computed as External ones are: a value, a target, no pods of their own.
fn is_one_value(input: &Value) -> bool {
    let function = input["function"].as_str().unwrap_or_default();
    function.starts_with("GetExternal") || function.starts_with("GetObject")
}

#[test]
fn replica_calc_of_one_value() {
    each_that("replica_calc.json", 16, is_one_value, |_, input: &Calculation, expected: &Calculated| {
        let milli = input.target_usage_milli.ok_or("no target")?;
        let usage = input.metric_call.sum_milli()?;
        let count = input.status_replicas.or(input.current_replicas).ok_or("no replicas")?;
        let scale =
            Scale { spec_replicas: count, status_replicas: count, ready_replicas: ready_count(&input.pods) };
        let per_pod = input.function.contains("PerPod");
        let target = match per_pod {
            true => Target::AverageValue { average_value_milli: milli },
            false => Target::Value { value_milli: milli },
        };
        let tolerances = Tolerances { down: input.tolerance_down, up: input.tolerance_up };
        let ready = f64::from(scale.ready_replicas);
        let found = match replicas(usage, target, &scale, ready, tolerances) {
            Answer::WithinTolerance => count,
            Answer::Replicas(replicas) => replicas,
            Answer::NoneReady => return Err("no ready replicas".to_owned()),
        };
        let shown = if per_pod { average_milli(usage, count) } else { usage };
        same(&(Some(found), Some(shown)), &(expected.replicas, expected.usage_milli))
    });
}

/// Syncs whose metrics are all of one value, and those that the bounds decide without a metric; with a scale
/// that could be read and written.
fn is_expressible(input: &Value) -> bool {
    let is_one_value = |metric: &Value| metric["type"] == "External" || metric["type"] == "Object";
    let metrics = input["policy"]["metrics"].as_array();
    let reads =
        input["scaleGets"].as_array().is_some_and(|gets| gets.len() == 1 && gets[0]["error"].is_null());
    let writes = input["scaleUpdateErrors"].as_array().is_some_and(|all| all.iter().all(Value::is_null));
    let current = input["scaleGets"][0]["specReplicas"].as_i64();
    let (min, max) = (input["policy"]["minReplicas"].as_i64(), input["policy"]["maxReplicas"].as_i64());
    let beyond = current == Some(0) || current < min || current > max;
    reads && writes && (beyond || metrics.is_some_and(|all| all.iter().all(is_one_value)))
}

#[test]
fn reconcile_of_values() {
    each_that("reconcile.json", 18, is_expressible, |_, case: &Reconcile, expected: &Reconciled| {
        let input = input_of(case);
        let decision = decide(&input);
        let replicas = same(
            &(decision.write, decision.desired_replicas),
            &(expected.write(), expected.status.desired_replicas),
        );
        let found = decision.conditions(&input);
        // What upstream says after the write is the writer's to say here.
        let mut conditions = expected.status.conditions.iter().filter(|c| c.reason != "SucceededRescale");
        let conditions = conditions.try_for_each(|condition| {
            let kind = format!("{:?}", condition.kind);
            let found = found.iter().find(|found| found.kind.to_string() == kind);
            let found = found.map(|found| (found.status, found.reason.as_str()));
            let reason = condition.reason.replace("FailedGetObject", "FailedGetExternal");
            same(&found, &Some((condition.status == ConditionStatus::True, reason.as_str())))
        });
        // Ours are compacted: only the highest and the lowest matter.
        let range = |these: &[i32]| these.iter().max().zip(these.iter().min()).map(|(a, b)| (*a, *b));
        let found = decision.history.recommendations.iter().flatten().map(|rec| rec.replicas);
        let kept = expected.state.state().recommendations.into_iter().flatten().map(|rec| rec.replicas);
        let (found, kept): (Vec<i32>, Vec<i32>) = (found.collect(), kept.collect());
        let remembered = same(&range(&found), &range(&kept));
        replicas.and(conditions).and(remembered)
    });
}

/// The sync as an input of ours.
fn input_of(case: &Reconcile) -> Input {
    let (spec, settings, state) = (case.spec(), case.config.settings(), case.state.state());
    let name = |index: usize| Name::from(format!("m{index}"));
    let metrics = spec.metrics.iter().enumerate().map(|(index, metric)| MetricSpec {
        name: name(index),
        revision: 0,
        kind: Default::default(),
        target: target(metric),
        evidence: EvidenceSpec::default(),
        fallback: None,
        activation_milli: 0,
    });
    let observations = spec.metrics.iter().zip(&case.metric_calls).enumerate();
    let observations = observations.map(|(index, (_, call))| Observation {
        name: name(index),
        newest: match call.sum_milli() {
            Err(message) => Reading::Failed { kind: FailureKind::Unreachable, message },
            Ok(milli) => Reading::Value(Float::new(milli as f64 / 1000.0)),
        },
        settled: None,
        samples: Samples::Seen(vec![SelectorSamples {
            selector: "x".into(),
            pinned: false,
            scope: Default::default(),
            clusters: vec![ClusterSamples {
                cluster: "east".into(),
                newest_ms: NOW_MS,
                slowest_ms: Some(NOW_MS),
                pods: 0,
                silent_pods: 0,
            }],
        }]),
        incomplete: None,
        starts: Vec::new(),
        warnings: Vec::new(),
    });
    let scale = case.scale();
    Input {
        now_ms: NOW_MS,
        cluster: Name::default(),
        pods: None,
        policy: Policy {
            min_replicas: spec.min_replicas.unwrap_or(1),
            max_replicas: spec.max_replicas,
            metrics: metrics.collect(),
            behavior: spec.behavior.clone(),
            mode: Default::default(),
            compatibility: Default::default(),
            defaults: Defaults {
                tolerance: Float::new(settings.tolerance),
                downscale_window_ms: settings.downscale_stabilization_ms,
                scale_up_limit_factor: settings.scale_up_limit_factor as i32,
                scale_up_limit_minimum: settings.scale_up_limit_minimum as i32,
                ..Defaults::default()
            },
            interval_ms: 0,
            zero: None,
            pause: Default::default(),
            formula: None,
        },
        scale: Scale {
            spec_replicas: scale.spec_replicas,
            status_replicas: scale.status_replicas,
            ready_replicas: ready_count(&case.pods),
        },
        schedules: Vec::new(),
        observations: observations.collect(),
        history: History {
            recommendations: state.recommendations.map(|all| all.into_iter().map(Into::into).collect()),
            scale_up_events: state.scale_up_events,
            scale_down_events: state.scale_down_events,
            // Nothing that upstream has no notion of holds.
            support: Some(Support::default()),
            ..History::default()
        },
    }
}

/// A metric that is never asked for may be of a kind that we do not have.
fn target(metric: &autoscaler_hpa::MetricSpec) -> Target {
    use autoscaler_hpa::MetricSpec::{External, Object};
    let of = |value_milli: Option<i64>, average_value_milli: Option<i64>| match value_milli {
        Some(value_milli) => Target::Value { value_milli },
        None => Target::AverageValue { average_value_milli: average_value_milli.unwrap_or(1) },
    };
    match metric {
        External { target, .. } | Object { target, .. } => of(target.value_milli, target.average_value_milli),
        _ => of(None, None),
    }
}
