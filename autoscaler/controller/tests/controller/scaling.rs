//! Reading, deciding, writing, saying.

use autoscaler_core::replay;
use axum::http::StatusCode;
use serde_json::json;

use crate::api::{DEPLOYMENTS, EVENTS, POLICIES};
use crate::querier::Say;
use crate::world::World;

fn web() -> String {
    format!("{DEPLOYMENTS}/web")
}

#[tokio::test]
async fn load_scales_up_and_down_and_every_decision_is_recorded() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    world.querier.say(Say::Value(100.0));
    world.api.until("2 replicas", |_| (world.replicas(&web()) == 2).then_some(())).await;
    let status = world
        .api
        .until("the status of it", |api| {
            let status = api.get(&format!("{POLICIES}/web"))?["status"].clone();
            (status["desiredReplicas"] == 2 && status["currentReplicas"] == 2).then_some(status)
        })
        .await;
    assert_eq!(status["metrics"][0]["clustersAnswered"], json!(["east", "west"]));
    assert_eq!(status["metrics"][0]["sufficient"], true);
    assert!(status["lastScaleTime"].is_string());
    assert!(status["lastEvaluationTime"].is_string());
    for decision in status["lastDecisions"].as_array().unwrap() {
        let ending = format!("-{}.json", decision["digest"].as_str().unwrap());
        let record = world.records("web").into_iter().find(|file| file.to_str().unwrap().ends_with(&ending));
        assert!(replay(&std::fs::read(record.unwrap()).unwrap()).unwrap().identical);
    }
    world.replay().await.unwrap();
    let notes: Vec<String> = world
        .api
        .writes_to(EVENTS)
        .iter()
        .filter(|w| w.body["reason"] == "SuccessfulRescale")
        .map(|w| w.body["note"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("New size: 8; reason: requests above target: 400"), "{notes:?}");
    assert!(notes[1].starts_with("New size: 2; reason: requests below target: 100"), "{notes:?}");
    controller.stop().await;
}

#[tokio::test]
async fn a_missing_target_is_a_condition_with_its_cure() {
    let world = World::new(Say::Value(400.0)).await;
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "AbleToScale", "False FailedGetScale").await;
    assert!(
        said.contains("Deployment web") && said.contains("create it, or correct spec.scaleTargetRef"),
        "{said}"
    );
    world.deployment("web", 2);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_conflict_is_decided_anew_not_repeated() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let querier = world.querier.clone();
    let scale = format!("{}/scale", web());
    let mut conflicts = 0;
    world.api.on_write({
        let scale = scale.clone();
        move |_, path| {
            // Demand changes while the first write meets a conflict.
            (path == scale && conflicts == 0).then(|| {
                conflicts += 1;
                querier.say(Say::Value(250.0));
                StatusCode::CONFLICT
            })
        }
    });
    let controller = world.controller(&[]);
    world.api.until("5 replicas", |_| (world.replicas(&web()) == 5).then_some(())).await;
    let wanted: Vec<i64> =
        world.api.writes_to(&scale).iter().map(|w| w.body["spec"]["replicas"].as_i64().unwrap()).collect();
    assert_eq!(wanted, [8, 5]);
    assert!(world.api.writes_to(&scale)[0].body["metadata"]["resourceVersion"].is_string());
    controller.stop().await;
}

#[tokio::test]
async fn a_failed_write_is_a_condition_and_an_event() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    world.api.on_write(|_, path| path.ends_with("/scale").then_some(StatusCode::FORBIDDEN));
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "AbleToScale", "False FailedUpdateScale").await;
    assert!(said.contains("the hook said no") && said.contains("decides anew"), "{said}");
    assert_eq!(world.replicas(&web()), 2);
    controller.stop().await;
}

#[tokio::test]
async fn a_write_that_fails_every_time_is_told_once() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    world.api.on_write(|_, path| path.ends_with("/scale").then_some(StatusCode::FORBIDDEN));
    let controller = world.controller(&[]);
    let scale = format!("{}/scale", web());
    world.api.until("many attempts", |api| (api.writes_to(&scale).len() >= 12).then_some(())).await;
    let failed = world.api.writes_to(EVENTS).iter().filter(|w| w.body["reason"] == "FailedRescale").count();
    assert_eq!(failed, 1, "of {} attempts", world.api.writes_to(&scale).len());
    let decisions = world.api.get(&format!("{POLICIES}/web")).unwrap()["status"]["lastDecisions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(decisions, 1);
    controller.stop().await;
    assert_eq!(world.records("web").len(), 1);
}

/// The kind's plural must not be guessed: on this one the guess panics, and took the whole batch with it.
#[tokio::test]
async fn a_policy_on_a_kind_of_one_letter_stops_no_other() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("letter", |spec| spec["scaleTargetRef"]["kind"] = json!("Y"));
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    world.api.until_condition("letter", "AbleToScale", "False FailedGetScale").await;
    controller.stop().await;
}

#[tokio::test]
async fn a_scale_without_a_version_is_not_written() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.api.without_versions_of_scales();
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "AbleToScale", "False FailedUpdateScale").await;
    assert!(said.contains("no resourceVersion"), "{said}");
    assert_eq!(world.api.order(), Vec::<String>::new());
    controller.stop().await;
}

#[tokio::test]
async fn a_policy_that_comes_back_does_not_act_on_what_was_asked_for_the_one_before() {
    let world = World::new(Say::Hang).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let controller = world.controller(&["--query-timeout", "19s"]);
    world.api.until("a question", |_| (world.querier.asked() == 1).then_some(())).await;
    world.api.delete(&format!("{POLICIES}/web"));
    world.several_looks().await;
    world.querier.say(Say::Value(400.0));
    world.policy("web", |_| {});
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    controller.stop().await;
}

#[tokio::test]
async fn an_autoscaler_on_the_same_target_holds_the_policy_until_it_goes() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let hpa = json!({"metadata": {}, "spec": {"scaleTargetRef": target, "maxReplicas": 3}});
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/web-hpa";
    world.api.put(path, hpa);
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "AbleToScale", "False AmbiguousTarget").await;
    assert!(said.contains("HorizontalPodAutoscaler web-hpa"), "{said}");
    world.several_evaluations("web").await;
    let before = world.api.order();
    world.api.delete(path);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    assert!(before.len() <= 1, "{before:?}");
    controller.stop().await;
}

#[tokio::test]
async fn nothing_is_read_for_an_evaluation() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    let asked = world.querier.asked();
    world.several_evaluations("web").await;
    assert!(world.querier.asked() > asked + 5);
    assert_eq!(world.api.reads_of(&web()) + world.api.reads_of(&format!("{}/scale", web())), 0);
    controller.stop().await;
}

#[tokio::test]
async fn two_active_policies_on_one_target_write_nothing_until_one_goes() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("first", |_| {});
    world.policy("second", |_| {});
    let controller = world.controller(&[]);
    for (policy, other) in [("first", "second"), ("second", "first")] {
        let said = world.api.until_condition(policy, "AbleToScale", "False AmbiguousTarget").await;
        assert!(said.contains(other) && said.contains("Shadow or Paused"), "{said}");
    }
    assert_eq!(world.api.order(), Vec::<String>::new());
    world.api.delete(&format!("{POLICIES}/second"));
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    world.api.until_condition("first", "AbleToScale", "True").await;
    controller.stop().await;
}

#[tokio::test]
async fn shadow_and_paused_policies_write_nothing() {
    for (mode, desired) in [("Shadow", 8), ("Paused", 2)] {
        let world = World::new(Say::Value(400.0)).await;
        world.deployment("web", 2);
        world.policy("web", |spec| spec["mode"] = json!(mode));
        let controller = world.controller(&[]);
        let desires = |api: &crate::api::Api| {
            api.get(&format!("{POLICIES}/web"))?["status"]["desiredReplicas"].as_i64()
        };
        world.api.until(mode, |api| desires(api).filter(|d| *d == desired)).await;
        world.several_evaluations("web").await;
        assert_eq!(world.api.order(), Vec::<String>::new(), "{mode}");
        controller.stop().await;
    }
}

#[tokio::test]
async fn an_invalid_policy_is_a_condition_that_names_the_field() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |spec| spec["minReplicas"] = json!(30));
    // This one cannot even be read; it must not blind the controller to the others.
    world.policy("garbage", |spec| spec["maxReplicas"] = json!("many"));
    let controller = world.controller(&[]);
    let said = world.api.until_condition("web", "ScalingActive", "False InvalidPolicy").await;
    assert!(said.contains("spec.maxReplicas: 20 is below minReplicas 30"), "{said}");
    assert_eq!(world.api.order(), Vec::<String>::new());
    world.policy("web", |_| {});
    world.api.until("8 replicas", |_| (world.replicas(&web()) == 8).then_some(())).await;
    controller.stop().await;
}
