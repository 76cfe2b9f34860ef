use autoscaler_api::ScalingPolicyStatus;
use serde_json::{Value, json};

use super::*;

fn object(name: &str, spec: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"name": name, "namespace": "default", "uid": name, "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

fn spec(target: &str, mode: &str) -> Value {
    json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "maxReplicas": 5, "mode": mode,
        "metrics": [{"name": "m", "query": "sum(up)", "target": {"type": "Value", "value": 1}}],
    })
}

fn read(object: &DynamicObject) -> (SeenPolicy, Option<Arc<Plan>>) {
    Understood::default().read(0, object, "cluster").unwrap()
}

#[test]
fn what_a_spec_means_to_the_engine() {
    let (seen, plan) = read(&object("a", spec("web", "Shadow")));
    let terms = seen.terms.unwrap();
    assert_eq!((terms.target.as_str(), terms.interval_ms), ("web", 15_000));
    assert_eq!((terms.kind.group.as_str(), terms.kind.version.as_str()), ("apps", "v1"));
    assert_eq!(
        terms.questions,
        [Question { weight: 2, ..Question::default() }],
        "the value and its evidence"
    );
    assert!(plan.is_some());
}

#[test]
fn an_object_that_cannot_be_read_is_known_with_its_problem() {
    let mut broken = spec("web", "Active");
    broken["maxReplicas"] = json!("many");
    let (seen, plan) = read(&object("a", broken));
    assert!(seen.terms.unwrap_err().contains("many"));
    assert!(plan.is_none());
}

#[test]
fn a_query_that_is_no_promql_is_not_sent() {
    let mut broken = spec("web", "Active");
    broken["metrics"][0]["query"] = json!("sum(up");
    let (seen, _) = read(&object("a", broken));
    assert!(seen.terms.unwrap().questions[0].unusable.is_some());
}

#[test]
fn a_status_of_another_make_is_forgotten_not_fatal() {
    let mut object = object("a", spec("web", "Active"));
    object.data["status"] = json!({"metrics": null, "conditions": 7});
    let (seen, _) = read(&object);
    assert!(seen.terms.is_ok());
    assert_eq!(*seen.status, ScalingPolicyStatus::default());
}

#[test]
fn a_change_of_status_alone_keeps_what_was_understood() {
    let mut understood = Understood::default();
    let (_, before) = understood.read(0, &object("a", spec("web", "Active")), "cluster").unwrap();
    let mut same = object("a", spec("web", "Active"));
    same.data["status"] = json!({"currentReplicas": 3});
    let (seen, after) = understood.read(0, &same, "cluster").unwrap();
    assert!(Arc::ptr_eq(&before.clone().unwrap(), &after.unwrap()));
    assert_eq!(seen.status.current_replicas, Some(3));
    let (_, after) = understood.read(0, &object("a", spec("web", "Paused")), "cluster").unwrap();
    assert!(!Arc::ptr_eq(&before.unwrap(), &after.unwrap()));
}

#[test]
fn a_policy_on_its_way_out_is_gone() {
    let mut leaving = object("a", spec("web", "Active"));
    let at = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
    leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
    assert!(Understood::default().read(0, &leaving, "cluster").is_none());
}
