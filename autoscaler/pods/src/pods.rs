//! Pods as the API server has them, as far as a decision looks at them.
//!
//! The API server's whole type has hundreds of others below it; what is not here is skipped unread.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_api::Quantity;
use autoscaler_core::Pods;
use autoscaler_hpa::{
    ConditionStatus, Container, InitContainer, Pod, PodPhase, PodResources, ReadyCondition, pod::ResourceList,
};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// What stands for a time that is not there: Go's, in the year 1.
const ZERO_TIME_MS: i64 = -62_135_596_800_000;

/// `v1` PodSpec.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// What runs.
    pub containers: Option<Vec<ContainerSpec>>,
    /// What runs before, and sidecars.
    pub init_containers: Option<Vec<ContainerSpec>>,
    /// Requests of the pod as a whole.
    pub resources: Option<Requirements>,
    /// What its runtime class adds.
    pub overhead: Option<BTreeMap<String, Quantity>>,
}

/// `v1` Container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// `Always` makes a sidecar of an init container.
    pub restart_policy: Option<String>,
    /// What it asks for.
    pub resources: Option<Requirements>,
}

/// `v1` ResourceRequirements.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requirements {
    /// Amounts by resource.
    pub requests: Option<BTreeMap<String, Quantity>>,
}

/// `v1` PodStatus.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Where it is in its life.
    pub phase: Option<String>,
    /// When the kubelet took it.
    pub start_time: Option<String>,
    /// Its address, once it has one.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Ready among others.
    pub conditions: Option<Vec<PodCondition>>,
}

/// `v1` PodCondition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// Its name.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Since when.
    pub last_transition_time: Option<String>,
}

impl PodStatus {
    /// The condition of type `Ready`.
    #[must_use]
    pub fn ready(&self) -> Option<&PodCondition> {
        self.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")
    }
}

/// A pod, as far as a decision looks at it.
#[must_use]
pub fn pod(name: &str, deleting: bool, spec: Option<&PodSpec>, status: Option<&PodStatus>) -> Pod {
    Pod {
        name: name.to_owned(),
        phase: match status.and_then(|status| status.phase.as_deref()) {
            Some("Pending") => PodPhase::Pending,
            Some("Running") => PodPhase::Running,
            Some("Succeeded") => PodPhase::Succeeded,
            Some("Failed") => PodPhase::Failed,
            _ => PodPhase::Unknown,
        },
        deleting,
        start_ms: status.and_then(|status| time_ms(status.start_time.as_deref())),
        ready: status.and_then(PodStatus::ready).map(|ready| ReadyCondition {
            status: match ready.status.as_str() {
                "True" => ConditionStatus::True,
                "False" => ConditionStatus::False,
                _ => ConditionStatus::Unknown,
            },
            transition_ms: time_ms(ready.last_transition_time.as_deref()).unwrap_or(ZERO_TIME_MS),
        }),
        resources: Arc::new(spec.map(resources).unwrap_or_default()),
    }
}

/// The pods of a selector, sorted by name. Those that ask for the same share it.
#[must_use]
pub fn pods<'a>(seen: impl IntoIterator<Item = &'a Pod>) -> Pods {
    let mut known: BTreeMap<&'a PodResources, &'a Arc<PodResources>> = BTreeMap::new();
    let shared = |pod: &'a Pod| {
        let resources = Arc::clone(known.entry(&*pod.resources).or_insert(&pod.resources));
        Pod { resources, ..pod.clone() }
    };
    let mut all: Vec<Pod> = seen.into_iter().map(shared).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Pods::of(all)
}

fn time_ms(text: Option<&str>) -> Option<i64> {
    text?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn resources(spec: &PodSpec) -> PodResources {
    let of = |container: &ContainerSpec| Container {
        name: container.name.clone(),
        requests_milli: requests(container.resources.as_ref().and_then(|r| r.requests.as_ref())),
    };
    let init = |container: &ContainerSpec| InitContainer {
        container: of(container),
        restartable: container.restart_policy.as_deref() == Some("Always"),
    };
    PodResources {
        containers: spec.containers.iter().flatten().map(of).collect(),
        init_containers: spec.init_containers.iter().flatten().map(init).collect(),
        requests_milli: requests(spec.resources.as_ref().and_then(|r| r.requests.as_ref())),
        overhead_milli: requests(spec.overhead.as_ref()),
    }
}

/// A quantity that cannot be read is not requested, and the decision says of which container.
fn requests(list: Option<&BTreeMap<String, Quantity>>) -> ResourceList {
    let milli = |(name, quantity): (&String, &Quantity)| Some((name.clone(), quantity.milli().ok()?));
    list.into_iter().flatten().filter_map(milli).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(list: Value) -> Vec<Pod> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Value,
            spec: Option<PodSpec>,
            status: Option<PodStatus>,
        }
        let seen: Vec<Object> = serde_json::from_value(list).unwrap();
        let one = |object: &Object| {
            let deleting = !object.metadata["deletionTimestamp"].is_null();
            let name = object.metadata["name"].as_str().unwrap();
            pod(name, deleting, object.spec.as_ref(), object.status.as_ref())
        };
        let seen: Vec<Pod> = seen.iter().map(one).collect();
        let Pods::Selected(list) = pods(&seen) else { panic!("they are few") };
        list.to_vec()
    }

    /// As `kubectl get pods -o json` has them, without what nobody looks at.
    #[test]
    fn what_matters_of_a_pod_is_read() {
        let template = |name: &str| {
            json!({
                "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
                "spec": {
                    "overhead": {"cpu": "10m"},
                    "resources": {"requests": {"memory": "1Gi"}},
                    "initContainers": [
                        {"name": "mesh", "restartPolicy": "Always", "resources": {"requests": {"cpu": "0.05"}}},
                        {"name": "migrate"}],
                    "containers": [{"name": "app", "image": "web:1",
                                    "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": 1}}}],
                },
                "status": {"phase": "Running", "startTime": "2026-11-30T10:00:00Z", "conditions": [
                    {"type": "PodScheduled", "status": "True"},
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-30T10:00:07Z"}]},
            })
        };
        let mut going = template("web-b");
        going["metadata"]["deletionTimestamp"] = json!("2026-11-30T11:00:00Z");
        let pods = read(json!([going, template("web-a")]));
        let names: Vec<_> =
            pods.iter().map(|pod| (pod.name.as_str(), pod.deleting, pod.is_ready())).collect();
        assert_eq!(names, [("web-a", false, true), ("web-b", true, true)]);
        let pod = &pods[0];
        assert_eq!(pod.start_ms, Some(1_796_032_800_000));
        assert_eq!(pod.ready.unwrap().transition_ms, 1_796_032_807_000);
        assert!(Arc::ptr_eq(&pod.resources, &pods[1].resources));
        let resources = &pod.resources;
        assert_eq!(resources.containers[0].requests_milli["memory"], 64 * 1024 * 1024 * 1000);
        assert_eq!(resources.init_containers[0].container.requests_milli["cpu"], 50);
        assert_eq!(
            (resources.init_containers[0].restartable, resources.init_containers[1].restartable),
            (true, false)
        );
        let whole = (resources.requests_milli["memory"], resources.overhead_milli["cpu"]);
        assert_eq!(whole, ((1 << 30) * 1000, 10));
    }

    #[test]
    fn a_pod_that_just_appeared_has_next_to_nothing() {
        let pods = read(
            json!([{"metadata": {"name": "new"}, "spec": {"containers": [{"name": "app"}], "initContainers": null}},
                               {"metadata": {"name": "odd"}, "status": {"phase": "Lost", "conditions": [
                                   {"type": "Ready", "status": "Unknown"}]}}]),
        );
        assert_eq!((pods[0].phase, pods[0].ready, pods[0].start_ms), (PodPhase::Unknown, None, None));
        let ready = pods[1].ready.unwrap();
        assert_eq!((ready.status, ready.transition_ms), (ConditionStatus::Unknown, ZERO_TIME_MS));
        let zero: k8s_openapi::jiff::Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(zero.as_millisecond(), ZERO_TIME_MS);
    }

    #[test]
    fn a_request_that_cannot_be_read_is_none() {
        let pods = read(json!([{"metadata": {"name": "a"}, "spec": {"containers": [
            {"name": "app", "resources": {"requests": {"cpu": "lots", "memory": "1"}}}]}}]));
        let requests = &pods[0].resources.containers[0].requests_milli;
        assert_eq!(requests.keys().collect::<Vec<_>>(), ["memory"]);
    }
}
