//! With workload controllers, the garbage collector and a node: what comes of what is wanted.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::objects::config_map;
use crate::subject::{Subject, eventually};

pub(crate) async fn what_is_owned_goes_with_its_owner(s: Subject) {
    let api: Api<ConfigMap> = s.api();
    let make = async |owner: &str, owned: &str, hold: bool| {
        let owner = api.create(&PostParams::default(), &config_map(owner, json!({}))).await.unwrap();
        let mut below = config_map(owned, json!({}));
        let mut reference = owner.owner_ref(&()).unwrap();
        reference.block_owner_deletion = Some(true);
        below.metadata.owner_references = Some(vec![reference]);
        below.metadata.finalizers = hold.then(|| vec!["test.dev/hold".into()]);
        api.create(&PostParams::default(), &below).await.unwrap();
        below
    };
    let gone = async |name: &str| {
        eventually(async || api.get_opt(name).await.unwrap().is_none().then_some(())).await;
    };
    make("back", "back-1", false).await;
    api.delete("back", &DeleteParams::background()).await.unwrap();
    gone("back-1").await;
    make("orphan", "orphan-1", false).await;
    api.delete("orphan", &DeleteParams::orphan()).await.unwrap();
    gone("orphan").await;
    let left = api.get("orphan-1").await.unwrap();
    assert_eq!(left.owner_references(), [], "it has no owner now");
    let mut below = make("fore", "fore-1", true).await;
    api.delete("fore", &DeleteParams::foreground()).await.unwrap();
    eventually(async || api.get("fore-1").await.unwrap().metadata.deletion_timestamp).await;
    assert_eq!(
        api.get("fore").await.unwrap().finalizers(),
        ["foregroundDeletion"],
        "it waits for what it owns"
    );
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("fore-1", &PatchParams::default(), &release).await.unwrap();
    gone("fore-1").await;
    gone("fore").await;
    // Born after its owner's death.
    below.metadata.finalizers = None;
    api.create(&PostParams::default(), &below).await.unwrap();
    gone("fore-1").await;
}

pub(crate) async fn namespaces_end_with_what_is_in_them(s: Subject) {
    let name = format!("{}-x", s.namespace);
    let all: Api<Namespace> = Api::all(s.client());
    let body: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let made = all.create(&PostParams::default(), &body).await.unwrap();
    assert_eq!(made.labels().get("kubernetes.io/metadata.name"), Some(&name));
    assert_eq!(made.status.and_then(|s| s.phase).as_deref(), Some("Active"));
    let inside: Api<ConfigMap> = Api::namespaced(s.client(), &name);
    let mut held = config_map("a", json!({}));
    held.metadata.finalizers = Some(vec!["test.dev/hold".into()]);
    inside.create(&PostParams::default(), &held).await.unwrap();
    inside.create(&PostParams::default(), &config_map("b", json!({}))).await.unwrap();
    all.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually(async || inside.get_opt("b").await.unwrap().is_none().then_some(())).await;
    let ending = all.get(&name).await.unwrap();
    assert_eq!(ending.status.and_then(|s| s.phase).as_deref(), Some("Terminating"));
    let late = inside.create(&PostParams::default(), &config_map("late", json!({}))).await;
    let (code, _, message) = crate::subject::refusal(late);
    assert!(code == 403 && message.contains("because it is being terminated"), "{message}");
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    inside.patch("a", &PatchParams::default(), &release).await.unwrap();
    eventually(async || all.get_opt(&name).await.unwrap().is_none().then_some(())).await;
}

/// Pods that run a shell and end when they are told to.
fn template(app: &str, version: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": false,
        "containers": [{"name": "c", "image": "none", "env": [{"name": "VERSION", "value": version}],
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]}]}})
}

async fn pods(s: &Subject, app: &str) -> Vec<Pod> {
    let api: Api<Pod> = s.api();
    let mut found = api.list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items;
    found.retain(|p| p.metadata.deletion_timestamp.is_none());
    found.sort_by_key(|p| p.name_any());
    found
}

pub(crate) async fn deployments_scale_and_roll(s: Subject) {
    let api: Api<Deployment> = s.api();
    let body: Deployment = serde_json::from_value(json!({"metadata": {"name": "d"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "d"}}, "template": template("d", "1")}}))
    .unwrap();
    api.create(&PostParams::default(), &body).await.unwrap();
    let ready = async |count: i32| {
        eventually(async || {
            let d = api.get("d").await.unwrap();
            let st = d.status.clone().unwrap_or_default();
            let settled = st.observed_generation == d.metadata.generation
                && (st.ready_replicas, st.updated_replicas, st.replicas)
                    == (Some(count), Some(count), Some(count));
            settled.then_some(d)
        })
        .await
    };
    ready(1).await;
    api.patch_scale("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}})))
        .await
        .unwrap();
    ready(3).await;
    let running = pods(&s, "d").await;
    assert_eq!(running.len(), 3);
    for pod in &running {
        let status = pod.status.as_ref().unwrap();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(status.pod_ip.as_deref().is_some_and(|ip| ip.starts_with("127.")));
        assert!(pod.labels().contains_key("pod-template-hash"));
        let owner = &pod.owner_references()[0];
        assert_eq!((owner.kind.as_str(), owner.controller), ("ReplicaSet", Some(true)));
    }
    let scale = api.get_scale("d").await.unwrap();
    assert_eq!(
        (scale.status.as_ref().unwrap().replicas, scale.status.unwrap().selector.as_deref()),
        (3, Some("app=d"))
    );
    api.patch("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"template": template("d", "2")}})))
        .await
        .unwrap();
    ready(3).await;
    let before: Vec<_> = running.iter().map(|p| p.uid()).collect();
    let after = pods(&s, "d").await;
    assert!(after.iter().all(|p| !before.contains(&p.uid())), "all of them are new");
    api.patch_scale("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}})))
        .await
        .unwrap();
    ready(1).await;
    eventually(async || (pods(&s, "d").await.len() == 1).then_some(())).await;
    // A pod that is deleted comes again.
    let one = pods(&s, "d").await.remove(0);
    let all: Api<Pod> = s.api();
    all.delete(&one.name_any(), &DeleteParams::default()).await.unwrap();
    eventually(async || pods(&s, "d").await.first().filter(|p| p.uid() != one.uid()).map(drop)).await;
    api.delete("d", &DeleteParams::default()).await.unwrap();
    eventually(async || pods(&s, "d").await.is_empty().then_some(())).await;
}

pub(crate) async fn stateful_sets_keep_their_order(s: Subject) {
    let api: Api<StatefulSet> = s.api();
    let body: StatefulSet = serde_json::from_value(
        json!({"metadata": {"name": "db"}, "spec": {"replicas": 2, "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}}, "template": template("db", "1")}}),
    )
    .unwrap();
    api.create(&PostParams::default(), &body).await.unwrap();
    let ready = async |count: i32| {
        eventually(async || {
            let st = api.get("db").await.unwrap().status.unwrap_or_default();
            (st.ready_replicas.unwrap_or(0) == count && st.replicas == count).then_some(())
        })
        .await;
    };
    ready(2).await;
    let names = async || pods(&s, "db").await.iter().map(|p| p.name_any()).collect::<Vec<_>>();
    assert_eq!(names().await, ["db-0", "db-1"]);
    let first = &pods(&s, "db").await[0];
    assert_eq!(first.labels().get("statefulset.kubernetes.io/pod-name").map(String::as_str), Some("db-0"));
    assert_eq!(first.spec.as_ref().and_then(|s| s.hostname.as_deref()), Some("db-0"));
    api.patch_scale("db", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}})))
        .await
        .unwrap();
    ready(3).await;
    api.patch_scale("db", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}})))
        .await
        .unwrap();
    ready(1).await;
    eventually(async || (names().await == ["db-0"]).then_some(())).await;
}
