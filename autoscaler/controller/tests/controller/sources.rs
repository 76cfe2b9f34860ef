//! Policies with servers of their own: asked with what their Secrets hold, and never answered by another.

use serde_json::{Value, json};

use crate::api::{DEPLOYMENTS, POLICIES, SECRETS};
use crate::querier::{Querier, Say};
use crate::world::World;

fn web() -> String {
    format!("{DEPLOYMENTS}/web")
}

/// A Secret whose only key holds this, in base64.
fn secret(world: &World, value: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"token": value}});
    world.api.put(&format!("{SECRETS}/mimir"), object);
}

fn source(querier: &Querier) -> Value {
    json!({"addresses": [querier.url], "bearerToken": {"secretRef": {"name": "mimir", "key": "token"}}})
}

#[tokio::test]
async fn a_source_is_asked_with_what_its_secret_holds_and_follows_it() {
    let world = World::new(Say::Value(1_000.0)).await;
    let own = Querier::start(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |spec| spec["source"] = source(&own));
    let controller = world.controller(&[]);
    let missing =
        "spec.source.bearerToken: Secret mimir has no key token; create it in the policy's namespace";
    let said = world.api.until_condition("web", "ScalingActive", "False FailedGetExternalMetric").await;
    assert!(said.contains(missing), "{said}");
    world.api.until_condition("web", "EvidenceSufficient", "False SourceUnusable").await;
    assert_eq!((own.asked(), world.querier.asked()), (0, 0));

    secret(&world, "aHVudGVyMg==");
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    assert_eq!(own.authorization().as_deref(), Some("Bearer hunter2"));
    secret(&world, "aHVudGVyMw==");
    let renewed = |_: &crate::api::Api| own.authorization().filter(|a| a == "Bearer hunter3");
    world.api.until("the renewed token", renewed).await;

    world.api.delete(&format!("{SECRETS}/mimir"));
    let said = world.api.until_condition("web", "ScalingActive", "False FailedGetExternalMetric").await;
    assert!(said.contains(missing), "{said}");
    assert_eq!((world.querier.asked(), world.replicas(&web())), (0, 8), "by no other server");
    let told = world.api.get(&format!("{POLICIES}/web")).unwrap().to_string();
    assert!(!told.contains("hunter"), "{told}");
    controller.stop().await;
}

#[tokio::test]
async fn a_metric_may_have_a_source_beside_the_policy_s() {
    let world = World::new(Say::Value(1_000.0)).await;
    let (of_policy, of_metric) =
        (Querier::start(Say::Value(100.0)).await, Querier::start(Say::Value(300.0)).await);
    world.deployment("web", 2);
    world.policy("web", |spec| {
        spec["source"] = json!({"addresses": [of_policy.url]});
        let mut second = spec["metrics"][0].clone();
        second["name"] = json!("second");
        second["source"] = json!({"addresses": [of_metric.url]});
        spec["metrics"] = json!([spec["metrics"][0], second]);
    });
    let controller = world.controller(&[]);
    world.api.until("6 replicas", |_| (world.replicas(&web()) == 6).then_some(())).await;
    assert!(of_policy.asked() > 0 && of_metric.asked() > 0);
    assert_eq!(world.querier.asked(), 0);
    controller.stop().await;
}

#[tokio::test]
async fn a_source_that_hangs_delays_nobody_who_asks_another() {
    let world = World::new(Say::Value(400.0)).await;
    let hangs = Querier::start(Say::Hang).await;
    world.deployment("web", 2);
    for n in 0..8 {
        world.deployment(&format!("slow-{n}"), 2);
        world.policy(&format!("slow-{n}"), |spec| {
            spec["scaleTargetRef"]["name"] = json!(format!("slow-{n}"));
            spec["source"] = json!({"addresses": [hangs.url]});
        });
    }
    world.policy("web", |_| {});
    // Of the two slots that each querier has, those of one that hangs are taken for good.
    let controller = world.controller(&["--query-slots", "2", "--query-timeout", "19s"]);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    controller.crash().await;
}
