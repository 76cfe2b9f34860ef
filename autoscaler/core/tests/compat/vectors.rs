//! Upstream's own cases: one metric at a time, and whole syncs.

use std::collections::{BTreeMap, BTreeSet};

use autoscaler_core::{Behavior, Float, History, Pods, Recommendation, Rules};
use autoscaler_hpa::{
    Answer, HpaSpec, MetricIdentifier, MetricSpec, MetricTarget, MetricTargetType, ObjectReference, Pod,
    Settings,
};
use serde::Deserialize;
use serde_json::Value;

use crate::cases::{
    AgedEvent, AgedRecommendation, NOW_MS, Periods, PodCase, SampleCase, each, each_named, events,
    recommendations, same, samples,
};
use crate::express::{Sync, decided, input};
use crate::lines::is_asked;
use crate::wire::{ms, spec};

/// An answer of a metrics API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallCase {
    kind: String,
    error: Option<String>,
    #[serde(default)]
    pods: BTreeMap<String, SampleCase>,
    value_milli: Option<i64>,
    #[serde(default)]
    values_milli: Vec<i64>,
}

impl CallCase {
    fn answer(&self) -> Answer {
        match (&self.error, self.kind.as_str()) {
            (Some(why), _) => Answer::Failed(why.clone()),
            (None, "Object") => Answer::Object(self.value_milli.unwrap_or_default()),
            (None, "External") => Answer::External(self.values_milli.clone()),
            (None, _) => Answer::Pods(samples(&self.pods)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calculation {
    function: String,
    current_replicas: Option<i32>,
    status_replicas: Option<i32>,
    target_utilization: Option<i32>,
    target_usage_milli: Option<i64>,
    tolerance_up: f64,
    tolerance_down: f64,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    container: String,
    pods: Vec<PodCase>,
    metric_call: CallCase,
    #[serde(flatten)]
    periods: Periods,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calculated {
    error: Option<String>,
    replicas: Option<i32>,
    usage_milli: Option<i64>,
    utilization: Option<i32>,
}

impl Calculation {
    fn spec(&self) -> MetricSpec {
        let whole = matches!(self.function.as_str(), "GetObjectMetricReplicas" | "GetExternalMetricReplicas");
        let target = MetricTarget {
            kind: if whole { MetricTargetType::Value } else { MetricTargetType::AverageValue },
            value_milli: self.target_usage_milli.filter(|_| whole),
            average_value_milli: self.target_usage_milli.filter(|_| !whole),
            average_utilization: self.target_utilization,
        };
        let (name, metric) = (self.resource.clone(), MetricIdentifier::default());
        match self.function.as_str() {
            "GetResourceReplicas" if self.container.is_empty() => MetricSpec::Resource { name, target },
            "GetResourceReplicas" => {
                MetricSpec::ContainerResource { name, container: self.container.clone(), target }
            }
            "GetMetricReplicas" => MetricSpec::Pods { metric, target },
            f if f.starts_with("GetObject") => {
                MetricSpec::Object { metric, described_object: ObjectReference::default(), target }
            }
            _ => MetricSpec::External { metric, target },
        }
    }
}

#[test]
fn replicas_of_one_metric() {
    each("replica_calc.json", 60, |case: &Calculation, expected: &Calculated| {
        let own = |tolerance: f64| Rules { tolerance: Some(Float::new(tolerance)), ..Default::default() };
        let spec = HpaSpec {
            min_replicas: Some(0),
            max_replicas: i32::MAX,
            metrics: vec![case.spec()],
            behavior: Some(Behavior {
                scale_up: Some(own(case.tolerance_up)),
                scale_down: Some(own(case.tolerance_down)),
            }),
        };
        // Each function is given only the one that it looks at.
        let current = case.current_replicas.or(case.status_replicas).unwrap_or(1);
        let express = Sync {
            now_ms: NOW_MS,
            spec: &spec,
            settings: &case.periods.settings(),
            scale: (current, case.status_replicas.unwrap_or(current)),
            pods: Pods::of(case.pods.iter().map(PodCase::pod).collect()),
            answers: &[case.metric_call.answer()],
        };
        let decision = decided(&input(&express, History::default())?)?;
        let verdict = &decision.metrics[0];
        let found = verdict.proposal.map(|replicas| (replicas, verdict.value.map(|value| value.get())));
        let expected = match &expected.error {
            Some(_) => None,
            None => {
                let milli = expected.usage_milli.unwrap_or_default() as f64 / 1000.0;
                let shown = expected.utilization.map_or(milli, f64::from);
                Some((expected.replicas.unwrap_or_default(), Some(shown)))
            }
        };
        same(&found, &expected)
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconcile {
    config: Config,
    spec_k8s: Value,
    scale_gets: Vec<ScaleCase>,
    scale_update_errors: Vec<Option<String>>,
    pods: Vec<PodCase>,
    metric_calls: Vec<CallCase>,
    other_hpas: Vec<OtherHpa>,
    state: StateCase,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    tolerance: f64,
    scale_up_limit_factor: f64,
    scale_up_limit_minimum: f64,
    downscale_stabilisation_window_seconds: f64,
    features: BTreeMap<String, bool>,
    #[serde(flatten)]
    periods: Periods,
}

impl Config {
    fn settings(&self) -> Settings {
        Settings {
            tolerance: self.tolerance,
            downscale_stabilization_ms: ms(self.downscale_stabilisation_window_seconds),
            scale_up_limit_factor: self.scale_up_limit_factor,
            scale_up_limit_minimum: self.scale_up_limit_minimum,
            configurable_tolerance: self.features["HPAConfigurableTolerance"],
            pod_level_resources: self.features["PodLevelResources"],
            ..self.periods.settings()
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScaleCase {
    error: Option<String>,
    #[serde(default)]
    spec_replicas: i32,
    #[serde(default)]
    status_replicas: i32,
    #[serde(default)]
    selector: Option<String>,
}

#[derive(Deserialize)]
struct OtherHpa {
    selector: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateCase {
    recommendations: Option<Vec<AgedRecommendation>>,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

impl StateCase {
    fn history(&self) -> History {
        let recommended = self.recommendations.as_deref().map(recommendations);
        History {
            recommendations: recommended.map(|all| all.into_iter().map(Recommendation::from).collect()),
            scale_up_events: events(&self.scale_up_events),
            scale_down_events: events(&self.scale_down_events),
            ..History::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconciled {
    scale_updates: Vec<Update>,
    status: StatusCase,
    events: Vec<EventCase>,
    #[serde(flatten)]
    state: StateCase,
}

#[derive(Deserialize)]
struct Update {
    replicas: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusCase {
    desired_replicas: i32,
    conditions: Vec<ConditionCase>,
}

#[derive(Deserialize)]
struct ConditionCase {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

#[derive(Deserialize)]
struct EventCase {
    reason: String,
}

fn selects(selector: &str, pod: &PodCase) -> bool {
    selector.split(',').all(|pair| {
        let (key, value) = pair.split_once('=').expect("an equality");
        pod.labels.get(key).is_some_and(|label| label == value)
    })
}

/// Cases that say nothing to a decision, each with the reason.
const NOT_OURS: &[(&str, &str)] = &[
    ("reconcile/TestConditionFailedGetScale", "without a scale nobody is asked to decide"),
    ("reconcile/TestConditionInvalidSourceType", "a metric of no type"),
    ("reconcile/TestScaleUpBothMetricsEmpty", "a metric of no type"),
    ("reconcile/TestScaleUpRCImmediately", "a metric of no type"),
    (
        "reconcile/TestConfigurableTolerance/No_scaling_because_the_configurable_tolerance_is_ignored_as_the_feature_gate_is_disabled",
        "a feature gate of before 1.35",
    ),
];

#[test]
fn whole_syncs() {
    let mut left = BTreeSet::new();
    let left_out = std::cell::RefCell::new(&mut left);
    each_named("reconcile.json", 68, |id, case: &Reconcile, expected: &Reconciled| {
        let scale = &case.scale_gets[0];
        if scale.error.is_some() {
            // Without a scale nobody is asked to decide.
            left_out.borrow_mut().insert(id.to_owned());
            return Ok(());
        }
        let spec = spec(&case.spec_k8s);
        let selector = scale.selector.as_deref().unwrap_or_default();
        let selected: Vec<&PodCase> = match selector {
            "" | "cheddar cheese" => Vec::new(),
            _ => case.pods.iter().filter(|pod| selects(selector, pod)).collect(),
        };
        let shared = |other: &&OtherHpa| selected.iter().any(|pod| selects(&other.selector, pod));
        let other = case.other_hpas.iter().find(shared);
        let pods: Vec<Pod> = selected.iter().map(|pod| pod.pod()).collect();
        let mut calls = case.metric_calls.iter();
        let mut answers = Vec::new();
        for metric in &spec.metrics {
            let call = if is_asked(metric) { calls.next() } else { None };
            let nobody = || Answer::Failed("not asked".to_owned());
            answers.push(call.map_or_else(nobody, CallCase::answer));
        }
        let express = Sync {
            now_ms: NOW_MS,
            spec: &spec,
            settings: &case.config.settings(),
            scale: (scale.spec_replicas, scale.status_replicas),
            pods: match (selector, other) {
                ("", _) => Pods::SelectorMissing,
                ("cheddar cheese", _) => Pods::SelectorInvalid("a space".to_owned()),
                (_, Some(other)) => Pods::SelectorAmbiguous(other.selector.clone()),
                (_, None) => Pods::of(pods),
            },
            answers: &answers,
        };
        let input = match input(&express, case.state.history()) {
            Ok(input) => input,
            Err(_) => {
                left_out.borrow_mut().insert(id.to_owned());
                return Ok(());
            }
        };
        let decision = decided(&input)?;
        same(&decision.write, &expected.scale_updates.last().map(|update| update.replicas))?;
        let conditions = decision.conditions(&input);
        for condition in &expected.status.conditions {
            let Some(found) = conditions.iter().find(|found| found.kind.to_string() == condition.kind) else {
                continue;
            };
            // What upstream says after the write is the writer's to say.
            if ["SucceededRescale", "FailedUpdateScale"].contains(&condition.reason.as_str()) {
                continue;
            }
            let reason = condition.reason.replace("FailedGetObject", "FailedGetExternal");
            same(&(found.status, found.reason.as_str()), &(condition.status == "True", reason.as_str()))?;
        }
        let failed = expected.events.iter().any(|event| event.reason == "FailedComputeMetricsReplicas");
        same(&decision.failed_to_compute(), &failed)?;
        let refused = case.scale_update_errors.last().cloned().flatten();
        let mut history = decision.history.clone();
        if let Some(to) = decision.write.filter(|_| refused.is_none()) {
            history.record_written(&input.policy, NOW_MS, input.scale.spec_replicas, to);
            same(&to, &expected.status.desired_replicas)?;
        }
        let after = expected.state.history();
        same(&history.recommendations, &after.recommendations)?;
        same(&history.scale_up_events, &after.scale_up_events)?;
        same(&history.scale_down_events, &after.scale_down_events)
    });
    let known: BTreeSet<String> = NOT_OURS.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert!(left.is_empty() || left == known, "left out without a reason: {left:?}");
}
