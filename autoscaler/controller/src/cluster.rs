//! One managed cluster: the reads of an evaluation, and the only writers to `/scale` and to what is fenced.

use std::collections::HashMap;
use std::time::Duration;

use autoscaler_api::{ScaleTargetRef, ScalingPolicyStatus};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::lease::Fence;
use crate::pods::Pod;

/// Longest note of an event; the API refuses 1024 bytes and more.
const MAX_NOTE_BYTES: usize = 1_000;

/// A cluster that this controller scales in.
pub(crate) struct Cluster {
    /// Its kubeconfig context, or `in-cluster`.
    pub name: String,
    /// Its API.
    pub client: Client,
    /// Whether this process leads there.
    pub fence: Fence,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Resources found by discovery, so at most as many as the API server has; the workloads of `apps` need none.
    pub resources: Mutex<HashMap<GroupVersionKind, ApiResource>>,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The API server said no, or could not be reached.
    #[error("{}", api_message(.0))]
    Api(#[from] kube::Error),
    /// It did not answer in time. A write may have happened.
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
    /// A write would have no precondition.
    #[error("the API server gave its scale no resourceVersion, so a write could undo somebody else's")]
    NoVersion,
    /// This process does not lead, so it may not write.
    #[error("this process does not hold the Lease")]
    NotLeader,
}

/// The server's own sentence where there is one; the crate's rendering repeats the whole status.
fn api_message(e: &kube::Error) -> String {
    match e {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether somebody else wrote in between.
pub(crate) fn is_conflict(e: &CallError) -> bool {
    matches!(e, CallError::Api(kube::Error::Api(status)) if status.code == 409)
}

/// Whether a write that ended like this may have happened all the same.
pub(crate) fn may_have_happened(e: &CallError) -> bool {
    match e {
        CallError::Api(kube::Error::Api(status)) => status.code >= 500,
        CallError::Api(_) | CallError::Timeout(_) => true,
        CallError::NoVersion | CallError::NotLeader => false,
    }
}

/// Whether the object is not there.
pub(crate) fn is_missing(e: &CallError) -> bool {
    matches!(e, CallError::Api(kube::Error::Api(status)) if status.code == 404)
}

/// A scaled workload as read.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its scale subresource, with the resourceVersion that a write must meet.
    pub scale: Scale,
    /// Running and ready replicas.
    pub ready_replicas: i32,
    /// See [`crate::ring::View::ordered_start`].
    pub ordered_start: bool,
}

impl Target {
    /// Replicas asked for.
    pub(crate) fn replicas(&self) -> i32 {
        self.scale.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0)
    }

    /// Replicas there are, surge included.
    pub(crate) fn status_replicas(&self) -> i32 {
        self.scale.status.as_ref().map_or(0, |s| s.replicas)
    }

    /// Finds its pods.
    pub(crate) fn selector(&self) -> &str {
        self.scale.status.as_ref().and_then(|s| s.selector.as_deref()).unwrap_or_default()
    }
}

impl Cluster {
    /// A call with a deadline.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(CallError::Timeout(self.timeout)),
        }
    }

    /// A write that only the leader may make: asked right before, and over before the fence closes.
    pub(crate) async fn fenced<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let left = self.fence.left(Instant::now()).ok_or(CallError::NotLeader)?.min(self.timeout);
        match tokio::time::timeout(left, call).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(CallError::Timeout(left)),
        }
    }

    /// Reads what a decision needs to know of the target.
    pub(crate) async fn target(&self, namespace: &str, target: &ScaleTargetRef) -> Result<Target, CallError> {
        let api = self.api(namespace, target).await?;
        let (scale, object) =
            self.call(async { tokio::try_join!(api.get_scale(&target.name), api.get(&target.name)) }).await?;
        let ready = object.data.pointer("/status/readyReplicas").and_then(serde_json::Value::as_i64);
        // Workloads of `apps` leave the field out when it is zero; others may not know it at all.
        let ready = match ready {
            Some(ready) => i32::try_from(ready).unwrap_or(i32::MAX),
            None if target.api_version.starts_with("apps/") => 0,
            None => self.ready_pods(namespace, &scale).await?,
        };
        let policy = object.data.pointer("/spec/podManagementPolicy").and_then(serde_json::Value::as_str);
        Ok(Target { scale, ready_replicas: ready, ordered_start: policy != Some("Parallel") })
    }

    async fn ready_pods(&self, namespace: &str, scale: &Scale) -> Result<i32, CallError> {
        let Some(selector) =
            scale.status.as_ref().and_then(|s| s.selector.as_deref()).filter(|s| !s.is_empty())
        else {
            return Ok(0);
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let listing = ListParams::default().labels(selector);
        let pods = self.call(pods.list(&listing)).await?;
        Ok(i32::try_from(pods.items.iter().filter(|p| p.is_ready()).count()).unwrap_or(i32::MAX))
    }

    /// The one writer to `/scale`. The scale's resourceVersion is a precondition: what was decided on what
    /// was read is never applied to something else.
    pub(crate) async fn write_scale(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
        read: &Scale,
        replicas: i32,
    ) -> Result<(), CallError> {
        if read.metadata.resource_version.as_deref().unwrap_or_default().is_empty() {
            return Err(CallError::NoVersion);
        }
        let api = self.api(namespace, target).await?;
        let mut scale = read.clone();
        scale.spec.get_or_insert_default().replicas = Some(replicas);
        let params = PostParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PostParams::default() };
        self.fenced(api.replace_scale(&target.name, &params, &scale)).await.map(drop)
    }

    /// Writes a policy's status.
    pub(crate) async fn write_status(
        &self,
        namespace: &str,
        name: &str,
        status: &ScalingPolicyStatus,
    ) -> Result<(), CallError> {
        // Untyped: the answer need not read as ours.
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &crate::policies::resource());
        let mut fields = serde_json::to_value(status).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            // A merge patch removes only what is null.
            for optional in
                ["lastScaleTime", "lastEvaluationTime", "desiredReplicas", "ring", "metrics", "lastDecisions"]
            {
                fields.entry(optional).or_insert(serde_json::Value::Null);
            }
        }
        let patch = Patch::Merge(serde_json::json!({ "status": fields }));
        self.fenced(api.patch_status(name, &PatchParams::default(), &patch)).await.map(drop)
    }

    /// Publishes an event about a policy. Each is its own object: the note says what happened.
    pub(crate) async fn publish(
        &self,
        regarding: &ObjectReference,
        warning: bool,
        reason: &str,
        note: &str,
    ) -> Result<(), CallError> {
        let now = Timestamp::now();
        let namespace = regarding.namespace.as_deref().unwrap_or("default");
        let name = regarding.name.as_deref().unwrap_or("policy");
        let event = Event {
            metadata: ObjectMeta {
                // A name has at most 253 characters.
                name: Some(format!("{}.{:x}", clip(name, 200), now.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some("Scaling".into()),
            event_time: Some(MicroTime(now)),
            note: Some(clip(note, MAX_NOTE_BYTES).to_owned()),
            reason: Some(reason.to_owned()),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(crate::FIELD_MANAGER.into()),
            reporting_instance: Some(crate::FIELD_MANAGER.into()),
            type_: Some(if warning { "Warning" } else { "Normal" }.into()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        self.fenced(api.create(&PostParams::default(), &event)).await.map(drop)
    }

    async fn api(&self, namespace: &str, target: &ScaleTargetRef) -> Result<Api<DynamicObject>, CallError> {
        let (group, version) = target.api_version.rsplit_once('/').unwrap_or(("", &target.api_version));
        let gvk = GroupVersionKind::gvk(group, version, &target.kind);
        let known = well_known(&gvk).or_else(|| self.resources.lock().get(&gvk).cloned());
        let resource = match known {
            Some(resource) => resource,
            None => {
                let found = self.call(kube::discovery::pinned_kind(&self.client, &gvk)).await?.0;
                self.resources.lock().insert(gvk, found.clone());
                found
            }
        };
        Ok(Api::namespaced_with(self.client.clone(), namespace, &resource))
    }
}

/// Workloads that need no discovery. The plural is not guessed: a guess panics on some words, and a policy may
/// name any.
fn well_known(gvk: &GroupVersionKind) -> Option<ApiResource> {
    let plural = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => "deployments",
        ("apps", "StatefulSet") => "statefulsets",
        ("apps", "ReplicaSet") => "replicasets",
        _ => return None,
    };
    Some(ApiResource::from_gvk_with_plural(gvk, plural))
}

/// At most so many bytes of `text`.
fn clip(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_wide_characters_are_short_enough_for_the_api() {
        let note = "→".repeat(1_000);
        assert_eq!(clip(&note, MAX_NOTE_BYTES).len(), 999);
        assert_eq!(clip("short", MAX_NOTE_BYTES), "short");
    }

    #[test]
    fn no_kind_that_a_policy_names_panics() {
        for kind in ["Y", "y", "", "é", "Pony"] {
            assert_eq!(well_known(&GroupVersionKind::gvk("apps", "v1", kind)), None);
        }
        let known = well_known(&GroupVersionKind::gvk("apps", "v1", "Deployment")).unwrap();
        assert_eq!((known.plural.as_str(), known.api_version.as_str()), ("deployments", "apps/v1"));
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened() {
        let status = |code| {
            CallError::Api(kube::Error::Api(Box::new(kube::core::Status {
                code,
                ..kube::core::Status::default()
            })))
        };
        for (e, expected) in [
            (status(403), false),
            (status(409), false),
            (status(504), true),
            (CallError::Timeout(Duration::ZERO), true),
            (CallError::NotLeader, false),
            (CallError::NoVersion, false),
        ] {
            assert_eq!(may_have_happened(&e), expected, "{e}");
        }
    }
}
