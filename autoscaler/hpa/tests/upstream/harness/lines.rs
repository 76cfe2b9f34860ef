//! The real controller's lines: scenarios that went in, results that came out, and what each sync saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_hpa::{
    Answer, ConditionStatus, Container, MetricSpec, MetricTargetType, Pod, PodMetrics, PodPhase,
    PodResources, ReadyCondition, Sample, Settings, sample::usage,
};
use serde::Deserialize;
use serde_json::Value;

use super::wire::ms;

/// A scenario, as far as the syncs' inputs do not say it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scenario {
    pub(crate) id: String,
    #[serde(default)]
    controller: Flags,
    #[serde(default)]
    features: BTreeMap<String, bool>,
    #[serde(default)]
    target: Target,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Flags {
    tolerance: Option<f64>,
    downscale_stabilization_seconds: Option<f64>,
    cpu_initialization_period_seconds: Option<f64>,
    initial_readiness_delay_seconds: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    containers: Vec<Requests>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    name: String,
    cpu_milli: Option<i64>,
    memory_milli: Option<i64>,
}

impl Scenario {
    pub(crate) fn settings(&self) -> Settings {
        let defaults = Settings::default();
        let or = |seconds: Option<f64>, default| seconds.map_or(default, ms);
        let flags = &self.controller;
        Settings {
            tolerance: flags.tolerance.unwrap_or(defaults.tolerance),
            downscale_stabilization_ms: or(
                flags.downscale_stabilization_seconds,
                defaults.downscale_stabilization_ms,
            ),
            cpu_initialization_period_ms: or(
                flags.cpu_initialization_period_seconds,
                defaults.cpu_initialization_period_ms,
            ),
            initial_readiness_delay_ms: or(
                flags.initial_readiness_delay_seconds,
                defaults.initial_readiness_delay_ms,
            ),
            configurable_tolerance: *self.features.get("HPAConfigurableTolerance").unwrap_or(&true),
            ..defaults
        }
    }

    /// What every pod of the scenario asks for.
    pub(crate) fn resources(&self) -> Arc<PodResources> {
        let container = |c: &Requests| Container {
            name: c.name.clone(),
            requests_milli: [("cpu", c.cpu_milli), ("memory", c.memory_milli)]
                .into_iter()
                .filter_map(|(resource, milli)| Some((resource.to_owned(), milli?)))
                .collect(),
        };
        let mut containers: Vec<Container> = self.target.containers.iter().map(container).collect();
        if containers.is_empty() {
            let requests = [("cpu".to_owned(), 1000), ("memory".to_owned(), (1 << 30) * 1000)];
            containers.push(Container { name: "app".to_owned(), requests_milli: requests.into() });
        }
        Arc::new(PodResources { containers, ..PodResources::default() })
    }
}

/// What the controller did in one scenario.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) invalid: Vec<String>,
    #[serde(default)]
    pub(crate) specs: Vec<Value>,
    #[serde(default)]
    pub(crate) syncs: Vec<Sync>,
}

/// One sync: what was seen, and what was done. Times are seconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sync {
    pub(crate) t: f64,
    pub(crate) spec: usize,
    #[serde(default)]
    pub(crate) started: bool,
    pub(crate) scale: Option<(i32, i32)>,
    #[serde(default)]
    pub(crate) get_scale_error: String,
    pub(crate) selector: Option<String>,
    pub(crate) pods: Option<Vec<PodLine>>,
    #[serde(default)]
    pub(crate) metrics: Vec<Call>,
    pub(crate) write_error: Option<String>,
    pub(crate) status_error: Option<String>,

    pub(crate) proposal: Option<i32>,
    #[serde(default)]
    pub(crate) proposal_metric: String,
    pub(crate) write: Option<i32>,
    pub(crate) current_replicas: i32,
    pub(crate) desired_replicas: i32,
    pub(crate) last_scale_t: Option<f64>,
    pub(crate) conditions: Option<Vec<(String, String, String, f64)>>,
    #[serde(default)]
    pub(crate) current_metrics: Vec<Option<MetricLine>>,
    #[serde(default)]
    pub(crate) events: Vec<(String, String, String)>,
    #[serde(default)]
    pub(crate) error: String,
    pub(crate) status_writes: u32,
}

/// Type, value, average value, average utilization.
pub(crate) type MetricLine = (String, Option<i64>, Option<i64>, Option<i32>);

/// Name, phase, deleting, start, ready, since.
pub(crate) type PodLine = (String, String, bool, Option<f64>, String, f64);

/// One answer of a metrics API.
#[derive(Deserialize)]
pub(crate) struct Call {
    error: Option<String>,
    pods: Option<BTreeMap<String, Value>>,
    v: Option<Value>,
}

pub(crate) fn pods(lines: &[PodLine], resources: &Arc<PodResources>) -> Vec<Pod> {
    let pod = |(name, phase, deleting, start, ready, since): &PodLine| Pod {
        name: name.clone(),
        phase: match phase.as_str() {
            "Pending" => PodPhase::Pending,
            "Running" => PodPhase::Running,
            "Succeeded" => PodPhase::Succeeded,
            "Failed" => PodPhase::Failed,
            _ => PodPhase::Unknown,
        },
        deleting: *deleting,
        start_ms: start.map(ms),
        ready: Some(ReadyCondition {
            status: ConditionStatus::from(ready == "True"),
            transition_ms: ms(*since),
        }),
        resources: Arc::clone(resources),
    };
    lines.iter().map(pod).collect()
}

/// Calls are recorded in the order of the metrics that made one.
pub(crate) fn answers(calls: &[Call], specs: &[MetricSpec], containers: &[Container]) -> Vec<Answer> {
    let mut calls = calls.iter();
    let mut answer = |spec: &MetricSpec| {
        if !is_asked(spec) {
            return Answer::Failed("not asked".to_owned());
        }
        calls.next().map_or(Answer::Failed("not recorded".to_owned()), |call| call.answer(spec, containers))
    };
    specs.iter().map(&mut answer).collect()
}

/// Whether upstream gets so far with a metric that it asks for it.
pub(crate) fn is_asked(spec: &MetricSpec) -> bool {
    match spec {
        MetricSpec::Resource { target, .. } | MetricSpec::ContainerResource { target, .. } => {
            target.average_value_milli.is_some() || target.average_utilization.is_some()
        }
        MetricSpec::Pods { target, .. } => target.average_value_milli.is_some(),
        MetricSpec::Object { target, .. } => match target.kind {
            MetricTargetType::Value => target.value_milli.is_some(),
            MetricTargetType::AverageValue => target.average_value_milli.is_some(),
            MetricTargetType::Utilization => false,
        },
        MetricSpec::External { target, .. } => {
            target.average_value_milli.is_some() || target.value_milli.is_some()
        }
        MetricSpec::Unknown { .. } => false,
    }
}

impl Call {
    fn answer(&self, spec: &MetricSpec, containers: &[Container]) -> Answer {
        if let Some(why) = &self.error {
            return Answer::Failed(why.clone());
        }
        let none = BTreeMap::new();
        let rows = self.pods.as_ref().unwrap_or(&none);
        match spec {
            MetricSpec::Resource { name, .. } => usage(&pod_metrics(rows, containers), name, None),
            MetricSpec::ContainerResource { name, container, .. } => {
                usage(&pod_metrics(rows, containers), name, Some(container))
            }
            MetricSpec::Pods { .. } => {
                let sample = |(pod, value): (&String, &Value)| Sample {
                    pod: pod.clone(),
                    value_milli: value.as_i64().expect("an integer"),
                    at_ms: 0,
                    window_ms: 60_000,
                };
                Answer::Pods(rows.iter().map(sample).collect())
            }
            MetricSpec::Object { .. } => {
                Answer::Object(self.v.as_ref().and_then(Value::as_i64).expect("an integer"))
            }
            MetricSpec::External { .. } => {
                let values = self.v.as_ref().and_then(Value::as_array).expect("a list");
                Answer::External(values.iter().map(|v| v.as_i64().expect("an integer")).collect())
            }
            MetricSpec::Unknown { .. } => Answer::Failed("not asked".to_owned()),
        }
    }
}

/// Time, window, and what of which resource each container uses.
#[derive(Deserialize)]
struct UsageLine(f64, f64, Option<Vec<(String, String, i64)>>);

/// A container without rows is there all the same.
fn pod_metrics(rows: &BTreeMap<String, Value>, containers: &[Container]) -> Vec<PodMetrics> {
    let pod = |(name, row): (&String, &Value)| {
        let UsageLine(at, window, used) = serde_json::from_value(row.clone()).expect("a row of usage");
        let used = used.unwrap_or_default();
        let of = |container: &Container| {
            let own = used.iter().filter(|(c, _, _)| *c == container.name);
            (container.name.clone(), own.map(|(_, resource, milli)| (resource.clone(), *milli)).collect())
        };
        PodMetrics {
            pod: name.clone(),
            at_ms: ms(at),
            window_ms: ms(window),
            containers: containers.iter().map(of).collect(),
        }
    };
    rows.iter().map(pod).collect()
}
