//! The Receive ring: members first, replicas second.

use serde_json::{Value, json};

use crate::api::{Api, CONFIGMAPS, PODS, STATEFULSETS};
use crate::querier::Say;
use crate::world::World;

fn receive() -> String {
    format!("{STATEFULSETS}/receive")
}

fn map() -> String {
    format!("{CONFIGMAPS}/receive-ring")
}

fn pod(world: &World, ordinal: u32, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": []},
        "status": {"podIP": format!("127.1.0.{ordinal}"), "conditions": [{"type": "Ready", "status": status}]},
    });
    world.api.put(&format!("{PODS}/receive-{ordinal}"), object);
}

async fn world(replicas: i32) -> World {
    let world = World::new(Say::Value(f64::from(replicas) * 50.0)).await;
    let object = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {},
        "spec": {"replicas": replicas, "podManagementPolicy": "Parallel",
                 "selector": {"matchLabels": {"app": "receive"}}},
        "status": {"replicas": replicas, "readyReplicas": replicas},
    });
    world.api.put(&receive(), object);
    for ordinal in 0..replicas.unsigned_abs() {
        pod(&world, ordinal, true);
    }
    world.policy("receive", |spec| {
        spec["scaleTargetRef"] = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "receive"});
        spec["ring"] = json!({"configMap": "receive-ring", "replicationFactor": 2, "settle": "500ms"});
    });
    world
}

fn members(api: &Api) -> Option<Vec<String>> {
    let object = api.get(&map())?;
    let file: Value = serde_json::from_str(object["data"]["hashrings.json"].as_str()?).ok()?;
    let endpoints = file[0]["endpoints"].as_array()?.iter();
    Some(endpoints.filter_map(|e| Some(e.as_str()?.to_owned())).collect())
}

fn addresses(n: u32) -> Vec<String> {
    (0..n).map(|o| format!("127.1.0.{o}:10901")).collect()
}

#[tokio::test]
async fn the_ring_grows_with_ready_members_and_shrinks_before_the_replicas() {
    let world = world(2).await;
    let controller = world.controller(&[]);
    world.api.until("a first ring", |api| members(api).filter(|m| *m == addresses(2))).await;

    world.querier.say(Say::Value(150.0));
    world.api.until("3 replicas", |_| (world.replicas(&receive()) == 3).then_some(())).await;
    pod(&world, 2, false);
    world.several_evaluations("receive").await;
    assert_eq!(members(&world.api), Some(addresses(2)), "not ready, not a member");
    pod(&world, 2, true);
    world.api.until("3 members", |api| members(api).filter(|m| *m == addresses(3))).await;

    let before = world.api.order().len();
    world.querier.say(Say::Value(10.0));
    world.api.until("2 replicas", |_| (world.replicas(&receive()) == 2).then_some(())).await;
    assert_eq!(members(&world.api), Some(addresses(2)));
    assert_eq!(world.api.order()[before..], [map(), format!("{}/scale", receive())]);

    // One is wanted; the replication factor is two.
    world.api.until_condition("receive", "RingSettled", "True RingAtReplicationFactor").await;
    world.several_evaluations("receive").await;
    assert_eq!(world.replicas(&receive()), 2);
    let notes =
        world.api.get(&map()).unwrap()["metadata"]["annotations"]["autoscaling.gauntlet.dev/ring"].clone();
    assert!(notes.as_str().unwrap().contains("\"version\":3"), "{notes}");
    controller.stop().await;
}

#[tokio::test]
async fn replicas_wait_while_a_member_that_stays_is_not_ready() {
    let world = world(3).await;
    let controller = world.controller(&[]);
    world.api.until("a first ring", |api| members(api).filter(|m| *m == addresses(3))).await;
    pod(&world, 0, false);
    world.querier.say(Say::Value(10.0));
    let said = world.api.until_condition("receive", "RingSettled", "False RingHeld: 2 replicas wait").await;
    assert!(said.contains("127.1.0.0:10901 is not ready"), "{said}");
    world.several_evaluations("receive").await;
    assert_eq!((world.replicas(&receive()), members(&world.api)), (3, Some(addresses(3))));
    pod(&world, 0, true);
    world.api.until("2 replicas", |_| (world.replicas(&receive()) == 2).then_some(())).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_ring_file_that_is_garbage_is_left_alone_and_nothing_falls() {
    let world = world(3).await;
    let garbage =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"hashrings.json": "{"}});
    world.api.put(&map(), garbage);
    world.querier.say(Say::Value(10.0));
    let controller = world.controller(&[]);
    let said = world.api.until_condition("receive", "RingSettled", "False RingUnavailable").await;
    assert!(said.contains("delete the key to start a new ring"), "{said}");
    world.several_evaluations("receive").await;
    assert_eq!(world.api.order(), Vec::<String>::new());
    // It does not keep replicas from rising.
    world.querier.say(Say::Value(200.0));
    world.api.until("4 replicas", |_| (world.replicas(&receive()) == 4).then_some(())).await;
    controller.stop().await;
}
