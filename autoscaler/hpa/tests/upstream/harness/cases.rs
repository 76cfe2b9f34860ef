//! Reading upstream's cases, and the shapes that several groups share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use autoscaler_hpa::state::{Recommendation, ScaleEvent};
use autoscaler_hpa::{
    ConditionStatus, Container, InitContainer, Pod, PodPhase, PodResources, ReadyCondition, Sample, Settings,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::ms;

/// When every case happens; ages count back from here.
pub(crate) const NOW_MS: i64 = 0;

#[derive(Deserialize)]
struct Case<I, E> {
    id: String,
    input: I,
    expected: E,
}

/// Runs `check` on each of the `count` cases of `file`; it says what it found where that is wrong.
pub(crate) fn each<I: DeserializeOwned, E: DeserializeOwned>(
    file: &str,
    count: usize,
    check: impl Fn(&I, &E) -> Result<(), String>,
) {
    each_named(file, count, |_, input, expected| check(input, expected));
}

/// The same for checks that need to know which case it is.
pub(crate) fn each_named<I: DeserializeOwned, E: DeserializeOwned>(
    file: &str,
    count: usize,
    check: impl Fn(&str, &I, &E) -> Result<(), String>,
) {
    each_that(file, count, |_| true, check);
}

/// The same for those cases whose input `applies` accepts, of which there are `count`.
pub(crate) fn each_that<I: DeserializeOwned, E: DeserializeOwned>(
    file: &str,
    count: usize,
    applies: impl Fn(&Value) -> bool,
    check: impl Fn(&str, &I, &E) -> Result<(), String>,
) {
    let folder = std::env::var_os("GAUNTLET_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    );
    let path = folder.join("hpa").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(!is_ci(), "{} is needed in CI", path.display());
        println!("skipped: {} is not there; set GAUNTLET_CONFORMANCE", path.display());
        return;
    };
    let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let all_count = all.len();
    let applicable = all.into_iter().filter(|case| applies(&case["input"]));
    let cases: Vec<Case<I, E>> = applicable
        .map(|case| serde_json::from_value(case).unwrap_or_else(|error| panic!("{file}: {error}")))
        .collect();
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            Some(format!("{}: {}", case.id, check(&case.id, &case.input, &case.expected).err()?))
        })
        .collect();
    println!("{file}: {} of {} held, {all_count} in all", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= count, "only {} cases in {file}, {count} expected", cases.len());
}

pub(crate) fn is_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// Equal, or what was found instead.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

/// The time of an age in seconds.
pub(crate) fn ago(seconds: f64) -> i64 {
    NOW_MS - ms(seconds)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgedRecommendation {
    replicas: i32,
    age_seconds: f64,
}

pub(crate) fn recommendations(aged: &[AgedRecommendation]) -> Vec<Recommendation> {
    aged.iter().map(|r| Recommendation { replicas: r.replicas, at_ms: ago(r.age_seconds) }).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgedEvent {
    change: i32,
    age_seconds: f64,
    outdated: bool,
}

pub(crate) fn events(aged: &[AgedEvent]) -> Vec<ScaleEvent> {
    let event =
        |e: &AgedEvent| ScaleEvent { change: e.change, at_ms: ago(e.age_seconds), outdated: e.outdated };
    aged.iter().map(event).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodCase {
    name: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    phase: String,
    deleting: bool,
    start_age_seconds: Option<f64>,
    ready: Option<ReadyCase>,
    containers: Vec<ContainerCase>,
    #[serde(default)]
    init_containers: Vec<ContainerCase>,
    #[serde(default)]
    pod_requests_milli: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadyCase {
    status: String,
    last_transition_age_seconds: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerCase {
    name: String,
    requests_milli: BTreeMap<String, i64>,
    #[serde(default)]
    restartable: bool,
}

impl PodCase {
    pub(crate) fn pod(&self) -> Pod {
        let container =
            |c: &ContainerCase| Container { name: c.name.clone(), requests_milli: c.requests_milli.clone() };
        Pod {
            name: self.name.clone(),
            phase: match self.phase.as_str() {
                "Pending" => PodPhase::Pending,
                "Running" => PodPhase::Running,
                "Succeeded" => PodPhase::Succeeded,
                "Failed" => PodPhase::Failed,
                _ => PodPhase::Unknown,
            },
            deleting: self.deleting,
            start_ms: self.start_age_seconds.map(ago),
            ready: self.ready.as_ref().map(|ready| ReadyCondition {
                status: ConditionStatus::from(ready.status == "True"),
                transition_ms: ago(ready.last_transition_age_seconds),
            }),
            resources: Arc::new(PodResources {
                containers: self.containers.iter().map(container).collect(),
                init_containers: self
                    .init_containers
                    .iter()
                    .map(|c| InitContainer { container: container(c), restartable: c.restartable })
                    .collect(),
                requests_milli: self.pod_requests_milli.clone(),
                ..PodResources::default()
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SampleCase {
    value_milli: i64,
    age_seconds: f64,
    window_seconds: f64,
}

pub(crate) fn samples(cases: &BTreeMap<String, SampleCase>) -> Vec<Sample> {
    let sample = |(pod, case): (&String, &SampleCase)| Sample {
        pod: pod.clone(),
        value_milli: case.value_milli,
        at_ms: ago(case.age_seconds),
        window_ms: ms(case.window_seconds),
    };
    cases.iter().map(sample).collect()
}

/// Settings that a case may name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Periods {
    cpu_initialization_period_seconds: f64,
    delay_of_initial_readiness_status_seconds: f64,
}

impl Periods {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            cpu_initialization_period_ms: ms(self.cpu_initialization_period_seconds),
            initial_readiness_delay_ms: ms(self.delay_of_initial_readiness_status_seconds),
            ..Settings::default()
        }
    }
}
