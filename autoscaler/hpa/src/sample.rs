//! Answers of the metrics APIs, and how the use of containers becomes one value a pod.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an API said about one metric of the spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Resource and ContainerResource, see [`usage`], and Pods: one value for each pod that has one.
    Pods(Vec<Sample>),
    /// Object: its value in thousandths.
    Object(i64),
    /// External: every series' value in thousandths.
    External(Vec<i64>),
    /// No answer, and why; also where a selector of the spec cannot be understood.
    Failed(String),
}

/// One pod's value, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// The pod.
    pub pod: String,
    /// Millicores, bytes × 1000, or thousandths of whatever the metric counts.
    pub value_milli: i64,
    /// End of the window that the value is of.
    pub at_ms: i64,
    /// Length of that window; custom metrics without one are taken for a minute.
    pub window_ms: i64,
}

/// `PodMetrics` of `metrics.k8s.io`: use of resources by the containers of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodMetrics {
    /// The pod.
    pub pod: String,
    /// `timestamp`.
    pub at_ms: i64,
    /// `window`.
    pub window_ms: i64,
    /// Use by container: its name, and thousandths by resource.
    pub containers: Vec<(String, BTreeMap<String, i64>)>,
}

/// The answer for a resource: one value a pod, the sum over its containers or that of `container`. A pod of which
/// one value is missing has none; no pods at all are a failure.
///
/// Upstream: `metrics/client.go`, `GetResourceMetric`, `getPodMetrics` and `getContainerMetrics`.
#[must_use]
pub fn usage(pods: &[PodMetrics], resource: &str, container: Option<&str>) -> Answer {
    if pods.is_empty() {
        return Answer::Failed("the metrics API has no pods".to_owned());
    }
    let value = |pod: &PodMetrics| match container {
        Some(name) => {
            let (_, usage) = pod.containers.iter().find(|(n, _)| n == name)?;
            usage.get(resource).copied()
        }
        None if pod.containers.is_empty() => None,
        None => pod
            .containers
            .iter()
            .try_fold(0i64, |sum, (_, usage)| Some(sum.wrapping_add(*usage.get(resource)?))),
    };
    let sample = |pod: &PodMetrics| {
        let value_milli = value(pod)?;
        Some(Sample { pod: pod.pod.clone(), value_milli, at_ms: pod.at_ms, window_ms: pod.window_ms })
    };
    Answer::Pods(pods.iter().filter_map(sample).collect())
}
