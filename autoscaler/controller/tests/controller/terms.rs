//! To zero and back, schedules, pauses and formulas, from the policy to the scale subresource.

use serde_json::{Value, json};

use crate::api::{DEPLOYMENTS, POLICIES};
use crate::querier::Say;
use crate::world::World;

fn web() -> String {
    format!("{DEPLOYMENTS}/web")
}

async fn until_replicas(world: &World, replicas: i64) {
    world
        .api
        .until(&format!("{replicas} replicas"), |_| (world.replicas(&web()) == replicas).then_some(()))
        .await;
}

fn last_cause(world: &World) -> String {
    let policy = world.api.get(&format!("{POLICIES}/web")).unwrap();
    policy["status"]["lastDecisions"][0]["cause"].as_str().unwrap_or_default().to_owned()
}

/// Every record of the controller's gives its decision again.
async fn all_replay(world: &World) {
    world.replay().await.unwrap();
}

#[tokio::test]
async fn a_workload_goes_to_zero_and_comes_back() {
    let world = World::new(Say::Value(100.0)).await;
    world.deployment("web", 2);
    world.policy("web", |spec| {
        spec["minReplicas"] = json!(0);
        spec["zero"] = json!({"cooldown": "500ms"});
        spec["metrics"][0]["activation"] = json!("5");
    });
    let controller = world.controller(&[]);
    world.querier.say(Say::Value(4.0));
    until_replicas(&world, 0).await;
    world
        .api
        .until("why", |_| last_cause(&world).starts_with("nothing was active for 0.5s").then_some(()))
        .await;
    // A partial answer is no evidence, and raises all the same.
    world.querier.say(Say::Partial(120.0));
    until_replicas(&world, 3).await;
    controller.stop().await;
    all_replay(&world).await;
}

#[tokio::test]
async fn what_is_not_known_takes_no_last_replica() {
    let world = World::new(Say::Warned(0.0)).await;
    world.deployment("web", 1);
    world.policy("web", |spec| {
        spec["minReplicas"] = json!(0);
        spec["zero"] = json!({"cooldown": "0"});
    });
    let controller = world.controller(&[]);
    world.api.until_condition("web", "EvidenceSufficient", "False QueryWarnings").await;
    let asked = world.querier.asked();
    world.api.until("more evaluations", |_| (world.querier.asked() > asked + 10).then_some(())).await;
    assert_eq!(world.replicas(&web()), 1);
    world.querier.say(Say::Value(0.0));
    until_replicas(&world, 0).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_schedule_holds_a_floor_and_says_so() {
    let world = World::new(Say::Value(50.0)).await;
    world.deployment("web", 1);
    // It starts anew every minute, and a start beside an end is a start.
    let always = json!([{"name": "always", "start": "* * * * *", "end": "0 0 1 1 *", "minReplicas": 7}]);
    world.policy("web", |spec| spec["schedules"] = always);
    let controller = world.controller(&[]);
    until_replicas(&world, 7).await;
    let said = world.api.until_condition("web", "ScalingLimited", "True TooFewReplicas").await;
    assert!(said.contains("less than the minimum"), "{said}");
    world
        .api
        .until("whose it is", |_| {
            last_cause(&world).contains("below schedule always's minReplicas, 7").then_some(())
        })
        .await;
    world.policy("web", |_| {});
    until_replicas(&world, 1).await;
    controller.stop().await;
    all_replay(&world).await;
}

#[tokio::test]
async fn a_policy_is_paused_in_one_direction_or_at_a_number() {
    let world = World::new(Say::Value(500.0)).await;
    world.deployment("web", 4);
    world.policy("web", |spec| spec["pause"] = json!({"scaleUp": true}));
    let controller = world.controller(&[]);
    world.api.until_condition("web", "ScalingLimited", "True ScaleUpPaused").await;
    assert_eq!(world.replicas(&web()), 4);
    world.policy("web", |spec| spec["pause"] = json!({"replicas": 6}));
    until_replicas(&world, 6).await;
    world.policy("web", |_| {});
    until_replicas(&world, 10).await;
    controller.stop().await;
}

/// A policy whose metrics ask for nothing by themselves.
fn with_formula(spec: &mut Value) {
    let mut second = spec["metrics"][0].clone();
    second["name"] = json!("queue-length");
    spec["metrics"].as_array_mut().unwrap().push(second);
    for metric in spec["metrics"].as_array_mut().unwrap() {
        metric.as_object_mut().unwrap().remove("target");
    }
    spec["formula"] = json!({"expression": "requests + metrics[\"queue-length\"] / 2",
                             "target": {"type": "AverageValue", "averageValue": "50"}});
}

#[tokio::test]
async fn a_formula_scales_on_what_its_metrics_say() {
    let world = World::new(Say::Value(200.0)).await;
    world.deployment("web", 2);
    world.policy("web", with_formula);
    let controller = world.controller(&[]);
    until_replicas(&world, 6).await;
    world.querier.say(Say::Warned(50.0));
    world.api.until_condition("web", "EvidenceSufficient", "False QueryWarnings").await;
    assert_eq!(world.replicas(&web()), 6);
    world.querier.say(Say::Value(50.0));
    until_replicas(&world, 2).await;
    world.policy("web", |spec| {
        with_formula(spec);
        spec["formula"]["expression"] = json!("requests / (requests - 50)");
    });
    // The second metric is read by nobody now.
    let said = world.api.until_condition("web", "ScalingActive", "False InvalidPolicy").await;
    assert!(said.contains("the formula does not read \"queue-length\""), "{said}");
    controller.stop().await;
    all_replay(&world).await;
}

#[tokio::test]
async fn a_policy_without_an_interval_has_the_controllers() {
    let world = World::new(Say::Value(100.0)).await;
    world.deployment("web", 1);
    world.policy("web", |spec| drop(spec.as_object_mut().unwrap().remove("interval")));
    let controller = world.controller(&["--sync-period", "100ms"]);
    until_replicas(&world, 2).await;
    controller.stop().await;
}
