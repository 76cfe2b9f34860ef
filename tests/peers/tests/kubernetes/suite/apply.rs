//! Server-side apply.

use serde_json::{Value, json};

use super::objects::deployment;
use crate::subject::{Reply, Subject};

async fn apply(s: &Subject, manager: &str, force: bool, body: &Value) -> Reply {
    let name = body["metadata"]["name"].as_str().unwrap();
    let path = s.apps(&format!("deployments/{name}?fieldManager={manager}&force={force}"));
    s.patch("apply", &path, body).await
}

fn managers(object: &Value) -> Vec<String> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| [text(e, "manager"), text(e, "operation"), text(e, "subresource")].join("/"))
        .collect();
    found.sort();
    found
}

pub(crate) async fn creates_and_keeps(s: Subject) {
    let made = apply(&s, "first", false, &deployment("d")).await;
    assert_eq!(made.code, 201, "{made:?}");
    assert_eq!(managers(&made.body), ["first/Apply/"]);
    let again = apply(&s, "first", false, &deployment("d")).await;
    assert_eq!(again.code, 200);
    assert_eq!(again.body["metadata"]["resourceVersion"], made.body["metadata"]["resourceVersion"]);
    s.patch("merge", &s.apps("deployments/d/scale?fieldManager=scaler"), &json!({"spec": {"replicas": 0}}))
        .await;
    s.patch(
        "merge",
        &s.apps("deployments/d/status?fieldManager=worker"),
        &json!({"status": {"collisionCount": 1}}),
    )
    .await;
    s.patch(
        "merge",
        &s.apps("deployments/d?fieldManager=labeller"),
        &json!({"metadata": {"labels": {"x": "y"}}}),
    )
    .await;
    let object = s.get(&s.apps("deployments/d")).await.body;
    let found = managers(&object);
    assert!(
        found.contains(&"labeller/Update/".into()) && found.contains(&"worker/Update/status".into()),
        "{found:?}"
    );
    let labels =
        object["metadata"]["managedFields"].as_array().unwrap().iter().find(|e| e["manager"] == "labeller");
    assert_eq!(labels.unwrap()["fieldsV1"]["f:metadata"]["f:labels"]["f:x"], json!({}));
}

pub(crate) async fn conflicts_name_manager_and_field(s: Subject) {
    let mut body = deployment("d");
    body["spec"].as_object_mut().unwrap().remove("replicas");
    apply(&s, "first", false, &body).await;
    body["spec"]["replicas"] = json!(0);
    assert_eq!(apply(&s, "second", false, &body).await.code, 200);
    body["spec"]["revisionHistoryLimit"] = json!(3);
    body["spec"]["replicas"] = json!(1);
    body["spec"]["paused"] = json!(true);
    let refused = apply(&s, "first", false, &body).await;
    let (code, reason, message) = refused.status();
    assert_eq!((code, reason), (409, "Conflict"));
    assert!(message.contains("Apply failed with 1 conflict: conflict with \"second\""), "{message}");
    assert!(message.contains(".spec.replicas"), "{message}");
    let causes = &refused.body["details"]["causes"];
    assert_eq!(
        causes,
        &json!([{"reason": "FieldManagerConflict", "message": "conflict with \"second\"", "field": ".spec.replicas"}])
    );
    assert_eq!(s.get(&s.apps("deployments/d")).await.body["spec"].get("paused"), None, "all or nothing");
    let forced = apply(&s, "first", true, &body).await;
    assert_eq!((forced.code, &forced.body["spec"]["replicas"]), (200, &json!(1)));
    // A scale by another takes the field; applying the same value shares it.
    let scale = json!({"spec": {"replicas": 2}});
    let scaled = s.patch("merge", &s.apps("deployments/d/scale?fieldManager=scaler"), &scale).await;
    assert_eq!(scaled.code, 200, "{scaled:?}");
    let object = s.get(&s.apps("deployments/d")).await.body;
    assert!(managers(&object).contains(&"scaler/Update/scale".into()), "{:?}", managers(&object));
    let refused = apply(&s, "first", false, &body).await;
    assert!(refused.status().2.contains("\"scaler\" with subresource \"scale\""), "{}", refused.status().2);
    body["spec"]["replicas"] = json!(2);
    assert_eq!(apply(&s, "first", false, &body).await.code, 200);
}

pub(crate) async fn what_is_no_longer_applied_goes(s: Subject) {
    let mut body = deployment("d");
    body["metadata"]["labels"] = json!({"mine": "1", "shared": "1"});
    body["spec"]["minReadySeconds"] = json!(5);
    apply(&s, "first", false, &body).await;
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"shared": "1", "theirs": "1"}}});
    assert_eq!(apply(&s, "second", false, &other).await.code, 200);
    let smaller = apply(&s, "first", false, &deployment("d")).await;
    assert_eq!(smaller.body["metadata"]["labels"], json!({"shared": "1", "theirs": "1"}));
    assert_eq!(smaller.body["spec"].get("minReadySeconds"), None);
}

pub(crate) async fn lists_merge_by_key(s: Subject) {
    let mut body = deployment("d");
    body["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    apply(&s, "first", false, &body).await;
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "template": {"spec": {"containers": [
            {"name": "side", "image": "i"}, {"name": "c", "env": [{"name": "B", "value": "2"}]}]}}}});
    let both = apply(&s, "second", false, &sidecar).await;
    assert_eq!(both.code, 200, "{both:?}");
    let containers = |o: &Value| o["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
    let names = |o: &Value| -> Vec<String> {
        let mut names: Vec<String> =
            containers(o).iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&both.body), ["c", "side"]);
    let c = containers(&both.body).into_iter().find(|c| c["name"] == "c").unwrap();
    assert_eq!(c["env"].as_array().unwrap().len(), 2, "{c}");
    // The second leaves: its container and variable go, the first's stay.
    let nothing = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
    let left = apply(&s, "second", false, &nothing).await;
    assert_eq!(names(&left.body), ["c"]);
    assert_eq!(containers(&left.body)[0]["env"], json!([{"name": "A", "value": "1"}]));
}

pub(crate) async fn options_are_checked(s: Subject) {
    let path = |query: &str| s.apps(&format!("deployments/d{query}"));
    let unnamed = s.patch("apply", &path(""), &deployment("d")).await;
    let (code, _, message) = unnamed.status();
    assert!(code == 422 && message.contains("fieldManager"), "{message}");
    s.post(&s.apps("deployments"), &deployment("d")).await;
    let forced = s.patch("merge", &path("?force=true"), &json!({})).await;
    let (code, _, message) = forced.status();
    assert!(code == 422 && message.contains("force"), "{message}");
    let mut owned = deployment("d");
    owned["metadata"]["managedFields"] =
        json!([{"manager": "x", "operation": "Apply", "apiVersion": "apps/v1"}]);
    let refused = s.patch("apply", &path("?fieldManager=m"), &owned).await;
    assert_eq!(refused.status().0, 400);
    let untyped = s.patch("apply", &path("?fieldManager=m"), &json!({"metadata": {"name": "d"}})).await;
    assert_eq!(untyped.status().0, 400);
    let yaml = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {from: yaml}}\n";
    let applied = s.send("PATCH", &path("?fieldManager=m"), "application/apply-patch+yaml", "", yaml).await;
    assert_eq!((applied.code, &applied.body["metadata"]["labels"]["from"]), (200, &json!("yaml")));
}
