//! One managed cluster: what is read of a target, and the only writers to `/scale` and to what is fenced.

use std::collections::HashMap;
use std::time::Duration;

use autoscaler_engine::Outcome;
use autoscaler_engine::effect::{Note, Ring, Scale, Status};
use autoscaler_engine::objects::{Kind, Target, TargetKey};
use autoscaler_engine::ring::file::ANNOTATION;
use k8s_openapi::api::autoscaling::v1 as autoscaling;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::lease::Fence;
use crate::metrics::Calls;

/// Longest note of an event; the API refuses 1024 bytes and more.
const MAX_NOTE_BYTES: usize = 1_000;

/// A cluster that this controller scales in.
pub(crate) struct Cluster {
    /// Its kubeconfig context, or `in-cluster`.
    pub name: String,
    /// Its API.
    pub client: Client,
    /// By shard, whether this process leads there.
    pub fences: Vec<Fence>,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Resources found by discovery, so at most as many as the API server has; the workloads of `apps` need none.
    pub resources: Mutex<HashMap<GroupVersionKind, ApiResource>>,
    /// What is counted of calls.
    pub calls: Calls,
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

/// What became of a write, as the engine tells them apart.
fn outcome(done: Result<Option<String>, CallError>) -> Outcome {
    let error = match done {
        Ok(resource_version) => return Outcome::Done { resource_version },
        Err(error) => error,
    };
    let message = error.to_string();
    let (code, retry_after_ms) = match &error {
        CallError::NotLeader => return Outcome::NotLeader,
        CallError::Api(kube::Error::Api(status)) => {
            let seconds = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
            (status.code, (seconds > 0).then(|| u64::from(seconds).saturating_mul(1_000)))
        }
        CallError::Api(_) | CallError::Timeout(_) => {
            return Outcome::Unanswered { retry_after_ms: None, message };
        }
    };
    match code {
        404 => Outcome::Missing,
        409 => Outcome::Conflict,
        429 => Outcome::Busy { retry_after_ms, message },
        500.. => Outcome::Unanswered { retry_after_ms, message },
        code => Outcome::Refused { code, message },
    }
}

impl Cluster {
    /// A call with a deadline.
    async fn call<T>(
        &self,
        verb: &'static str,
        resource: &str,
        deadline: Duration,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let began = Instant::now();
        let done = match tokio::time::timeout(deadline, call).await {
            Ok(done) => done.map_err(CallError::from),
            Err(_) => Err(CallError::Timeout(deadline)),
        };
        let code = match &done {
            Ok(_) => 200,
            Err(CallError::Api(kube::Error::Api(status))) => status.code,
            Err(_) => 0,
        };
        self.calls.count(&self.name, verb, resource, code, began.elapsed());
        done
    }

    /// A write that only the leader may make: asked right before, and over before the fence closes.
    async fn fenced<T>(
        &self,
        verb: &'static str,
        resource: &str,
        (shard, until): (u16, Instant),
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        let now = Instant::now();
        let left =
            self.fences.get(usize::from(shard)).and_then(|f| f.left(now)).ok_or(CallError::NotLeader)?;
        let left = left.min(until.saturating_duration_since(now)).min(self.timeout);
        if left.is_zero() {
            return Err(CallError::NotLeader);
        }
        self.call(verb, resource, left, call).await
    }

    /// Finds a kind's resource.
    pub(crate) async fn resource(&self, kind: &Kind) -> Result<ApiResource, CallError> {
        let gvk = GroupVersionKind::gvk(&kind.group, &kind.version, &kind.kind);
        let known = well_known(&gvk).or_else(|| self.resources.lock().get(&gvk).cloned());
        if let Some(resource) = known {
            return Ok(resource);
        }
        let found = kube::discovery::pinned_kind(&self.client, &gvk);
        let found = self.call("get", "discovery", self.timeout, found).await?.0;
        self.resources.lock().insert(gvk, found.clone());
        Ok(found)
    }

    async fn api(&self, key: &TargetKey, version: &str) -> Result<(Api<DynamicObject>, String), CallError> {
        let (group, kind) = (key.group.clone(), key.kind.clone());
        let resource = self.resource(&Kind { group, version: version.to_owned(), kind }).await?;
        let plural = resource.plural.clone();
        Ok((Api::namespaced_with(self.client.clone(), &key.namespace, &resource), plural))
    }

    /// Reads a target; `None`: it is not there.
    pub(crate) async fn read(&self, key: &TargetKey, version: &str) -> Result<Option<Target>, CallError> {
        let (api, plural) = self.api(key, version).await?;
        let Some(object) = self.call("get", &plural, self.timeout, api.get_opt(&key.name)).await? else {
            return Ok(None);
        };
        let (group, kind) = (key.group.clone(), key.kind.clone());
        let kind = Kind { group, version: version.to_owned(), kind };
        self.understand(&kind, &key.namespace, &object).await.map(Some)
    }

    /// A target of an object. The workloads of `apps` say all of it themselves; of others the scale is read, for
    /// where they keep their replicas is known to the API server alone.
    pub(crate) async fn understand(
        &self,
        kind: &Kind,
        namespace: &str,
        object: &DynamicObject,
    ) -> Result<Target, CallError> {
        let number = |at: &str| object.data.pointer(at).and_then(Value::as_i64).map(clamp);
        let policy = object.data.pointer("/spec/podManagementPolicy").and_then(Value::as_str);
        let mut target = Target {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
            spec_replicas: number("/spec/replicas").unwrap_or(1),
            status_replicas: number("/status/replicas").unwrap_or(0),
            ready_replicas: Some(number("/status/readyReplicas").unwrap_or(0)),
            selector: selector(&object.data["spec"]["selector"]),
            ordered_start: policy != Some("Parallel"),
        };
        if kind.group == "apps" {
            return Ok(target);
        }
        let resource = self.resource(kind).await?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let name = object.name_any();
        let scale = format!("{}/scale", resource.plural);
        let scale = self.call("get", &scale, self.timeout, api.get_scale(&name)).await?;
        let status = scale.status.unwrap_or_default();
        target.resource_version = scale.metadata.resource_version.unwrap_or_default();
        target.spec_replicas = scale.spec.and_then(|s| s.replicas).unwrap_or(0);
        target.status_replicas = status.replicas;
        target.selector = status.selector.unwrap_or_default();
        // Others may not know it at all; then pods are counted.
        target.ready_replicas = number("/status/readyReplicas");
        Ok(target)
    }

    /// The one writer to `/scale`. Its version is a precondition: what was decided on what was seen is never
    /// applied to something else.
    pub(crate) async fn write_scale(&self, write: &Scale, fence: (u16, Instant)) -> Outcome {
        let (api, plural) = match self.api(&write.target, &write.version).await {
            Ok(api) => api,
            Err(error) => return Outcome::Refused { code: 0, message: error.to_string() },
        };
        let scale = autoscaling::Scale {
            metadata: ObjectMeta {
                name: Some(write.target.name.clone()),
                namespace: Some(write.target.namespace.clone()),
                uid: Some(write.uid.clone()).filter(|uid| !uid.is_empty()),
                resource_version: Some(write.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(autoscaling::ScaleSpec { replicas: Some(write.to) }),
            status: None,
        };
        let params = PostParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PostParams::default() };
        let call = api.replace_scale(&write.target.name, &params, &scale);
        let done = self.fenced("update", &format!("{plural}/scale"), fence, call).await;
        outcome(done.map(|scale| scale.metadata.resource_version))
    }

    /// Writes one key of a ring's ConfigMap, and the note beside it.
    pub(crate) async fn write_ring(&self, write: &Ring, fence: (u16, Instant)) -> Outcome {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &write.map.namespace);
        let mut map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": write.map.name, "annotations": {ANNOTATION: write.notes}},
            "data": {&write.key: write.text},
        });
        let done = match &write.resource_version {
            Some(version) => {
                map["metadata"]["resourceVersion"] = json!(version);
                let patch = Patch::Merge(map);
                let params = PatchParams {
                    field_manager: Some(crate::FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                self.fenced("patch", "configmaps", fence, api.patch(&write.map.name, &params, &patch)).await
            }
            None => match serde_json::from_value(map) {
                Ok(map) => {
                    let params = PostParams {
                        field_manager: Some(crate::FIELD_MANAGER.into()),
                        ..PostParams::default()
                    };
                    self.fenced("create", "configmaps", fence, api.create(&params, &map)).await
                }
                Err(e) => return Outcome::Refused { code: 0, message: e.to_string() },
            },
        };
        outcome(done.map(|map| map.metadata.resource_version))
    }

    /// Writes a policy's status.
    pub(crate) async fn write_status(&self, write: &Status, fence: (u16, Instant)) -> Outcome {
        // Untyped: the answer need not read as ours.
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &write.policy.namespace, &crate::policies::resource());
        let mut fields = serde_json::to_value(&write.status).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            // A merge patch removes only what is null.
            for optional in [
                "observedGeneration",
                "currentReplicas",
                "desiredReplicas",
                "lastScaleTime",
                "conditions",
                "metrics",
                "lastDecisions",
                "lastScales",
                "ring",
                "memory",
            ] {
                fields.entry(optional).or_insert(Value::Null);
            }
        }
        let mut patch = json!({ "status": fields });
        if !write.uid.is_empty() {
            patch["metadata"] = json!({ "uid": write.uid });
        }
        let params = PatchParams::default();
        let call = async { api.patch_status(&write.policy.name, &params, &Patch::Merge(&patch)).await };
        outcome(self.fenced("patch", "scalingpolicies/status", fence, call).await.map(|_| None))
    }

    /// Publishes an event about a policy. Each is its own object: the note says what happened.
    pub(crate) async fn publish(&self, write: &Note, number: u64, fence: (u16, Instant)) -> Outcome {
        let at = Timestamp::from_millisecond(write.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let (namespace, name) = (&write.policy.namespace, &write.policy.name);
        let event = Event {
            metadata: ObjectMeta {
                // A name has at most 253 characters.
                name: Some(format!("{}.{:x}.{number:x}", clip(name, 200), write.at_ms)),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some("Scaling".into()),
            event_time: Some(MicroTime(at)),
            note: Some(clip(&write.note, MAX_NOTE_BYTES).to_owned()),
            reason: Some(write.reason.clone()),
            regarding: Some(ObjectReference {
                api_version: Some(crate::policies::api_version()),
                kind: Some("ScalingPolicy".into()),
                namespace: Some(namespace.clone()),
                name: Some(name.clone()),
                uid: Some(write.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(crate::FIELD_MANAGER.into()),
            reporting_instance: Some(crate::FIELD_MANAGER.into()),
            type_: Some(if write.warning { "Warning" } else { "Normal" }.into()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        outcome(self.fenced("create", "events", fence, api.create(&params, &event)).await.map(|_| None))
    }
}

fn clamp(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}

/// A LabelSelector as the text that a scale's status has (`metav1.FormatLabelSelector`).
fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
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
    fn how_a_call_ended_is_told_in_the_engine_s_words() {
        let status = |code, retry_after_seconds| {
            let details = json!({"retryAfterSeconds": retry_after_seconds});
            let details = serde_json::from_value(details).unwrap();
            CallError::Api(kube::Error::Api(Box::new(kube::core::Status {
                code,
                details,
                ..Default::default()
            })))
        };
        let is = |e: CallError| format!("{:?}", outcome(Err(e))).split([' ', '{']).next().unwrap().to_owned();
        for (error, expected) in [
            (status(403, 0), "Refused"),
            (status(404, 0), "Missing"),
            (status(409, 0), "Conflict"),
            (status(429, 1), "Busy"),
            (status(504, 0), "Unanswered"),
            (CallError::Timeout(Duration::ZERO), "Unanswered"),
            (CallError::NotLeader, "NotLeader"),
        ] {
            assert_eq!(is(error), expected);
        }
        let busy = outcome(Err(status(429, 7)));
        assert!(matches!(busy, Outcome::Busy { retry_after_ms: Some(7_000), .. }), "{busy:?}");
    }

    #[test]
    fn selectors_are_written_as_a_scale_has_them() {
        for (given, text) in [
            (json!(null), ""),
            (json!({"matchLabels": {"app": "web", "tier": "front"}}), "app=web,tier=front"),
            (
                json!({"matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x", "y"]},
                    {"key": "b", "operator": "NotIn", "values": ["z"]},
                    {"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"},
                ]}),
                "a in (x,y),b notin (z),c,!d",
            ),
        ] {
            assert_eq!(selector(&given), text);
        }
    }
}
