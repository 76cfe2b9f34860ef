//! Deployments and StatefulSets with real pods.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;

use super::{Sandbox, eventually, is_ready, within};

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: none, command: [sleep, "1000"]}]
"#;

/// Spec seen, all updated, all available, none too many.
fn settled(replicas: i32) -> impl Fn(Option<&Deployment>) -> bool {
    move |d: Option<&Deployment>| {
        d.and_then(|d| {
            let status = d.status.as_ref()?;
            let counts =
                [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas];
            Some(
                status.observed_generation == d.metadata.generation
                    && counts.iter().all(|n| n.unwrap_or(0) == replicas),
            )
        })
        .unwrap_or(false)
    }
}

#[tokio::test]
async fn deployments_scale_roll_and_go() {
    let sandbox = Sandbox::start().await;
    sandbox.cluster.apply_yaml(DEPLOYMENT).await.unwrap();
    let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
    let settle =
        async |replicas| within(await_condition(api.clone(), "web", settled(replicas))).await.unwrap();
    settle(3).await;
    let replicas = |n: i64| Patch::Merge(json!({"spec": {"replicas": n}}));
    api.patch_scale("web", &PatchParams::default(), &replicas(6)).await.unwrap();
    settle(6).await;
    assert_eq!(api.get_scale("web").await.unwrap().status.unwrap().replicas, 6);
    api.patch_scale("web", &PatchParams::default(), &replicas(2)).await.unwrap();
    settle(2).await;

    // A new template comes in without ever fewer than two ready.
    let watch = watcher(sandbox.pods(), watcher::Config::default()).touched_objects();
    let changed = Patch::Strategic(
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "V", "value": "2"}]}]}}}}),
    );
    let before: BTreeSet<String> = names(&sandbox).await;
    api.patch("web", &PatchParams::default(), &changed).await.unwrap();
    let lowest = async {
        let mut lowest = usize::MAX;
        let mut watch = watch.boxed();
        while watch.try_next().await.unwrap().is_some() {
            let pods = sandbox.pods().list(&ListParams::default()).await.unwrap();
            let serving =
                pods.iter().filter(|p| is_ready(Some(p)) && p.metadata.deletion_timestamp.is_none()).count();
            lowest = lowest.min(serving);
            let all_new =
                pods.iter().filter(|p| !before.contains(&p.name_any()) && is_ready(Some(p))).count();
            if all_new == 2 && pods.items.len() == 2 {
                break;
            }
        }
        lowest
    };
    assert!(within(lowest).await >= 2);
    settle(2).await;
    let sets: Api<ReplicaSet> = Api::default_namespaced(sandbox.client());
    let mut sizes: Vec<Option<i32>> = sets
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(|s| s.spec.as_ref().unwrap().replicas)
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [Some(0), Some(2)]);

    // Pods that somebody deletes come back.
    let victim = names(&sandbox).await.pop_first().unwrap();
    sandbox.pods().delete(&victim, &DeleteParams::default()).await.unwrap();
    eventually(async || {
        let pods = sandbox.pods().list(&ListParams::default()).await.unwrap();
        let ready = pods.iter().filter(|p| is_ready(Some(p)) && p.name_any() != victim).count();
        (ready == 2 && pods.items.len() == 2).then_some(())
    })
    .await;

    api.delete("web", &DeleteParams::default()).await.unwrap();
    eventually(async || names(&sandbox).await.is_empty().then_some(())).await;
    assert_eq!(sets.list(&ListParams::default()).await.unwrap().items.len(), 0);
    sandbox.cluster.stop().await;
}

async fn names(sandbox: &Sandbox) -> BTreeSet<String> {
    sandbox.pods().list(&ListParams::default()).await.unwrap().iter().map(|p| p.name_any()).collect()
}

#[tokio::test]
async fn stateful_pods_keep_name_address_and_claim() {
    let sandbox = Sandbox::start().await;
    let yaml = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: none
        command: [sh, -c, "echo run >> /data/runs; wc -l < /data/runs; exec sleep 1000"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;
    sandbox.cluster.apply_yaml(yaml).await.unwrap();
    let ip = |p: &Pod| p.status.as_ref().unwrap().pod_ip.clone();
    let first = sandbox.ready("db-0").await;
    let second = sandbox.ready("db-1").await;
    assert!(second.creation_timestamp() >= first.creation_timestamp(), "in order");
    sandbox.pods().delete("db-0", &DeleteParams::default()).await.unwrap();
    sandbox.gone("db-0", &first.uid().unwrap()).await;
    let again = sandbox.ready("db-0").await;
    assert_eq!(ip(&again), ip(&first));
    eventually(async || (sandbox.logs("db-0").await == "2\n").then_some(())).await;

    let api: Api<StatefulSet> = Api::default_namespaced(sandbox.client());
    let scale = |n: i64| Patch::Merge(json!({"spec": {"replicas": n}}));
    api.patch_scale("db", &PatchParams::default(), &scale(1)).await.unwrap();
    sandbox.gone("db-1", &second.uid().unwrap()).await;
    api.patch_scale("db", &PatchParams::default(), &scale(2)).await.unwrap();
    assert_eq!(ip(&sandbox.ready("db-1").await), ip(&second));
    eventually(async || (sandbox.logs("db-1").await == "2\n").then_some(())).await;
    let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(sandbox.client());
    assert_eq!(claims.list(&ListParams::default()).await.unwrap().items.len(), 2);
    let counts = |s: Option<&StatefulSet>| {
        s.and_then(|s| s.status.as_ref()).is_some_and(|s| s.replicas == 2 && s.ready_replicas == Some(2))
    };
    within(await_condition(api, "db", counts)).await.unwrap();
    // The same manifest again changes nothing but what was changed by others: forced back.
    sandbox.cluster.apply_yaml(yaml).await.unwrap();
    sandbox.cluster.stop().await;
}

#[tokio::test]
async fn two_clusters_share_a_machine() {
    let (east, west) = (Sandbox::start().await, Sandbox::start().await);
    assert_ne!(east.cluster.api_url(), west.cluster.api_url());
    for sandbox in [&east, &west] {
        sandbox.cluster.apply_yaml(DEPLOYMENT).await.unwrap();
    }
    let path = east.dir.path().join("both");
    let urls = [east.cluster.api_url(), west.cluster.api_url()];
    let urls: Vec<(&str, &str)> = urls.iter().map(|url| ("test", url.as_str())).collect();
    simulations_cluster::write_kubeconfig(&path, &urls, "test").unwrap();
    let config = kube::config::Kubeconfig::read_from(&path).unwrap();
    assert_eq!((config.contexts.len(), config.current_context.as_deref()), (2, Some("test")));
    for sandbox in [&east, &west] {
        let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
        within(await_condition(api, "web", settled(3))).await.unwrap();
    }
    let ips = async |s: &Sandbox| -> BTreeSet<String> {
        let pods = s.pods().list(&ListParams::default()).await.unwrap();
        pods.iter().filter_map(|p| p.status.as_ref()?.pod_ip.clone()).collect()
    };
    assert!(ips(&east).await.is_disjoint(&ips(&west).await));
    east.cluster.stop().await;
    west.cluster.stop().await;
}

#[tokio::test]
async fn with_a_seed_pods_have_the_same_names_and_addresses() {
    let world = async |seed: u64| -> BTreeSet<(String, String)> {
        let sandbox = Sandbox::seeded(Some(seed)).await;
        sandbox.cluster.apply_yaml(DEPLOYMENT).await.unwrap();
        let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
        within(await_condition(api, "web", settled(3))).await.unwrap();
        let pods = sandbox.pods().list(&ListParams::default()).await.unwrap();
        // Which second octet is free is the machine's.
        let host = |p: &Pod| p.status.as_ref()?.pod_ip.as_ref()?.splitn(3, '.').nth(2).map(str::to_owned);
        let found = pods.iter().map(|p| (p.name_any(), host(p).unwrap())).collect();
        sandbox.cluster.stop_at_once(&[]).await;
        found
    };
    let first = world(7).await;
    assert_eq!(world(7).await, first);
    assert!(world(8).await.is_disjoint(&first));
}

async fn sets(sandbox: &Sandbox) -> Vec<ReplicaSet> {
    let api: Api<ReplicaSet> = Api::default_namespaced(sandbox.client());
    let mut sets = api.list(&ListParams::default()).await.unwrap().items;
    sets.sort_by_key(|s| s.annotations().get("deployment.kubernetes.io/revision").cloned());
    sets
}

#[tokio::test]
async fn a_template_that_is_spelled_another_way_rolls_nothing_out() {
    let sandbox = Sandbox::start().await;
    let yaml = DEPLOYMENT.replace("image: none,", "image: none, resources: {limits: {cpu: 1}},");
    sandbox.cluster.apply_yaml(&yaml).await.unwrap();
    let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
    let settle =
        async |replicas| within(await_condition(api.clone(), "web", settled(replicas))).await.unwrap();
    settle(3).await;
    let before = names(&sandbox).await;
    for container in [
        json!({"resources": {"limits": {"cpu": "1000m"}}}),
        json!({"env": [], "ports": [], "securityContext": {}}),
        json!({"resources": {"limits": {"cpu": "1.0"}, "requests": {}}, "terminationMessagePolicy": "File"}),
    ] {
        let mut container = container;
        container["name"] = json!("c");
        let spec = json!({"containers": [container], "securityContext": {}, "hostNetwork": false});
        let patch = Patch::Strategic(json!({"spec": {"template": {"spec": spec}}}));
        api.patch("web", &PatchParams::default(), &patch).await.unwrap();
        settle(3).await;
        assert_eq!((names(&sandbox).await, sets(&sandbox).await.len()), (before.clone(), 1), "{patch:?}");
    }
    sandbox.cluster.stop_at_once(&[]).await;
}

#[tokio::test]
async fn a_history_shows_why_each_revision_came() {
    const CAUSE: &str = "kubernetes.io/change-cause";
    let sandbox = Sandbox::start().await;
    sandbox.cluster.apply_yaml(DEPLOYMENT).await.unwrap();
    let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
    within(await_condition(api.clone(), "web", settled(3))).await.unwrap();
    let causes = async |expected: &[&str]| {
        eventually(async || {
            let sets = sets(&sandbox).await;
            let causes: Vec<&str> =
                sets.iter().filter_map(|s| s.annotations().get(CAUSE)).map(String::as_str).collect();
            (causes == expected).then_some(())
        })
        .await;
    };
    let params = PatchParams::default();
    let annotate = |cause: &str| Patch::Merge(json!({"metadata": {"annotations": {CAUSE: cause}}}));
    api.patch("web", &params, &annotate("first")).await.unwrap();
    causes(&["first"]).await;
    let changed = json!({"metadata": {"annotations": {CAUSE: "second"}}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "env": [{"name": "V", "value": "2"}]}]}}}});
    api.patch("web", &params, &Patch::Strategic(changed)).await.unwrap();
    causes(&["first", "second"]).await;
    let told = sets(&sandbox).await.remove(0);
    assert!(!told.annotations().contains_key("kubectl.kubernetes.io/last-applied-configuration"));
    sandbox.cluster.stop_at_once(&[]).await;
}

/// Refused at the door, or held back by the controller: never pods without end.
#[tokio::test]
async fn a_selector_that_never_matches_makes_no_pods() {
    let sandbox = Sandbox::start().await;
    let selector = "selector: {matchExpressions: [{key: tier, operator: Exists}]}";
    let yaml = DEPLOYMENT.replace("selector: {matchLabels: {app: web}}", selector);
    if sandbox.cluster.apply_yaml(&yaml).await.is_ok() {
        let api: Api<Deployment> = Api::default_namespaced(sandbox.client());
        let failed = |d: Option<&Deployment>| {
            let conditions = d.and_then(|d| d.status.as_ref()?.conditions.as_ref());
            conditions.is_some_and(|c| c.iter().any(|c| c.type_ == "ReplicaFailure" && c.status == "True"))
        };
        let told = within(await_condition(api, "web", failed)).await.unwrap();
        let conditions = told.unwrap().status.unwrap().conditions.unwrap();
        let failure = conditions.iter().find(|c| c.type_ == "ReplicaFailure").unwrap();
        assert_eq!(failure.reason.as_deref(), Some("FailedCreate"));
        assert!(failure.message.as_deref().unwrap().contains("tier"), "{failure:?}");
    }
    assert_eq!(names(&sandbox).await, BTreeSet::new());
    sandbox.cluster.stop_at_once(&[]).await;
}
