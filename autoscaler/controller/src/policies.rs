//! The policies of one cluster, followed by a watch.
//!
//! While the API server is away the last known policies stay: a policy is not gone because nobody could say
//! that it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoscaler_api::{Problem, ScalingPolicy, ScalingPolicySpec, ScalingPolicyStatus, validate};
use backon::ExponentialBuilder;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::defaults::Given;
use crate::plan::Plan;
use crate::querier;

/// How long one watch lasts; a new one begins where it ended.
const WATCH_S: u32 = 30;
/// Pauses while the API server is away; kube's own go up to 30 s, in which a policy may change unseen.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// How long an API server may say nothing; above [`WATCH_S`], or quiet policies would be a fault.
pub(crate) const SILENCE: Duration = Duration::from_secs(45);

/// Namespace and name.
pub(crate) type Name = (String, String);
/// All policies of a cluster.
pub(crate) type Snapshot = Arc<BTreeMap<Name, Arc<Policy>>>;

/// A policy as read.
#[derive(Debug)]
pub(crate) struct Policy {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub generation: Option<i64>,
    /// For events.
    pub reference: ObjectReference,
    /// As the API server has it, to tell a change.
    raw: serde_json::Value,
    /// As written; `None` if it could not be read at all.
    pub spec: Option<ScalingPolicySpec>,
    /// As understood, or everything that is wrong.
    pub plan: Result<Plan, Vec<Problem>>,
    /// As last seen.
    status: Mutex<serde_json::Value>,
}

impl Policy {
    /// The status as last seen, which another leader may have written.
    pub(crate) fn status(&self) -> ScalingPolicyStatus {
        // One that another version wrote is no reason not to scale.
        serde_json::from_value(self.status.lock().clone()).unwrap_or_default()
    }

    fn read(object: &DynamicObject, cluster_label: &str, given: &Given) -> Self {
        let mut reference = object.object_ref(&resource());
        // Events are found by them, and a list leaves them out.
        reference.api_version = Some(ScalingPolicy::api_version(&()).into_owned());
        reference.kind = Some(ScalingPolicy::kind(&()).into_owned());
        let meta = object.metadata.clone();
        let raw = object.data["spec"].clone();
        let (spec, plan) = match serde_json::from_value::<ScalingPolicySpec>(raw.clone()) {
            Ok(spec) => {
                let policy = ScalingPolicy { metadata: meta.clone(), spec, status: None };
                let mut problems = validate(&policy);
                problems.extend(querier::not_yet(&policy.spec));
                let plan =
                    if problems.is_empty() { Plan::of(&policy, cluster_label, given) } else { Err(problems) };
                (Some(policy.spec), plan)
            }
            Err(e) => {
                let cure = "apply a policy that the CRD's schema accepts";
                (None, Err(vec![Problem::new("spec", e.to_string(), cure)]))
            }
        };
        Self {
            namespace: meta.namespace.unwrap_or_else(|| "default".into()),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            generation: meta.generation,
            reference,
            raw,
            spec,
            plan,
            status: Mutex::new(object.data["status"].clone()),
        }
    }

    /// Group, kind and name of the target: the version does not make another workload of it.
    fn target(&self) -> Option<(&str, &str, &str)> {
        let target = &self.spec.as_ref()?.scale_target_ref;
        let group = target.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Some((group, &target.kind, &target.name))
    }
}

/// Objects are watched untyped: one that does not read as a ScalingPolicy must not end the watch of all.
pub(crate) fn resource() -> ApiResource {
    ApiResource::erase::<ScalingPolicy>(&())
}

/// Names of the other active policies with the same target. Shadow and Paused policies write nothing, so they
/// may stand beside an active one.
pub(crate) fn rivals(policy: &Policy, all: &BTreeMap<Name, Arc<Policy>>) -> Vec<String> {
    let active = |p: &Policy| p.spec.as_ref().is_some_and(|s| s.mode == autoscaler_api::Mode::Active);
    if !active(policy) {
        return Vec::new();
    }
    let rival = |p: &&Arc<Policy>| {
        p.namespace == policy.namespace
            && p.name != policy.name
            && active(p)
            && p.target().is_some()
            && p.target() == policy.target()
    };
    all.values().filter(rival).map(|p| p.name.clone()).collect()
}

/// Doubling pauses, started over by every success.
fn pauses() -> watcher::ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_FIRST).with_max_delay(PAUSE_LONGEST);
    pauses.without_max_times().into()
}

/// Follows the policies until the task is dropped. `None` is published until the first list is complete.
pub(crate) async fn follow(
    cluster: String,
    client: Client,
    cluster_label: String,
    given: Given,
    publish: watch::Sender<Option<Snapshot>>,
) {
    let api: Api<DynamicObject> = Api::all_with(client, &resource());
    let mut events =
        std::pin::pin!(watcher(api, watcher::Config::default().timeout(WATCH_S)).backoff(pauses()));
    let mut known: BTreeMap<Name, Arc<Policy>> = BTreeMap::new();
    let mut listing: BTreeMap<Name, Arc<Policy>> = BTreeMap::new();
    let mut failing = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                if !failing {
                    tracing::warn!(cluster, %error, "policies cannot be watched; going on with those known");
                }
                failing = true;
                continue;
            }
        };
        if failing {
            failing = false;
            tracing::info!(cluster, "policies are watched again");
        }
        match event {
            watcher::Event::Init => {
                listing.clear();
                continue;
            }
            watcher::Event::InitApply(object) => {
                take(&mut listing, &known, object, (&cluster_label, &given));
                continue;
            }
            watcher::Event::InitDone => known = std::mem::take(&mut listing),
            watcher::Event::Apply(object) => {
                let before = known.clone();
                if !take(&mut known, &before, object, (&cluster_label, &given)) {
                    continue;
                }
            }
            watcher::Event::Delete(object) => {
                known.remove(&(object.namespace().unwrap_or_default(), object.name_any()));
            }
        }
        publish.send_replace(Some(Arc::new(known.clone())));
    }
}

/// Takes an object in; says whether that changed anything but its status. One whose spec is as before keeps
/// what was understood of it: our own writes to its status come back here.
fn take(
    into: &mut BTreeMap<Name, Arc<Policy>>,
    before: &BTreeMap<Name, Arc<Policy>>,
    object: DynamicObject,
    (cluster_label, given): (&str, &Given),
) -> bool {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    if object.metadata.deletion_timestamp.is_some() {
        return into.remove(&key).is_some();
    }
    let old = before.get(&key).filter(|old| {
        Some(&old.uid) == object.metadata.uid.as_ref()
            && old.generation == object.metadata.generation
            && old.raw == object.data["spec"]
    });
    let known = old.cloned();
    let changed = known.is_none();
    let policy = known.unwrap_or_else(|| Arc::new(Policy::read(&object, cluster_label, given)));
    *policy.status.lock() = object.data["status"].clone();
    into.insert(key, policy);
    changed
}

#[cfg(test)]
mod tests;
