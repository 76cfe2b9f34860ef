//! Who may write.

use serde_json::json;

use crate::api::{DEPLOYMENTS, LEASE};
use crate::querier::Say;
use crate::world::World;

fn held_by(holder: &str) -> serde_json::Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 1, "leaseTransitions": 4},
    })
}

#[tokio::test]
async fn who_does_not_lead_writes_nothing_and_takes_over_when_the_leader_is_gone() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    world.api.put(LEASE, held_by("somebody"));
    let controller = world.controller(&[]);
    // The holder renews every few looks, for longer than its lease lasts.
    for _ in 0..12 {
        let looks = world.api.reads_of(LEASE);
        world.api.until("looks at the lease", |api| (api.reads_of(LEASE) >= looks + 3).then_some(())).await;
        world.api.put(LEASE, held_by("somebody"));
    }
    assert_eq!(world.api.writes_to(LEASE).len(), 0);
    assert_eq!(world.api.order(), Vec::<String>::new());
    assert_eq!(world.querier.asked(), 0);
    // It stops.
    world
        .api
        .until("8 replicas", |_| (world.replicas(&format!("{DEPLOYMENTS}/web")) == 8).then_some(()))
        .await;
    let lease = world.api.get(LEASE).unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 5);
    controller.stop().await;
    assert_eq!(world.api.get(LEASE).unwrap()["spec"]["holderIdentity"], "", "released");
}

#[tokio::test]
async fn a_leader_that_loses_its_lease_stops_writing() {
    let world = World::new(Say::Value(100.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    world.several_evaluations("web").await;
    world.api.put(LEASE, held_by("usurper"));
    let looks = world.api.reads_of(LEASE);
    world.api.until("a look at the lease", |api| (api.reads_of(LEASE) >= looks + 2).then_some(())).await;
    let before = world.api.order().len();
    world.querier.say(Say::Value(400.0));
    for _ in 0..4 {
        world.api.put(LEASE, held_by("usurper"));
        let looks = world.api.reads_of(LEASE);
        world.api.until("more looks", |api| (api.reads_of(LEASE) >= looks + 3).then_some(())).await;
    }
    assert_eq!((world.api.order().len(), world.replicas(&format!("{DEPLOYMENTS}/web"))), (before, 2));
    controller.stop().await;
    assert_eq!(world.api.get(LEASE).unwrap()["spec"]["holderIdentity"], "usurper", "not ours to release");
}

#[tokio::test]
async fn of_two_controllers_one_acts_and_the_other_takes_over_after_a_crash() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let first = world.controller(&[]);
    world
        .api
        .until("8 replicas", |_| (world.replicas(&format!("{DEPLOYMENTS}/web")) == 8).then_some(()))
        .await;
    let scaled = world.last_scale_time().await;
    let second = world.controller(&[]);
    world.several_evaluations("web").await;
    let holder = world.api.get(LEASE).unwrap()["spec"]["holderIdentity"].clone();
    first.crash().await;
    world
        .api
        .until("another holder", |api| {
            let now = api.get(LEASE)?["spec"]["holderIdentity"].clone();
            (now != holder && now != "").then_some(())
        })
        .await;
    world.several_evaluations("web").await;
    assert_eq!(world.last_scale_time().await, scaled, "the second goes on from the first's last status");
    world.querier.say(Say::Value(500.0));
    world
        .api
        .until("10 replicas", |_| (world.replicas(&format!("{DEPLOYMENTS}/web")) == 10).then_some(()))
        .await;
    second.stop().await;
}

#[tokio::test]
async fn with_several_shards_each_policy_has_one_writer() {
    let world = World::new(Say::Value(400.0)).await;
    for n in 0..6 {
        world.deployment(&format!("web-{n}"), 2);
        world.policy(&format!("p{n}"), |spec| spec["scaleTargetRef"]["name"] = json!(format!("web-{n}")));
    }
    let flags = ["--shards", "3"];
    let (first, second) = (world.controller(&flags), world.controller(&flags));
    let all = |replicas: i64| {
        let target = |n: i32| world.replicas(&format!("{DEPLOYMENTS}/web-{n}"));
        (0..6).all(|n| target(n) == replicas).then_some(())
    };
    world.api.until("8 replicas each", |_| all(8)).await;
    for n in 0..6 {
        let scale = format!("{DEPLOYMENTS}/web-{n}/scale");
        let writes = world.api.writes_to(&scale);
        assert_eq!(writes.len(), 1, "by one of them, once: {writes:#?}");
    }
    assert!((0..3).all(|shard| world.api.get(&format!("{LEASE}-{shard}")).is_some()));
    first.crash().await;
    world.querier.say(Say::Value(500.0));
    world.api.until("10 replicas each", |_| all(10)).await;
    second.stop().await;
}
