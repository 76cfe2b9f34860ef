//! Watches the clusters and writes what changes into the timeline. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autoscaler_api::ScalingPolicy;
use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use simulations_cluster::{Cluster, steady_pause};
use thanos_telemetry::Shutdown;

use crate::timeline::{Event, PolicyState, Target, Timeline};

mod decisions;

/// A timeline that is being written, and its zero.
#[derive(Clone, Debug)]
pub struct Journal {
    started: Instant,
    timeline: Arc<Mutex<Timeline>>,
}

impl Journal {
    /// Time starts now.
    pub fn start() -> Self {
        Self { started: Instant::now(), timeline: Arc::default() }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Writes something that happens now.
    pub fn write(&self, event: Event) {
        let mut timeline = self.timeline.lock();
        // Under the lock, so that offsets ascend.
        timeline.push(self.started.elapsed(), event);
    }

    /// Reads without stopping the writers for long.
    pub fn read<T>(&self, f: impl FnOnce(&Timeline) -> T) -> T {
        f(&self.timeline.lock())
    }
}

/// Watches a cluster until shutdown: workloads that policies scale, the policies, and restarts.
pub fn observe(cluster: &Cluster, journal: &Journal, shutdown: &Shutdown) {
    let name = cluster.name().to_owned();
    let client = cluster.client();
    let seen: Seen<(i32, i32)> = Seen::default();
    spawn_replicas::<Deployment>(&client, &name, journal, shutdown, &seen, |d| {
        let (spec, status) = (d.spec.as_ref()?, d.status.clone().unwrap_or_default());
        Some((spec.replicas.unwrap_or(1), status.ready_replicas.unwrap_or(0)))
    });
    spawn_replicas::<StatefulSet>(&client, &name, journal, shutdown, &seen, |d| {
        let (spec, status) = (d.spec.as_ref()?, d.status.clone().unwrap_or_default());
        Some((spec.replicas.unwrap_or(1), status.ready_replicas.unwrap_or(0)))
    });

    let (j, n) = (journal.clone(), name.clone());
    let seen: Seen<PolicyState> = Seen::default();
    let mut decisions = decisions::Told::since(Timestamp::now());
    watch::<ScalingPolicy>(&client, shutdown, move |policy| {
        let target = (n.clone(), policy.meta().name.clone().unwrap_or_default());
        for decision in decisions.new_in(&target, &policy) {
            j.write(Event::Decision { target: target.clone(), decision });
        }
        let state = policy_state(&policy);
        if seen.changed(&target, &state) {
            j.write(Event::Policy { target, state });
        }
    });

    let j = journal.clone();
    let seen: Seen<i32> = Seen::default();
    watch::<Pod>(&client, shutdown, move |pod| {
        let pod_name = pod.metadata.name.clone().unwrap_or_default();
        for c in pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()) {
            let key = (format!("{name}/{pod_name}"), c.name.clone());
            if c.restart_count > 0 && seen.changed(&key, &c.restart_count) {
                let container = format!("{}/{}", key.0, key.1);
                j.write(Event::Restart { container, count: c.restart_count });
            }
        }
    });
}

fn policy_state(policy: &ScalingPolicy) -> PolicyState {
    let Some(status) = &policy.status else { return PolicyState::default() };
    let evidence = status.conditions.iter().find(|c| c.type_ == "EvidenceSufficient");
    PolicyState {
        sufficient: evidence.and_then(|c| match c.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }),
        evidence: evidence.map(|c| c.message.clone()).unwrap_or_default(),
        value: status.metrics.first().and_then(|m| m.value.as_ref()?.parse().ok()),
        desired: status.desired_replicas,
        cause: status.last_decisions.first().map(|d| d.cause.clone()).unwrap_or_default(),
    }
}

/// What was last seen of each thing, so that only changes are written.
#[derive(Debug)]
struct Seen<T>(Arc<Mutex<BTreeMap<Target, T>>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: PartialEq + Clone> Seen<T> {
    fn changed(&self, key: &Target, value: &T) -> bool {
        self.0.lock().insert(key.clone(), value.clone()).as_ref() != Some(value)
    }
}

fn spawn_replicas<K>(
    client: &Client,
    cluster: &str,
    journal: &Journal,
    shutdown: &Shutdown,
    seen: &Seen<(i32, i32)>,
    read: impl Fn(&K) -> Option<(i32, i32)> + Send + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let (journal, cluster, seen) = (journal.clone(), cluster.to_owned(), seen.clone());
    watch::<K>(client, shutdown, move |object| {
        let target = (cluster.clone(), object.meta().name.clone().unwrap_or_default());
        if let Some((wanted, ready)) = read(&object).filter(|v| seen.changed(&target, v)) {
            journal.write(Event::Replicas { target, wanted, ready });
        }
    });
}

fn watch<K>(client: &Client, shutdown: &Shutdown, mut each: impl FnMut(K) + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let stream = watcher(Api::<K>::all(client.clone()), watcher::Config::default())
        .backoff(steady_pause())
        .applied_objects()
        .take_until(shutdown.wait());
    tokio::spawn(stream.for_each(move |object| {
        // A watch that breaks is resumed by the watcher; the next object tells the same.
        if let Ok(object) = object {
            each(object);
        }
        std::future::ready(())
    }));
}
