//! What of a pod matters, and the requests that its utilization is relative to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::status::ConditionStatus;

/// A pod as the controller's cache has it. Times are in milliseconds of one clock of the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name; unique among the pods of one sync.
    pub name: String,
    /// `status.phase`.
    pub phase: PodPhase,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `status.startTime`.
    pub start_ms: Option<i64>,
    /// The `Ready` condition, if the pod has one.
    pub ready: Option<ReadyCondition>,
    /// What it asks for; shared, since pods of one template ask for the same.
    pub resources: Arc<PodResources>,
}

impl Pod {
    /// Running and ready. A pod that is being deleted may be both.
    ///
    /// Upstream: `replica_calculator.go`, `getReadyPodsCount`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == PodPhase::Running && self.ready.is_some_and(|r| r.status == ConditionStatus::True)
    }
}

/// `PodPhase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Accepted, containers not started.
    Pending,
    /// Bound and started.
    Running,
    /// All containers ended well.
    Succeeded,
    /// All containers ended, one of them badly.
    Failed,
    /// Anything else, or none yet.
    #[default]
    Unknown,
}

/// The condition of type `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadyCondition {
    /// Its status.
    pub status: ConditionStatus,
    /// Its `lastTransitionTime`.
    pub transition_ms: i64,
}

/// Amounts by resource, in thousandths: millicores, or bytes × 1000.
pub type ResourceList = BTreeMap<String, i64>;

/// What a pod asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodResources {
    /// `spec.containers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
    /// `spec.initContainers`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<InitContainer>,
    /// `spec.resources.requests`: of the pod as a whole; empty if not set.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    pub requests_milli: ResourceList,
    /// `spec.overhead`.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    pub overhead_milli: ResourceList,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// Unique within the pod.
    pub name: String,
    /// `resources.requests`. A resource that is missing is not requested.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    pub requests_milli: ResourceList,
}

/// An init container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InitContainer {
    /// The container.
    pub container: Container,
    /// `restartPolicy: Always`: a sidecar, which counts like a container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restartable: bool,
}

/// Requests of each pod for `resource`, in thousandths; with `container`, of that container alone.
///
/// # Errors
///
/// What is missing where: one pod without a request, and the metric cannot be computed for any.
///
/// Upstream: `replica_calculator.go`, `calculateRequests`.
pub fn requests<'a>(
    pods: &'a [Pod],
    resource: &str,
    container: Option<&str>,
    pod_level_resources: bool,
) -> Result<BTreeMap<&'a str, i64>, String> {
    let of = |pod: &'a Pod| {
        let resources = &pod.resources;
        let whole = pod_level_resources && container.is_none() && resources.is_set_for_pod();
        let request =
            if whole { resources.of_pod(resource) } else { resources.of_containers(resource, container) };
        request
            .map(|milli| (pod.name.as_str(), milli))
            .map_err(|missing| format!("{missing} of pod {}; set it, or use averageValue", pod.name))
    };
    pods.iter().map(of).collect()
}

impl PodResources {
    /// Whether requests of the pod as a whole are set for a resource that can have them.
    fn is_set_for_pod(&self) -> bool {
        self.requests_milli.keys().any(|name| is_pod_level(name))
    }

    /// The pod's own request; for a resource without one, what its containers need at any time.
    ///
    /// Upstream: `component-helpers/resource/helpers.go`, `PodRequests`.
    fn of_pod(&self, resource: &str) -> Result<i64, String> {
        let own = self.requests_milli.get(resource).filter(|_| is_pod_level(resource)).copied();
        let without_overhead = own.or_else(|| self.needed_at_any_time(resource));
        match (without_overhead, self.overhead_milli.get(resource)) {
            (None, None) => Err(format!("no request for {resource}")),
            (request, overhead) => {
                Ok(request.unwrap_or_default().saturating_add(overhead.copied().unwrap_or_default()))
            }
        }
    }

    /// All that run together, or what an init container needs beside the sidecars before it, if that is more.
    fn needed_at_any_time(&self, resource: &str) -> Option<i64> {
        let of = |c: &Container| c.requests_milli.get(resource).copied();
        let add = |sum: Option<i64>, one: Option<i64>| match (sum, one) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let mut running = self.containers.iter().map(of).fold(None, add);
        let (mut sidecars, mut starting) = (None, None);
        for init in &self.init_containers {
            let own = of(&init.container);
            let together = add(sidecars, own);
            if init.restartable {
                running = add(running, own);
                sidecars = together;
            }
            starting = starting.max(together);
        }
        running.max(starting)
    }

    /// Containers and sidecars; every one that counts has to have a request.
    ///
    /// Upstream: `replica_calculator.go`, `calculatePodRequestsFromContainers`.
    fn of_containers(&self, resource: &str, container: Option<&str>) -> Result<i64, String> {
        let sidecars = self.init_containers.iter().filter(|c| c.restartable).map(|c| &c.container);
        let mut sum = 0i64;
        for c in self.containers.iter().chain(sidecars) {
            if container.is_some_and(|name| name != c.name) {
                continue;
            }
            let Some(request) = c.requests_milli.get(resource) else {
                return Err(format!("no request for {resource} in container {}", c.name));
            };
            sum = sum.wrapping_add(*request);
            if container.is_some() {
                return Ok(sum);
            }
        }
        match container {
            Some(name) => Err(format!("no container {name}")),
            None => Ok(sum),
        }
    }
}

/// Resources that can be requested for a pod as a whole.
fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}
