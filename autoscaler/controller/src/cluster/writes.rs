//! The only writers to `/scale` and to whatever else is fenced.

use autoscaler_engine::Outcome;
use autoscaler_engine::effect::{Finalizers, Note, Ring, Scale, Status};
use autoscaler_engine::ring::file::ANNOTATION;
use k8s_openapi::api::autoscaling::v1 as autoscaling;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{CallError, Cluster};
use crate::clock::timestamp;

/// Longest note of an event; the API refuses 1024 bytes and more.
const MAX_NOTE_BYTES: usize = 1_000;

impl Cluster {
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
                "lastEvaluationTime",
                "conditions",
                "metrics",
                "formula",
                "lastDecisions",
                "lastScales",
                "ring",
                "original",
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

    /// Writes a policy's finalizers. The list is a whole, so its version is a precondition: nobody else's is lost.
    pub(crate) async fn write_finalizers(&self, write: &Finalizers, fence: (u16, Instant)) -> Outcome {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &write.policy.namespace, &crate::policies::resource());
        let mut metadata =
            json!({ "resourceVersion": write.resource_version, "finalizers": write.finalizers });
        if !write.uid.is_empty() {
            metadata["uid"] = json!(write.uid);
        }
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let params =
            PatchParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PatchParams::default() };
        let call = async { api.patch(&write.policy.name, &params, &patch).await };
        let done = self.fenced("patch", "scalingpolicies", fence, call).await;
        outcome(done.map(|policy| policy.metadata.resource_version))
    }

    /// Publishes an event about a policy. Each is its own object: the note says what happened.
    pub(crate) async fn publish(&self, write: &Note, number: u64, fence: (u16, Instant)) -> Outcome {
        let at = timestamp(write.at_ms);
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

/// At most so many bytes of `text`.
fn clip(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn notes_of_wide_characters_are_short_enough_for_the_api() {
        let note = "→".repeat(1_000);
        assert_eq!(clip(&note, MAX_NOTE_BYTES).len(), 999);
        assert_eq!(clip("short", MAX_NOTE_BYTES), "short");
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
}
