//! Watches: what the API servers have, told to the engine as it changes.
//!
//! ```text
//!  always           policies, HorizontalPodAutoscalers of each cluster ─┐
//!  Effect::Watch    targets of a kind in a namespace, pods, a ring ─────┴─► Event
//! ```
//!
//! While an API server is away what was last seen stays: nothing is gone because nobody could say that it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use autoscaler_core::Pods;
use autoscaler_engine::Event;
use autoscaler_engine::objects::{ConfigMap, Kind, Name, Pod, TargetKey, Watch};
use autoscaler_engine::ring::file::ANNOTATION;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt};
use tokio::task::AbortHandle;

use crate::cluster::targets::told;
use crate::follow::{Chosen, PAUSE_FIRST, SILENCE, Word};
use crate::pods::Pod as KubePod;
use crate::policies::{Understood, name_of, resource};
use crate::shared::{Events, Shared};

mod objects;

pub(crate) use objects::objects;

/// Pods of one selector that are kept.
const MAX_PODS: usize = 2_000;
/// Names of further ones that are kept; of more, only the next list tells that they are gone.
const MAX_BEYOND: usize = 20_000;

/// Watches that the engine asked for.
pub(crate) struct Watches {
    shared: Arc<Shared>,
    events: Events,
    running: BTreeMap<Watch, AbortHandle>,
}

impl Watches {
    pub(crate) fn new(shared: Arc<Shared>, events: Events) -> Self {
        Self { shared, events, running: BTreeMap::new() }
    }

    /// Begins to watch.
    pub(crate) fn begin(&mut self, watch: Watch) {
        let (shared, events) = (self.shared.clone(), self.events.clone());
        let task = match watch.clone() {
            Watch::Targets { cluster, namespace, kind } => {
                tokio::spawn(targets(shared, events, cluster, namespace, kind))
            }
            Watch::Pods { cluster, namespace, selector } => {
                tokio::spawn(pods(shared, events, cluster, namespace, selector))
            }
            Watch::ConfigMap(name) => tokio::spawn(config_map(shared, events, name)),
        };
        if let Some(before) = self.running.insert(watch, task.abort_handle()) {
            before.abort();
        }
    }

    /// Ends a watch.
    pub(crate) fn end(&mut self, watch: &Watch) {
        if let Some(running) = self.running.remove(watch) {
            running.abort();
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

/// Follows the policies of a cluster; `listed` is called once all of them are known.
pub(crate) async fn policies(shared: Arc<Shared>, events: Events, id: u16, listed: impl Fn() + Send) {
    let Some(cluster) = shared.cluster(id) else { return };
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource());
    let mut words = cluster.follow(api, Chosen::default(), "policies");
    let mut understood = Understood::default();
    let mut listing: Option<Vec<Name>> = None;
    loop {
        let told = match words.next().await {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(object) => {
                let name = name_of(id, &object);
                match understood.read(id, &object, (&shared.cluster_label, &shared.given)) {
                    Some((seen, asking)) => {
                        let metrics = asking.iter().flat_map(|metrics| metrics.iter());
                        shared.sources.follow(&name, metrics.filter_map(|metric| metric.source.as_ref()));
                        shared.plans.set(&name, seen.generation, asking);
                        listing.iter_mut().for_each(|names| names.push(name.clone()));
                        events.send(Event::Policy(Box::new(seen))).await
                    }
                    None => {
                        shared.forget(&name);
                        events.send(Event::PolicyGone(name)).await
                    }
                }
            }
            Word::Gone(object) => {
                let name = name_of(id, &object);
                understood.forget(&name);
                shared.forget(&name);
                events.send(Event::PolicyGone(name)).await
            }
            Word::Listed => {
                let names = listing.take().unwrap_or_default();
                for gone in understood.keep(&names) {
                    shared.forget(&gone);
                }
                listed();
                events.send(Event::PoliciesListed { cluster: id, names }).await
            }
            Word::Failed(_) => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// Follows the HorizontalPodAutoscalers of a cluster.
pub(crate) async fn autoscalers(shared: Arc<Shared>, events: Events, id: u16) {
    let Some(cluster) = shared.cluster(id) else { return };
    let gvk = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "horizontalpodautoscalers");
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let mut words = cluster.follow(api, Chosen::default(), "HorizontalPodAutoscalers");
    let mut listing: Option<Vec<Name>> = None;
    loop {
        let event = match words.next().await {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(object) => {
                let name = name_of(id, &object);
                listing.iter_mut().for_each(|names| names.push(name.clone()));
                let target = scaled_by(&name, &object);
                Event::HorizontalPodAutoscaler { name, target }
            }
            Word::Gone(object) => Event::HorizontalPodAutoscaler { name: name_of(id, &object), target: None },
            Word::Listed => {
                let names = listing.take().unwrap_or_default();
                Event::HorizontalPodAutoscalersListed { cluster: id, names }
            }
            Word::Failed(_) => Event::HorizontalPodAutoscalersFailed { cluster: id },
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn scaled_by(name: &Name, object: &DynamicObject) -> Option<TargetKey> {
    let target = object.data.pointer("/spec/scaleTargetRef")?;
    let text = |field: &str| target.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
    let version = text("apiVersion").unwrap_or_default();
    Some(TargetKey {
        cluster: name.cluster,
        namespace: name.namespace.clone(),
        group: version.rsplit_once('/').map_or("", |(group, _)| group).to_owned(),
        kind: text("kind")?,
        name: text("name")?,
    })
}

async fn targets(shared: Arc<Shared>, events: Events, id: u16, namespace: String, kind: Kind) {
    let Some(cluster) = shared.cluster(id) else { return };
    let watch = Watch::Targets { cluster: id, namespace: namespace.clone(), kind: kind.clone() };
    let mut pause = PAUSE_FIRST;
    let resource = loop {
        match cluster.resource(&kind).await {
            Ok(resource) => break resource,
            Err(error) => {
                let message = error.to_string();
                let failed = Event::WatchFailed { watch: watch.clone(), message };
                if events.send(failed).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(SILENCE);
            }
        }
    };
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &namespace, &resource);
    let mut words = cluster.follow(api, Chosen::default(), &resource.plural);
    let mut listing: Option<Vec<String>> = None;
    let key = |object: &DynamicObject| TargetKey {
        cluster: id,
        namespace: namespace.clone(),
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        name: object.name_any(),
    };
    loop {
        let event = match words.next().await {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(object) => {
                listing.iter_mut().for_each(|names| names.push(object.name_any()));
                match told(&kind, &object) {
                    Some(target) => Event::Target { key: key(&object), target: Some(target) },
                    None => Event::TargetChanged {
                        key: key(&object),
                        uid: object.metadata.uid.unwrap_or_default(),
                        resource_version: object.metadata.resource_version.unwrap_or_default(),
                    },
                }
            }
            Word::Gone(object) => Event::Target { key: key(&object), target: None },
            Word::Listed => Event::Listed { watch: watch.clone(), names: listing.take().unwrap_or_default() },
            Word::Failed(message) => Event::WatchFailed { watch: watch.clone(), message },
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

async fn pods(shared: Arc<Shared>, events: Events, id: u16, namespace: String, selector: String) {
    let Some(cluster) = shared.cluster(id) else { return };
    let watch = Watch::Pods { cluster: id, namespace: namespace.clone(), selector: selector.clone() };
    let api: Api<KubePod> = Api::namespaced(cluster.client.clone(), &namespace);
    let chosen = Chosen { labels: Some(selector), ..Chosen::default() };
    let mut words = cluster.follow(api, chosen, "pods");
    let mut known: BTreeMap<String, SeenPod> = BTreeMap::new();
    let mut listing: Option<BTreeMap<String, SeenPod>> = None;
    let (mut whole, mut beyond) = (false, Beyond::default());
    loop {
        match words.next().await {
            Word::Listing => (listing, beyond) = (Some(BTreeMap::new()), Beyond::default()),
            Word::Applied(pod) => {
                let name = pod.name_any();
                let into = listing.as_mut().unwrap_or(&mut known);
                if into.contains_key(&name) || (into.len() < MAX_PODS && !beyond.has(&name)) {
                    into.insert(name, SeenPod::of(&pod));
                } else {
                    beyond.add(name);
                }
            }
            Word::Gone(pod) => {
                let name = pod.name_any();
                known.remove(&name);
                beyond.remove(&name);
                if beyond.fit(known.len()) {
                    // Nothing but their names is known of them.
                    words.again();
                    continue;
                }
            }
            Word::Listed => {
                known = listing.take().unwrap_or_default();
                whole = true;
            }
            Word::Failed(_) => continue,
        }
        if whole && listing.is_none() {
            let seen = if beyond.any() {
                // Whoever misses some of them would take their load for gone.
                Pods::Unknown(format!("the target has more than {MAX_PODS} pods; hold it to a query"))
            } else {
                autoscaler_pods::pods(known.values().map(|seen| &seen.measured))
            };
            let pods = known.values().map(|seen| seen.pod.clone()).collect();
            let event = Event::Pods { watch: watch.clone(), pods, seen: Some(seen) };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// Pods of a selector beyond those that are kept, by name, so that it is known when there are none.
#[derive(Default)]
struct Beyond {
    names: BTreeSet<String>,
    /// Not even their names are kept.
    lost: bool,
}

impl Beyond {
    fn any(&self) -> bool {
        self.lost || !self.names.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    fn add(&mut self, name: String) {
        if self.names.len() < MAX_BEYOND {
            self.names.insert(name);
        } else if !self.has(&name) {
            self.lost = true;
        }
    }

    fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Whether all of them could be kept now, beside so many.
    fn fit(&self, kept: usize) -> bool {
        !self.lost && !self.names.is_empty() && kept + self.names.len() <= MAX_PODS
    }
}

/// A pod as the ring and as metrics of pods look at it.
struct SeenPod {
    pod: Pod,
    measured: autoscaler_core::Pod,
}

impl SeenPod {
    fn of(pod: &KubePod) -> Self {
        let (name, deleting) = (pod.name_any(), pod.metadata.deletion_timestamp.is_some());
        let measured = autoscaler_pods::pod(&name, deleting, pod.spec.as_ref(), pod.status.as_ref());
        let pod = Pod { name, ip: pod.ip().map(str::to_owned), ready: pod.is_ready() && !deleting };
        Self { pod, measured }
    }
}

async fn config_map(shared: Arc<Shared>, events: Events, name: Name) {
    let Some(cluster) = shared.cluster(name.cluster) else { return };
    let api: Api<core::ConfigMap> = Api::namespaced(cluster.client.clone(), &name.namespace);
    let mut words = cluster.follow(api, Chosen::named(&name.name), "a ring's ConfigMap");
    let watch = Watch::ConfigMap(name.clone());
    let mut listing: Option<Vec<String>> = None;
    loop {
        let event = match words.next().await {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(map) => {
                listing.iter_mut().for_each(|names| names.push(map.name_any()));
                Event::ConfigMap { name: name.clone(), map: Some(ring_map(map)) }
            }
            Word::Gone(_) => Event::ConfigMap { name: name.clone(), map: None },
            Word::Listed => Event::Listed { watch: watch.clone(), names: listing.take().unwrap_or_default() },
            Word::Failed(message) => Event::WatchFailed { watch: watch.clone(), message },
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn ring_map(map: core::ConfigMap) -> ConfigMap {
    ConfigMap {
        resource_version: map.metadata.resource_version.unwrap_or_default(),
        data: map.data.unwrap_or_default(),
        notes: map.metadata.annotations.and_then(|mut a| a.remove(ANNOTATION)),
    }
}
