//! Objects by themselves: made, read, written, refused, deleted.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::events::{EventType, Recorder, Reporter};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::subject::{Subject, refusal};

/// A config map with one key.
pub(crate) fn config_map(name: &str, labels: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "1"}})).unwrap()
}

/// A deployment that makes no pods.
pub(crate) fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": name}},
            "template": {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": "shell"}]}}}})
}

pub(crate) async fn come_and_go(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    let made = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(made.namespace().as_deref(), Some(&*s.namespace));
    let again = s.post(&s.core("configmaps"), &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(again.status(), (409, "AlreadyExists", "configmaps \"a\" already exists"));
    assert_eq!(again.body["details"], json!({"name": "a", "kind": "configmaps"}));
    let deleted = s.delete(&s.core("configmaps/a"), &Value::Null).await;
    assert_eq!(deleted.code, 200);
    assert_eq!(deleted.body["status"], "Success");
    assert_eq!(
        deleted.body["details"],
        json!({"name": "a", "kind": "configmaps", "uid": made.uid().unwrap()})
    );
    let missing = s.get(&s.core("configmaps/a")).await;
    assert_eq!(missing.status(), (404, "NotFound", "configmaps \"a\" not found"));
    assert_eq!(missing.body["details"], json!({"name": "a", "kind": "configmaps"}));
    let missing = s.get(&s.apps("deployments/a")).await;
    assert_eq!(missing.status(), (404, "NotFound", "deployments.apps \"a\" not found"));
    assert_eq!(missing.body["details"], json!({"name": "a", "group": "apps", "kind": "deployments"}));
    for missing in [
        s.put(&s.core("configmaps/a"), &json!({"metadata": {"name": "a", "resourceVersion": "1"}})).await,
        s.patch("merge", &s.core("configmaps/a"), &json!({})).await,
        s.delete(&s.core("configmaps/a"), &Value::Null).await,
    ] {
        assert_eq!(missing.status(), (404, "NotFound", "configmaps \"a\" not found"));
    }
}

pub(crate) async fn stale_writes_conflict(s: Subject) {
    let path = s.core("configmaps/a");
    let made =
        s.post(&s.core("configmaps"), &json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await.body;
    let with = |value: &str| {
        let mut object = made.clone();
        object["data"]["k"] = json!(value);
        object
    };
    let written = s.put(&path, &with("2")).await;
    assert_eq!(written.code, 200);
    assert_ne!(written.body["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let why = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
               changes to the latest version and try again";
    let stale = s.put(&path, &with("3")).await;
    assert_eq!(stale.status(), (409, "Conflict", why));
    assert_eq!(stale.body["details"], json!({"name": "a", "kind": "configmaps"}));
    let version = &made["metadata"]["resourceVersion"];
    let stale =
        s.patch("merge", &path, &json!({"metadata": {"resourceVersion": version}, "data": {"k": "3"}})).await;
    assert_eq!(stale.status(), (409, "Conflict", why));
    let mut other = written.body.clone();
    other["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    assert_eq!(s.put(&path, &other).await.status().0, 409, "another life of the same name");
    // Without a version the last one wins.
    let mut unversioned = with("4");
    unversioned["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(s.put(&path, &unversioned).await.body["data"]["k"], "4");
}

pub(crate) async fn a_write_of_the_same_is_no_change(s: Subject) {
    let path = s.core("configmaps/a");
    let made =
        s.post(&s.core("configmaps"), &json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await.body;
    let version = &made["metadata"]["resourceVersion"];
    assert_eq!(&s.put(&path, &made).await.body["metadata"]["resourceVersion"], version);
    let same = json!({"data": {"k": "1"}});
    assert_eq!(&s.patch("merge", &path, &same).await.body["metadata"]["resourceVersion"], version);
}

pub(crate) async fn dry_runs_change_nothing(s: Subject) {
    let object = json!({"metadata": {"name": "a"}, "data": {"k": "1"}});
    let dry = s.post(&s.core("configmaps?dryRun=All"), &object).await;
    assert_eq!((dry.code, &dry.body["data"]["k"]), (201, &json!("1")));
    assert_eq!(s.get(&s.core("configmaps/a")).await.code, 404);
    s.post(&s.core("configmaps"), &object).await;
    let dry = s.patch("merge", &s.core("configmaps/a?dryRun=All"), &json!({"data": {"k": "2"}})).await;
    assert_eq!(dry.body["data"]["k"], "2");
    assert_eq!(s.delete(&s.core("configmaps/a"), &json!({"dryRun": ["All"]})).await.code, 200);
    assert_eq!(s.get(&s.core("configmaps/a")).await.body["data"]["k"], "1");
    assert_eq!(s.post(&s.core("configmaps?dryRun=Some"), &object).await.status().0, 422);
}

pub(crate) async fn names_can_be_generated(s: Subject) {
    let made = s.post(&s.core("configmaps"), &json!({"metadata": {"generateName": "x-"}})).await;
    let name = made.body["metadata"]["name"].as_str().unwrap();
    assert!(made.code == 201 && name.starts_with("x-") && name.len() == 7, "{name}");
    assert_eq!(made.body["metadata"]["generateName"], "x-");
    let long = "y".repeat(100);
    let made = s.post(&s.core("configmaps"), &json!({"metadata": {"generateName": long}})).await;
    assert_eq!(made.body["metadata"]["name"].as_str().unwrap().len(), 63);
}

pub(crate) async fn namespaces_must_exist(s: Subject) {
    let lost = s.post("/api/v1/namespaces/nowhere/configmaps", &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(lost.status(), (404, "NotFound", "namespaces \"nowhere\" not found"));
    let other = json!({"metadata": {"name": "a", "namespace": "other"}});
    let why = format!(
        "the namespace of the provided object does not match the namespace sent on the request ({})",
        "other"
    );
    let refused = s.post(&s.core("configmaps"), &other).await;
    let (code, reason, message) = refused.status();
    assert_eq!((code, reason), (400, "BadRequest"));
    assert!(message.starts_with(why.split(" (").next().unwrap()), "{message}");
    // A list of what is not there is empty.
    let list = s.get("/api/v1/namespaces/nowhere/configmaps").await;
    assert_eq!((list.code, &list.body["items"]), (200, &json!([])));
    let standing: Api<Namespace> = Api::all(s.client());
    for name in ["default", "kube-system", "kube-public"] {
        assert_eq!(refusal(standing.delete(name, &DeleteParams::default()).await).0, 403, "{name}");
    }
}

pub(crate) async fn what_is_invalid_names_the_field(s: Subject) {
    let mut negative = deployment("d");
    negative["spec"]["replicas"] = json!(-1);
    let mut stranger = deployment("d");
    stranger["spec"]["template"]["metadata"]["labels"] = json!({"a": "other"});
    let mut nothing = deployment("d");
    nothing["spec"]["template"]["spec"]["containers"] = json!([]);
    let mut twice = deployment("d");
    twice["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]);
    let mut port = deployment("d");
    port["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{"containerPort": 70000}]);
    let mut once = deployment("d");
    once["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let mut imageless = deployment("d");
    imageless["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("image");
    let (maps, deployments) = (s.core("configmaps"), s.apps("deployments"));
    for (path, object, reason, field) in [
        (&maps, json!({"metadata": {"name": "UPPER"}}), "FieldValueInvalid", "metadata.name"),
        (&maps, json!({"metadata": {"name": "a/b"}}), "FieldValueInvalid", "metadata.name"),
        (&maps, json!({"metadata": {}}), "FieldValueRequired", "metadata.name"),
        (
            &maps,
            json!({"metadata": {"name": "a", "labels": {"x": "no spaces"}}}),
            "FieldValueInvalid",
            "metadata.labels",
        ),
        (
            &maps,
            json!({"metadata": {"name": "a"}, "data": {"no spaces": ""}}),
            "FieldValueInvalid",
            "data[no spaces]",
        ),
        (&deployments, negative, "FieldValueInvalid", "spec.replicas"),
        (&deployments, stranger, "FieldValueInvalid", "spec.template.metadata.labels"),
        (&deployments, nothing, "FieldValueRequired", "spec.template.spec.containers"),
        (&deployments, twice, "FieldValueDuplicate", "spec.template.spec.containers[1].name"),
        (&deployments, port, "FieldValueInvalid", "spec.template.spec.containers[0].ports[0].containerPort"),
        (&deployments, once, "FieldValueNotSupported", "spec.template.spec.restartPolicy"),
        (&deployments, imageless, "FieldValueRequired", "spec.template.spec.containers[0].image"),
    ] {
        let refused = s.post(path, &object).await;
        let (code, why, message) = refused.status();
        assert_eq!((code, why), (422, "Invalid"), "{object}: {message}");
        let causes = refused.body["details"]["causes"].as_array().unwrap();
        let found = causes.iter().any(|c| c["reason"] == reason && c["field"] == field);
        assert!(found && message.contains(field), "{field}: {refused:?}");
    }
}

pub(crate) async fn deletions_have_preconditions(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    let made = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let only = |uid: Option<&str>, version: Option<&str>| {
        DeleteParams::default().preconditions(Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: version.map(str::to_owned),
        })
    };
    for wrong in [only(Some("other"), None), only(None, Some("1"))] {
        let (code, reason, message) = refusal(api.delete("a", &wrong).await);
        assert_eq!((code, reason.as_str()), (409, "Conflict"), "{message}");
        assert!(message.contains("recondition"), "{message}");
    }
    let right = only(made.uid().as_deref(), made.resource_version().as_deref());
    api.delete("a", &right).await.unwrap();
    assert_eq!(api.get_opt("a").await.unwrap(), None);
}

pub(crate) async fn finalizers_hold(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    let mut held = config_map("a", json!({}));
    held.metadata.finalizers = Some(vec!["test.dev/hold".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    let answer = s.delete(&s.core("configmaps/a"), &Value::Null).await;
    assert_eq!(
        (answer.code, answer.body["kind"].as_str()),
        (200, Some("ConfigMap")),
        "the object, since it is there"
    );
    let ending = api.get("a").await.unwrap();
    assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(0));
    assert!(ending.metadata.deletion_timestamp.is_some());
    // What ends takes no new finalizers.
    let more = json!({"metadata": {"finalizers": ["test.dev/hold", "test.dev/more"]}});
    let refused = s.patch("merge", &s.core("configmaps/a"), &more).await;
    assert_eq!(refused.status().0, 422);
    let again = refusal(api.create(&PostParams::default(), &config_map("a", json!({}))).await);
    assert_eq!(again.0, 409);
    assert!(again.2.contains("object is being deleted"), "{}", again.2);
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(api.get_opt("a").await.unwrap(), None);
}

pub(crate) async fn fields_that_may_not_change(s: Subject) {
    let made = s.post(&s.apps("deployments"), &deployment("d")).await;
    assert_eq!(made.code, 201, "{made:?}");
    let moved = json!({"spec": {"selector": {"matchLabels": {"b": "d"}},
        "template": {"metadata": {"labels": {"a": "d", "b": "d"}}}}});
    let refused = s.patch("merge", &s.apps("deployments/d"), &moved).await;
    let (code, _, message) = refused.status();
    assert_eq!(code, 422);
    assert!(message.contains("spec.selector") && message.contains("field is immutable"), "{message}");
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "1"}, "immutable": true});
    s.post(&s.core("configmaps"), &map).await;
    let refused = s.patch("merge", &s.core("configmaps/a"), &json!({"data": {"k": "2"}})).await;
    let (code, _, message) = refused.status();
    assert_eq!(code, 422, "{message}");
    assert!(message.contains("field is immutable when `immutable` is set"), "{message}");
    // What the server owns is not changed by asking for it.
    let claim = json!({"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 99}});
    let kept = s.patch("merge", &s.apps("deployments/d"), &claim).await;
    assert_eq!(kept.body["metadata"]["generation"], 1, "{kept:?}");
    assert_eq!(kept.body["metadata"]["creationTimestamp"], made.body["metadata"]["creationTimestamp"]);
}

pub(crate) async fn leases_have_one_taker(s: Subject) {
    let api: Api<Lease> = s.api();
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {
        "holderIdentity": "nobody", "leaseDurationSeconds": 8, "renewTime": "2026-01-01T00:00:00.123456Z"}}))
    .unwrap();
    let free = api.create(&PostParams::default(), &lease).await.unwrap();
    let raw = s.get(&format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/l", s.namespace)).await;
    assert_eq!(raw.body["spec"]["renewTime"], "2026-01-01T00:00:00.123456Z", "microseconds stay");
    let take = |who: usize| {
        let (api, mut lease) = (api.clone(), free.clone());
        async move {
            lease.spec.as_mut().unwrap().holder_identity = Some(who.to_string());
            api.replace("l", &PostParams::default(), &lease).await.is_ok()
        }
    };
    let won = futures::future::join_all((0..16).map(take)).await.into_iter().filter(|w| *w).count();
    assert_eq!(won, 1);
    let wrong = json!({"metadata": {"name": "w"}, "spec": {"leaseDurationSeconds": 0}});
    let refused =
        s.post(&format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", s.namespace), &wrong).await;
    let (code, _, message) = refused.status();
    assert!(code == 422 && message.contains("spec.leaseDurationSeconds"), "{message}");
}

pub(crate) async fn events_read_the_same_in_both_groups(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    let about = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let recorder = Recorder::new(s.client(), Reporter { controller: "test".into(), instance: None });
    let event = kube::runtime::events::Event {
        type_: EventType::Warning,
        reason: "Odd".into(),
        note: Some("it is odd".into()),
        action: "Looking".into(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder.publish(&event, &about.object_ref(&())).await.unwrap();
    }
    let core: Api<Event> = s.api();
    let found = core.list(&ListParams::default().fields("involvedObject.name=a,reason=Odd")).await.unwrap();
    let [one] = found.items.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.message.as_deref(), one.type_.as_deref()), (Some("it is odd"), Some("Warning")));
    assert_eq!(
        one.series.as_ref().and_then(|s| s.count),
        Some(2),
        "the second one was counted onto the first"
    );
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", s.namespace);
    let listed = s.get(&path).await;
    assert_eq!(listed.body["items"][0]["note"], "it is odd");
    // What the new group demands: who reports, what was done, why.
    let bare = json!({"metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
        "regarding": {"kind": "ConfigMap", "name": "a", "namespace": s.namespace, "apiVersion": "v1"}});
    let refused = s.post(&path, &bare).await;
    let (code, _, message) = refused.status();
    assert_eq!(code, 422, "{message}");
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        assert!(message.contains(field), "{field}: {message}");
    }
    let mut long = bare;
    for (key, value) in
        [("reportingController", "test.dev/x"), ("reportingInstance", "x"), ("action", "A"), ("reason", "R")]
    {
        long[key] = json!(value);
    }
    assert_eq!(s.post(&path, &long).await.code, 201);
    (long["metadata"]["name"], long["note"]) = (json!("f"), json!("x".repeat(1025)));
    assert_eq!(s.post(&path, &long).await.status().0, 422, "a note has at most 1024 bytes");
}
