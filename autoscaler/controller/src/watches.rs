//! Watches: what the API servers have, told to the engine as it changes.
//!
//! ```text
//!  always           policies, HorizontalPodAutoscalers of each cluster ─┐
//!  Effect::Watch    targets of a kind in a namespace, pods, a ring ─────┴─► Event
//! ```
//!
//! While an API server is away what was last seen stays: nothing is gone because nobody could say that it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_engine::Event;
use autoscaler_engine::objects::{ConfigMap, Kind, Name, Pod, TargetKey, Watch};
use autoscaler_engine::ring::file::ANNOTATION;
use backon::ExponentialBuilder;
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use crate::pods::Pod as KubePod;
use crate::policies::{Understood, name_of, resource};
use crate::shared::{Events, Shared};

/// How long one watch lasts; a new one begins where it ended.
const WATCH_S: u32 = 30;
/// Pauses while the API server is away; kube's own go up to 30 s, in which something may change unseen.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// How long an API server may say nothing; above [`WATCH_S`], or quiet objects would be a fault.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);
/// Pods of one selector that are kept.
const MAX_PODS: usize = 2_000;

/// What a watch says.
enum Word<K> {
    /// A list begins: what is applied until it is whole is all that there is.
    Listing,
    Applied(K),
    Gone(K),
    /// Everything that there is was applied.
    Listed,
    /// It fails, and goes on trying.
    Failed(String),
}

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

/// Doubling pauses, started over by every success.
fn pauses() -> watcher::ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_FIRST).with_max_delay(PAUSE_LONGEST);
    pauses.without_max_times().into()
}

fn words<K>(api: Api<K>, config: watcher::Config, cluster: &str, what: &str) -> BoxStream<'static, Word<K>>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let (cluster, what) = (cluster.to_owned(), what.to_owned());
    let mut failing = false;
    let events = watcher(api, config.timeout(WATCH_S)).backoff(pauses());
    let word = move |event: Result<watcher::Event<K>, watcher::Error>| {
        let ok = event.is_ok();
        if ok && failing {
            tracing::info!(cluster, what, "watched again");
        }
        let word = match event {
            Ok(watcher::Event::Init) => Word::Listing,
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => Word::Applied(object),
            Ok(watcher::Event::InitDone) => Word::Listed,
            Ok(watcher::Event::Delete(object)) => Word::Gone(object),
            Err(error) => {
                if !failing {
                    tracing::warn!(cluster, what, %error, "cannot be watched; going on with what is known");
                }
                Word::Failed(error.to_string())
            }
        };
        failing = !ok;
        word
    };
    events.map(word).boxed()
}

/// Follows the policies of a cluster; `listed` is called once all of them are known.
pub(crate) async fn policies(shared: Arc<Shared>, events: Events, id: u16, listed: impl Fn() + Send) {
    let Some(cluster) = shared.cluster(id) else { return };
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource());
    let mut words = words(api, watcher::Config::default(), &cluster.name, "policies");
    let mut understood = Understood::default();
    let mut listing: Option<Vec<Name>> = None;
    while let Some(word) = words.next().await {
        let told = match word {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(object) => {
                let name = name_of(id, &object);
                match understood.read(id, &object, &shared.cluster_label) {
                    Some((seen, plan)) => {
                        shared.plans.set(&name, seen.generation, plan);
                        listing.iter_mut().for_each(|names| names.push(name.clone()));
                        events.send(Event::Policy(Box::new(seen))).await
                    }
                    None => events.send(Event::PolicyGone(name)).await,
                }
            }
            Word::Gone(object) => {
                let name = name_of(id, &object);
                understood.forget(&name);
                shared.plans.set(&name, None, None);
                events.send(Event::PolicyGone(name)).await
            }
            Word::Listed => {
                let names = listing.take().unwrap_or_default();
                understood.keep(&names);
                shared.plans.keep(id, &names);
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
    let mut words = words(api, watcher::Config::default(), &cluster.name, "HorizontalPodAutoscalers");
    let mut listing: Option<Vec<Name>> = None;
    while let Some(word) = words.next().await {
        let event = match word {
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
    let mut words = words(api, watcher::Config::default(), &cluster.name, &resource.plural);
    let mut listing: Option<Vec<String>> = None;
    let key = |object: &DynamicObject| TargetKey {
        cluster: id,
        namespace: namespace.clone(),
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        name: object.name_any(),
    };
    while let Some(word) = words.next().await {
        let event = match word {
            Word::Listing => {
                listing = Some(Vec::new());
                continue;
            }
            Word::Applied(object) => {
                listing.iter_mut().for_each(|names| names.push(object.name_any()));
                match cluster.understand(&kind, &namespace, &object).await {
                    Ok(target) => Event::Target { key: key(&object), target: Some(target) },
                    Err(error) => {
                        let message = error.to_string();
                        Event::WatchFailed { watch: watch.clone(), message }
                    }
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
    let config = watcher::Config::default().labels(&selector);
    let mut words = words(api, config, &cluster.name, "pods");
    let mut known: BTreeMap<String, Pod> = BTreeMap::new();
    let mut listing: Option<BTreeMap<String, Pod>> = None;
    let mut whole = false;
    while let Some(word) = words.next().await {
        match word {
            Word::Listing => listing = Some(BTreeMap::new()),
            Word::Applied(pod) => {
                let seen = Pod {
                    name: pod.name_any(),
                    ip: pod.ip().map(str::to_owned),
                    ready: pod.is_ready() && pod.metadata.deletion_timestamp.is_none(),
                };
                let into = listing.as_mut().unwrap_or(&mut known);
                if into.len() < MAX_PODS || into.contains_key(&seen.name) {
                    into.insert(seen.name.clone(), seen);
                }
            }
            Word::Gone(pod) => drop(known.remove(&pod.name_any())),
            Word::Listed => {
                known = listing.take().unwrap_or_default();
                whole = true;
            }
            Word::Failed(_) => continue,
        }
        if whole && listing.is_none() {
            let event = Event::Pods { watch: watch.clone(), pods: known.values().cloned().collect() };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

async fn config_map(shared: Arc<Shared>, events: Events, name: Name) {
    let Some(cluster) = shared.cluster(name.cluster) else { return };
    let api: Api<core::ConfigMap> = Api::namespaced(cluster.client.clone(), &name.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.name));
    let mut words = words(api, config, &cluster.name, "a ring's ConfigMap");
    let watch = Watch::ConfigMap(name.clone());
    let mut listing: Option<Vec<String>> = None;
    while let Some(word) = words.next().await {
        let event = match word {
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
