//! Pods that have no node yet, and those that have this one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::Shared;
use super::schedule::{Verdict, verdict};

/// What is here and what waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    node: Node,
    /// By the order in which they were seen first.
    waiting: BTreeMap<u64, Pod>,
    order: HashMap<String, u64>,
    seen: u64,
    /// Uids of pods of this node that have not ended.
    here: HashSet<String>,
}

/// What is to be done about a pod.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    Bind(Pod),
    Tell { pod: Pod, reason: &'static str, message: String },
}

impl Pending {
    /// The node as it stands in the API.
    pub(super) fn node_is(&mut self, node: Node) {
        self.node = node;
    }

    /// A pod as it stands in the API.
    pub(super) fn pod_is(&mut self, pod: &Pod, node: &str) {
        let uid = pod.uid().unwrap_or_default();
        let at = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
        let ended = matches!(phase, "Succeeded" | "Failed");
        if at.is_empty() && !ended && pod.metadata.deletion_timestamp.is_none() {
            // A binding that failed, or is under way: it is asked for again.
            self.here.remove(&uid);
            let next = self.seen;
            let order = *self.order.entry(uid).or_insert(next);
            self.seen = self.seen.max(order.saturating_add(1));
            self.waiting.insert(order, pod.clone());
            return;
        }
        self.no_longer_waits(&uid);
        if at == node && !ended {
            self.here.insert(uid);
        } else {
            self.here.remove(&uid);
        }
    }

    /// A pod is no more.
    pub(super) fn pod_went(&mut self, uid: &str) {
        self.no_longer_waits(uid);
        self.here.remove(uid);
    }

    /// Those that are here, of which these are no more.
    pub(super) fn listed(&mut self, uids: &HashSet<&str>) {
        self.here.retain(|uid| uids.contains(uid.as_str()));
        let gone: Vec<String> =
            self.order.keys().filter(|uid| !uids.contains(uid.as_str())).cloned().collect();
        gone.iter().for_each(|uid| self.no_longer_waits(uid));
    }

    fn no_longer_waits(&mut self, uid: &str) {
        if let Some(order) = self.order.remove(uid) {
            self.waiting.remove(&order);
        }
    }

    /// What is to be done now for those that wait, in their order.
    pub(super) fn place(&mut self, most: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut bound = Vec::new();
        for (order, pod) in &self.waiting {
            match verdict(pod, &self.node, self.here.len(), most) {
                Verdict::Bind => {
                    self.here.insert(pod.uid().unwrap_or_default());
                    bound.push(*order);
                    acts.push(Act::Bind(pod.clone()));
                }
                Verdict::Wait { reason, message } if !is_told(pod, reason, &message) => {
                    acts.push(Act::Tell { pod: pod.clone(), reason, message });
                }
                Verdict::Wait { .. } | Verdict::NotOurs => {}
            }
        }
        for order in bound {
            if let Some(pod) = self.waiting.remove(&order) {
                self.order.remove(&pod.uid().unwrap_or_default());
            }
        }
        acts
    }
}

fn is_told(pod: &Pod, reason: &str, message: &str) -> bool {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.any(|c| {
        c.type_ == "PodScheduled"
            && c.status == "False"
            && c.reason.as_deref() == Some(reason)
            && c.message.as_deref() == Some(message)
    })
}

/// Writes why a pod has no node.
pub(super) async fn tell(shared: Arc<Shared>, pod: Pod, reason: &'static str, message: String) {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": super::status::time_now()});
    let api: Api<Pod> = Api::namespaced(shared.client.clone(), &pod.namespace().unwrap_or_default());
    let patch =
        json!({"metadata": {"uid": pod.uid()}, "status": {"phase": "Pending", "conditions": [condition]}});
    let params = PatchParams { field_manager: Some("node".into()), ..PatchParams::default() };
    if let Err(error) = api.patch_status(&pod.name_any(), &params, &Patch::Strategic(&patch)).await {
        // Gone or bound meanwhile: the watch will tell.
        tracing::debug!(%error, pod = pod.name_any(), "telling why a pod waits");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn pod(name: &str, node: Option<&str>, phase: &str) -> Pod {
        let pod = json!({"metadata": {"name": name, "uid": name}, "spec": {"containers": [], "nodeName": node},
            "status": {"phase": phase}});
        serde_json::from_value(pod).unwrap()
    }

    fn bound(acts: &[Act]) -> Vec<String> {
        let name = |act: &Act| match act {
            Act::Bind(pod) => Some(pod.name_any()),
            Act::Tell { .. } => None,
        };
        acts.iter().filter_map(name).collect()
    }

    #[test]
    fn those_that_wait_come_in_their_order_as_others_go() {
        let mut pending = Pending::default();
        for name in ["d", "c", "b", "a"] {
            pending.pod_is(&pod(name, None, "Pending"), "n");
        }
        let acts = pending.place(2);
        assert_eq!(bound(&acts), ["d", "c"]);
        assert_eq!(acts.iter().filter(|a| matches!(a, Act::Tell { .. })).count(), 2, "{acts:?}");
        assert_eq!(bound(&pending.place(2)), Vec::<String>::new());
        pending.pod_is(&pod("d", Some("n"), "Running"), "n");
        pending.pod_is(&pod("d", Some("n"), "Succeeded"), "n");
        assert_eq!(bound(&pending.place(2)), ["b"], "one that has ended takes no place");
        pending.pod_went("c");
        assert_eq!(bound(&pending.place(2)), ["a"]);
        // Others of another node are none of this one's.
        pending.pod_is(&pod("e", Some("m"), "Running"), "n");
        pending.pod_went("a");
        pending.pod_went("b");
        pending.pod_is(&pod("f", None, "Pending"), "n");
        pending.pod_is(&pod("g", None, "Pending"), "n");
        assert_eq!(bound(&pending.place(2)), ["f", "g"]);
        pending.listed(&HashSet::new());
        pending.pod_is(&pod("h", None, "Pending"), "n");
        assert_eq!(bound(&pending.place(1)), ["h"]);
    }

    #[test]
    fn why_a_pod_waits_is_told_once_and_again_when_it_is_another_reason() {
        let mut pending = Pending::default();
        pending.pod_is(&pod("p", None, "Pending"), "n");
        let acts = pending.place(0);
        let [Act::Tell { reason, message, .. }] = &acts[..] else { panic!("{acts:?}") };
        let mut told: Value = serde_json::to_value(pod("p", None, "Pending")).unwrap();
        told["status"]["conditions"] =
            json!([{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}]);
        pending.pod_is(&serde_json::from_value(told).unwrap(), "n");
        assert_eq!(pending.place(0), []);
        let node = json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}});
        pending.node_is(serde_json::from_value(node).unwrap());
        assert!(
            matches!(&pending.place(0)[..], [Act::Tell { message, .. }] if message.contains("unschedulable"))
        );
    }
}
