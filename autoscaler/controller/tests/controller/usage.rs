//! Resource metrics: pods from a watch, what they use from `metrics.k8s.io`.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::{DEPLOYMENTS, EVENTS, POD_METRICS, PODS, POLICIES};
use crate::querier::Say;
use crate::world::World;

fn cpu(spec: &mut Value) {
    spec["metrics"] = json!([{"name": "cpu", "type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]);
}

fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

fn pods(world: &World, count: usize) {
    for index in 0..count {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "100m"}}}]},
            "status": {"phase": "Running", "startTime": ago(3_600), "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(3_500)}]},
        });
        world.api.put(&format!("{PODS}/web-{index}"), pod);
    }
}

fn use_cpu(world: &World, count: usize, cpu: &str) {
    for index in 0..count {
        let used = json!({"timestamp": ago(0), "window": "100ms", "containers": [
            {"name": "app", "usage": {"cpu": cpu, "memory": "1Mi"}}]});
        world.api.put(&format!("{POD_METRICS}/web-{index}"), used);
    }
}

fn web() -> String {
    format!("{DEPLOYMENTS}/web")
}

#[tokio::test]
async fn cpu_scales_up_and_down_without_a_querier() {
    let world = World::new(Say::Value(0.0)).await;
    pods(&world, 2);
    use_cpu(&world, 2, "200m");
    world.deployment("web", 2);
    world.policy("web", cpu);
    let controller = world.controller(&[]);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    let measures = async {
        loop {
            // Each value is of a window that began after the last one.
            use_cpu(&world, 2, "10m");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let lowered = world.api.until("1 replica", |_| (world.replicas(&web()) == 1).then_some(()));
    tokio::select! {
        () = lowered => {}
        () = measures => {}
    }
    controller.stop().await;
}

#[tokio::test]
async fn without_metrics_server_the_condition_says_so_and_nothing_changes() {
    let world = World::new(Say::Value(400.0)).await;
    pods(&world, 2);
    world.deployment("web", 2);
    world.policy("web", cpu);
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "ScalingActive", "False FailedGetResourceMetric").await;
    assert!(said.contains("does not serve it") && said.contains("install metrics-server"), "{said}");
    let told = |api: &crate::api::Api| {
        let writes = api.writes_to(EVENTS);
        writes.into_iter().find(|w| w.body["reason"] == "FailedComputeMetricsReplicas")
    };
    world.api.until("the event of it", told).await;
    assert_eq!(world.replicas(&web()), 2);
    // As soon as it is there, it is asked again.
    use_cpu(&world, 2, "200m");
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    controller.stop().await;
}

#[tokio::test]
async fn the_hpas_own_answer_is_said_to_be_one() {
    let world = World::new(Say::Value(400.0)).await;
    pods(&world, 2);
    use_cpu(&world, 1, "200m");
    world.deployment("web", 2);
    world.policy("web", |spec| {
        cpu(spec);
        spec["compatibility"] = json!("HPA");
    });
    let controller = world.controller(&[]);
    // One pod has no value, and is taken for idle: 200m of two pods' 200m against 50 %.
    world.api.until("4 replicas", |_| (world.replicas(&web()) == 4).then_some(())).await;
    world.api.until_condition("web", "EvidenceSufficient", "True EvidenceNotJudged").await;
    controller.stop().await;
}

#[tokio::test]
async fn more_pods_than_are_kept_are_a_doubt_only_while_there_are_so_many() {
    let world = World::new(Say::Value(400.0)).await;
    pods(&world, 2_001);
    use_cpu(&world, 2, "200m");
    world.deployment("web", 2);
    world.policy("web", cpu);
    let controller = world.controller(&[]);
    let many = |api: &crate::api::Api| {
        let status = api.get(&format!("{POLICIES}/web"))?["status"].to_string();
        Some(status.contains("more than 2000 pods"))
    };
    world.api.until("too many", |api| many(api)?.then_some(())).await;
    world.api.delete(&format!("{PODS}/web-7"));
    world.api.until("no more of them than are kept", |api| (!many(api)?).then_some(())).await;
    world.api.put(
        &format!("{PODS}/web-7"),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": "web"}}}),
    );
    world.api.until("too many again", |api| many(api)?.then_some(())).await;
    controller.stop().await;
}
