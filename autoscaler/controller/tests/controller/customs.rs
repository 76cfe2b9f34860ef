//! Targets of other kinds than those of `apps`: where they keep their replicas, their scale alone says.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::{POLICIES, WIDGETS};
use crate::querier::Say;
use crate::world::World;

fn scale() -> String {
    format!("{WIDGETS}/web/scale")
}

fn widget(world: &World, replicas: i32) {
    let object = json!({
        "apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {},
        "spec": {"replicas": replicas}, "status": {"replicas": replicas, "readyReplicas": replicas},
    });
    world.api.put(&format!("{WIDGETS}/web"), object);
}

fn policy(world: &World) {
    world.policy("web", |spec| {
        spec["scaleTargetRef"] = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "name": "web"});
    });
}

#[tokio::test]
async fn a_scale_that_could_not_be_read_once_is_read_again_and_written() {
    let world = World::new(Say::Value(400.0)).await;
    widget(&world, 2);
    policy(&world);
    world.api.on_read(&scale(), Some(StatusCode::SERVICE_UNAVAILABLE));
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "AbleToScale", "False FailedGetScale").await;
    assert!(said.contains("not now"), "{said}");
    world.api.on_read(&scale(), None);
    world.api.until("8 replicas", |_| (world.replicas(&format!("{WIDGETS}/web")) == 8).then_some(())).await;
    controller.stop().await;
}

#[tokio::test]
async fn replicas_that_somebody_changed_while_a_scale_could_not_be_read_are_known_after_that() {
    let world = World::new(Say::Value(100.0)).await;
    widget(&world, 2);
    policy(&world);
    let controller = world.controller(&[]);
    world.api.until_condition("web", "ScalingActive", "True").await;
    let current = |n: i64| {
        move |api: &crate::api::Api| {
            let status = api.get(&format!("{POLICIES}/web"))?["status"].clone();
            (status["currentReplicas"] == n).then_some(())
        }
    };
    world.api.until("2 are known", current(2)).await;
    world.api.on_read(&scale(), Some(StatusCode::SERVICE_UNAVAILABLE));
    world.querier.say(Say::Value(450.0));
    widget(&world, 9);
    let before = world.api.reads_of(&scale());
    world.api.until("tries", |api| (api.reads_of(&scale()) >= before + 3).then_some(())).await;
    world.api.on_read(&scale(), None);
    world.api.until("9 are known", current(9)).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_target_that_cannot_be_read_is_asked_for_by_one_reader_alone() {
    let world = World::new(Say::Value(400.0)).await;
    widget(&world, 2);
    policy(&world);
    let mut conflicts = 0;
    let api = world.api.clone();
    world.api.on_write(move |_, path| {
        let met = path == scale();
        conflicts += i32::from(met);
        (met && conflicts == 1).then_some(StatusCode::CONFLICT)
    });
    api.on_read(&scale(), None);
    let controller = world.controller(&[]);
    api.until("a conflict", |api| (!api.writes_to(&scale()).is_empty()).then_some(())).await;
    api.on_read(&scale(), Some(StatusCode::SERVICE_UNAVAILABLE));
    let (before, looks) = (api.reads_of(&scale()), std::time::Instant::now());
    widget(&world, 3);
    api.until("tries", |api| (api.reads_of(&scale()) >= before + 4).then_some(())).await;
    // 0.2, 0.4 and 0.8 seconds lie between them.
    assert!(looks.elapsed().as_millis() >= 1_300, "{:?}", looks.elapsed());
    api.on_read(&scale(), None);
    api.until("8 replicas", |_| (world.replicas(&format!("{WIDGETS}/web")) == 8).then_some(())).await;
    controller.stop().await;
}
