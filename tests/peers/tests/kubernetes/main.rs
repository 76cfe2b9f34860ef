//! One suite of what clients may rely on, for the embedded API server and for the real one.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod manifests;
mod running;
mod scaling;
mod serving;
mod subject;
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use peers::{Binaries, ControlPlane};
use serde_json::json;
use simulations_cluster::{Cluster, ClusterConfig};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use subject::{Flavour, Server};

/// kubectl of the peers, else the machine's.
fn kubectl() -> Option<PathBuf> {
    peers::binary::binary("kubectl").or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|file| file.is_file())
    })
}

/// One at a time: the loads are of the size of the machine.
static TURN: Mutex<()> = Mutex::const_new(());

async fn turn() -> Option<(MutexGuard<'static, ()>, TempDir, Binaries)> {
    thanos_telemetry::logs::init();
    let binaries = Binaries::find()?;
    Some((TURN.lock().await, tempfile::tempdir().unwrap(), binaries))
}

async fn embedded(dir: &Path) -> (Cluster, Arc<Server>) {
    let config = ClusterConfig::new("embedded", dir.join("cluster")).program("shell", "/bin/sh");
    let cluster = Cluster::start(config).await.unwrap();
    let server = Server {
        flavour: Flavour::Embedded,
        client: cluster.client(),
        old_revision: "1".into(),
        kubeconfig: cluster.kubeconfig_path(),
        kubectl: kubectl(),
        home: dir.to_owned(),
    };
    (cluster, Arc::new(server))
}

async fn newest_revision(client: &Client) -> String {
    let api: Api<ConfigMap> = Api::all(client.clone());
    api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_api_keeps_its_promises() {
    thanos_telemetry::logs::init();
    let _turn = TURN.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let (cluster, server) = embedded(dir.path()).await;
    let cases = async {
        suite::run(&server, suite::API).await;
        suite::run(&server, suite::WORKLOADS).await;
    };
    tokio::task::LocalSet::new().run_until(cases).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_api_keeps_the_same_promises() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    let mut plane = ControlPlane::start(&dir.path().join("real"), binaries).await;
    // What happened before it was started again is not in its watches' history.
    let client = plane.client().await;
    let old_revision = newest_revision(&client).await;
    let later: Namespace = serde_json::from_value(json!({"metadata": {"name": "later"}})).unwrap();
    Api::all(client).create(&PostParams::default(), &later).await.unwrap();
    plane.kill_api();
    plane.start_api().await;
    let server = Server {
        flavour: Flavour::Real,
        client: plane.client().await,
        old_revision,
        kubeconfig: plane.admin_kubeconfig(),
        kubectl: kubectl(),
        home: dir.path().to_owned(),
    };
    let server = Arc::new(server);
    plane.start_manager().await;
    let node = ClusterConfig::new("east", dir.path().join("node")).program("shell", "/bin/sh");
    let node = Cluster::attach(node, &plane.admin_kubeconfig()).await.unwrap();
    let cases = async {
        suite::run(&server, suite::API).await;
        suite::run(&server, suite::WORKLOADS).await;
    };
    tokio::task::LocalSet::new().run_until(cases).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_scales_on_a_real_control_plane_as_its_roles_allow() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    scaling::up_and_down(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_goes_away_and_comes_back() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    scaling::away_and_back(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_on_a_real_control_plane_is_killed() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    scaling::hand_over(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_asks_the_webhook() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    serving::policies_are_judged(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_under_a_real_api_server() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    serving::replicas_take_turns_unnoticed(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_hpa_follows_our_metrics_and_holds_when_they_are_in_doubt() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    serving::an_hpa_follows_and_holds(dir.path(), binaries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_follows_policies_on_a_real_control_plane() {
    let Some((_turn, dir, binaries)) = turn().await else { return };
    running::policies_are_followed(dir.path(), binaries).await;
}
