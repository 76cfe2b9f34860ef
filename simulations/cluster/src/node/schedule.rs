//! Whether a pod may come to this node. Pure. Source: kubernetes `pkg/scheduler/framework/plugins` (what filters a node
//! out, in which order, and in which words).

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};

/// What becomes of a pod that has no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Bind,
    /// It stays pending, and its condition `PodScheduled` says why.
    Wait {
        reason: &'static str,
        message: String,
    },
    /// It is somebody else's to place.
    NotOurs,
}

const SCHEDULER: &str = "default-scheduler";
/// What a cordoned node has, whether or not somebody wrote it down.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What a control plane writes on a node that it has not heard of lately, or not yet. The one that reads it here is the
/// node itself, which is there.
const OF_THE_DEAD: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Whether the pod goes to the node, where so many pods run and so many may.
pub(super) fn verdict(pod: &Pod, node: &Node, running: usize, most: usize) -> Verdict {
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    if spec.scheduler_name.as_deref().is_some_and(|name| !name.is_empty() && name != SCHEDULER) {
        return Verdict::NotOurs;
    }
    if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        let message = "Scheduling is blocked due to non-empty scheduling gates".to_owned();
        return Verdict::Wait { reason: "SchedulingGated", message };
    }
    let why = if is_cordoned(node, spec) {
        "node(s) were unschedulable".to_owned()
    } else if let Some(taint) = untolerated(node, spec) {
        let value = taint.value.as_deref().unwrap_or_default();
        format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)
    } else if !is_selected(node, spec) {
        "node(s) didn't match Pod's node affinity/selector".to_owned()
    } else if running >= most {
        "Too many pods".to_owned()
    } else {
        return Verdict::Bind;
    };
    Verdict::Wait { reason: "Unschedulable", message: format!("0/1 nodes are available: 1 {why}.") }
}

fn tolerations(spec: &PodSpec) -> impl Iterator<Item = &Toleration> {
    spec.tolerations.iter().flatten()
}

fn is_cordoned(node: &Node, spec: &PodSpec) -> bool {
    let cordoned = node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true);
    let taint = Taint { key: UNSCHEDULABLE.into(), effect: "NoSchedule".into(), ..Taint::default() };
    cordoned && !tolerations(spec).any(|t| tolerates(t, &taint))
}

/// The first taint that keeps the pod away.
fn untolerated<'n>(node: &'n Node, spec: &PodSpec) -> Option<&'n Taint> {
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_ref()).into_iter().flatten();
    let mut keeping = taints
        .filter(|t| matches!(&*t.effect, "NoSchedule" | "NoExecute") && !OF_THE_DEAD.contains(&&*t.key));
    keeping.find(|taint| !tolerations(spec).any(|t| tolerates(t, taint)))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let is = |given: &Option<String>, of: &str| given.as_deref().is_none_or(|g| g.is_empty() || g == of);
    let value = |v: &Option<String>| v.clone().unwrap_or_default();
    is(&toleration.effect, &taint.effect)
        && is(&toleration.key, &taint.key)
        && match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => value(&toleration.value) == value(&taint.value),
            "Exists" => true,
            _ => false,
        }
}

fn is_selected(node: &Node, spec: &PodSpec) -> bool {
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let by_label = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    by_label && required.is_none_or(|r| r.node_selector_terms.iter().any(|term| is_term_met(node, term)))
}

/// A term without requirements selects nothing.
fn is_term_met(node: &Node, term: &NodeSelectorTerm) -> bool {
    let labels = || term.match_expressions.iter().flatten();
    let fields = || term.match_fields.iter().flatten();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|l| l.get(key)).map(String::as_str);
    let field = |key: &str| node.metadata.name.as_deref().filter(|_| key == "metadata.name");
    labels().chain(fields()).next().is_some()
        && labels().all(|r| is_met(r, label(&r.key)))
        && fields().all(|r| is_met(r, field(&r.key)))
}

fn is_met(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = || requirement.values.iter().flatten();
    let named = || value.is_some_and(|v| values().any(|x| x == v));
    let number = |text: &str| text.parse::<i64>().ok();
    let compared = |is: fn(&i64, &i64) -> bool| {
        let bound = values().next().and_then(|v| number(v));
        value.and_then(number).zip(bound).is_some_and(|(v, b)| is(&v, &b))
    };
    match &*requirement.operator {
        "In" => named(),
        "NotIn" => !named(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(i64::gt),
        "Lt" => compared(i64::lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is said of a pod of this spec on a node of that one, which is labelled `zone=a`, `size=5`.
    fn said(pod: Value, node: Value) -> String {
        let mut spec = json!({"containers": []});
        for (key, value) in pod.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let node = json!({"metadata": {"name": "n", "labels": {"zone": "a", "size": "5"}}, "spec": node});
        match verdict(&pod, &serde_json::from_value(node).unwrap(), 3, 10) {
            Verdict::Bind => "bind".into(),
            Verdict::NotOurs => "not ours".into(),
            Verdict::Wait { reason, message } => {
                format!("{reason}: {}", message.trim_start_matches("0/1 nodes are available: 1 "))
            }
        }
    }

    #[test]
    fn a_pod_waits_for_what_keeps_it_from_the_node() {
        const CORDONED: &str = "Unschedulable: node(s) were unschedulable.";
        const UNSELECTED: &str = "Unschedulable: node(s) didn't match Pod's node affinity/selector.";
        let tainted = |effect: &str| json!({"taints": [{"key": "k", "value": "v", "effect": effect}]});
        let tolerating = |t: Value| json!({"tolerations": [t]});
        let term = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": terms}}}})
        };
        let label = |key: &str, operator: &str, values: &[&str]| {
            term(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        for (pod, node, want) in [
            (json!({}), json!({}), "bind"),
            (json!({"schedulerName": "default-scheduler"}), json!({}), "bind"),
            (json!({"schedulerName": "other"}), json!({}), "not ours"),
            (
                json!({"schedulingGates": [{"name": "g"}]}),
                json!({}),
                "SchedulingGated: Scheduling is blocked due to non-empty scheduling gates",
            ),
            (json!({"schedulingGates": []}), json!({}), "bind"),
            (json!({}), json!({"unschedulable": true}), CORDONED),
            (json!({}), json!({"unschedulable": false}), "bind"),
            (tolerating(json!({"operator": "Exists"})), json!({"unschedulable": true}), "bind"),
            (
                tolerating(json!({"key": UNSCHEDULABLE, "operator": "Exists"})),
                json!({"unschedulable": true}),
                "bind",
            ),
            (tolerating(json!({"key": "k", "operator": "Exists"})), json!({"unschedulable": true}), CORDONED),
            (json!({}), tainted("NoSchedule"), "Unschedulable: node(s) had untolerated taint {k: v}."),
            (json!({}), tainted("NoExecute"), "Unschedulable: node(s) had untolerated taint {k: v}."),
            (json!({}), tainted("PreferNoSchedule"), "bind"),
            (
                json!({}),
                json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}),
                "bind",
            ),
            (tolerating(json!({"key": "k", "value": "v"})), tainted("NoSchedule"), "bind"),
            (
                tolerating(json!({"key": "k", "operator": "Exists", "effect": "NoSchedule"})),
                tainted("NoSchedule"),
                "bind",
            ),
            (
                tolerating(json!({"key": "k", "operator": "Exists", "effect": "NoExecute"})),
                tainted("NoSchedule"),
                "Unschedulable: node(s) had untolerated taint {k: v}.",
            ),
            (
                tolerating(json!({"key": "k", "value": "w"})),
                tainted("NoSchedule"),
                "Unschedulable: node(s) had untolerated taint {k: v}.",
            ),
            (json!({"nodeSelector": {"zone": "a"}}), json!({}), "bind"),
            (json!({"nodeSelector": {"zone": "b"}}), json!({}), UNSELECTED),
            (json!({"nodeSelector": {"disk": "ssd"}}), json!({}), UNSELECTED),
            (label("zone", "In", &["a", "b"]), json!({}), "bind"),
            (label("zone", "In", &["b"]), json!({}), UNSELECTED),
            (label("zone", "NotIn", &["a"]), json!({}), UNSELECTED),
            (label("disk", "NotIn", &["a"]), json!({}), "bind"),
            (label("disk", "Exists", &[]), json!({}), UNSELECTED),
            (label("disk", "DoesNotExist", &[]), json!({}), "bind"),
            (label("size", "Gt", &["4"]), json!({}), "bind"),
            (label("size", "Gt", &["5"]), json!({}), UNSELECTED),
            (label("size", "Lt", &["6"]), json!({}), "bind"),
            (label("zone", "Lt", &["6"]), json!({}), UNSELECTED),
            (
                term(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}])),
                json!({}),
                "bind",
            ),
            (
                term(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]}])),
                json!({}),
                UNSELECTED,
            ),
            (term(json!([{}])), json!({}), UNSELECTED),
        ] {
            assert_eq!(said(pod.clone(), node.clone()), want, "{pod} on {node}");
        }
    }

    #[test]
    fn a_node_takes_as_many_pods_as_it_may() {
        let (pod, node) = (Pod::default(), Node::default());
        assert_eq!(verdict(&pod, &node, 9, 10), Verdict::Bind);
        for running in [10, 11] {
            let message = "0/1 nodes are available: 1 Too many pods.".to_owned();
            assert_eq!(verdict(&pod, &node, running, 10), Verdict::Wait { reason: "Unschedulable", message });
        }
    }
}
