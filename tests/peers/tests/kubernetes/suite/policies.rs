//! Our own kind: what is good applies, what is bad is refused with the field and what to write instead.

use serde_json::{Value, json};

use crate::subject::{Subject, eventually};

const DEFINITION: &str =
    include_str!("../../../../../manifests/crds/scalingpolicies.autoscaling.gauntlet.dev.yaml");

fn path(s: &Subject, rest: &str) -> String {
    format!("/apis/autoscaling.gauntlet.dev/v1alpha1/namespaces/{}/scalingpolicies{rest}", s.namespace)
}

/// Applies the definition, as `kubectl apply -f manifests/crds` does, and waits until it is served.
pub(crate) async fn define(s: &Subject) {
    let at =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalingpolicies.autoscaling.gauntlet.dev";
    let at = format!("{at}?fieldManager=suite&force=true&fieldValidation=Strict");
    let applied = s.send("PATCH", &at, "application/apply-patch+yaml", "", DEFINITION).await;
    assert!(matches!(applied.code, 200 | 201), "{applied:?}");
    assert_eq!(applied.warnings, [""; 0]);
    eventually(async || (s.get(&path(s, "")).await.code == 200).then_some(())).await;
}

/// A good policy, with `change` merged into its spec.
pub(crate) fn policy(change: Value) -> Value {
    let mut policy = json!({"apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "p"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9,
            "metrics": [{"name": "requests", "query": "sum(rate(request_total[30s]))", "target": {"type": "AverageValue", "averageValue": 50}}]}});
    for (key, value) in change.as_object().cloned().unwrap_or_default() {
        policy["spec"][key] = value;
    }
    policy
}

pub(crate) async fn good_ones_apply(s: Subject) {
    define(&s).await;
    let made = s.post(&path(&s, "?fieldValidation=Strict"), &policy(json!({}))).await;
    assert_eq!(made.code, 201, "{made:?}");
    let spec = &made.body["spec"];
    assert_eq!(
        (&spec["minReplicas"], &spec["mode"], &spec["interval"]),
        (&json!(1), &json!("Active"), &Value::Null)
    );
    assert_eq!(spec["scaleTargetRef"]["apiVersion"], "apps/v1");
    assert_eq!(spec["metrics"][0]["evidence"], json!({"maxAge": "1m", "clusters": []}));
    assert_eq!(spec["metrics"][0]["target"]["averageValue"], 50, "a quantity may be a number");
    let full = policy(json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "receive"},
        "minReplicas": 3, "interval": "1s", "mode": "Shadow",
        "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0, "tolerance": "0.05",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}, "scaleDown": {"selectPolicy": "Disabled"}},
        "ring": {"configMap": "receive-ring", "replicationFactor": 3}}));
    let applied =
        s.patch("apply", &path(&s, "/p?fieldManager=git&force=true&fieldValidation=Strict"), &full).await;
    assert_eq!(applied.code, 200, "{applied:?}");
    let status = json!({"status": {"conditions": [], "currentReplicas": 3, "desiredReplicas": 4}});
    let told = s.patch("merge", &path(&s, "/p/status"), &status).await;
    assert_eq!((told.code, &told.body["status"]["desiredReplicas"]), (200, &json!(4)), "{told:?}");
}

pub(crate) async fn bad_ones_are_refused_with_field_and_fix(s: Subject) {
    define(&s).await;
    let metric = |target: Value| json!([{"name": "m", "query": "up", "target": target}]);
    let statefulset = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "receive"});
    for (change, field, fix) in [
        (json!({"minReplicas": 10}), "spec.minReplicas", "lower it, or raise maxReplicas"),
        (json!({"minReplicas": -1}), "spec.minReplicas", "should be greater than or equal to 0"),
        (json!({"maxReplicas": "many"}), "spec.maxReplicas", "must be of type integer"),
        (json!({"mode": "Off"}), "spec.mode", "supported values: \"Active\", \"Shadow\", \"Paused\""),
        (json!({"interval": "soon"}), "spec.interval", "should match"),
        (json!({"metrics": []}), "spec.metrics", "at least 1 items"),
        (
            json!({"metrics": metric(json!({"type": "Value", "averageValue": "5"}))}),
            "spec.metrics[0].target",
            "write value for type Value",
        ),
        (
            json!({"metrics": metric(json!({"type": "Value", "value": "5", "averageValue": "5"}))}),
            "spec.metrics[0].target",
            "and not the other",
        ),
        (
            json!({"metrics": metric(json!({"type": "Value", "value": "five"}))}),
            "spec.metrics[0].target.value",
            "should match",
        ),
        (
            json!({"metrics": [{"name": "m", "query": "up"}]}),
            "spec.metrics",
            "write a target, or spec.formula",
        ),
        (json!({"zero": {"cooldown": "1m"}}), "spec.zero", "write minReplicas: 0, or remove zero"),
        (
            json!({"schedules": [{"name": "s", "start": "0 8 * * *", "end": "0 9 * * *", "minReplicas": 99}]}),
            "spec.schedules",
            "schedules do not go beyond minReplicas and maxReplicas",
        ),
        (
            json!({"schedules": [{"name": "s", "start": "0 8 * * *", "end": "0 9 * * *"}]}),
            "spec.schedules[0]",
            "write either",
        ),
        (json!({"pause": {"replicas": 99}}), "spec.pause.replicas", "is at most maxReplicas"),
        (
            json!({"metrics": [{"name": "m", "type": "Pods", "query": "up"}]}),
            "spec.metrics[0]",
            "target stands beside query",
        ),
        (
            json!({"compatibility": "HPA", "pause": {"scaleUp": true}}),
            "spec.compatibility",
            "knows no formula, schedules, pause or zero",
        ),
        (
            json!({"metrics": metric(json!({"type": "Utilization", "averageUtilization": 5}))}),
            "spec.metrics[0].target",
            "a query is held to Value or AverageValue",
        ),
        (
            json!({"metrics": [{"name": "m", "type": "Resource", "query": "up",
                                "target": {"type": "AverageValue", "averageValue": "5"}}]}),
            "spec.metrics[0]",
            "query belongs to types Query and Pods",
        ),
        (
            json!({"metrics": [{"name": "m", "type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Value", "value": "5"}}}]}),
            "spec.metrics[0].resource.target.type",
            "a resource is held to Utilization or AverageValue",
        ),
        (
            json!({"metrics": [{"name": "m", "type": "ContainerResource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 5}}}]}),
            "spec.metrics[0]",
            "containerResource belongs to type ContainerResource",
        ),
        (
            json!({"compatibility": "HPA", "metrics": [{
                "name": "m", "query": "up", "target": {"type": "Value", "value": "5"},
                "fallback": {"after": "3m", "replicas": 3}}]}),
            "spec.metrics",
            "compatibility: HPA has no fallbacks",
        ),
        (
            json!({"behavior": {"scaleUp": {"selectPolicy": "Most"}}}),
            "spec.behavior.scaleUp.selectPolicy",
            "\"Max\", \"Min\", \"Disabled\"",
        ),
        (
            json!({"ring": {"configMap": "ring"}}),
            "spec.ring",
            "point scaleTargetRef at the Receive StatefulSet, or remove ring",
        ),
        (
            json!({"scaleTargetRef": statefulset, "maxReplicas": 2, "ring": {"configMap": "ring", "replicationFactor": 3}}),
            "spec.maxReplicas",
            "allow as many replicas as copies",
        ),
    ] {
        let refused = s.post(&path(&s, ""), &policy(change.clone())).await;
        let (code, reason, message) = refused.status();
        assert_eq!((code, reason), (422, "Invalid"), "{change}: {message}");
        let causes = refused.body["details"]["causes"].as_array().unwrap();
        let found = causes
            .iter()
            .any(|c| c["field"] == field && c["message"].as_str().is_some_and(|m| m.contains(fix)));
        assert!(found, "{change}: {causes:#?}");
    }
    let strict = s.post(&path(&s, "?fieldValidation=Strict"), &policy(json!({"maxReplica": 3}))).await;
    let (code, _, message) = strict.status();
    assert!(code == 400 && message.contains("unknown field \"spec.maxReplica\""), "{message}");
    assert_eq!(s.get(&path(&s, "/p")).await.code, 404, "nothing came of all these");
}
