//! Cases of a whole sync: what it reads, and what is left behind.

use std::collections::BTreeMap;

use autoscaler_hpa::{Answer, ConditionStatus, ConditionType, HpaSpec, Pod, Settings, State};
use serde::Deserialize;
use serde_json::Value;

use super::calculations::CallCase;
use super::cases::{AgedEvent, AgedRecommendation, Periods, PodCase, events, recommendations};
use super::lines::is_asked;
use super::wire::{ms, spec};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reconcile {
    pub(crate) config: Config,
    spec_k8s: Value,
    pub(crate) status: StatusCase,
    scale_gets: Vec<ScaleCase>,
    scale_update_errors: Vec<Option<String>>,
    pub(crate) pods: Vec<PodCase>,
    pub(crate) metric_calls: Vec<CallCase>,
    other_hpas: Vec<OtherHpa>,
    pub(crate) state: StateCase,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    tolerance: f64,
    scale_up_limit_factor: f64,
    scale_up_limit_minimum: f64,
    downscale_stabilisation_window_seconds: f64,
    features: BTreeMap<String, bool>,
    #[serde(flatten)]
    periods: Periods,
}

impl Config {
    pub(crate) fn settings(&self) -> Settings {
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
pub(crate) struct ScaleCase {
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) spec_replicas: i32,
    #[serde(default)]
    pub(crate) status_replicas: i32,
    #[serde(default)]
    selector: Option<String>,
}

#[derive(Deserialize)]
struct OtherHpa {
    selector: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateCase {
    pub(crate) recommendations: Option<Vec<AgedRecommendation>>,
    scale_up_events: Vec<AgedEvent>,
    scale_down_events: Vec<AgedEvent>,
}

impl StateCase {
    pub(crate) fn state(&self) -> State {
        State {
            recommendations: self.recommendations.as_deref().map(recommendations),
            scale_up_events: events(&self.scale_up_events),
            scale_down_events: events(&self.scale_down_events),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reconciled {
    pub(crate) error: Option<String>,
    scale_updates: Vec<Update>,
    pub(crate) status_updates: u32,
    pub(crate) status: StatusCase,
    events: Vec<EventCase>,
    #[serde(flatten)]
    pub(crate) state: StateCase,
}

#[derive(Deserialize)]
struct Update {
    replicas: i32,
}

#[derive(Deserialize)]
struct EventCase {
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusCase {
    pub(crate) current_replicas: i32,
    pub(crate) desired_replicas: i32,
    pub(crate) last_scale_age_seconds: Option<f64>,
    pub(crate) conditions: Vec<ConditionCase>,
    #[serde(default)]
    pub(crate) current_metrics: Vec<Option<MetricCase>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConditionCase {
    #[serde(rename = "type")]
    pub(crate) kind: ConditionType,
    pub(crate) status: ConditionStatus,
    pub(crate) reason: String,
    pub(crate) last_transition_age_seconds: f64,
}

#[derive(Deserialize)]
pub(crate) struct MetricCase {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) current: CurrentCase,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CurrentCase {
    pub(crate) value_milli: Option<i64>,
    pub(crate) average_value_milli: Option<i64>,
    pub(crate) average_utilization: Option<i32>,
}

/// What the target's selector comes to.
pub(crate) enum Selection {
    Missing,
    Unreadable,
    /// Another autoscaler selects some of the pods too, by this selector.
    Shared(String),
    Pods(Vec<Pod>),
}

impl Reconcile {
    pub(crate) fn spec(&self) -> HpaSpec {
        spec(&self.spec_k8s)
    }

    pub(crate) fn scale(&self) -> &ScaleCase {
        &self.scale_gets[0]
    }

    pub(crate) fn selection(&self) -> Selection {
        let selector = match self.scale().selector.as_deref() {
            None | Some("") => return Selection::Missing,
            Some("cheddar cheese") => return Selection::Unreadable,
            Some(selector) => selector,
        };
        let selected: Vec<&PodCase> = self.pods.iter().filter(|pod| selects(selector, pod)).collect();
        let shared = |other: &&OtherHpa| selected.iter().any(|pod| selects(&other.selector, pod));
        match self.other_hpas.iter().find(shared) {
            Some(other) => Selection::Shared(other.selector.clone()),
            None => Selection::Pods(selected.iter().map(|pod| pod.pod()).collect()),
        }
    }

    /// One for each metric of `spec`, and whether all that were recorded were used.
    pub(crate) fn answers(&self, spec: &HpaSpec) -> (Vec<Answer>, bool) {
        let mut calls = self.metric_calls.iter();
        let mut answers = Vec::new();
        for metric in &spec.metrics {
            let call = if is_asked(metric) { calls.next() } else { None };
            let nobody = || Answer::Failed("not asked".to_owned());
            answers.push(call.map_or_else(nobody, CallCase::answer));
        }
        (answers, calls.next().is_none())
    }

    /// What comes of the write, if there is one.
    pub(crate) fn written(&self) -> Result<(), String> {
        self.scale_update_errors.last().cloned().flatten().map_or(Ok(()), Err)
    }
}

impl Reconciled {
    /// The last write.
    pub(crate) fn write(&self) -> Option<i32> {
        self.scale_updates.last().map(|update| update.replicas)
    }

    /// Reasons of the events, in their order.
    pub(crate) fn events(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.reason.as_str()).collect()
    }
}

/// Whether a selector of equalities selects a pod.
fn selects(selector: &str, pod: &PodCase) -> bool {
    selector.split(',').all(|pair| {
        let (key, value) = pair.split_once('=').expect("an equality");
        pod.labels.get(key).is_some_and(|label| label == value)
    })
}
