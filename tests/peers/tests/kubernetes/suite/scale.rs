//! The scale and status subresources: who scales cannot change anything else, who reports cannot change what is wanted.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::objects::deployment;
use crate::subject::{Subject, eventually, refusal};

/// Waits until no controller writes to `d` any more.
async fn settled(s: &Subject) {
    let version = async || s.get(&s.apps("deployments/d")).await.body["metadata"]["resourceVersion"].clone();
    eventually(async || {
        let before = version().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (version().await == before).then_some(())
    })
    .await;
}

pub(crate) async fn is_read_and_written_apart(s: Subject) {
    let api: Api<Deployment> = s.api();
    let made = s.post(&s.apps("deployments"), &deployment("d")).await;
    assert_eq!(made.body["metadata"]["generation"], 1);
    let path = s.apps("deployments/d/scale");
    let read = s.get(&path).await.body;
    assert_eq!((read["kind"].as_str(), read["apiVersion"].as_str()), (Some("Scale"), Some("autoscaling/v1")));
    assert_eq!(read["metadata"]["uid"], made.body["metadata"]["uid"]);
    assert_eq!(read["status"]["selector"], "a=d");
    // Zero is left out; `spec` is there all the same.
    assert_eq!((read["spec"].get("replicas"), &read["status"]["replicas"]), (None, &json!(0)), "{read}");

    settled(&s).await;
    let mut scale = api.get_scale("d").await.unwrap();
    scale.spec.get_or_insert_default().replicas = Some(0);
    let fresh = scale.metadata.resource_version.replace("1".into());
    let (code, reason, message) = refusal(api.replace_scale("d", &PostParams::default(), &scale).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"), "{message}");
    assert!(message.contains("deployments.apps \"d\""), "{message}");
    scale.metadata.resource_version = fresh;
    scale.spec.get_or_insert_default().replicas = Some(-1);
    let (code, _, message) = refusal(api.replace_scale("d", &PostParams::default(), &scale).await);
    assert!(code == 422 && message.contains("spec.replicas"), "{message}");
    let patch = |n: i64| Patch::Merge(json!({"spec": {"replicas": n}}));
    assert_eq!(refusal(api.patch_scale("d", &PatchParams::default(), &patch(-1)).await).0, 422);
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    assert_eq!(api.patch_scale("d", &dry, &patch(9)).await.unwrap().spec.unwrap().replicas, Some(9));
    assert_eq!(api.get("d").await.unwrap().spec.unwrap().replicas, Some(0));

    s.patch("merge", &s.apps("deployments/d"), &json!({"spec": {"paused": true}})).await;
    settled(&s).await;
    let before = api.get("d").await.unwrap();
    let mut scale = api.get_scale("d").await.unwrap();
    scale.spec.get_or_insert_default().replicas = Some(3);
    let written = api.replace_scale("d", &PostParams::default(), &scale).await.unwrap();
    assert_eq!(written.spec.unwrap().replicas, Some(3));
    assert_ne!(written.metadata.resource_version, before.metadata.resource_version);
    let after = api.get("d").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation.map(|g| g + 1));
    assert_eq!(after.spec.unwrap().template, before.spec.unwrap().template);
    let missing = s.get(&s.apps("deployments/none/scale")).await;
    assert_eq!(missing.status(), (404, "NotFound", "deployments.apps \"none\" not found"));
    assert_eq!(s.get(&s.core("configmaps/none/scale")).await.code, 404);
}

pub(crate) async fn status_is_written_apart(s: Subject) {
    // Paused: a controller has less to say in between.
    let mut body = deployment("d");
    body["spec"]["paused"] = json!(true);
    body["status"] = json!({"collisionCount": 9});
    let made = s.post(&s.apps("deployments"), &body).await;
    assert_eq!(made.body["status"].get("collisionCount"), None, "nobody is born with a status");
    let both = |n: i64| json!({"spec": {"revisionHistoryLimit": n}, "status": {"collisionCount": n}});
    let after = s.patch("merge", &s.apps("deployments/d/status"), &both(7)).await.body;
    let seen = |o: &Value| (o["spec"]["revisionHistoryLimit"].clone(), o["status"]["collisionCount"].clone());
    assert_eq!(seen(&after), (json!(10), json!(7)));
    assert_eq!(after["metadata"]["generation"], 1);
    let after = s.patch("merge", &s.apps("deployments/d"), &both(8)).await.body;
    assert_eq!(seen(&after), (json!(8), json!(7)));
    assert_eq!(after["metadata"]["generation"], 2);
    let mut whole = s.get(&s.apps("deployments/d")).await.body;
    whole["status"]["collisionCount"] = json!(11);
    // A controller may write its part of the status at any time.
    whole["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    whole["spec"]["revisionHistoryLimit"] = json!(11);
    let after = s.put(&s.apps("deployments/d/status"), &whole).await;
    assert_eq!((after.code, seen(&after.body)), (200, (json!(8), json!(11))), "{after:?}");
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"collisionCount": 12}});
    let after = s.patch("apply", &s.apps("deployments/d/status?fieldManager=w&force=true"), &applied).await;
    assert_eq!((after.code, seen(&after.body)), (200, (json!(8), json!(12))), "{after:?}");
}
