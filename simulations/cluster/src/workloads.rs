//! The workload controllers: what Kubernetes' controller manager does for Deployments, ReplicaSets and
//! StatefulSets, through a client, so that they would work on a real API server too.
//!
//! ```text
//!  Deployment ─► ReplicaSet (one a template) ─► Pod        StatefulSet ─► claims, Pod-0, Pod-1, …
//! ```
//!
//! A reconciliation reads what it needs from the API, not from a cache: what it decides on includes its own
//! last writes, and no expectations need be kept.

mod deployment;
mod pods;
mod replicaset;
mod rollout;
mod statefulset;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thanos_telemetry::Shutdown;

/// A failed reconciliation is tried again after this.
const RETRY: Duration = Duration::from_millis(500);

/// What the controllers share.
#[derive(Clone)]
struct Context {
    client: Client,
    recorder: Recorder,
}

impl Context {
    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Tells of something done, as `kubectl describe` shows it.
    async fn note<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: String) {
        let event = Event {
            type_: EventType::Normal,
            reason: reason.into(),
            note: Some(note),
            action: reason.into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, reason, "recording an event");
        }
    }

    /// Writes a status, if it is another one.
    async fn write_status<K>(&self, object: &K, current: &impl Serialize, status: Value) -> kube::Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let current = serde_json::to_value(current).unwrap_or_default();
        let wanted = status.as_object().into_iter().flatten();
        if wanted.clone().all(|(key, value)| current.get(key) == Some(value)) {
            return Ok(());
        }
        let api: Api<K> = self.api(&object.namespace().unwrap_or_default());
        let params = PatchParams { field_manager: Some("workloads".into()), ..PatchParams::default() };
        let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
        api.patch_status(&object.name_any(), &params, &Patch::Merge(&patch)).await.map(drop)
    }
}

/// Runs all three until shutdown.
pub(crate) async fn run(client: Client, shutdown: Shutdown) {
    let reporter = Reporter { controller: "workloads".into(), instance: None };
    let context = Context { client: client.clone(), recorder: Recorder::new(client.clone(), reporter) };
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
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Send + Sync + 'static,
    context: Context,
    shutdown: &Shutdown,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    F: Future<Output = kube::Result<Action>> + Send + 'static,
{
    let on_error = |object: Arc<K>, error: &kube::Error, _| {
        // Somebody else wrote first: the next look sees it.
        if !matches!(error, kube::Error::Api(e) if e.is_conflict() || e.is_not_found()) {
            tracing::warn!(%error, kind = %K::kind(&()), name = object.name_any(), "reconciling");
        }
        Action::requeue(RETRY)
    };
    controller
        .graceful_shutdown_on(shutdown.wait())
        .run(reconcile, on_error, Arc::new(context))
        .for_each(|_| std::future::ready(()))
        .await;
}
