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

fn read(object: &DynamicObject) -> (SeenPolicy, Option<Asking>) {
    Understood::default().read(0, object, ("cluster", &Given::default())).unwrap()
}

#[test]
fn what_a_spec_means_to_the_engine() {
    let (seen, plan) = read(&object("a", spec("web", "Shadow")));
    let terms = seen.terms.unwrap();
    assert_eq!((terms.target.as_str(), terms.interval_ms), ("web", 15_000));
    assert_eq!((terms.kind.group.as_str(), terms.kind.version.as_str()), ("apps", "v1"));
    assert_eq!(terms.questions, [Question { weight: 1, ..Question::default() }], "one query a metric");
    assert!(plan.is_some());
}

#[test]
fn metrics_are_asked_of_their_own_source_else_of_the_policy_s() {
    let source = |host: &str| json!({"addresses": [format!("http://{host}")]});
    let mut several = spec("web", "Active");
    let metric = several["metrics"][0].clone();
    let of = |name: &str, host: Option<&str>| {
        let mut metric = metric.clone();
        metric["name"] = json!(name);
        if let Some(host) = host {
            metric["source"] = source(host);
        }
        metric
    };
    several["metrics"] = json!([of("a", None), of("b", Some("own")), of("c", None)]);
    let asked = |spec: &Value, namespace: &str| -> Vec<String> {
        let mut object = object("a", spec.clone());
        object.metadata.namespace = Some(namespace.into());
        read(&object).0.terms.unwrap().questions.iter().map(|q| q.source.clone()).collect()
    };
    let [a, b, c] = <[String; 3]>::try_from(asked(&several, "default")).unwrap();
    assert_eq!((a.as_str(), c.as_str()), ("", ""), "the controller's own");
    several["source"] = source("policy");
    let [d, e, f] = <[String; 3]>::try_from(asked(&several, "default")).unwrap();
    assert_eq!((&b, &d), (&e, &f));
    assert!(b != d && !b.is_empty() && !d.is_empty());
    assert_ne!(asked(&several, "other")[0], d, "its Secrets are others");
    let (_, plan) = read(&object("a", several));
    let at: Vec<String> = plan.unwrap().iter().map(|m| m.source.clone().unwrap().at).collect();
    assert_eq!(at, ["spec.source", "spec.metrics[1].source", "spec.source"]);
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
    let (_, before) =
        understood.read(0, &object("a", spec("web", "Active")), ("cluster", &Given::default())).unwrap();
    let mut same = object("a", spec("web", "Active"));
    same.data["status"] = json!({"currentReplicas": 3});
    let (seen, after) = understood.read(0, &same, ("cluster", &Given::default())).unwrap();
    assert!(Arc::ptr_eq(&before.clone().unwrap(), &after.unwrap()));
    assert_eq!(seen.status.current_replicas, Some(3));
    let (_, after) =
        understood.read(0, &object("a", spec("web", "Paused")), ("cluster", &Given::default())).unwrap();
    assert!(!Arc::ptr_eq(&before.unwrap(), &after.unwrap()));
}

#[test]
fn a_policy_on_its_way_out_is_gone() {
    let mut leaving = object("a", spec("web", "Active"));
    let at = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
    leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
    assert!(Understood::default().read(0, &leaving, ("cluster", &Given::default())).is_none());
}
