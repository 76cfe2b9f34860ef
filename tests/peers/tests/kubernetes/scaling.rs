//! The whole loop on a real control plane: real Deployments and StatefulSets, our parts as their pods with the roles
//! of `manifests/base` and nothing more.

mod audit;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use peers::{Binaries, ControlPlane};
use rustix::process::Signal;
use serde_json::{Value, json};
use simulations_cluster::{Cluster, ClusterConfig};
use simulations_harness::run::{How, run};
use simulations_harness::world::World;
use simulations_judge::verdict::Outcome;
use simulations_scenario::{Loaded, parse};
use thanos_telemetry::Shutdown;

use crate::subject::{eventually, within};

const SYSTEM: &str = "gauntlet-system";
/// The name of the cluster, of its context and of its node.
const NAME: &str = "east";
/// How long the API server is away.
const OUTAGE: Duration = Duration::from_secs(60);

/// Services and policies. The ring's policy asks for a third member as soon as anything is ingested, so that the
/// ring grows too.
const WORLD: &str = r#"
name: real
description: A real control plane.
clusters: [east]
services:
  web: {replicas: 2, serviceTime: 50ms, concurrency: 2}
  front: {replicas: 2, calls: web}
policies:
- inline:
    apiVersion: autoscaling.gauntlet.dev/v1alpha1
    kind: ScalingPolicy
    metadata: {name: web, namespace: default}
    spec:
      scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
      minReplicas: 2
      maxReplicas: 8
      interval: 1s
      metrics:
      - name: requests
        query: sum(rate(request_total{deployment="web",direction="inbound"}[5s]))
        target: {type: AverageValue, averageValue: "15"}
        evidence: {maxAge: 5s, clusters: [east]}
      behavior:
        scaleUp: {stabilizationWindowSeconds: 0}
        scaleDown: {stabilizationWindowSeconds: 5}
- inline:
    apiVersion: autoscaling.gauntlet.dev/v1alpha1
    kind: ScalingPolicy
    metadata: {name: receive, namespace: monitoring}
    spec:
      scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: receive}
      minReplicas: 2
      maxReplicas: 3
      interval: 1s
      metrics:
      - name: ingest
        query: sum(rate(prometheus_tsdb_head_samples_appended_total{cluster="east"}[5s]))
        target: {type: AverageValue, averageValue: "50"}
        evidence: {maxAge: 5s, clusters: [east]}
      ring: {configMap: receive-ring, key: hashrings.json, port: 10901, replicationFactor: 2, settle: 3s}
"#;

/// Load rises, pods come and take their share; load falls, they drain.
const UP_AND_DOWN: &str = r#"
load:
  to: front
  stages:
  - {name: quiet, for: 8s, rate: 20}
  - {name: step, for: 22s, rate: 80}
  - {name: over, for: 30s, rate: 15}
thresholds: ["failed==0"]
expect:
- reaches: {workload: east/web, atLeast: 5, after: step, within: 20s}
- reaches: {workload: east/web, atMost: 2, after: over, within: 28s}
"#;

/// The API server is away while the load is steady, and back when it rises.
const AWAY_AND_BACK: &str = r#"
load:
  to: front
  stages:
  - {name: steady, for: 76s, rate: 40}
  - {name: step, for: 25s, rate: 80}
thresholds: ["failed==0"]
expect:
- neverBelow: {workload: east/web, atLeast: 2, from: steady, to: end}
- neverLowered: {from: steady, to: end}
- reaches: {workload: east/web, atLeast: 5, after: step, within: 22s}
"#;

/// The leader is killed when the load falls.
const HANDOVER: &str = r#"
load:
  to: front
  stages:
  - {name: high, for: 15s, rate: 80}
  - {name: over, for: 45s, rate: 15}
thresholds: ["failed==0"]
expect:
- reaches: {workload: east/web, atMost: 2, after: over, within: 43s}
"#;

fn scenario(part: &str) -> Loaded {
    let text = format!("{WORLD}{part}");
    parse("scaling.rs", &text, &BTreeMap::new(), &|file| Err(format!("{file}: not read here"))).unwrap()
}

/// Runs a part and says what did not hold. How exactly the generator kept its times is not the question here.
async fn play(world: &World, part: &str) -> Outcome {
    let loaded = scenario(part);
    let outcome = run(&loaded.scenario, world, &Shutdown::new(), &How::default(), |_| {}).await.unwrap();
    for row in &outcome.rows {
        tracing::info!(held = row.held, found = row.found, "{}", row.expectation);
    }
    outcome
}

fn held(outcome: &Outcome) {
    let generator = outcome.rows.len() - 1;
    let failed: Vec<_> = outcome.rows[..generator].iter().filter(|r| !r.held).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The rate of requests at each of web's pods, highest first.
async fn shares(world: &World) -> Vec<f64> {
    let query = "sum by (pod) (rate(request_total{deployment=\"web\",direction=\"inbound\"}[5s]))";
    let Ok(url) = world.query_url().await else { return Vec::new() };
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let ask = client.get(format!("{url}/api/v1/query")).query(&[("query", query)]);
    let Ok(answer) = ask.send().await else { return Vec::new() };
    let Ok(body) = answer.json::<Value>().await else { return Vec::new() };
    let result = body["data"]["result"].as_array().cloned().unwrap_or_default();
    let value = |series: &Value| series["value"][1].as_str().and_then(|v| v.parse::<f64>().ok());
    let mut shares: Vec<f64> = result.iter().filter_map(value).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares
}

/// Looks at the shares each second; keeps the last seen while the load was high and at least five pods took some.
async fn spread(world: &World, last: &mut Vec<f64>) -> Infallible {
    loop {
        let now = shares(world).await;
        if now.iter().sum::<f64>() > 60.0 && now.iter().filter(|rps| **rps > 1.0).count() >= 5 {
            *last = now;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn holder(world: &World) -> String {
    let leases: Api<Lease> = Api::namespaced(world.clusters()[0].client(), SYSTEM);
    let lease = leases.get("gauntlet-autoscaler").await.unwrap();
    lease.spec.and_then(|s| s.holder_identity).unwrap_or_default()
}

/// The pod of a holder: its identity is `POD_PROCESS_START_CONTEXT`.
fn pod_of(holder: &str) -> String {
    holder.split('_').next().unwrap_or_default().to_owned()
}

async fn stand(dir: &Path, binaries: Binaries) -> (ControlPlane, World) {
    let mut plane = ControlPlane::start(&dir.join("plane"), binaries).await;
    plane.start_manager().await;
    let config = ClusterConfig::new(NAME, dir.join("node")).program("gauntlet", peers::gauntlet!());
    let cluster = Cluster::attach(config, &plane.admin_kubeconfig()).await.unwrap();
    let tell = |what: &str| tracing::info!(what, "waiting");
    let world = World::start_in(vec![cluster], dir, &scenario(UP_AND_DOWN), &tell).await.unwrap();
    (plane, world)
}

/// The controllers of pods first, or they would make anew what the world takes down.
async fn end(mut plane: ControlPlane, world: World) {
    plane.kill_manager();
    within(world.stop()).await;
}

/// Load rises and falls; each part did all that its role allows and was refused nothing.
pub(crate) async fn up_and_down(dir: &Path, binaries: Binaries) {
    let (plane, world) = stand(dir, binaries).await;
    let mut shares = Vec::new();
    let outcome = tokio::select! {
        outcome = play(&world, UP_AND_DOWN) => outcome,
        never = spread(&world, &mut shares) => match never {},
    };
    held(&outcome);
    tracing::info!(?shares, "requests a second at each pod");
    let (most, least) =
        (shares.first().copied().unwrap_or_default(), shares.get(4).copied().unwrap_or_default());
    assert!(least * 4.0 > most, "the new pods take their share: {shares:?}");
    audit::roles_fit(&plane.audit_log());
    end(plane, world).await;
}

/// The API server is killed and comes back: nothing is lowered, nothing fails, and scaling goes on at once.
pub(crate) async fn away_and_back(dir: &Path, binaries: Binaries) {
    let (mut plane, world) = stand(dir, binaries).await;
    let away = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        plane.kill_api();
        // Elsewhere it ends by itself when it cannot renew its lease, and is started again. Without election it
        // would stay, and look for the API server up to 30 s late.
        plane.kill_manager();
        tokio::time::sleep(OUTAGE).await;
        let back = jiff::Timestamp::now();
        plane.start_api().await;
        plane.start_manager().await;
        back
    };
    let (outcome, back) = tokio::join!(play(&world, AWAY_AND_BACK), away);
    held(&outcome);
    audit::refused_nothing(&plane.audit_log(), Some(back));
    end(plane, world).await;
}

/// Two controllers: the one that leads writes; killed, the other does within 15 s.
pub(crate) async fn hand_over(dir: &Path, binaries: Binaries) {
    let (plane, world) = stand(dir, binaries).await;
    let cluster = &world.clusters()[0];
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), SYSTEM);
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments.patch("autoscaler", &PatchParams::default(), &two).await.unwrap();
    eventually(async || {
        let status = deployments.get("autoscaler").await.ok()?.status?;
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
    let before = holder(&world).await;
    let began = jiff::Timestamp::now();
    let kill = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(holder(&world).await, before, "who leads goes on leading");
        let at = jiff::Timestamp::now();
        let process = cluster.process(SYSTEM, &pod_of(&before), "autoscaler").unwrap();
        assert!(process.signal(Signal::KILL));
        let killed = Instant::now();
        let next =
            eventually(async || Some(holder(&world).await).filter(|h| *h != before && !h.is_empty())).await;
        (at, killed.elapsed(), next)
    };
    let (outcome, (at, took, next)) = tokio::join!(play(&world, HANDOVER), kill);
    held(&outcome);
    tracing::info!(took_ms = took.as_millis() as u64, before, next, "handed over");
    assert!(took < Duration::from_secs(15), "handed over after {took:?}");
    let writers = |from, to| -> BTreeSet<String> { audit::scale_writers(&plane.audit_log(), from, to) };
    assert_eq!(writers(began, at), BTreeSet::from([pod_of(&before)]), "only the leader wrote");
    assert_eq!(
        writers(at, jiff::Timestamp::now()),
        BTreeSet::from([pod_of(&next)]),
        "then only the next one"
    );
    audit::refused_nothing(&plane.audit_log(), None);
    end(plane, world).await;
}
