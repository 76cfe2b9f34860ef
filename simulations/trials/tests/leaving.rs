//! Policies that are deleted, with this project's controller at the embedded API server, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::sync::Arc;
use std::time::Duration;

use autoscaler_api::{FINALIZER, ScalingPolicy};
use autoscaler_controller::{Clock, KeepNothing, Managed, Outside, Queriers, Settings, drive};
use autoscaler_core::FailureKind;
use autoscaler_querier::{Outcome, Querier, QueryError, Source, SourceError};
use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use simulations_cluster::ApiServer;
use thanos_telemetry::Shutdown;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: none}]}
";

/// Bounds alone raise it to five: whatever metrics say is of no account here.
const POLICY: &str = "
apiVersion: autoscaling.gauntlet.dev/v1alpha1
kind: ScalingPolicy
metadata: {name: web, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 5
  maxReplicas: 9
  interval: 1s
  onDelete: ON_DELETE
  metrics: [{name: m, query: sum(up), target: {type: Value, value: 1}}]
";

/// Nobody answers.
struct Nobody;

impl Querier for Nobody {
    fn instant(&self, _: &str, _: i64, _: Duration) -> BoxFuture<'static, Outcome> {
        Box::pin(async { Err(QueryError::new(FailureKind::Unreachable, "nobody is there")) })
    }
}

impl Queriers for Nobody {
    fn own(&self) -> Arc<dyn Querier> {
        Arc::new(Self)
    }

    fn of(&self, _: &str, _: &Source) -> Result<Arc<dyn Querier>, SourceError> {
        Ok(self.own())
    }

    fn forget(&self, _: &str) {}
}

struct Wall(simulations_kernel::Clock);

impl Clock for Wall {
    fn wall_ms(&self) -> i64 {
        self.0.now_ms()
    }
}

struct World {
    server: ApiServer,
    end: Shutdown,
}

impl World {
    /// `web` has three replicas, and five by a policy.
    async fn raised(on_delete: &str) -> Self {
        let clock = simulations_kernel::Clock::starting_at_ms(1_764_520_000_000);
        let server = ApiServer::new(1, 1000, clock);
        server.apply_yaml(&autoscaler_api::crd_yaml().unwrap()).unwrap();
        server.apply_yaml(DEPLOYMENT).unwrap();
        server.apply_yaml(&POLICY.replace("ON_DELETE", on_delete)).unwrap();
        let world = Self { server, end: Shutdown::new() };
        world.controller();
        world.wait(10).await;
        assert_eq!(world.replicas().await, Some(5));
        world
    }

    /// Starts a controller, which runs until `end`.
    fn controller(&self) {
        let outside = Outside {
            clusters: vec![Managed { name: "east".into(), client: self.server.client() }],
            queriers: Arc::new(Nobody),
            clock: Arc::new(Wall(self.server.clock().clone())),
            records: Arc::new(KeepNothing),
        };
        let settings = Settings {
            engine: Default::default(),
            cluster_label: "cluster".into(),
            given: Default::default(),
            max_series: 10,
            kube_timeout: Duration::from_secs(5),
            leases: None,
        };
        tokio::spawn(drive(outside, settings, self.end.clone()));
    }

    async fn wait(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::default_namespaced(self.server.client())
    }

    fn policies(&self) -> Api<ScalingPolicy> {
        Api::default_namespaced(self.server.client())
    }

    async fn replicas(&self) -> Option<i32> {
        self.deployments().get("web").await.unwrap().spec.unwrap().replicas
    }

    async fn is_gone(&self) -> bool {
        self.policies().get_opt("web").await.unwrap().is_none()
    }

    async fn delete(&self) {
        self.policies().delete("web", &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_restores_is_kept_until_it_has() {
    let world = World::raised("Restore").await;
    let policy = world.policies().get("web").await.unwrap();
    assert_eq!(policy.finalizers(), [FINALIZER]);
    assert_eq!(policy.status.unwrap().original.unwrap().replicas, 3);
    world.delete().await;
    assert!(!world.is_gone().await);
    world.wait(3).await;
    assert_eq!((world.replicas().await, world.is_gone().await), (Some(3), true));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_keeps_goes_at_once() {
    let world = World::raised("Keep").await;
    world.delete().await;
    assert!(world.is_gone().await);
    world.wait(10).await;
    assert_eq!(world.replicas().await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_its_mind_is_kept_no_longer() {
    let world = World::raised("Restore").await;
    let patch = Patch::Merge(json!({"spec": {"onDelete": "Keep"}}));
    world.policies().patch("web", &PatchParams::default(), &patch).await.unwrap();
    world.wait(3).await;
    assert_eq!(world.policies().get("web").await.unwrap().finalizers(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_keeps_no_policy() {
    let world = World::raised("Restore").await;
    world.deployments().delete("web", &DeleteParams::default()).await.unwrap();
    world.delete().await;
    world.wait(3).await;
    assert!(world.is_gone().await);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_nobody_runs_is_restored_by_the_next() {
    let mut world = World::raised("Restore").await;
    world.end.start();
    world.wait(10).await;
    world.delete().await;
    world.wait(60).await;
    assert_eq!((world.replicas().await, world.is_gone().await), (Some(5), false));
    world.end = Shutdown::new();
    world.controller();
    world.wait(15).await;
    assert_eq!((world.replicas().await, world.is_gone().await), (Some(3), true));
}
