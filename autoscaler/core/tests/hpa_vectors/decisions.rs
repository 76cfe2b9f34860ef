//! One metric's replicas, and whole syncs that use External metrics only.

use autoscaler_core::replicas::{Answer, Tolerances, average_milli, replicas};
use autoscaler_core::{
    ClusterSamples, Defaults, EvidenceSpec, FailureKind, Float, History, Input, MetricSpec, Name,
    Observation, Policy, Reading, Recommendation, Samples, Scale, SelectorSamples, Support, Target, decide,
};
use serde::Deserialize;
use serde_json::Value;

use crate::cases::{AgedEvent, AgedRecommendation, NOW_MS, VectorBehavior, each, same};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplicaCalc {
    function: String,
    current_replicas: Option<i32>,
    status_replicas: Option<i32>,
    target_usage_milli: i64,
    tolerance_up: f64,
    tolerance_down: f64,
    metric_call: MetricCall,
    pods: Vec<Pod>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricCall {
    #[serde(default)]
    values_milli: Vec<i64>,
    value_milli: Option<i64>,
    error: Option<String>,
}

impl MetricCall {
    fn sum_milli(&self) -> i64 {
        self.values_milli
            .iter()
            .chain(&self.value_milli)
            .fold(0, |sum: i64, value| sum.saturating_add(*value))
    }
}

#[derive(Deserialize)]
struct Pod {
    phase: String,
    ready: Option<Ready>,
}

#[derive(Deserialize)]
struct Ready {
    status: String,
}

fn ready_count(pods: &[Pod]) -> i32 {
    let is_ready =
        |pod: &&Pod| pod.phase == "Running" && pod.ready.as_ref().is_some_and(|ready| ready.status == "True");
    pods.iter().filter(is_ready).count() as i32
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calculated {
    replicas: i32,
    usage_milli: i64,
}

/// Object metrics are computed as External ones are: a value, a target, no pods of their own.
fn is_one_value(input: &Value) -> bool {
    let function = input["function"].as_str().unwrap_or_default();
    function.starts_with("GetExternal") || function.starts_with("GetObject")
}

#[test]
fn replica_calc_of_one_value() {
    each::<ReplicaCalc, Calculated>("replica_calc.json", 16, is_one_value, |case| {
        let input = &case.input;
        let (milli, usage) = (input.target_usage_milli, input.metric_call.sum_milli());
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
        same(&(found, shown), &(case.expected.replicas, case.expected.usage_milli))
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconcile {
    config: Config,
    policy: VectorPolicy,
    scale_gets: Vec<ScaleGet>,
    metric_calls: Vec<MetricCall>,
    pods: Vec<Pod>,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    tolerance: f64,
    scale_up_limit_factor: i32,
    scale_up_limit_minimum: i32,
    downscale_stabilisation_window_seconds: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorPolicy {
    min_replicas: i32,
    max_replicas: i32,
    metrics: Vec<VectorMetric>,
    behavior: Option<VectorBehavior>,
}

#[derive(Deserialize)]
struct VectorMetric {
    #[serde(default)]
    metric: String,
    #[serde(default)]
    target: VectorTarget,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct VectorTarget {
    value_milli: Option<i64>,
    average_value_milli: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScaleGet {
    spec_replicas: i32,
    status_replicas: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    recommendations: Option<Vec<AgedRecommendation>>,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconciled {
    scale_updates: Vec<ScaleUpdate>,
    recommendations: Vec<AgedRecommendation>,
    status: Status,
}

#[derive(Deserialize)]
struct ScaleUpdate {
    replicas: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    desired_replicas: i32,
    conditions: Vec<VectorCondition>,
}

#[derive(Deserialize)]
struct VectorCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
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
    each::<Reconcile, Reconciled>("reconcile.json", 18, is_expressible, |case| {
        let input = input_of(&case.input).ok_or("the case has no scale or target")?;
        let decision = decide(&input);
        let expected = &case.expected;
        let write = expected.scale_updates.first().map(|update| update.replicas);
        let replicas =
            same(&(decision.write, decision.desired_replicas), &(write, expected.status.desired_replicas));
        let found = decision.conditions(&input);
        // What upstream says after the write is the writer's to say here.
        let mut conditions = expected.status.conditions.iter().filter(|c| c.reason != "SucceededRescale");
        let conditions = conditions.try_for_each(|condition| {
            let found = found.iter().find(|found| found.kind.to_string() == condition.kind);
            let found = found.map(|found| (found.status, found.reason.as_str()));
            let reason = condition.reason.replace("FailedGetObject", "FailedGetExternal");
            same(&found, &Some((condition.status == "True", reason.as_str())))
        });
        let highest = |these: &[Recommendation]| these.iter().map(|rec| rec.replicas).max();
        let lowest = |these: &[Recommendation]| these.iter().map(|rec| rec.replicas).min();
        let found = decision.history.recommendations.clone().unwrap_or_default();
        let kept = AgedRecommendation::all(&expected.recommendations);
        // Ours are compacted: only the highest and the lowest matter.
        let remembered = same(&(highest(&found), lowest(&found)), &(highest(&kept), lowest(&kept)));
        replicas.and(conditions).and(remembered)
    });
}

/// The sync as an input of ours.
fn input_of(case: &Reconcile) -> Option<Input> {
    let name = |index: usize, metric: &VectorMetric| Name::from(format!("{}-{index}", metric.metric));
    let metrics = case.policy.metrics.iter().enumerate().map(|(index, metric)| {
        MetricSpec {
            name: name(index, metric),
            revision: 0,
            kind: Default::default(),
            target: match metric.target.value_milli {
                Some(value_milli) => Target::Value { value_milli },
                // A metric that is never asked for may be of a kind that we do not have.
                None => Target::AverageValue {
                    average_value_milli: metric.target.average_value_milli.unwrap_or(1),
                },
            },
            evidence: EvidenceSpec::default(),
            fallback: None,
            activation_milli: 0,
        }
    });
    let observations = case.policy.metrics.iter().zip(&case.metric_calls).enumerate();
    let observations = observations.map(|(index, (metric, call))| Observation {
        name: name(index, metric),
        newest: match &call.error {
            Some(message) => Reading::Failed { kind: FailureKind::Unreachable, message: message.clone() },
            None => Reading::Value(Float::new(call.sum_milli() as f64 / 1000.0)),
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
    let scale = case.scale_gets.first()?;
    Some(Input {
        now_ms: NOW_MS,
        cluster: Name::default(),
        pods: None,
        policy: Policy {
            min_replicas: case.policy.min_replicas,
            max_replicas: case.policy.max_replicas,
            metrics: metrics.collect(),
            behavior: case.policy.behavior.as_ref().map(VectorBehavior::behavior),
            mode: Default::default(),
            compatibility: Default::default(),
            defaults: Defaults {
                tolerance: Float::new(case.config.tolerance),
                downscale_window_ms: case.config.downscale_stabilisation_window_seconds * 1000,
                scale_up_limit_factor: case.config.scale_up_limit_factor,
                scale_up_limit_minimum: case.config.scale_up_limit_minimum,
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
            recommendations: case.state.recommendations.as_deref().map(AgedRecommendation::all),
            scale_up_events: AgedEvent::all(&case.state.scale_up_events),
            scale_down_events: AgedEvent::all(&case.state.scale_down_events),
            // Nothing that upstream has no notion of holds.
            support: Some(Support::default()),
            ..History::default()
        },
    })
}
