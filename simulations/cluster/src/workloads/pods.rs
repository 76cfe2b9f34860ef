//! What controllers ask of pods, and how they make them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};

use super::Context;
use super::objects::Managed;

/// Pods (or what else has owners) that an object controls, whatever their labels.
pub(super) async fn owned<K: Managed>(context: &Context, namespace: &str, uid: &str) -> kube::Result<Vec<K>> {
    context.api(namespace).controlled_by(uid).await
}

/// Why a pod with these labels would not be one of those that a selector selects.
pub(super) fn unmatched(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<String> {
    match Selector::try_from(selector.clone()) {
        Ok(selector) if selector.matches(labels) => None,
        Ok(selector) => Some(format!("`selector` does not match template `labels`: {selector}")),
        Err(error) => Some(format!("`selector` cannot be read: {error}")),
    }
}

pub(super) fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending")
}

/// Neither ended nor being ended.
pub(super) fn is_active(pod: &Pod) -> bool {
    !is_deleting(pod) && !matches!(phase(pod), "Succeeded" | "Failed")
}

/// Since when it is ready, if it is.
pub(super) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|c| c.type_ == "Ready" && c.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |t| t.0))
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Ready for `min_ready_seconds`.
pub(super) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    let ready_for = SignedDuration::from_secs(i64::from(min_ready_seconds));
    ready_since(pod).is_some_and(|since| min_ready_seconds == 0 || now.duration_since(since) >= ready_for)
}

/// In which order pods are let go: what serves least first. Source: kubernetes
/// `pkg/controller/controller_utils.go` `ActivePodsWithRanks` (order, without its rank by node).
pub(super) fn sort_for_removal(pods: &mut [Pod]) {
    pods.sort_by_key(|pod| {
        let assigned = pod.spec.as_ref().is_some_and(|s| s.node_name.is_some());
        let phase = match phase(pod) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let cost: i32 = pod
            .annotations()
            .get("controller.kubernetes.io/pod-deletion-cost")
            .and_then(|c| c.parse().ok())
            .unwrap_or(0);
        let restarts: i32 = pod
            .status
            .iter()
            .flat_map(|s| s.container_statuses.iter().flatten())
            .map(|c| c.restart_count)
            .max()
            .unwrap_or(0);
        let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
        let ready = ready_since(pod);
        (
            assigned,
            phase,
            ready.is_some(),
            cost,
            Reverse(ready),
            Reverse(restarts),
            Reverse(created),
            pod.name_any(),
        )
    });
}

/// A pod after a template, owned by `owner`.
pub(super) fn from_template(template: &PodTemplateSpec, namespace: &str, owner: OwnerReference) -> Pod {
    let given = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            labels: given.labels,
            annotations: given.annotations,
            finalizers: given.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_selector_does_not_select_is_told() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        for (selector, expected) in [
            (json!({"matchLabels": {"app": "web"}}), None),
            (json!({"matchLabels": {"app": "other"}}), Some("app=other")),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}), None),
            (
                json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
                Some("tier"),
            ),
            (json!({"matchExpressions": [{"key": "app", "operator": "Near"}]}), Some("cannot be read")),
        ] {
            let parsed: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            let why = unmatched(&parsed, &labels);
            assert_eq!(why.is_some(), expected.is_some(), "{selector}");
            assert!(why.unwrap_or_default().contains(expected.unwrap_or_default()), "{selector}");
        }
    }

    #[test]
    fn what_serves_least_goes_first() {
        let pod =
            |name: &str, node: bool, phase: &str, ready: Option<i64>, restarts: i32, created: i64| -> Pod {
                let time = |s: i64| Timestamp::from_second(s).unwrap().to_string();
                let conditions = ready
                    .map(|s| json!([{"type": "Ready", "status": "True", "lastTransitionTime": time(s)}]));
                serde_json::from_value(json!({
                "metadata": {"name": name, "creationTimestamp": time(created)},
                "spec": {"containers": [], "nodeName": node.then_some("n")},
                "status": {"phase": phase, "conditions": conditions, "containerStatuses": [
                    {"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": restarts}]}}))
                .unwrap()
            };
        let mut pods = vec![
            pod("old-ready", true, "Running", Some(10), 0, 1),
            pod("young-ready", true, "Running", Some(20), 0, 1),
            pod("restarted", true, "Running", Some(10), 3, 1),
            pod("younger", true, "Running", Some(10), 0, 5),
            pod("unready", true, "Running", None, 0, 1),
            pod("pending", true, "Pending", None, 0, 1),
            pod("unassigned", false, "Pending", None, 0, 1),
        ];
        sort_for_removal(&mut pods);
        let names: Vec<String> = pods.iter().map(|p| p.name_any()).collect();
        assert_eq!(
            names,
            ["unassigned", "pending", "unready", "young-ready", "restarted", "younger", "old-ready"]
        );
    }
}
