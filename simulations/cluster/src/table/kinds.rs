//! Columns and rows of the built-in kinds.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, age, since};
use crate::object::{self, at, int, list, text};

type Row = fn(&Value, Timestamp) -> Vec<String>;

/// Columns and how a row is made.
pub(super) fn of(kind: &str) -> (&'static [Column], Row) {
    match kind {
        "Pod" => (
            &[
                ("Name", false),
                ("Ready", false),
                ("Status", false),
                ("Restarts", false),
                ("Age", false),
                ("IP", true),
                ("Node", true),
            ],
            pod,
        ),
        "Deployment" => (
            &[
                ("Name", false),
                ("Ready", false),
                ("Up-to-date", false),
                ("Available", false),
                ("Age", false),
                ("Containers", true),
                ("Selector", true),
            ],
            deployment,
        ),
        "ReplicaSet" => (
            &[
                ("Name", false),
                ("Desired", false),
                ("Current", false),
                ("Ready", false),
                ("Age", false),
                ("Selector", true),
            ],
            replica_set,
        ),
        "StatefulSet" => {
            (&[("Name", false), ("Ready", false), ("Age", false), ("Containers", true)], stateful_set)
        }
        "Service" => (
            &[
                ("Name", false),
                ("Type", false),
                ("Cluster-IP", false),
                ("Port(s)", false),
                ("Age", false),
                ("Selector", true),
            ],
            service,
        ),
        "ConfigMap" => (&[("Name", false), ("Data", false), ("Age", false)], |o, now| {
            let keys = ["data", "binaryData"]
                .iter()
                .filter_map(|k| o.get(k)?.as_object())
                .map(|m| m.len())
                .sum::<usize>();
            vec![name(o), keys.to_string(), age(o, now)]
        }),
        "Secret" => (&[("Name", false), ("Type", false), ("Data", false), ("Age", false)], |o, now| {
            let keys = o.get("data").and_then(Value::as_object).map_or(0, |m| m.len());
            vec![name(o), text(o, &["type"]).into(), keys.to_string(), age(o, now)]
        }),
        "Namespace" => (&[("Name", false), ("Status", false), ("Age", false)], |o, now| {
            vec![name(o), text(o, &["status", "phase"]).into(), age(o, now)]
        }),
        "Node" => (&[("Name", false), ("Status", false), ("Age", false), ("Version", false)], |o, now| {
            let status = if condition(o, "Ready") == "True" { "Ready" } else { "NotReady" };
            vec![
                name(o),
                status.into(),
                age(o, now),
                text(o, &["status", "nodeInfo", "kubeletVersion"]).into(),
            ]
        }),
        "Event" => (
            &[
                ("Last Seen", false),
                ("Type", false),
                ("Reason", false),
                ("Object", false),
                ("Message", false),
                ("Count", true),
                ("Name", true),
            ],
            event,
        ),
        "Lease" => (&[("Name", false), ("Holder", false), ("Age", false)], |o, now| {
            vec![name(o), text(o, &["spec", "holderIdentity"]).into(), age(o, now)]
        }),
        "CustomResourceDefinition" => (&[("Name", false), ("Created At", false)], |o, _| {
            vec![name(o), text(o, &["metadata", "creationTimestamp"]).into()]
        }),
        "PersistentVolumeClaim" => (&[("Name", false), ("Status", false), ("Age", false)], |o, now| {
            vec![name(o), text(o, &["status", "phase"]).into(), age(o, now)]
        }),
        _ => (&[("Name", false), ("Age", false)], |o, now| vec![name(o), age(o, now)]),
    }
}

fn name(o: &Value) -> String {
    object::name(o).to_owned()
}

fn number(o: &Value, path: &[&str]) -> i64 {
    int(o, path).unwrap_or(0)
}

fn condition<'a>(o: &'a Value, kind: &str) -> &'a str {
    list(o, &["status", "conditions"])
        .iter()
        .find(|c| text(c, &["type"]) == kind)
        .map_or("", |c| text(c, &["status"]))
}

fn pod(o: &Value, now: Timestamp) -> Vec<String> {
    let statuses = list(o, &["status", "containerStatuses"]);
    let ready = statuses.iter().filter(|s| s.get("ready") == Some(&Value::Bool(true))).count();
    let total = list(o, &["spec", "containers"]).len();
    let restarts: i64 = statuses.iter().map(|s| number(s, &["restartCount"])).sum();
    let last_restart = statuses
        .iter()
        .map(|s| text(s, &["lastState", "terminated", "finishedAt"]))
        .max()
        .filter(|t| restarts > 0 && !t.is_empty());
    let restarts = match last_restart {
        Some(time) => format!("{restarts} ({} ago)", since(time, now)),
        None => restarts.to_string(),
    };
    let or_none = |s: &str| if s.is_empty() { "<none>".to_owned() } else { s.to_owned() };
    vec![
        name(o),
        format!("{ready}/{total}"),
        pod_status(o, statuses),
        restarts,
        age(o, now),
        or_none(text(o, &["status", "podIP"])),
        or_none(text(o, &["spec", "nodeName"])),
    ]
}

/// What is most telling: terminating, a waiting reason, an end, or the phase.
fn pod_status(o: &Value, statuses: &[Value]) -> String {
    if object::is_deleting(o) {
        return "Terminating".into();
    }
    for status in statuses {
        let waiting = text(status, &["state", "waiting", "reason"]);
        let ended = text(status, &["state", "terminated", "reason"]);
        if !waiting.is_empty() {
            return waiting.into();
        }
        if !ended.is_empty() {
            return ended.into();
        }
    }
    let reason = text(o, &["status", "reason"]);
    if reason.is_empty() { text(o, &["status", "phase"]).into() } else { reason.into() }
}

fn containers(o: &Value) -> String {
    let names: Vec<&str> =
        list(o, &["spec", "template", "spec", "containers"]).iter().map(|c| text(c, &["name"])).collect();
    names.join(",")
}

fn selector(o: &Value) -> String {
    let labels = at(o, &["spec", "selector", "matchLabels"]).or_else(|| at(o, &["spec", "selector"]));
    let terms: Vec<String> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)))
        .collect();
    if terms.is_empty() { "<none>".into() } else { terms.join(",") }
}

fn deployment(o: &Value, now: Timestamp) -> Vec<String> {
    vec![
        name(o),
        format!("{}/{}", number(o, &["status", "readyReplicas"]), number(o, &["spec", "replicas"])),
        number(o, &["status", "updatedReplicas"]).to_string(),
        number(o, &["status", "availableReplicas"]).to_string(),
        age(o, now),
        containers(o),
        selector(o),
    ]
}

fn replica_set(o: &Value, now: Timestamp) -> Vec<String> {
    vec![
        name(o),
        number(o, &["spec", "replicas"]).to_string(),
        number(o, &["status", "replicas"]).to_string(),
        number(o, &["status", "readyReplicas"]).to_string(),
        age(o, now),
        selector(o),
    ]
}

fn stateful_set(o: &Value, now: Timestamp) -> Vec<String> {
    let ready = format!("{}/{}", number(o, &["status", "readyReplicas"]), number(o, &["spec", "replicas"]));
    vec![name(o), ready, age(o, now), containers(o)]
}

fn service(o: &Value, now: Timestamp) -> Vec<String> {
    let ports: Vec<String> = list(o, &["spec", "ports"])
        .iter()
        .map(|p| format!("{}/{}", number(p, &["port"]), text(p, &["protocol"])))
        .collect();
    vec![
        name(o),
        text(o, &["spec", "type"]).into(),
        text(o, &["spec", "clusterIP"]).into(),
        if ports.is_empty() { "<none>".into() } else { ports.join(",") },
        age(o, now),
        selector(o),
    ]
}

fn event(o: &Value, now: Timestamp) -> Vec<String> {
    let paths: &[&[&str]] = &[
        &["series", "lastObservedTime"],
        &["lastTimestamp"],
        &["deprecatedLastTimestamp"],
        &["eventTime"],
        &["firstTimestamp"],
        &["deprecatedFirstTimestamp"],
        &["metadata", "creationTimestamp"],
    ];
    let last = paths.iter().map(|path| text(o, path)).find(|t| !t.is_empty()).unwrap_or_default();
    // core/v1's words, or those of events.k8s.io/v1.
    let either =
        |core: &[&str], new: &[&str]| Some(text(o, core)).filter(|t| !t.is_empty()).unwrap_or(text(o, new));
    let counts: [&[&str]; 3] = [&["series", "count"], &["count"], &["deprecatedCount"]];
    let count = counts.iter().find_map(|path| int(o, path)).unwrap_or(1);
    let kind = either(&["involvedObject", "kind"], &["regarding", "kind"]).to_lowercase();
    let about = either(&["involvedObject", "name"], &["regarding", "name"]);
    vec![
        since(last, now),
        text(o, &["type"]).into(),
        text(o, &["reason"]).into(),
        format!("{kind}/{about}"),
        either(&["message"], &["note"]).trim().into(),
        count.to_string(),
        name(o),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_reads_the_same_in_both_of_its_groups() {
        let core = json!({"metadata": {"name": "e"}, "type": "Warning", "reason": "R", "message": "m ", "count": 3,
            "involvedObject": {"kind": "Pod", "name": "web-1"}, "lastTimestamp": "2026-01-01T00:00:00Z"});
        let new = crate::api::events::from_core(&core);
        let now = "2026-01-01T00:00:07Z".parse().unwrap();
        let row = ["7s", "Warning", "R", "pod/web-1", "m", "3", "e"];
        assert_eq!(event(&core, now), row);
        assert_eq!(event(&new, now), row);
    }
}
