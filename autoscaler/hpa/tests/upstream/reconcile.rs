//! Upstream's cases on a whole sync: `horizontal_test.go`.

use std::collections::BTreeMap;

use autoscaler_hpa::{
    Condition, ConditionStatus, ConditionType, Controller, HpaStatus, Inputs, Pod, Scale, Selected, Settings,
    State,
};
use serde::Deserialize;
use serde_json::Value;

use crate::calculator::CallCase;
use crate::cases::{
    AgedEvent, AgedRecommendation, NOW_MS, Periods, PodCase, ago, each, events, recommendations, same,
};
use crate::lines::is_asked;
use crate::wire::{ms, spec};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconcile {
    config: Config,
    spec_k8s: Value,
    status: StatusCase,
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
struct StatusCase {
    current_replicas: i32,
    desired_replicas: i32,
    last_scale_age_seconds: Option<f64>,
    conditions: Vec<ConditionCase>,
    #[serde(default)]
    current_metrics: Vec<Option<MetricCase>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionCase {
    #[serde(rename = "type")]
    kind: ConditionType,
    status: ConditionStatus,
    reason: String,
    last_transition_age_seconds: f64,
}

#[derive(Deserialize)]
struct MetricCase {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    current: CurrentCase,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CurrentCase {
    value_milli: Option<i64>,
    average_value_milli: Option<i64>,
    average_utilization: Option<i32>,
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
    fn state(&self) -> State {
        State {
            recommendations: self.recommendations.as_deref().map(recommendations),
            scale_up_events: events(&self.scale_up_events),
            scale_down_events: events(&self.scale_down_events),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reconciled {
    error: Option<String>,
    scale_updates: Vec<Update>,
    status_updates: u32,
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
struct EventCase {
    reason: String,
}

/// Whether a selector of equalities selects a pod.
fn selects(selector: &str, pod: &PodCase) -> bool {
    selector.split(',').all(|pair| {
        let (key, value) = pair.split_once('=').expect("an equality");
        pod.labels.get(key).is_some_and(|label| label == value)
    })
}

/// The status without messages, which are each side's own words.
fn told(status: &StatusCase) -> HpaStatus {
    let condition = |c: &ConditionCase| Condition {
        kind: c.kind,
        status: c.status,
        reason: c.reason.clone().into(),
        message: "".into(),
        transition_ms: ago(c.last_transition_age_seconds),
    };
    HpaStatus {
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        last_scale_ms: status.last_scale_age_seconds.map(ago),
        current_metrics: Vec::new(),
        conditions: status.conditions.iter().map(condition).collect(),
    }
}

type Metrics = Vec<Option<(String, Option<i64>, Option<i64>, Option<i32>)>>;

fn metrics(status: &StatusCase) -> Metrics {
    let metric = |metric: &Option<MetricCase>| {
        let MetricCase { kind, current } = metric.as_ref()?;
        let kind = kind.clone().filter(|kind| !kind.is_empty())?;
        Some((kind, current.value_milli, current.average_value_milli, current.average_utilization))
    };
    status.current_metrics.iter().map(metric).collect()
}

#[test]
fn whole_syncs() {
    each("reconcile.json", 68, |input: &Reconcile, expected: &Reconciled| {
        let spec = spec(&input.spec_k8s);
        let scale = &input.scale_gets[0];
        let selector = scale.selector.as_deref().unwrap_or_default();
        let selected: Vec<&PodCase> = match selector {
            "" | "cheddar cheese" => Vec::new(),
            _ => input.pods.iter().filter(|pod| selects(selector, pod)).collect(),
        };
        let shared = |other: &&OtherHpa| selected.iter().any(|pod| selects(&other.selector, pod));
        let other = input.other_hpas.iter().find(shared);
        let pods: Vec<Pod> = selected.iter().map(|pod| pod.pod()).collect();
        let mut calls = input.metric_calls.iter();
        let mut answers = Vec::new();
        for metric in &spec.metrics {
            let call = if is_asked(metric) { calls.next() } else { None };
            let nobody = || autoscaler_hpa::Answer::Failed("not asked".to_owned());
            answers.push(call.map_or_else(nobody, CallCase::answer));
        }
        let status = told(&input.status);
        let inputs = Inputs {
            now_ms: NOW_MS,
            spec: &spec,
            status: &status,
            scale: match &scale.error {
                Some(why) => Err(why.as_str()),
                None => {
                    Ok(Scale { spec_replicas: scale.spec_replicas, status_replicas: scale.status_replicas })
                }
            },
            pods: match (selector, other) {
                ("", _) => Selected::Required,
                ("cheddar cheese", _) => Selected::Invalid("a space"),
                (_, Some(other)) => Selected::Ambiguous(&other.selector),
                (_, None) => Selected::Pods(&pods),
            },
            answers: &answers,
        };
        let mut controller = Controller::with_state(input.config.settings(), input.state.state());
        let written = input.scale_update_errors.last().cloned().flatten().map_or(Ok(()), Err);
        let outputs = controller.sync(&inputs, |_| written.clone());

        same(&outputs.write, &expected.scale_updates.last().map(|update| update.replicas))?;
        let reasons: Vec<&str> = outputs.events.iter().map(|event| event.reason).collect();
        same(&reasons, &expected.events.iter().map(|event| event.reason.as_str()).collect())?;
        same(&outputs.error.is_some(), &expected.error.is_some())?;
        let mut found = outputs.status.clone();
        let current: Metrics = std::mem::take(&mut found.current_metrics)
            .into_iter()
            .map(|metric| {
                let metric = metric?;
                let current = metric.current;
                Some((
                    metric.kind,
                    current.value_milli,
                    current.average_value_milli,
                    current.average_utilization,
                ))
            })
            .collect();
        for condition in &mut found.conditions {
            condition.message = "".into();
        }
        same(&found, &told(&expected.status))?;
        same(&current, &metrics(&expected.status))?;
        let changed = found != told(&input.status) || current != metrics(&input.status);
        same(&u32::from(changed), &expected.status_updates)?;
        same(controller.state(), &expected.state.state())?;
        same(&calls.count(), &0)
    });
}
