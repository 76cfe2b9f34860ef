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

fn snapshot(objects: Vec<DynamicObject>) -> BTreeMap<Name, Arc<Policy>> {
    let mut into = BTreeMap::new();
    for object in objects {
        take(&mut into, &BTreeMap::new(), object, ("cluster", &Given::default()));
    }
    into
}

#[test]
fn active_policies_with_one_target_are_rivals() {
    let beta = {
        let mut beta = spec("web", "Active");
        beta["scaleTargetRef"]["apiVersion"] = json!("apps/v1beta2");
        beta
    };
    let all = snapshot(vec![
        object("a", spec("web", "Active")),
        object("b", beta),
        object("c", spec("web", "Shadow")),
        object("d", spec("other", "Active")),
        object("e", spec("web", "Paused")),
    ]);
    let names = |name: &str| rivals(&all[&("default".into(), name.into())], &all);
    assert_eq!(names("a"), ["b"]);
    assert_eq!(names("b"), ["a"]);
    assert!(names("c").is_empty() && names("d").is_empty() && names("e").is_empty());
}

#[test]
fn an_object_that_cannot_be_read_is_known_with_its_problem() {
    let mut broken = spec("web", "Active");
    broken["maxReplicas"] = json!("many");
    let all = snapshot(vec![object("a", broken), object("b", spec("web", "Active"))]);
    let problems = all[&("default".into(), "a".into())].plan.clone().unwrap_err();
    assert!(problems[0].message.contains("many"), "{problems:?}");
    assert!(all[&("default".into(), "b".into())].plan.is_ok());
}

#[test]
fn a_status_of_another_make_is_forgotten_not_fatal() {
    let mut object = object("a", spec("web", "Active"));
    object.data["status"] = json!({"metrics": null, "conditions": 7});
    let all = snapshot(vec![object]);
    let policy = &all[&("default".into(), "a".into())];
    assert!(policy.plan.is_ok());
    assert_eq!(policy.status(), ScalingPolicyStatus::default());
}

#[test]
fn a_change_of_status_alone_is_no_change() {
    let before = snapshot(vec![object("a", spec("web", "Active"))]);
    let mut after = before.clone();
    let mut same = object("a", spec("web", "Active"));
    same.data["status"] = json!({"currentReplicas": 3});
    assert!(!take(&mut after, &before, same, ("cluster", &Given::default())), "not published");
    let key = ("default".to_owned(), "a".to_owned());
    assert!(Arc::ptr_eq(&before[&key], &after[&key]));
    assert_eq!(
        after[&key].status().current_replicas,
        Some(3),
        "a new leader goes on from the last leader's status"
    );
    assert!(take(&mut after, &before, object("a", spec("web", "Paused")), ("cluster", &Given::default())));
    assert!(!Arc::ptr_eq(&before[&key], &after[&key]));
}

#[test]
fn what_a_leader_writes_is_what_the_next_one_reads() {
    let at = k8s_openapi::jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at);
    let mut status = ScalingPolicyStatus { last_scale_time: Some(time.clone()), ..Default::default() };
    let said = crate::status::Said::new("AbleToScale", true, "ReadyForNewScale", "");
    crate::status::say(&mut status.conditions, vec![said], Some(1), at);
    status.last_decisions.push(autoscaler_api::DecisionSummary {
        time,
        from: 2,
        to: 8,
        written: true,
        cause: "requests".into(),
        limits: Vec::new(),
        digest: "d".into(),
    });
    status.metrics.push(autoscaler_api::MetricStatus { name: "m".into(), ..Default::default() });
    let mut object = object("a", spec("web", "Active"));
    object.data["status"] = serde_json::to_value(&status).unwrap();
    let all = snapshot(vec![object]);
    assert_eq!(all[&("default".into(), "a".into())].status(), status);
}
