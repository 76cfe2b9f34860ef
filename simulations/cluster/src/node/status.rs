//! What the node says of a pod: phase, conditions, container statuses. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

/// Where a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Ended(Ended),
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
}

/// A container as its supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerState {
    pub(crate) phase: Phase,
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u64,
    /// The startup probe has passed, or there is none.
    pub(crate) started: bool,
    /// The readiness probe's verdict; true when there is none.
    pub(crate) ready: bool,
}

impl Default for ContainerState {
    fn default() -> Self {
        let phase = Phase::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { phase, last: None, restarts: 0, started: false, ready: false }
    }
}

impl ContainerState {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }
}

/// The time as Kubernetes writes it.
pub(super) fn time_now() -> String {
    time(Timestamp::now())
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What stays the same through a pod's life.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) pod_ip: String,
    pub(crate) host_ip: String,
    pub(crate) started: Timestamp,
}

/// The pod's status, with transition times taken from the former status where nothing changed.
pub(crate) fn pod_status(
    pod: &Pod,
    identity: &Identity,
    states: &BTreeMap<String, ContainerState>,
    initialized: bool,
    former: Option<&Value>,
    now: Timestamp,
) -> Value {
    let spec = pod.spec.as_ref();
    let containers = spec.map(|s| s.containers.as_slice()).unwrap_or_default();
    let inits = spec.and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
    let unknown = ContainerState::default();
    let state = |c: &Container| states.get(&c.name).unwrap_or(&unknown);
    let unready: Vec<&str> = containers
        .iter()
        .filter(|c| !(state(c).ready && state(c).is_running()))
        .map(|c| c.name.as_str())
        .collect();
    let all_ready = unready.is_empty() && initialized;
    let condition = |kind: &str, met: bool, reason: &str, message: String| {
        let status = if met { "True" } else { "False" };
        let same = former
            .and_then(|f| f.get("conditions")?.as_array())
            .into_iter()
            .flatten()
            .find(|c| c.get("type") == Some(&json!(kind)) && c.get("status") == Some(&json!(status)));
        let since =
            same.and_then(|c| c.get("lastTransitionTime").cloned()).unwrap_or_else(|| json!(time(now)));
        let mut value = json!({"type": kind, "status": status, "lastTransitionTime": since});
        if !met {
            value["reason"] = json!(reason);
            value["message"] = json!(message);
        }
        value
    };
    let not_ready = format!("containers with unready status: [{}]", unready.join(" "));
    let describe =
        |list: &[Container]| -> Vec<Value> { list.iter().map(|c| container_status(c, state(c))).collect() };
    let mut status = json!({
        "phase": phase(pod, states, initialized),
        "hostIP": identity.host_ip, "hostIPs": [{"ip": identity.host_ip}],
        "podIP": identity.pod_ip, "podIPs": [{"ip": identity.pod_ip}],
        "startTime": time(identity.started),
        // Worked out from resources when the pod was made, and not to be changed.
        "qosClass": pod.status.as_ref().and_then(|s| s.qos_class.as_deref()).unwrap_or("BestEffort"),
        "conditions": [
            condition("PodScheduled", true, "", String::new()),
            condition("Initialized", initialized, "ContainersNotInitialized", "init containers have not completed".into()),
            condition("ContainersReady", all_ready, "ContainersNotReady", not_ready.clone()),
            condition("Ready", all_ready, "ContainersNotReady", not_ready),
        ],
        "containerStatuses": describe(containers),
    });
    if !inits.is_empty() {
        status["initContainerStatuses"] = json!(describe(inits));
    }
    status
}

fn phase(pod: &Pod, states: &BTreeMap<String, ContainerState>, initialized: bool) -> &'static str {
    let spec = pod.spec.as_ref();
    let containers = spec.map(|s| s.containers.as_slice()).unwrap_or_default();
    let policy = spec.and_then(|s| s.restart_policy.as_deref()).unwrap_or("Always");
    let found: Vec<&ContainerState> = containers.iter().filter_map(|c| states.get(&c.name)).collect();
    let began = |s: &ContainerState| s.last.is_some() || !matches!(s.phase, Phase::Waiting { .. });
    if !initialized || found.len() < containers.len() || !found.iter().all(|s| began(s)) {
        return "Pending";
    }
    let codes: Option<Vec<i32>> = found
        .iter()
        .map(|s| match &s.phase {
            Phase::Ended(e) => Some(e.exit_code),
            _ => None,
        })
        .collect();
    match codes {
        Some(codes) if policy != "Always" => {
            if codes.iter().all(|c| *c == 0) {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        _ => "Running",
    }
}

fn ended(e: &Ended) -> Value {
    let mut value = json!({"exitCode": e.exit_code, "reason": e.reason,
        "startedAt": time(e.started), "finishedAt": time(e.finished)});
    if let Some(signal) = e.signal {
        value["signal"] = json!(signal);
    }
    if !e.message.is_empty() {
        value["message"] = json!(e.message);
    }
    json!({ "terminated": value })
}

fn container_status(container: &Container, state: &ContainerState) -> Value {
    let current = match &state.phase {
        Phase::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        Phase::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        Phase::Running { since } => json!({"running": {"startedAt": time(*since)}}),
        Phase::Ended(e) => ended(e),
    };
    json!({
        "name": container.name,
        "image": container.image.as_deref().unwrap_or_default(),
        "imageID": "",
        "ready": state.ready && state.is_running(),
        "started": state.started && state.is_running(),
        "restartCount": state.restarts,
        "state": current,
        "lastState": state.last.as_ref().map_or_else(|| json!({}), ended),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_containers() {
        let pod = |policy: &str| -> Pod {
            serde_json::from_value(
                json!({"spec": {"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]}}),
            )
            .unwrap()
        };
        let t = Timestamp::UNIX_EPOCH;
        let end = |exit_code| Ended {
            exit_code,
            signal: None,
            reason: "x",
            message: String::new(),
            started: t,
            finished: t,
        };
        let state =
            |phase: Phase, last: Option<Ended>| ContainerState { phase, last, ..ContainerState::default() };
        let waiting = || Phase::Waiting { reason: "CrashLoopBackOff", message: String::new() };
        let running = || state(Phase::Running { since: t }, None);
        for (policy, a, b, expected) in [
            ("Always", running(), ContainerState::default(), "Pending"),
            ("Always", running(), running(), "Running"),
            ("Always", running(), state(waiting(), Some(end(1))), "Running"),
            ("Always", state(Phase::Ended(end(0)), None), state(Phase::Ended(end(0)), None), "Running"),
            ("Never", state(Phase::Ended(end(0)), None), running(), "Running"),
            ("Never", state(Phase::Ended(end(0)), None), state(Phase::Ended(end(0)), None), "Succeeded"),
            ("OnFailure", state(Phase::Ended(end(0)), None), state(Phase::Ended(end(2)), None), "Failed"),
        ] {
            let states = BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
            assert_eq!(phase(&pod(policy), &states, true), expected, "{policy} {states:?}");
        }
    }

    #[test]
    fn transition_times_move_only_with_the_status() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "a"}]}})).unwrap();
        let t = |s| Timestamp::from_second(s).unwrap();
        let identity = Identity { pod_ip: "127.9.1.1".into(), host_ip: "127.9.0.1".into(), started: t(0) };
        let mut states = BTreeMap::from([("a".to_owned(), ContainerState::default())]);
        let first = pod_status(&pod, &identity, &states, true, None, t(1));
        let second = pod_status(&pod, &identity, &states, true, Some(&first), t(2));
        assert_eq!(first, second);
        let state = states.get_mut("a").unwrap();
        (state.phase, state.ready) = (Phase::Running { since: t(3) }, true);
        let third = pod_status(&pod, &identity, &states, true, Some(&second), t(3));
        let ready = |s: &Value| s["conditions"][3].clone();
        assert_eq!(
            (ready(&first)["status"].clone(), ready(&third)["status"].clone()),
            (json!("False"), json!("True"))
        );
        assert_eq!(ready(&third)["lastTransitionTime"], "1970-01-01T00:00:03Z");
        assert_eq!(third["conditions"][0], first["conditions"][0]);
    }
}
