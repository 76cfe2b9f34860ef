//! The API server and the workload controllers in one process, without sockets or processes, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use simulations_cluster::{ApiServer, Fate, Happened, Kubelet, Plane, PodSeen, Step};
use simulations_kernel::Clock;
use thanos_telemetry::Shutdown;

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
    spec: {containers: [{name: c, image: none}]}
"#;

const STATEFUL_SET: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: none}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;

type Log = Arc<Mutex<Vec<String>>>;

/// Every pod is ready after 5 s, unless its name or number says otherwise.
struct Fates {
    fates: Vec<Fate>,
    made: usize,
    log: Log,
    clock: Clock,
}

impl Kubelet for Fates {
    fn fate(&mut self, _: &PodSeen<'_>) -> Fate {
        self.made += 1;
        let given = self.fates.get(self.made - 1).cloned();
        given.unwrap_or_else(|| Fate::ready_after(Duration::from_secs(5)))
    }

    fn happened(&mut self, pod: &PodSeen<'_>, what: Happened) {
        let at_s = self.clock.now().as_second();
        self.log.lock().push(format!("{at_s} {} {what:?} {}", pod.name, pod.address));
    }
}

struct World {
    server: ApiServer,
    log: Log,
    end: Shutdown,
}

impl World {
    fn begin(seed: u64, yaml: &str, fates: Vec<Fate>) -> Self {
        let clock = Clock::starting_at_ms(0);
        let server = ApiServer::new(seed, 1000, clock.clone());
        server.apply_yaml(yaml).unwrap();
        let log = Log::default();
        let kubelet = Fates { fates, made: 0, log: log.clone(), clock };
        let end = Shutdown::new();
        tokio::spawn(Plane::new(&server, Box::new(kubelet)).run(end.clone()));
        Self { server, log, end }
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.server.client())
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.server.client())
    }

    async fn scale(&self, replicas: i32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments().patch_scale("web", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Wanted, there, ready, available, updated.
    async fn counts(&self) -> [i32; 5] {
        let deployment = self.deployments().get("web").await.unwrap();
        let (spec, status) = (deployment.spec.unwrap(), deployment.status.unwrap_or_default());
        let [there, ready, available, updated] =
            [status.replicas, status.ready_replicas, status.available_replicas, status.updated_replicas]
                .map(Option::unwrap_or_default);
        [spec.replicas.unwrap(), there, ready, available, updated]
    }

    /// Everything there is.
    fn everything(&self) -> Vec<Value> {
        let kinds =
            ["deployments.apps", "replicasets.apps", "statefulsets.apps", "pods", "persistentvolumeclaims"];
        kinds.iter().flat_map(|kind| self.server.objects(kind)).map(|o| Value::clone(&o)).collect()
    }
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn a_deployment_comes_up_grows_shrinks_and_rolls_when_it_should() {
    let world = World::begin(1, DEPLOYMENT, Vec::new());
    sleep(4).await;
    assert_eq!(world.counts().await, [3, 3, 0, 0, 3]);
    sleep(2).await;
    assert_eq!(world.counts().await, [3, 3, 3, 3, 3]);
    world.scale(6).await;
    sleep(1).await;
    assert_eq!(world.counts().await, [6, 6, 3, 3, 6]);
    sleep(5).await;
    assert_eq!(world.counts().await, [6, 6, 6, 6, 6]);
    world.scale(2).await;
    sleep(2).await;
    assert_eq!(world.counts().await, [2, 2, 2, 2, 2]);
    assert_eq!(world.pods().list(&ListParams::default()).await.unwrap().items.len(), 2);
    // A new template: one more at a time, and never fewer than wanted.
    let before: Vec<String> = names(&world).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}]}}}});
    world.deployments().patch("web", &PatchParams::default(), &Patch::Strategic(image)).await.unwrap();
    for _ in 0..30 {
        sleep(1).await;
        let [wanted, there, _, available, _] = world.counts().await;
        assert!(available >= wanted && there <= wanted + 1, "{:?}", world.counts().await);
    }
    assert_eq!(world.counts().await, [2, 2, 2, 2, 2]);
    assert!(names(&world).await.iter().all(|name| !before.contains(name)));
    world.deployments().delete("web", &DeleteParams::default()).await.unwrap();
    sleep(2).await;
    assert_eq!(world.everything(), Vec::<Value>::new());
    world.end.start();
}

async fn names(world: &World) -> Vec<String> {
    world.pods().list(&ListParams::default()).await.unwrap().iter().map(|p| p.name_any()).collect()
}

#[tokio::test(start_paused = true)]
async fn members_of_a_stateful_set_come_one_by_one_and_keep_their_claims() {
    let world = World::begin(1, STATEFUL_SET, Vec::new());
    let api: Api<StatefulSet> = Api::default_namespaced(world.server.client());
    let ready = async || api.get("db").await.unwrap().status.unwrap().ready_replicas.unwrap_or(0);
    for expected in 0..=3 {
        sleep(if expected == 0 { 1 } else { 5 }).await;
        assert_eq!(ready().await, expected);
    }
    let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
    api.patch_scale("db", &PatchParams::default(), &patch).await.unwrap();
    sleep(10).await;
    assert_eq!((names(&world).await, ready().await), (vec!["db-0".to_owned()], 1));
    assert_eq!(world.server.objects("persistentvolumeclaims").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_pod_meets_its_fate() {
    let fates = vec![
        Fate::ready_after(seconds(2))
            .and(seconds(10), Step::Crashed)
            .and(seconds(14), Step::Started)
            .and(seconds(15), Step::Ready),
        Fate::never_ready(),
        Fate::unschedulable(),
    ];
    let world = World::begin(1, DEPLOYMENT, fates);
    sleep(3).await;
    assert_eq!(world.counts().await, [3, 3, 1, 1, 3]);
    sleep(8).await;
    assert_eq!(world.counts().await[2], 0);
    sleep(5).await;
    assert_eq!(world.counts().await[2], 1);
    let pods = world.pods().list(&ListParams::default()).await.unwrap().items;
    let mut phases: BTreeMap<String, u32> = BTreeMap::new();
    for pod in &pods {
        let status = pod.status.clone().unwrap_or_default();
        let restarts: i32 = status.container_statuses.iter().flatten().map(|c| c.restart_count).sum();
        let scheduled = pod.spec.as_ref().unwrap().node_name.is_some();
        *phases.entry(format!("{} {restarts} {scheduled}", status.phase.unwrap_or_default())).or_default() +=
            1;
    }
    let expected = [("Pending 0 false", 1), ("Running 0 true", 1), ("Running 1 true", 1)];
    assert_eq!(phases, expected.map(|(k, n)| (k.to_owned(), n)).into());
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_replaced_and_what_lingers_ends_with_its_grace() {
    let lingering = Fate { gone_after: seconds(3600), ..Fate::ready_after(seconds(1)) };
    let evicted = Fate::ready_after(seconds(1)).and(seconds(20), Step::Failed);
    let world = World::begin(1, DEPLOYMENT, vec![evicted, lingering.clone(), lingering]);
    sleep(19).await;
    assert_eq!(world.counts().await, [3, 3, 3, 3, 3]);
    sleep(2).await;
    assert_eq!(world.counts().await, [3, 3, 2, 2, 3]);
    sleep(5).await;
    assert_eq!(world.counts().await, [3, 3, 3, 3, 3]);
    world.scale(1).await;
    sleep(29).await;
    let ending = world.pods().list(&ListParams::default()).await.unwrap();
    assert!(ending.iter().filter(|p| p.metadata.deletion_timestamp.is_some()).count() >= 1);
    sleep(2).await;
    let left = world.pods().list(&ListParams::default()).await.unwrap();
    assert!(left.iter().all(|p| p.metadata.deletion_timestamp.is_none()), "thirty seconds are its grace");
    let log = world.log.lock();
    let of = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("Terminating"), of("Gone")), (2, 2), "{log:#?}");
    assert!(log.iter().any(|line| line.starts_with("20 ") && line.contains("Failed")), "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_calls_are_the_same_bytes() {
    let life = async |seed: u64| {
        let world = World::begin(seed, &format!("{DEPLOYMENT}---{STATEFUL_SET}"), Vec::new());
        for replicas in [5, 2, 9, 0, 3] {
            sleep(4).await;
            world.scale(replicas).await;
        }
        sleep(30).await;
        world.end.start();
        let log = world.log.lock().clone();
        (world.server.revision(), world.everything(), log)
    };
    // Each in a world of its own clock, begun at another time of the runtime's.
    let (once, again, other) = (life(1).await, life(1).await, life(2).await);
    assert_eq!(once, again);
    assert_eq!((once.0, once.2.len()), (other.0, other.2.len()), "the same things happen");
    assert_ne!(once.1, other.1, "to pods of other names");
    assert!(once.0 > 1100, "{}", once.0);
}

#[tokio::test(start_paused = true)]
async fn changes_can_be_followed_and_waited_for() {
    let world = World::begin(1, DEPLOYMENT, Vec::new());
    let begin = world.server.revision();
    tokio::time::timeout(seconds(60), world.server.changed(begin)).await.unwrap();
    sleep(10).await;
    let changes = world.server.changes("pods", begin).unwrap();
    assert!(changes.iter().all(|c| !c.gone) && changes.is_sorted_by_key(|c| c.revision));
    assert_eq!(changes.iter().filter(|c| c.previous.is_none()).count(), 3);
    assert!(world.server.changes("pods", 1).is_none(), "from before it began");
    let object = world.server.object("deployments.apps", "default", "web").unwrap();
    assert_eq!(object["metadata"]["creationTimestamp"], "1970-01-01T00:00:00Z");
}
