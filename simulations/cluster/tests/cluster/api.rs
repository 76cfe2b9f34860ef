//! The API's promises to clients.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::events::{EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::{Sandbox, within};

fn config_map(name: &str, labels: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "1"}})).unwrap()
}

/// A deployment that makes no pods.
fn deployment(name: &str) -> Deployment {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": name}},
        "template": {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": "shell"}]}}}}))
    .unwrap()
}

fn status_of<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason, status.message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn objects_are_created_read_replaced_and_deleted() {
    let sandbox = Sandbox::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    let made = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let again = status_of(api.create(&PostParams::default(), &config_map("a", json!({}))).await);
    assert_eq!((again.0, again.1.as_str()), (409, "AlreadyExists"));
    let mut stale = made.clone();
    let mut fresh = made.clone();
    fresh.data = Some([("k".to_owned(), "2".to_owned())].into());
    let written = api.replace("a", &PostParams::default(), &fresh).await.unwrap();
    assert_ne!(written.resource_version(), made.resource_version());
    stale.data = Some([("k".to_owned(), "3".to_owned())].into());
    let lost = status_of(api.replace("a", &PostParams::default(), &stale).await);
    assert_eq!((lost.0, lost.1.as_str()), (409, "Conflict"));
    let same = api.replace("a", &PostParams::default(), &written).await.unwrap();
    assert_eq!(same.resource_version(), written.resource_version(), "writing the same is no change");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry, &config_map("b", json!({}))).await.unwrap();
    assert_eq!(api.get_opt("b").await.unwrap(), None);
    let wrong = DeleteParams::default()
        .preconditions(kube::api::Preconditions { uid: Some("other".into()), resource_version: None });
    assert_eq!(status_of(api.delete("a", &wrong).await).0, 409);
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(status_of(api.get("a").await).0, 404);
    let generated: ConfigMap = serde_json::from_value(json!({"metadata": {"generateName": "x-"}})).unwrap();
    let name = api.create(&PostParams::default(), &generated).await.unwrap().name_any();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    let elsewhere: Api<ConfigMap> = Api::namespaced(sandbox.client(), "nowhere");
    let nowhere = status_of(elsewhere.create(&PostParams::default(), &config_map("a", json!({}))).await);
    assert_eq!((nowhere.0, nowhere.2.as_str()), (404, "namespaces \"nowhere\" not found"));
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn watches_tell_everything_from_where_they_start() {
    let sandbox = Sandbox::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    api.create(&PostParams::default(), &config_map("before", json!({"app": "x"}))).await.unwrap();
    let from = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.create(&PostParams::default(), &config_map("other", json!({}))).await.unwrap();
    api.create(&PostParams::default(), &config_map("a", json!({"app": "x"}))).await.unwrap();
    let label = |value: Value| Patch::Merge(json!({"metadata": {"labels": {"app": value}}}));
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    api.patch("a", &PatchParams::default(), &label(Value::Null)).await.unwrap();
    api.patch("a", &PatchParams::default(), &label(json!("x"))).await.unwrap();
    let watch = api.watch(&WatchParams::default().labels("app=x"), &from).await.unwrap();
    // The last one happens while the watch is on.
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let events: Vec<String> = within(
        watch
            .map_ok(|event| match event {
                WatchEvent::Added(o) => format!("added {}", o.name_any()),
                WatchEvent::Modified(o) => format!("modified {}", o.name_any()),
                WatchEvent::Deleted(o) => format!("deleted {}", o.name_any()),
                other => format!("{other:?}"),
            })
            .take(5)
            .try_collect(),
    )
    .await
    .unwrap();
    // Losing the label looks like a deletion, getting it like a birth.
    assert_eq!(events, ["added a", "modified a", "deleted a", "added a", "deleted a"]);

    let old = status_of(api.watch(&WatchParams::default(), "1").await.map(|_| ()));
    assert_eq!((old.0, old.1.as_str()), (410, "Expired"));

    // A watcher that streams its list gets the same picture.
    let mut stream = watcher(api, watcher::Config::default().streaming_lists()).boxed();
    let mut seen = Vec::new();
    loop {
        match within(stream.next()).await.unwrap().unwrap() {
            watcher::Event::InitApply(o) => seen.push(o.name_any()),
            watcher::Event::InitDone => break,
            _ => {}
        }
    }
    assert_eq!(seen, ["before", "other"]);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn every_kind_of_patch_applies() {
    let sandbox = Sandbox::start().await;
    let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
    api.create(&PostParams::default(), &deployment("d")).await.unwrap();
    let params = PatchParams::default();
    let replicas = |d: &Deployment| d.spec.as_ref().and_then(|s| s.replicas);

    let ops = json!([{"op": "test", "path": "/spec/replicas", "value": 0}, {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]);
    let ops: kube::core::params::Patch<Value> = Patch::Json(serde_json::from_value(ops).unwrap());
    assert_eq!(api.patch("d", &params, &ops).await.unwrap().labels().get("x").map(String::as_str), Some("y"));

    let env = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}}}});
    let merged = api.patch("d", &params, &Patch::Strategic(&env)).await.unwrap();
    let container = merged.spec.unwrap().template.spec.unwrap().containers.remove(0);
    assert_eq!(
        (container.image.as_deref(), container.env.map(|e| e.len())),
        (Some("shell"), Some(1)),
        "merged by name"
    );

    let wrong = Patch::Merge(json!({"spec": {"replicas": "three"}}));
    let (code, _, message) = status_of(api.patch("d", &params, &wrong).await);
    assert!(code == 400 && message.contains("spec.replicas"), "{code} {message}");
    let (code, _, message) =
        status_of(api.patch("d", &params, &Patch::Merge(json!({"spec": {"replicas": -1}}))).await);
    assert!(code == 422 && message.contains("spec.replicas"), "{code} {message}");
    let moved = Patch::Merge(json!({"spec": {"selector": {"matchLabels": {"a": "other"}}}}));
    assert_eq!(status_of(api.patch("d", &params, &moved).await).0, 422);

    // Server-side apply: one creates, another scales, the first must not take it back unknowingly.
    let mut wanted = deployment("s");
    wanted.spec.as_mut().unwrap().replicas = None;
    let mut body = serde_json::to_value(&wanted).unwrap();
    let first = api.patch("s", &PatchParams::apply("first"), &Patch::Apply(&body)).await.unwrap();
    let again = api.patch("s", &PatchParams::apply("first"), &Patch::Apply(&body)).await.unwrap();
    assert_eq!((first.resource_version(), replicas(&first)), (again.resource_version(), Some(1)));
    body["spec"]["replicas"] = json!(2);
    api.patch("s", &PatchParams::apply("second"), &Patch::Apply(&body)).await.unwrap();
    body["spec"]["replicas"] = json!(3);
    let (code, _, message) =
        status_of(api.patch("s", &PatchParams::apply("first"), &Patch::Apply(&body)).await);
    assert!(code == 409 && message.contains("\"second\": .spec.replicas"), "{message}");
    let forced = api.patch("s", &PatchParams::apply("first").force(), &Patch::Apply(&body)).await.unwrap();
    assert_eq!(replicas(&forced), Some(3));
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn scale_and_status_are_written_apart() {
    let sandbox = Sandbox::start().await;
    let api: Api<Deployment> = Api::namespaced(sandbox.client(), "default");
    let made = api.create(&PostParams::default(), &deployment("d")).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let mut scale = api.get_scale("d").await.unwrap();
    assert_eq!(scale.status.as_ref().and_then(|s| s.selector.as_deref()), Some("a=d"));
    scale.spec.as_mut().unwrap().replicas = Some(0);
    scale.metadata.resource_version = Some("1".into());
    assert_eq!(status_of(api.replace_scale("d", &PostParams::default(), &scale).await).0, 409);
    let patch = |n: i64| Patch::Merge(json!({"spec": {"replicas": n}}));
    assert_eq!(status_of(api.patch_scale("d", &PatchParams::default(), &patch(-1)).await).0, 422);
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    assert_eq!(api.patch_scale("d", &dry, &patch(9)).await.unwrap().spec.unwrap().replicas, Some(9));
    assert_eq!(api.get("d").await.unwrap().metadata.generation, Some(1));

    // A status write leaves the spec, a spec write leaves the status.
    let both = Patch::Merge(json!({"spec": {"replicas": 5}, "status": {"collisionCount": 7}}));
    let after = api.patch_status("d", &PatchParams::default(), &both).await.unwrap();
    assert_eq!(after.spec.unwrap().replicas, Some(0));
    assert_eq!(after.status.unwrap().collision_count, Some(7));
    let both = Patch::Merge(json!({"spec": {"revisionHistoryLimit": 5}, "status": {"collisionCount": 8}}));
    let after = api.patch("d", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((after.metadata.generation, after.status.unwrap().collision_count), (Some(2), Some(7)));
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn definitions_add_kinds() {
    let sandbox = Sandbox::start().await;
    let crds: Api<CustomResourceDefinition> = Api::all(sandbox.client());
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.dev"},
        "spec": {"group": "example.dev", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [
            {"name": "v1", "served": true, "storage": true,
             "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
             "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "default": "A", "enum": ["A", "B"]}}},
                "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}});
    let made = crds.patch("things.example.dev", &PatchParams::apply("t"), &Patch::Apply(&crd)).await.unwrap();
    assert!(
        made.status
            .unwrap()
            .conditions
            .unwrap()
            .iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
    );

    let kind =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.dev", "v1", "Thing"), "things");
    let things: Api<DynamicObject> = Api::default_namespaced_with(sandbox.client(), &kind);
    let thing = |spec: Value| DynamicObject::new("t", &kind).data(json!({ "spec": spec }));
    for (spec, word) in [
        (json!({}), "spec.size"),
        (json!({"size": 0}), "greater"),
        (json!({"size": 1, "mode": "C"}), "\"A\""),
    ] {
        let (code, _, message) = status_of(things.create(&PostParams::default(), &thing(spec)).await);
        assert!(code == 422 && message.contains(word), "{code} {message}");
    }
    let made = things.create(&PostParams::default(), &thing(json!({"size": 2, "unknown": 1}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 2, "mode": "A"}), "defaulted and pruned");
    things
        .patch_status("t", &PatchParams::default(), &Patch::Merge(json!({"status": {"size": 1}})))
        .await
        .unwrap();
    let scaled = things
        .patch_scale("t", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 4}})))
        .await
        .unwrap();
    assert_eq!((scaled.spec.unwrap().replicas, scaled.status.unwrap().replicas), (Some(4), 1));
    assert_eq!(things.get("t").await.unwrap().data["spec"]["size"], 4);
    let refused = things
        .patch_scale("t", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 0}})))
        .await;
    assert_eq!(status_of(refused).0, 422, "the schema holds for the scale too");

    crds.delete("things.example.dev", &DeleteParams::default()).await.unwrap();
    assert_eq!(status_of(things.list(&ListParams::default()).await).0, 404);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn a_lease_has_one_taker() {
    let sandbox = Sandbox::start().await;
    let api: Api<Lease> = Api::default_namespaced(sandbox.client());
    let lease: Lease =
        serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": ""}})).unwrap();
    let free = api.create(&PostParams::default(), &lease).await.unwrap();
    let take = |who: usize| {
        let (api, mut lease) = (api.clone(), free.clone());
        async move {
            lease.spec.as_mut().unwrap().holder_identity = Some(who.to_string());
            api.replace("l", &PostParams::default(), &lease).await.is_ok()
        }
    };
    let won = futures::future::join_all((0..16).map(take)).await.into_iter().filter(|w| *w).count();
    assert_eq!(won, 1);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn events_read_the_same_in_both_groups() {
    let sandbox = Sandbox::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    let about = api.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    let recorder = Recorder::new(sandbox.client(), Reporter { controller: "test".into(), instance: None });
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
    let core: Api<Event> = Api::default_namespaced(sandbox.client());
    let found = core.list(&ListParams::default().fields("involvedObject.name=a,reason=Odd")).await.unwrap();
    let [one] = found.items.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.message.as_deref(), one.type_.as_deref()), (Some("it is odd"), Some("Warning")));
    assert_eq!(
        one.series.as_ref().and_then(|s| s.count),
        Some(2),
        "the second one was counted onto the first"
    );
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_and_go_together() {
    let sandbox = Sandbox::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    for n in 0..7 {
        api.create(&PostParams::default(), &config_map(&format!("c{n}"), json!({"app": "x"}))).await.unwrap();
    }
    let (mut names, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let mut params = ListParams::default().limit(3).labels("app=x");
        params.continue_token = token;
        let page = api.list(&params).await.unwrap();
        names.extend(page.items.iter().map(|c| c.name_any()));
        pages += 1;
        token = page.metadata.continue_.filter(|t| !t.is_empty());
        if token.is_none() {
            break;
        }
    }
    assert_eq!((names.len(), pages), (7, 3));
    let bad = ListParams { continue_token: Some("nonsense".into()), ..ListParams::default() };
    assert_eq!(status_of(api.list(&bad).await).0, 400);
    let meta = api.list_metadata(&ListParams::default().labels("app=x")).await.unwrap();
    assert_eq!(meta.items.len(), 7);
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("app=x")).await.unwrap();
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 0);
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn what_is_owned_goes_with_its_owner_and_finalizers_hold() {
    let sandbox = Sandbox::start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client());
    let owner = api.create(&PostParams::default(), &config_map("owner", json!({}))).await.unwrap();
    let reference = owner.owner_ref(&()).unwrap();
    let mut owned = config_map("owned", json!({}));
    owned.metadata.owner_references = Some(vec![reference.clone()]);
    owned.metadata.finalizers = Some(vec!["test.dev/hold".into()]);
    api.create(&PostParams::default(), &owned).await.unwrap();
    api.delete("owner", &DeleteParams::foreground()).await.unwrap();
    let held = api.get("owner").await.unwrap();
    assert_eq!(held.finalizers(), ["foregroundDeletion"], "it waits for what it owns");
    assert!(api.get("owned").await.unwrap().metadata.deletion_timestamp.is_some());
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("owned", &PatchParams::default(), &release).await.unwrap();
    assert_eq!(api.get_opt("owned").await.unwrap(), None);
    assert_eq!(api.get_opt("owner").await.unwrap(), None);
    // Born after its owner's death.
    owned.metadata.finalizers = None;
    api.create(&PostParams::default(), &owned).await.unwrap();
    assert_eq!(api.get_opt("owned").await.unwrap(), None);

    let namespaces: Api<Namespace> = Api::all(sandbox.client());
    let ns: Namespace = serde_json::from_value(json!({"metadata": {"name": "ns"}})).unwrap();
    namespaces.create(&PostParams::default(), &ns).await.unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(sandbox.client(), "ns");
    inside.create(&PostParams::default(), &config_map("a", json!({}))).await.unwrap();
    namespaces.delete("ns", &DeleteParams::default()).await.unwrap();
    assert_eq!(namespaces.get_opt("ns").await.unwrap(), None);
    assert_eq!(inside.get_opt("a").await.unwrap(), None);
    assert_eq!(status_of(namespaces.delete("default", &DeleteParams::default()).await).0, 403);
    let pods: Api<Pod> = Api::all(sandbox.client());
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 0);
    sandbox.cluster.stop().await;
}
