//! The workload controllers: what Kubernetes' controller manager does for Deployments, ReplicaSets and
//! StatefulSets, through a client, so that they would work on a real API server too.
//!
//! ```text
//!  Deployment ─► ReplicaSet (one a template) ─► Pod        StatefulSet ─► claims, Pod-0, Pod-1, …
//! ```
//!
//! A reconciliation reads what it needs from the API, not from a cache, and counts by owner: what it decides on
//! includes its own last writes, and no expectations need be kept. What drives it is kube's controller runtime or, in
//! a world with a clock of its own, [`crate::Plane`].

mod conditions;
mod deployment;
mod objects;
mod pods;
mod replicaset;
mod rollout;
mod statefulset;
mod template;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::Status;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt as _};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulations_kernel::Clock;
use thanos_telemetry::Shutdown;

use crate::api::Api as Server;
use objects::{Access, Direct, MANAGER, Managed, Objects};

/// A failed reconciliation is tried again after this.
const RETRY: Duration = Duration::from_millis(500);
/// What is refused again and again is tried no later than this.
const RETRY_MAX: Duration = Duration::from_secs(16);

/// What the controllers share.
#[derive(Clone)]
pub(crate) struct Context {
    access: Access,
    /// Nobody is told of events without one.
    recorder: Option<Recorder>,
    clock: Clock,
    refused: Arc<Mutex<HashMap<String, Refused>>>,
}

/// What an object, by its uid, could not have lately.
#[derive(Debug, Default)]
struct Refused {
    /// Times in a row.
    times: u32,
    /// Why nothing more is made for it: what was made was not its own.
    brake: Option<String>,
}

/// Which object is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Key {
    fn of(object: &impl Resource) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }
}

/// When an object is looked at again if nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Never,
    After(Duration),
}

impl From<Next> for Action {
    fn from(next: Next) -> Self {
        match next {
            Next::Never => Self::await_change(),
            Next::After(pause) => Self::requeue(pause),
        }
    }
}

impl Context {
    fn through(client: Client) -> Self {
        let reporter = Reporter { controller: MANAGER.into(), instance: None };
        let recorder = Some(Recorder::new(client.clone(), reporter));
        Self { access: Access::Client(client), recorder, clock: Clock::system(), refused: Arc::default() }
    }

    /// Of controllers in one process with the API server. They tell of no events.
    pub(crate) fn direct(api: Arc<Server>, clock: Clock) -> Self {
        let access = Access::Direct(Direct { api, clock: clock.clone() });
        Self { access, recorder: None, clock, refused: Arc::default() }
    }

    fn api<K: Managed>(&self, namespace: &str) -> Objects<K> {
        Objects::new(self.access.clone(), namespace)
    }

    /// Tells of something done, as `kubectl describe` shows it.
    async fn note<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: String) {
        self.tell(object, EventType::Normal, reason, note).await;
    }

    /// Tells of something that could not be done.
    async fn warn<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: String) {
        self.tell(object, EventType::Warning, reason, note).await;
    }

    async fn tell<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: EventType,
        reason: &str,
        note: String,
    ) {
        let Some(recorder) = &self.recorder else { return };
        let event =
            Event { type_, reason: reason.into(), note: Some(note), action: reason.into(), secondary: None };
        if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, reason, "recording an event");
        }
    }

    /// How long to wait before an object is looked at again that was refused something.
    fn back_off(&self, uid: &str) -> Duration {
        let mut refused = self.refused.lock();
        let refused = refused.entry(uid.to_owned()).or_default();
        let pause = RETRY.saturating_mul(1 << refused.times.min(10)).min(RETRY_MAX);
        refused.times = refused.times.saturating_add(1);
        pause
    }

    fn succeeded(&self, uid: &str) {
        if let Some(refused) = self.refused.lock().get_mut(uid) {
            refused.times = 0;
        }
    }

    /// Why nothing more may be made for an object.
    fn brake(&self, uid: &str) -> Option<String> {
        self.refused.lock().get(uid)?.brake.clone()
    }

    fn pull_brake(&self, uid: &str, why: &str) {
        self.refused.lock().entry(uid.to_owned()).or_default().brake = Some(why.to_owned());
    }

    fn forget(&self, uid: &str) {
        self.refused.lock().remove(uid);
    }

    /// Writes a status, if it is another one.
    async fn write_status<K: Managed>(
        &self,
        object: &K,
        current: &impl Serialize,
        status: Value,
    ) -> kube::Result<()> {
        let current = serde_json::to_value(current).unwrap_or_default();
        let wanted = status.as_object().into_iter().flatten();
        if wanted.clone().all(|(key, value)| current.get(key).unwrap_or(&Value::Null) == value) {
            return Ok(());
        }
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        let objects = self.api::<K>(&object.namespace().unwrap_or_default());
        objects.merge_status(&object.name_any(), &patch).await
    }
}

/// What an API server says when it refuses.
fn said_by(status: &Status) -> String {
    if status.message.is_empty() { status.reason.clone() } else { status.message.clone() }
}

/// What the controllers manage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Deployment,
    ReplicaSet,
    StatefulSet,
}

/// Looks at one object and does what is to be done for it.
pub(crate) async fn reconcile(kind: Kind, key: Key, context: Arc<Context>) -> Next {
    let done = match kind {
        Kind::Deployment => deployment::reconcile(key.clone(), context).await,
        Kind::ReplicaSet => replicaset::reconcile(key.clone(), context).await,
        Kind::StatefulSet => statefulset::reconcile(key.clone(), context).await,
    };
    done.unwrap_or_else(|error| after(&error, &format!("{kind:?}"), &key.name))
}

/// Runs all three until shutdown.
pub(crate) async fn run(client: Client, shutdown: Shutdown) {
    let context = Context::through(client.clone());
    let config = watcher::Config::default;
    let deployments = Controller::new(Api::<Deployment>::all(client.clone()), config())
        .owns(Api::<ReplicaSet>::all(client.clone()), config());
    let replica_sets = Controller::new(Api::<ReplicaSet>::all(client.clone()), config())
        .owns(Api::<Pod>::all(client.clone()), config());
    let stateful_sets = Controller::new(Api::<StatefulSet>::all(client.clone()), config())
        .owns(Api::<Pod>::all(client), config());
    tokio::join!(
        drive(deployments, deployment::reconcile, context.clone(), &shutdown),
        drive(replica_sets, replicaset::reconcile, context.clone(), &shutdown),
        drive(stateful_sets, statefulset::reconcile, context, &shutdown),
    );
}

async fn drive<K, F>(
    controller: Controller<K>,
    reconcile: impl Fn(Key, Arc<Context>) -> F + Send + Sync + 'static,
    context: Context,
    shutdown: &Shutdown,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    F: Future<Output = kube::Result<Next>> + Send + 'static,
{
    let on_error =
        |object: Arc<K>, error: &kube::Error, _| after(error, &K::kind(&()), &object.name_any()).into();
    controller
        .graceful_shutdown_on(shutdown.wait())
        .run(
            move |object: Arc<K>, context| {
                let done = reconcile(Key::of(&*object), context);
                async move { done.await.map(Action::from) }
            },
            on_error,
            Arc::new(context),
        )
        .for_each(|_| std::future::ready(()))
        .await;
}

/// When what failed is tried again.
fn after(error: &kube::Error, kind: &str, name: &str) -> Next {
    // Somebody else wrote first: the next look sees it.
    if !matches!(error, kube::Error::Api(e) if e.is_conflict() || e.is_not_found()) {
        tracing::warn!(%error, kind, name, "reconciling");
    }
    Next::After(RETRY)
}
