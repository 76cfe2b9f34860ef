//! Watches the clusters and writes what changes into the timeline. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use simulations_judge::timeline::{Event, PolicyId, PolicyState, Target};
use thanos_telemetry::Shutdown;

use crate::journal::Journal;

mod decisions;

/// Watches a cluster until shutdown: workloads that policies scale, the policies, and restarts.
pub fn observe(cluster: &Cluster, journal: &Journal, shutdown: &Shutdown) {
    let name = cluster.name().to_owned();
    let client = cluster.client();
    let seen: Seen<Target, (i32, i32)> = Seen::default();
    spawn_replicas::<Deployment>(&client, &name, journal, shutdown, &seen, |d| {
        let (spec, status) = (d.spec.as_ref()?, d.status.clone().unwrap_or_default());
        Some((spec.replicas.unwrap_or(1), status.ready_replicas.unwrap_or(0)))
    });
    spawn_replicas::<StatefulSet>(&client, &name, journal, shutdown, &seen, |d| {
        let (spec, status) = (d.spec.as_ref()?, d.status.clone().unwrap_or_default());
        Some((spec.replicas.unwrap_or(1), status.ready_replicas.unwrap_or(0)))
    });

    let (j, n) = (journal.clone(), name.clone());
    let seen: Seen<PolicyId, PolicyState> = Seen::default();
    let mut decisions = decisions::Told::since(Timestamp::now());
    watch::<ScalingPolicy>(&client, shutdown, move |object| {
        let policy = policy_id(&n, &object);
        for decision in decisions.new_in(&policy, &object) {
            j.write(Event::Decision { policy: policy.clone(), decision });
        }
        let state = policy_state(&object);
        if seen.changed(&policy, &state) {
            j.write(Event::Policy { policy, state });
        }
    });

    let j = journal.clone();
    let seen: Seen<Target, i32> = Seen::default();
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

/// Which policy it is, and what it scales.
fn policy_id(cluster: &str, policy: &ScalingPolicy) -> PolicyId {
    let target = &policy.spec.scale_target_ref;
    PolicyId {
        cluster: cluster.to_owned(),
        namespace: policy.meta().namespace.clone().unwrap_or_default(),
        name: policy.meta().name.clone().unwrap_or_default(),
        kind: target.kind.clone(),
        target: target.name.clone(),
    }
}

fn policy_state(policy: &ScalingPolicy) -> PolicyState {
    let Some(status) = &policy.status else { return PolicyState::default() };
    let proposals: Option<Vec<i32>> = status.metrics.iter().map(|m| m.proposal).collect();
    let last = status.last_decisions.first();
    let evidence = status.conditions.iter().find(|c| c.type_ == "EvidenceSufficient");
    PolicyState {
        sufficient: evidence.and_then(|c| match c.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }),
        evidence: evidence.map(|c| c.message.clone()).unwrap_or_default(),
        value: status.metrics.first().and_then(|m| m.value.as_ref()?.parse().ok()),
        newest: status.metrics.first().and_then(|m| m.newest.as_ref()?.parse().ok()),
        value_sufficient: status.metrics.first().map(|m| m.sufficient),
        desired: status.desired_replicas,
        proposal: proposals.and_then(|all| all.into_iter().max()),
        cause: last.map(|d| d.cause.clone()).unwrap_or_default(),
        limits: last.map(|d| d.limits.clone()).unwrap_or_default(),
    }
}

/// What was last seen of each thing, so that only changes are written.
#[derive(Debug)]
struct Seen<K, T>(Arc<Mutex<BTreeMap<K, T>>>);

impl<K, T> Default for Seen<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T> Clone for Seen<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Ord + Clone, T: PartialEq + Clone> Seen<K, T> {
    fn changed(&self, key: &K, value: &T) -> bool {
        self.0.lock().insert(key.clone(), value.clone()).as_ref() != Some(value)
    }
}

fn spawn_replicas<K>(
    client: &Client,
    cluster: &str,
    journal: &Journal,
    shutdown: &Shutdown,
    seen: &Seen<Target, (i32, i32)>,
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
