//! Policies that restore are kept until they have.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::{DEPLOYMENTS, POLICIES};
use crate::querier::Say;
use crate::world::{Controller, World};

const FINALIZER: &str = "autoscaling.gauntlet.dev/restore";

/// `web` had two replicas, and has eight by a policy that restores.
async fn raised() -> (World, Controller) {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |spec| spec["onDelete"] = json!("Restore"));
    let controller = world.controller(&[]);
    let policy = format!("{POLICIES}/web");
    let kept = |api: &crate::api::Api| {
        let policy = api.get(&policy)?;
        let original = policy["status"]["original"]["replicas"] == json!(2);
        (policy["metadata"]["finalizers"] == json!([FINALIZER]) && original).then_some(())
    };
    world.api.until("a finalizer, and what there was", kept).await;
    let path = format!("{DEPLOYMENTS}/web");
    world.api.until("eight replicas", |_| (world.replicas(&path) == 8).then_some(())).await;
    (world, controller)
}

#[tokio::test]
async fn a_policy_that_is_deleted_leaves_what_there_was_before_it() {
    let (world, controller) = raised().await;
    let (policy, deployment) = (format!("{POLICIES}/web"), format!("{DEPLOYMENTS}/web"));
    world.api.request_deletion(&policy);
    world.api.until("it is gone", |api| api.get(&policy).is_none().then_some(())).await;
    assert_eq!(world.replicas(&deployment), 2);
    let last: Vec<String> = world.api.order().into_iter().rev().take(2).collect();
    assert_eq!(last, [policy, format!("{deployment}/scale")], "first the replicas, then the finalizer");
    controller.stop().await;
}

#[tokio::test]
async fn one_that_may_not_write_the_replicas_goes_all_the_same() {
    let (world, controller) = raised().await;
    let policy = format!("{POLICIES}/web");
    world.api.on_write(|_, path| path.ends_with("/scale").then_some(StatusCode::FORBIDDEN));
    world.api.request_deletion(&policy);
    world.api.until("it is gone", |api| api.get(&policy).is_none().then_some(())).await;
    assert_eq!(world.replicas(&format!("{DEPLOYMENTS}/web")), 8);
    controller.stop().await;
}

#[tokio::test]
async fn the_next_process_restores_what_was_deleted_while_none_ran() {
    let (world, controller) = raised().await;
    let policy = format!("{POLICIES}/web");
    controller.stop().await;
    world.api.request_deletion(&policy);
    assert!(world.api.get(&policy).is_some(), "kept");
    let controller = world.controller(&[]);
    world.api.until("it is gone", |api| api.get(&policy).is_none().then_some(())).await;
    assert_eq!(world.replicas(&format!("{DEPLOYMENTS}/web")), 2);
    controller.stop().await;
}

#[tokio::test]
async fn a_policy_that_no_longer_restores_loses_its_finalizer() {
    let (world, controller) = raised().await;
    let policy = format!("{POLICIES}/web");
    let mut object = world.api.get(&policy).unwrap();
    object["spec"]["onDelete"] = json!("Keep");
    object["metadata"]["generation"] = json!(2);
    world.api.put(&policy, object);
    let free =
        |api: &crate::api::Api| (api.get(&policy)?["metadata"]["finalizers"] == json!([])).then_some(());
    world.api.until("no finalizer", free).await;
    controller.stop().await;
}
