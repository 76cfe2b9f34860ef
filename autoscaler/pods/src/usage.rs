//! `PodMetricsList` of `metrics.k8s.io/v1beta1`, and what it says of one resource.

use std::collections::BTreeMap;

use autoscaler_api::Quantity;
use autoscaler_core::{FailureKind, MAX_PODS, Reading};
use autoscaler_hpa::{Answer, PodMetrics, sample};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::duration::parse_ms;

/// Largest body that is read, in bytes: [`MAX_PODS`] pods with labels and several containers.
pub const LIST_BYTES_MAX: usize = 32 << 20;
/// Most containers of one pod that are looked at.
const CONTAINERS_MAX: usize = 128;

#[derive(Deserialize)]
struct List {
    kind: Option<String>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    timestamp: Option<String>,
    window: Option<String>,
    #[serde(default)]
    containers: Vec<ContainerUse>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct ContainerUse {
    name: String,
    #[serde(default)]
    usage: BTreeMap<String, Quantity>,
}

/// Reads a list, sorted by pod. A pod without a readable time is left out, an amount that cannot be read is missing
/// of its container, and so of its pod.
///
/// # Errors
/// One sentence: the body is too large, or no list, or has more pods than are looked at.
///
/// Upstream: `k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go`.
pub fn usage(body: &[u8]) -> Result<Vec<PodMetrics>, String> {
    if body.len() > LIST_BYTES_MAX {
        return Err(format!("the list of pods has {} bytes, more than {LIST_BYTES_MAX}", body.len()));
    }
    let list: List =
        serde_json::from_slice(body).map_err(|e| format!("the answer is no PodMetricsList: {e}"))?;
    if list.kind.as_deref().is_some_and(|kind| kind != "PodMetricsList") {
        return Err(format!("the answer is no PodMetricsList, but a {}", list.kind.unwrap_or_default()));
    }
    if list.items.len() > MAX_PODS {
        return Err(format!("the list has {} pods, more than {MAX_PODS}", list.items.len()));
    }
    let mut pods: Vec<PodMetrics> = list.items.into_iter().filter_map(one).collect();
    pods.sort_by(|a, b| a.pod.cmp(&b.pod));
    Ok(pods)
}

fn one(item: Item) -> Option<PodMetrics> {
    let at: Timestamp = item.timestamp?.parse().ok()?;
    let window_ms = parse_ms(&item.window?)?;
    if item.containers.len() > CONTAINERS_MAX {
        return None;
    }
    let amounts = |usage: BTreeMap<String, Quantity>| {
        usage.into_iter().filter_map(|(name, quantity)| Some((name, quantity.milli().ok()?))).collect()
    };
    let containers = item.containers.into_iter().map(|of| (of.name, amounts(of.usage)));
    Some(PodMetrics {
        pod: item.metadata.name,
        at_ms: at.as_millisecond(),
        window_ms,
        containers: containers.collect(),
    })
}

/// What a list says of one resource: one value for each pod that has it, the sum over its containers or that of
/// `container`.
#[must_use]
pub fn reading(list: &[PodMetrics], resource: &str, container: Option<&str>) -> Reading {
    let fail = |message: String| Reading::Failed { kind: FailureKind::MetricsApi, message };
    match sample::usage(list, resource, container) {
        Answer::Pods(samples) if samples.is_empty() => {
            let of = container.map(|name| format!(" of container {name}")).unwrap_or_default();
            fail(format!("none of its {} pods has {resource}{of}; correct the names", list.len()))
        }
        Answer::Pods(samples) => Reading::Pods(samples),
        Answer::Failed(why) => fail(why),
        Answer::Object(_) | Answer::External(_) => fail("it is not about pods".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoscaler_core::Sample;
    use proptest::prelude::*;
    use serde_json::json;

    /// As metrics-server 0.7 answers.
    fn body() -> String {
        json!({
            "kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
            "items": [
                {"metadata": {"name": "web-b", "namespace": "shop", "creationTimestamp": "2026-11-30T10:00:20Z",
                              "labels": {"app": "web", "pod-template-hash": "7d9f8b6c5d"}},
                 "timestamp": "2026-11-30T10:00:12Z", "window": "15.04s",
                 "containers": [{"name": "app", "usage": {"cpu": "1537256n", "memory": "17664Ki"}},
                                {"name": "mesh", "usage": {"cpu": "0", "memory": "2Mi"}}]},
                {"metadata": {"name": "web-a", "namespace": "shop"},
                 "timestamp": "2026-11-30T10:00:09Z", "window": "1m0s",
                 "containers": [{"name": "app", "usage": {"cpu": "250m", "memory": "1Gi"}}]},
            ],
        })
        .to_string()
    }

    const AT_MS: i64 = 1_796_032_812_000;

    fn sample(pod: &str, value_milli: i64, at_ms: i64, window_ms: i64) -> Sample {
        Sample { pod: pod.to_owned(), value_milli, at_ms, window_ms }
    }

    #[test]
    fn one_list_serves_every_resource_and_container() {
        let list = usage(body().as_bytes()).unwrap();
        let cpu = vec![sample("web-a", 250, AT_MS - 3_000, 60_000), sample("web-b", 2, AT_MS, 15_040)];
        assert_eq!(reading(&list, "cpu", None), Reading::Pods(cpu));
        let memory = |ki: i64| ki * 1024 * 1000;
        let app = vec![
            sample("web-a", memory(1 << 20), AT_MS - 3_000, 60_000),
            sample("web-b", memory(17_664), AT_MS, 15_040),
        ];
        assert_eq!(reading(&list, "memory", Some("app")), Reading::Pods(app));
        // The other pod has no such container.
        let mesh = vec![sample("web-b", memory(2_048), AT_MS, 15_040)];
        assert_eq!(reading(&list, "memory", Some("mesh")), Reading::Pods(mesh));
        for (resource, container, words) in
            [("gpu", None, "none of its 2 pods has gpu"), ("cpu", Some("ap"), "has cpu of container ap")]
        {
            let Reading::Failed { kind, message } = reading(&list, resource, container) else { panic!() };
            assert!(kind == FailureKind::MetricsApi && message.contains(words), "{message}");
        }
        let Reading::Failed { message, .. } = reading(&[], "cpu", None) else { panic!("there are none") };
        assert_eq!(message, "the metrics API has no pods");
    }

    #[test]
    fn what_cannot_be_read_is_missing_and_never_zero() {
        for (pointer, value, left) in [
            ("/items/0/timestamp", json!("yesterday"), vec!["web-a"]),
            ("/items/0/window", json!(15), vec![]),
            ("/items/0/window", json!("15"), vec!["web-a"]),
            ("/items/0/containers/1/usage/cpu", json!("many"), vec!["web-a"]),
            ("/items/0/containers", json!([]), vec!["web-a"]),
        ] {
            let mut changed: serde_json::Value = serde_json::from_str(&body()).unwrap();
            *changed.pointer_mut(pointer).unwrap() = value;
            let Ok(list) = usage(changed.to_string().as_bytes()) else {
                assert!(left.is_empty(), "{pointer}");
                continue;
            };
            let Reading::Pods(samples) = reading(&list, "cpu", None) else { panic!("{pointer}") };
            let pods: Vec<&str> = samples.iter().map(|sample| sample.pod.as_str()).collect();
            assert_eq!(pods, left, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_list_is_said() {
        let many = json!({"items": vec![json!({"metadata": {"name": "a"}}); MAX_PODS + 1]}).to_string();
        let large = vec![b' '; LIST_BYTES_MAX + 1];
        for (body, words) in [
            (b"404 page not found".as_slice(), "no PodMetricsList: expected value"),
            (br#"{"kind":"Status","code":503}"#, "no PodMetricsList, but a Status"),
            (many.as_bytes(), "5001 pods, more than 5000"),
            (&large, "more than 33554432"),
        ] {
            let error = usage(body).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(usage(br#"{"kind":"PodMetricsList","items":[]}"#), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn no_body_panics(cut in 0usize..900, put in any::<u8>(), at in 0usize..900) {
            let mut bytes = body().into_bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = put;
            }
            bytes.truncate(cut);
            if let Ok(list) = usage(&bytes) {
                let _ = reading(&list, "cpu", None);
            }
        }
    }
}
