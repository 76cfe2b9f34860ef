use super::*;
use serde_json::{Value, json};

fn policy(change: impl FnOnce(&mut Value)) -> ScalingPolicy {
    let mut document = json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "receive"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "receive"},
            "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"name": "ingest", "query": "sum(up)",
                         "target": {"type": "AverageValue", "averageValue": "50"}}],
            "ring": {"configMap": "receive-ring", "replicationFactor": 2}
        }
    });
    change(&mut document["spec"]);
    serde_json::from_value(document).unwrap()
}

#[test]
fn a_sound_policy_has_no_problems() {
    assert_eq!(validate(&policy(|_| {})), []);
}

#[test]
fn each_contradiction_is_named_with_its_cure() {
    let metric = |spec: &mut Value, key: &str, value: Value| spec["metrics"][0][key] = value;
    let cases: Vec<(&str, ScalingPolicy, &str)> = vec![
        ("min", policy(|s| s["minReplicas"] = json!(-1)), "spec.minReplicas: -1 is below 0; write 0 or more"),
        (
            "much text",
            policy(|s| s["metrics"][0]["query"] = json!(format!("sum(x) # {}", "a".repeat(65_530)))),
            "spec.metrics: has 65539 bytes of queries, over 65536; record what they ask for by rules",
        ),
        ("max", policy(|s| s["minReplicas"] = json!(5)), "spec.maxReplicas: 4 is below minReplicas 5; raise"),
        (
            "interval",
            policy(|s| s["interval"] = json!("10ms")),
            "spec.interval: 10ms is out of range; write a duration from 100ms to 1h",
        ),
        (
            "interval form",
            policy(|s| s["interval"] = json!("1s1h")),
            "spec.interval: not a duration: \"1s1h\"",
        ),
        ("no metrics", policy(|s| s["metrics"] = json!([])), "spec.metrics: is empty"),
        ("empty query", policy(|s| metric(s, "query", json!("  "))), "spec.metrics[0].query: is empty"),
        (
            "both targets",
            policy(|s| s["metrics"][0]["target"]["value"] = json!("1")),
            "keep averageValue only",
        ),
        (
            "zero target",
            policy(|s| s["metrics"][0]["target"]["averageValue"] = json!("0")),
            "spec.metrics[0].target.averageValue: 0 is out of range; write a quantity above zero",
        ),
        (
            "garbage target",
            policy(|s| s["metrics"][0]["target"]["averageValue"] = json!("many")),
            "\"many\" is not a quantity",
        ),
        (
            "missing target",
            policy(|s| s["metrics"][0]["target"] = json!({"type": "Value"})),
            "spec.metrics[0].target.value: is missing for type Value",
        ),
        (
            "max age",
            policy(|s| metric(s, "evidence", json!({"maxAge": "2h"}))),
            "evidence.maxAge: 2h is out of range",
        ),
        (
            "clusters",
            policy(|s| metric(s, "evidence", json!({"clusters": ["east", "east"]}))),
            "evidence.clusters[1]: \"east\" is empty or named twice",
        ),
        (
            "an empty answer that means zero",
            policy(|s| metric(s, "evidence", json!({"emptyMeans": "Zero"}))),
            "evidence.emptyMeans: has no evidence.selectors beside it, and without them an empty answer is what a lost \
             one looks like; name series",
        ),
        (
            "evidence window",
            policy(|s| metric(s, "evidence", json!({"window": "5 m"}))),
            "evidence.window: not a duration",
        ),
        (
            "forgotten at once",
            policy(|s| metric(s, "evidence", json!({"forgetClusters": "0"}))),
            "evidence.forgetClusters: 0 is out of range",
        ),
        (
            "pod label",
            policy(|s| metric(s, "evidence", json!({"podLabel": "7-up"}))),
            "evidence.podLabel: \"7-up\" is no label's name; write for example pod",
        ),
        (
            "fallback",
            policy(|s| metric(s, "fallback", json!({"after": "0", "replicas": 0}))),
            "fallback.after: 0 is out of range",
        ),
        (
            "window",
            policy(|s| s["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 3601}})),
            "write a number from 0 to 3600",
        ),
        (
            "period",
            policy(|s| {
                s["behavior"] =
                    json!({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 0}]}})
            }),
            "policies[0].periodSeconds: 0 is out of range; write a number from 1 to 1800",
        ),
        (
            "no policies",
            policy(|s| s["behavior"] = json!({"scaleUp": {"policies": []}})),
            "spec.behavior.scaleUp.policies: is an empty list",
        ),
        (
            "tolerance",
            policy(|s| s["behavior"] = json!({"scaleUp": {"tolerance": "-1"}})),
            "spec.behavior.scaleUp.tolerance: -1 is out of range",
        ),
        (
            "ring kind",
            policy(|s| s["scaleTargetRef"]["kind"] = json!("Deployment")),
            "spec.ring: needs a StatefulSet",
        ),
        (
            "ring above max",
            policy(|s| s["ring"]["replicationFactor"] = json!(5)),
            "spec.maxReplicas: 4 is below ring.replicationFactor 5",
        ),
        ("settle", policy(|s| s["ring"]["settle"] = json!("1d")), "spec.ring.settle: 1d is out of range"),
        (
            "target name",
            policy(|s| s["scaleTargetRef"]["name"] = json!("")),
            "spec.scaleTargetRef.name: \"\" names nothing",
        ),
    ];
    for (case, policy, expected) in cases {
        let problems: Vec<String> = validate(&policy).iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|p| p.contains(expected)), "{case}: {problems:?}");
    }
}

mod terms;

#[test]
fn metric_names_are_unique() {
    let twice = policy(|s| {
        let first = s["metrics"][0].clone();
        s["metrics"].as_array_mut().unwrap().push(first);
    });
    assert!(
        validate(&twice)[0]
            .to_string()
            .starts_with("spec.metrics[1].name: \"ingest\" is empty or used twice")
    );
}

#[test]
fn a_target_that_would_lead_to_another_url_is_refused() {
    let target = |field: &str, value: &str| {
        let found = validate(&policy(|s| s["scaleTargetRef"][field] = json!(value)));
        found.iter().any(|p| p.field == format!("spec.scaleTargetRef.{field}"))
    };
    for name in
        ["../../other/deployments/web", "..", "web/status", "web?dryRun=All", "web#", "wéb", "we b", ""]
    {
        assert!(target("name", name), "{name}");
    }
    for version in ["apps//v1", "/v1", "apps/v1/namespaces/other/x?"] {
        assert!(target("apiVersion", version), "{version}");
    }
    assert!(!target("name", "receive-2.a") && !target("apiVersion", "v1") && !target("apiVersion", "a.b/v1"));
}

/// A policy with one metric.
fn metric(metric: Value) -> ScalingPolicy {
    policy(|s| s["metrics"] = json!([metric]))
}

#[test]
fn metrics_of_every_type_are_sound() {
    for sound in [
        json!({"name": "cpu", "type": "Resource",
               "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}),
        json!({"name": "memory", "type": "ContainerResource", "evidence": {"maxAge": "2m", "pods": "Ignore"},
               "containerResource": {"name": "memory", "container": "app",
                                     "target": {"type": "AverageValue", "averageValue": "400Mi"}}}),
        json!({"name": "requests", "type": "Pods", "query": "rate(x[1m])",
               "target": {"type": "AverageValue", "averageValue": "50"}, "evidence": {"podLabel": "instance"}}),
        json!({"name": "queue", "type": "Query", "query": "sum(x)", "target": {"type": "Value", "value": "5"}}),
    ] {
        let policy = metric(sound.clone());
        assert_eq!(validate(&policy), [], "{sound}");
        let written = serde_json::to_value(&policy.spec.metrics[0]).unwrap();
        let read: crate::Metric = serde_json::from_value(written).unwrap();
        assert_eq!(read, policy.spec.metrics[0]);
    }
}

#[test]
fn a_metric_says_exactly_one_thing_to_measure_and_a_target_that_fits() {
    let resource = |target: Value| json!({"name": "cpu", "type": "Resource", "resource": {"name": "cpu", "target": target}});
    let utilization = json!({"type": "Utilization", "averageUtilization": 70});
    let average = json!({"type": "AverageValue", "averageValue": "1"});
    for (written, expected) in [
        (
            json!({"name": "m", "type": "Resource"}),
            "metrics[0].resource: is missing; write for example {name: cpu",
        ),
        (
            json!({"name": "m", "type": "ContainerResource", "resource": {"name": "cpu", "target": utilization}}),
            "metrics[0].resource: does not belong to type ContainerResource; remove it, or write type: Resource",
        ),
        (
            json!({"name": "m", "type": "Resource", "query": "x", "resource": {"name": "cpu", "target": utilization}}),
            "metrics[0].query: does not belong to type Resource; remove it, or write type: Query or Pods",
        ),
        (
            json!({"name": "m", "query": "x"}),
            "metrics[0].target: is missing, and there is no formula that reads \"m\"",
        ),
        (
            json!({"name": "m", "type": "Pods", "query": "x"}),
            "metrics[0].target: is missing; write for example {type: AverageValue",
        ),
        (json!({"name": "m", "target": average}), "metrics[0].query: is empty; write a PromQL expression"),
        (
            json!({"name": "m", "query": "x", "target": utilization}),
            "metrics[0].target.type: Utilization is not for type Query; write Value or AverageValue",
        ),
        (
            json!({"name": "m", "type": "Pods", "query": "x", "target": {"type": "Value", "value": "1"}}),
            "metrics[0].target.type: Value is not for type Pods; write AverageValue",
        ),
        (
            resource(json!({"type": "Value", "value": "1"})),
            "metrics[0].resource.target.type: Value is not for type Resource; write Utilization or AverageValue",
        ),
        (
            resource(json!({"type": "Utilization"})),
            "resource.target.averageUtilization: is missing for type Utilization; write for example 70",
        ),
        (
            resource(json!({"type": "Utilization", "averageUtilization": 0})),
            "resource.target.averageUtilization: 0 is out of range; write a percentage above zero",
        ),
        (
            resource(json!({"type": "Utilization", "averageUtilization": 50, "averageValue": "1"})),
            "resource.target: has averageValue, but its type is Utilization; keep averageUtilization only",
        ),
        (
            json!({"name": "m", "type": "ContainerResource",
                   "containerResource": {"name": "cpu", "container": "", "target": utilization}}),
            "containerResource.container: \"\" names nothing; write for example app",
        ),
    ] {
        let problems: Vec<String> =
            validate(&metric(written.clone())).iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|p| p.contains(expected)), "{written}: {problems:?}");
    }
}

#[test]
fn zero_replicas_need_a_metric_that_is_there_without_pods() {
    let cpu = json!({"name": "cpu", "type": "Resource",
                     "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
    let to_zero = |metrics: Value| {
        let policy = policy(|s| {
            s["minReplicas"] = json!(0);
            s["metrics"] = metrics;
            s.as_object_mut().unwrap().remove("ring");
        });
        validate(&policy).iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    let refused = to_zero(json!([cpu]));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with("spec.minReplicas: 0 leaves no pods to measure"), "{refused:?}");
    let queue = json!({"name": "queue", "query": "sum(x)", "target": {"type": "Value", "value": "5"}});
    assert_eq!(to_zero(json!([cpu, queue])), Vec::<String>::new());
}

#[test]
fn what_has_no_effect_is_refused() {
    for (field, value) in [
        ("source", json!({"addresses": ["http://q"]})),
        ("evidence", json!({"clusters": ["east"]})),
        ("evidence", json!({"selectors": ["up"]})),
        ("evidence", json!({"window": "1m"})),
        ("evidence", json!({"forgetClusters": "1m"})),
    ] {
        let mut written = json!({"name": "cpu", "type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
        written[field] = value;
        let problems = validate(&metric(written.clone()));
        assert_eq!(problems.len(), 1, "{written}: {problems:?}");
        assert!(
            problems[0].field.contains(field) && problems[0].message.contains("has no effect"),
            "{problems:?}"
        );
    }
    let fallback = json!({"after": "3m", "replicas": 5});
    let with = policy(|s| {
        s["compatibility"] = json!("HPA");
        s["metrics"][0]["fallback"] = fallback;
    });
    let problems = validate(&with);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .to_string()
            .starts_with("spec.metrics[0].fallback: has no effect with compatibility: HPA")
    );
    assert_eq!(validate(&policy(|s| s["compatibility"] = json!("HPA"))), []);
}

#[test]
fn upstreams_rules_take_no_terms_and_no_formula_reads_pods() {
    let metrics = json!([{"name": "cpu", "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]);
    let target = json!({"type": "AverageValue", "averageValue": "1"});
    for (terms, expected) in [
        (
            json!({"compatibility": "HPA", "pause": {"scaleUp": true}}),
            "spec.pause: has no effect with compatibility: HPA",
        ),
        (
            json!({"compatibility": "HPA", "minReplicas": 0, "zero": {"cooldown": "1m"}}),
            "spec.zero: has no effect with compatibility: HPA",
        ),
        (
            json!({"formula": {"expression": "cpu", "target": target}}),
            "column 1: \"cpu\" is measured by pod and has no one value",
        ),
    ] {
        let mut spec = json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9, "metrics": metrics});
        for (key, value) in terms.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let policy = ScalingPolicy::new("web", serde_json::from_value(spec).unwrap());
        let problems: Vec<String> = validate(&policy).iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|p| p.contains(expected)), "{terms}: {problems:?}");
    }
}

#[test]
fn a_policy_whose_sources_would_open_a_thousand_watches_is_refused() {
    let naming = |objects: &dyn Fn(usize, usize) -> String, metrics: usize, headers: usize| {
        validate(&policy(|spec| {
            let metric = spec["metrics"][0].clone();
            let with = |m: usize| {
                let header = |h: usize| {
                    let to = json!({"name": objects(m, h), "key": format!("k{h}")});
                    json!({"name": format!("X-{h}"), "valueFrom": {"secretRef": to}})
                };
                let headers: Vec<Value> = (0..headers).map(header).collect();
                let mut metric = metric.clone();
                metric["name"] = json!(format!("m{m}"));
                metric["source"] = json!({"addresses": ["http://q"], "headers": headers});
                metric
            };
            spec["metrics"] = (0..metrics).map(with).collect();
        }))
    };
    let found = naming(&|m, h| format!("s-{m}-{h}"), 32, 30);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].to_string(),
        "spec: its sources name 960 Secrets and ConfigMaps, each of which is watched; name at most 32; one Secret \
         holds many keys"
    );
    assert_eq!(naming(&|m, h| format!("s-{m}-{h}"), 4, 8), [], "as many as are allowed");
    assert_eq!(naming(&|_, _| "all".into(), 32, 30), [], "one object of many keys is one watch");
}
