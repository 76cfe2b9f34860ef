//! A node on which every pod does what its fate says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};
use simulations_kernel::Clock;
use tokio::time::Instant;

use super::kubelet::{Fate, Happened, Kubelet, PodSeen, Step};
use crate::api::{Api, Call, DeleteOptions, State, Subresource};
use crate::error::{ApiError, Result};
use crate::node::{ContainerState, Ended, Identity, Phase, pod_status};
use crate::object;

/// What pods are on.
const NAME: &str = "node";
const ADDRESS: &str = "10.0.0.1";

/// The pods of a cluster and what is to happen to them.
pub(super) struct Node {
    api: Arc<Api>,
    clock: Clock,
    kubelet: Box<dyn Kubelet>,
    pods: BTreeMap<String, Life>,
    /// By time, and by the order in which it was known: what is due for which pod.
    due: BTreeMap<(Instant, u64), (String, Due)>,
    count: u64,
    addresses: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Step(Step),
    Gone,
}

/// A pod's life so far.
struct Life {
    pod: Pod,
    address: String,
    started: Option<Timestamp>,
    container: ContainerState,
    /// The status that was written last.
    status: Value,
    gone_after: Duration,
    ending: bool,
    ended: bool,
}

impl Life {
    fn seen(&self) -> PodSeen<'_> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        PodSeen {
            namespace: self.pod.metadata.namespace.as_deref().unwrap_or_default(),
            name: self.pod.metadata.name.as_deref().unwrap_or_default(),
            labels: self.pod.metadata.labels.as_ref().unwrap_or(&NONE),
            address: &self.address,
        }
    }
}

impl Node {
    pub(super) fn new(api: Arc<Api>, clock: Clock, kubelet: Box<dyn Kubelet>) -> Self {
        Self { api, clock, kubelet, pods: BTreeMap::new(), due: BTreeMap::new(), count: 0, addresses: 0 }
    }

    /// These are all that there are.
    pub(super) fn listed(&mut self, uids: &BTreeSet<&str>) {
        let gone: Vec<String> =
            self.pods.keys().filter(|uid| !uids.contains(uid.as_str())).cloned().collect();
        for uid in gone {
            self.went(&uid);
        }
    }

    fn went(&mut self, uid: &str) {
        if let Some(life) = self.pods.remove(uid) {
            self.kubelet.happened(&life.seen(), Happened::Gone);
        }
    }

    /// When something is to happen next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// A pod as it stands in the API.
    pub(super) fn see(&mut self, object: &Value, gone: bool) {
        let uid = object::uid(object);
        if gone {
            self.went(uid);
            return;
        }
        if !self.pods.contains_key(uid) {
            self.begin(uid, object);
        }
        let Some(life) = self.pods.get_mut(uid) else { return };
        if object::is_deleting(object) && !life.ending {
            life.ending = true;
            let grace = object::int(object, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
            let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
            let after = life.gone_after.min(grace);
            self.kubelet.happened(&life.seen(), Happened::Terminating);
            self.plan(Instant::now() + after, uid.to_owned(), Due::Gone);
        }
    }

    fn begin(&mut self, uid: &str, object: &Value) {
        let Ok(pod) = Pod::deserialize(object) else { return };
        let mut life = Life {
            pod,
            address: String::new(),
            started: None,
            container: ContainerState::default(),
            status: Value::Null,
            gone_after: Duration::ZERO,
            ending: false,
            ended: matches!(object::text(object, &["status", "phase"]), "Succeeded" | "Failed"),
        };
        let Fate { steps, gone_after } = self.kubelet.fate(&life.seen());
        life.gone_after = gone_after;
        self.pods.insert(uid.to_owned(), life);
        let now = Instant::now();
        for (after, step) in steps {
            self.plan(now + after, uid.to_owned(), Due::Step(step));
        }
    }

    fn plan(&mut self, at: Instant, uid: String, due: Due) {
        self.count += 1;
        self.due.insert((at, self.count), (uid, due));
    }

    /// Does all that is due now.
    pub(super) fn act(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.due.first_entry().filter(|e| e.key().0 <= now) {
            let (uid, due) = entry.remove();
            let Some(life) = self.pods.get_mut(&uid) else { continue };
            let done = match due {
                Due::Gone => remove(&self.api, life, self.clock.now()),
                Due::Step(_) if life.ending || life.ended => continue,
                Due::Step(step) => {
                    if step == Step::Scheduled {
                        self.addresses += 1;
                        let [_, b, c, d] = self.addresses.to_be_bytes();
                        life.address = format!("10.{}.{c}.{d}", b.saturating_add(1));
                    }
                    take(&self.api, life, step, self.clock.now())
                }
            };
            match (done, due) {
                (Ok(()), Due::Step(step)) => self.kubelet.happened(&life.seen(), Happened::Step(step)),
                (Ok(()), Due::Gone) => {}
                // Gone or changed meanwhile: the next look tells.
                (Err(error), _) => tracing::debug!(%error, pod = life.pod.name_any(), "a pod's step"),
            }
        }
    }
}

fn remove(api: &Api, life: &Life, now: Timestamp) -> Result<()> {
    api.with(|state| {
        let options =
            DeleteOptions { grace_seconds: Some(0), uid: life.pod.uid(), ..DeleteOptions::default() };
        state.delete(&call(state, life, Subresource::None)?, &options, now).map(drop)
    })
}

/// One step of a pod's life, written down.
fn take(api: &Api, life: &mut Life, step: Step, now: Timestamp) -> Result<()> {
    let container = &mut life.container;
    let running = |container: &mut ContainerState, ready| {
        if !container.is_running() {
            container.restarts += u64::from(container.last.is_some());
            container.phase = Phase::Running { since: now };
        }
        (container.started, container.ready) = (true, ready);
    };
    match step {
        Step::Scheduled => {
            life.started = Some(now);
            return api.with(|state| {
                let target = json!({"target": {"name": NAME}});
                state.bind(&mut call(state, life, Subresource::None)?, &target, now)
            });
        }
        Step::Started | Step::Unready => running(container, false),
        Step::Ready => running(container, true),
        Step::Crashed | Step::Failed => {
            let started = match &container.phase {
                Phase::Running { since } => *since,
                _ => now,
            };
            let message = String::new();
            let ended =
                Ended { exit_code: 1, signal: None, reason: "Error", message, started, finished: now };
            container.last = Some(ended.clone());
            (container.started, container.ready) = (false, false);
            container.phase = if step == Step::Failed {
                Phase::Ended(ended)
            } else {
                Phase::Waiting { reason: "CrashLoopBackOff", message: String::new() }
            };
        }
    }
    let identity = Identity {
        pod_ip: life.address.clone(),
        host_ip: ADDRESS.into(),
        started: life.started.unwrap_or(now),
    };
    let containers = life.pod.spec.iter().flat_map(|s| &s.containers);
    let states = containers.map(|c| (c.name.clone(), life.container.clone())).collect();
    let former = (!life.status.is_null()).then_some(&life.status);
    let mut status = pod_status(&life.pod, &identity, &states, true, former, now);
    if step == Step::Failed {
        life.ended = true;
        object::map_mut(&mut status)
            .extend([("phase".into(), json!("Failed")), ("reason".into(), json!("Evicted"))]);
    }
    life.status = status;
    api.with(|state| {
        let body = json!({"metadata": {"uid": life.pod.uid()}, "status": life.status});
        state.merge(&call(state, life, Subresource::Status)?, &body, now).map(drop)
    })
}

fn call(state: &State, life: &Life, subresource: Subresource) -> Result<Call> {
    let pods = state.registry.get("", "v1", "pods").cloned().ok_or_else(ApiError::no_such_path)?;
    let seen = life.seen();
    Ok(Call::by(NAME, pods, seen.namespace, seen.name, subresource))
}
