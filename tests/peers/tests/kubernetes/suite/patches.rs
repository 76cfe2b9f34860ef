//! JSON patch, merge patch, strategic merge patch.

use serde_json::{Value, json};

use super::objects::deployment;
use crate::subject::Subject;

async fn deployed(s: &Subject) -> String {
    let made = s.post(&s.apps("deployments"), &deployment("d")).await;
    assert_eq!(made.code, 201, "{made:?}");
    s.apps("deployments/d")
}

pub(crate) async fn json(s: Subject) {
    let path = deployed(&s).await;
    let test = |value: i64| {
        json!([{"op": "test", "path": "/spec/replicas", "value": value},
            {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])
    };
    let patched = s.patch("json", &path, &test(0)).await;
    assert_eq!((patched.code, &patched.body["metadata"]["labels"]["x"]), (200, &json!("y")));
    let refused = s.patch("json", &path, &test(7)).await;
    assert_eq!(refused.status().0, 422, "what it is tested for is not so");
    let refused = s.patch("json", &path, &json!([{"op": "remove", "path": "/spec/none"}])).await;
    assert_eq!(refused.status().0, 422, "there is nothing to remove");
    for wrong in [json!({"op": "add"}), json!([{"op": "remove"}]), json!("x")] {
        let refused = s.patch("json", &path, &wrong).await;
        assert!(matches!(refused.status().0, 400 | 422), "{wrong}: {refused:?}");
    }
    let wrong = json!([{"op": "replace", "path": "/metadata/name", "value": "other"}]);
    let (code, _, _) = s.patch("json", &path, &wrong).await.status();
    assert_eq!(code, 400, "a name does not change");
}

pub(crate) async fn merge(s: Subject) {
    let path = deployed(&s).await;
    let labelled = s.patch("merge", &path, &json!({"metadata": {"labels": {"a": "1", "b": "2"}}})).await;
    assert_eq!(labelled.body["metadata"]["labels"], json!({"a": "1", "b": "2"}));
    let less = s.patch("merge", &path, &json!({"metadata": {"labels": {"a": null}}})).await;
    assert_eq!(less.body["metadata"]["labels"], json!({"b": "2"}));
    assert_eq!(less.body["metadata"]["generation"], 1, "metadata is no change of what is wanted");
    let more = s.patch("merge", &path, &json!({"spec": {"revisionHistoryLimit": 3}})).await;
    assert_eq!(more.body["metadata"]["generation"], 2);
    // Lists are replaced as a whole.
    let list = json!({"spec": {"template": {"spec": {"containers": [{"name": "other", "image": "i"}]}}}});
    let replaced = s.patch("merge", &path, &list).await;
    assert_eq!(replaced.body["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 1);
    assert_eq!(s.patch("merge", &path, &json!([1])).await.status().0, 400);
    let wrong = s.send("PATCH", &path, "application/json", "", "{}").await;
    assert_eq!(wrong.status().0, 415);
}

pub(crate) async fn strategic(s: Subject) {
    let path = deployed(&s).await;
    let container = |fields: Value| json!({"spec": {"template": {"spec": {"containers": [fields]}}}});
    let env =
        container(json!({"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}));
    let merged = s.patch("strategic", &path, &env).await;
    let first = &merged.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        (&first["image"], first["env"].as_array().map(Vec::len)),
        (&json!("shell"), Some(2)),
        "merged by name"
    );
    let less = container(json!({"name": "c", "env": [{"name": "A", "$patch": "delete"}]}));
    let less = s.patch("strategic", &path, &less).await;
    let env = &less.body["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(env, &json!([{"name": "B", "value": "2"}]));
    let second = s.patch("strategic", &path, &container(json!({"name": "second", "image": "i"}))).await;
    assert_eq!(second.body["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2);
    let replaced = json!({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}});
    let replaced = s.patch("strategic", &path, &replaced).await;
    assert_eq!(replaced.body["spec"]["strategy"], json!({"type": "Recreate"}));
}

pub(crate) async fn keep_their_order(s: Subject) {
    let path = deployed(&s).await;
    let pod = |fields: Value| json!({"spec": {"template": {"spec": fields}}});
    let names = |list: &Value| -> String {
        let names = list.as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    let init = |name: &str| json!({"name": name, "image": "i"});
    s.patch("strategic", &path, &pod(json!({"initContainers": [init("migrate"), init("other")]}))).await;
    let order = json!([{"name": "wait"}, {"name": "migrate"}]);
    let first = pod(json!({"$setElementOrder/initContainers": order, "initContainers": [init("wait")]}));
    let merged = s.patch("strategic", &path, &first).await.body;
    assert_eq!(names(&merged["spec"]["template"]["spec"]["initContainers"]), "wait migrate other");
    let env = json!([{"name": "URL", "value": "http://$(HOST)/"}]);
    s.patch("strategic", &path, &pod(json!({"containers": [{"name": "c", "env": env}]}))).await;
    let earlier = json!({"name": "c", "$setElementOrder/env": [{"name": "HOST"}, {"name": "URL"}],
        "env": [{"name": "HOST", "value": "db"}]});
    let merged = s.patch("strategic", &path, &pod(json!({"containers": [earlier]}))).await.body;
    assert_eq!(names(&merged["spec"]["template"]["spec"]["containers"][0]["env"]), "HOST URL");
    let recreate = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let merged = s.patch("strategic", &path, &recreate).await.body;
    assert_eq!(merged["spec"]["strategy"], json!({"type": "Recreate"}));
    let wrong = pod(
        json!({"$setElementOrder/initContainers": [{"name": "migrate"}], "initContainers": [init("new")]}),
    );
    let refused = s.patch("strategic", &path, &wrong).await;
    assert!(refused.code >= 400, "an item that has no place in the order: {refused:?}");
}

pub(crate) async fn merge_by_the_keys_of_their_types(s: Subject) {
    let account =
        json!({"metadata": {"name": "a"}, "secrets": [{"name": "one"}], "imagePullSecrets": [{"name": "p"}]});
    s.post(&s.core("serviceaccounts"), &account).await;
    let more = json!({"secrets": [{"name": "two"}], "imagePullSecrets": [{"name": "q"}]});
    let merged = s.patch("strategic", &s.core("serviceaccounts/a"), &more).await.body;
    // What the patch brings comes before what only the server has.
    assert_eq!(merged["secrets"], json!([{"name": "two"}, {"name": "one"}]), "{merged}");
    let path = deployed(&s).await;
    let spread = |key: &str| {
        json!({"spec": {"template": {"spec": {"topologySpreadConstraints": [
            {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]}}}})
    };
    s.patch("strategic", &path, &spread("zone")).await;
    let merged = s.patch("strategic", &path, &spread("host")).await.body;
    let constraints = &merged["spec"]["template"]["spec"]["topologySpreadConstraints"];
    assert_eq!(constraints.as_array().map(Vec::len), Some(2), "{constraints}");
}

pub(crate) async fn wrong_types_are_told(s: Subject) {
    let path = deployed(&s).await;
    for how in ["merge", "strategic"] {
        let refused = s.patch(how, &path, &json!({"spec": {"replicas": "three"}})).await;
        let (code, _, message) = refused.status();
        assert!(matches!(code, 400 | 422) && message.contains("replicas"), "{how}: {code} {message}");
    }
    let mut wrong = deployment("e");
    wrong["spec"]["replicas"] = json!("three");
    let refused = s.post(&s.apps("deployments"), &wrong).await;
    let (code, reason, message) = refused.status();
    assert_eq!((code, reason), (400, "BadRequest"));
    assert!(message.contains("Deployment in version \"v1\" cannot be handled as a Deployment"), "{message}");
    let other = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    assert_eq!(s.post(&s.apps("deployments"), &other).await.status().0, 400);
    let refused = s.patch("merge", &path, &json!({"spec": {"replicas": -1}})).await;
    assert_eq!(refused.status().0, 422);
}

pub(crate) async fn unknown_fields_are_told(s: Subject) {
    let mut object = deployment("e");
    object["spec"]["replicaz"] = json!(1);
    let strict = s.post(&s.apps("deployments?fieldValidation=Strict"), &object).await;
    let (code, reason, message) = strict.status();
    assert_eq!((code, reason), (400, "BadRequest"));
    assert!(message.contains("strict decoding error: unknown field \"spec.replicaz\""), "{message}");
    let warned = s.post(&s.apps("deployments"), &object).await;
    assert_eq!(warned.code, 201);
    assert_eq!(warned.warnings, ["299 - \"unknown field \\\"spec.replicaz\\\"\""]);
    assert_eq!(warned.body["spec"].get("replicaz"), None);
    let mut other = object.clone();
    other["metadata"]["name"] = json!("f");
    let ignored = s.post(&s.apps("deployments?fieldValidation=Ignore&dryRun=All"), &other).await;
    assert!(ignored.warnings.is_empty());
    let wrong = s.post(&s.apps("deployments?fieldValidation=Odd"), &object).await;
    assert_eq!(wrong.status().0, 422);
}
