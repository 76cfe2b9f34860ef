use serde_json::json;

use super::*;

fn spec(evidence: serde_json::Value, query: &str) -> ScalingPolicySpec {
    serde_json::from_value(json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9,
        "metrics": [{"name": "m", "query": query, "target": {"type": "AverageValue", "averageValue": "10"},
                     "evidence": evidence}],
    }))
    .unwrap()
}

fn plan(evidence: serde_json::Value, query: &str) -> Plan {
    Plan::new(&spec(evidence, query), "cluster").unwrap()
}

#[test]
fn the_evidences_windows_are_the_querys_unless_the_user_says_otherwise() {
    for (query, evidence, expected) in [
        ("sum(a)", json!({}), (0, None, false)),
        ("sum(rate(a[5m])) / sum(rate(b[30s]))", json!({}), (300_000, Some(30_000), false)),
        ("sum(sum_over_time(a[30s]))", json!({}), (30_000, Some(30_000), true)),
        ("max_over_time(sum(rate(a[30s]))[5m:1s])", json!({}), (330_000, Some(30_000), true)),
        ("sum(job:a:rate5m)", json!({"window": "5m"}), (300_000, Some(300_000), true)),
        ("sum(", json!({}), (0, None, false)),
    ] {
        let evidence = &plan(evidence, query).policy.metrics[0].evidence;
        let found = (evidence.window_ms, evidence.shortest_range_ms, evidence.sums_over_window);
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn what_the_user_says_of_evidence_reaches_the_decision() {
    let said = json!({"maxAge": "20s", "clusters": ["east"], "selectors": ["up{job=\"web\"}"], "emptyMeans": "Zero",
                      "pods": "Ignore", "forgetClusters": "1h"});
    let plan = plan(said, "sum(rate(errors[1m]))");
    let evidence = &plan.policy.metrics[0].evidence;
    assert_eq!((evidence.max_age_ms, evidence.forget_clusters_ms), (20_000, Some(3_600_000)));
    assert_eq!((evidence.empty_is_zero, evidence.pods), (true, core::PodEvidence::Ignore));
    let asked = plan.metrics[0].asked.as_ref().unwrap();
    assert_eq!(asked.selectors.iter().map(ToString::to_string).collect::<Vec<_>>(), ["up{job=\"web\"}"]);
}

#[test]
fn another_query_or_selector_is_another_revision() {
    let revision = |evidence, query: &str| plan(evidence, query).policy.metrics[0].revision;
    let first = revision(json!({}), "sum(a)");
    assert_eq!(first, revision(json!({"maxAge": "5s"}), "sum(a)"));
    assert_ne!(first, revision(json!({}), "sum(b)"));
    assert_ne!(first, revision(json!({"selectors": ["a"]}), "sum(a)"));
}

#[test]
fn another_server_is_another_revision_and_another_password_is_not() {
    let with = |source: serde_json::Value| {
        let mut spec = spec(json!({}), "sum(a)");
        spec.source = serde_json::from_value(source).unwrap();
        Plan::new(&spec, "cluster").unwrap().policy.metrics[0].revision
    };
    let token = |name: &str| json!({"addresses": ["http://a"], "bearerToken": {"secretRef": {"name": name, "key": "k"}}});
    let first = with(json!({"addresses": ["http://a"]}));
    assert_eq!([with(token("x")), with(token("y"))], [first, first]);
    for other in [
        json!(null),
        json!({"addresses": ["http://b"]}),
        json!({"addresses": ["http://a", "http://b"]}),
        json!({"addresses": ["http://a"], "tenant": "b"}),
        json!({"addresses": ["http://a"], "headers": [{"name": "tenant", "value": "b"}]}),
    ] {
        assert_ne!(with(other.clone()), first, "{other}");
    }
}

#[test]
fn a_selector_that_is_none_is_named() {
    let plan = plan(json!({"selectors": ["up", "sum(up)"]}), "sum(a)");
    let why = plan.metrics[0].asked.as_ref().unwrap_err();
    assert!(why.starts_with("evidence.selectors[1] is no series selector alone"), "{why}");
}

#[test]
fn pods_are_told_by_the_names_of_the_targets_kind() {
    for (kind, name, yes, no) in [
        ("Deployment", "web", "web-7d9f8b6c5d-x2k4p", "web-admin-7d9f8b6c5d-x2k4p"),
        ("StatefulSet", "receive.a", "receive.a-12", "receivexa-12"),
        ("Rollout", "web", "web-anything", "other-web-1"),
    ] {
        let target =
            api::ScaleTargetRef { api_version: "apps/v1".into(), kind: kind.into(), name: name.into() };
        let pods = thanos_model::Matcher::new("pod", thanos_model::MatchOp::Regex, pods_of(&target)).unwrap();
        assert!(pods.matches(yes) && !pods.matches(no), "{kind}");
    }
}

fn with_terms(terms: serde_json::Value) -> ScalingPolicySpec {
    let mut spec = json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 0, "maxReplicas": 9,
        "metrics": [{"name": "a", "query": "sum(a)", "activation": "2.5"},
                    {"name": "b", "query": "sum(b)", "target": {"type": "Value", "value": "10"}}],
        "formula": {"expression": "a + b", "target": {"type": "AverageValue", "averageValue": "10"}, "activation": 3},
    });
    for (key, value) in terms.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

/// A policy of a second after the epoch.
fn created(spec: ScalingPolicySpec) -> ScalingPolicy {
    let mut policy = ScalingPolicy::new("web", spec);
    policy.metadata.creation_timestamp = serde_json::from_value(json!("1970-01-01T00:00:01Z")).unwrap();
    policy
}

#[test]
fn what_a_policy_does_not_say_is_the_controllers() {
    let given = Given {
        defaults: core::Defaults { downscale_window_ms: 60_000, ..core::Defaults::default() },
        sync_period: Duration::from_secs(5),
    };
    for (terms, interval_ms) in [(json!({}), 5_000), (json!({"interval": "1s"}), 1_000)] {
        let plan = Plan::of(&created(with_terms(terms)), "cluster", &given).unwrap();
        assert_eq!((plan.policy.interval_ms, plan.interval.as_millis()), (interval_ms, interval_ms as u128));
        assert_eq!(plan.policy.defaults, given.defaults);
    }
    assert_eq!(Plan::new(&with_terms(json!({})), "cluster").unwrap().policy.interval_ms, 15_000);
}

#[test]
fn zero_pauses_and_formulas_reach_the_decision() {
    let spec = with_terms(
        json!({"pause": {"scaleDown": true}, "zero": {"cooldown": "2m", "initialCooldown": "10m"}}),
    );
    let plan = Plan::of(&created(spec), "cluster", &Given::default()).unwrap();
    let policy = &plan.policy;
    assert_eq!(policy.zero, Some(core::Zero { cooldown_ms: 120_000, not_before_ms: Some(601_000) }));
    assert_eq!(policy.pause, core::Pause { scale_down: true, ..core::Pause::default() });
    assert_eq!((policy.metrics[0].target, policy.metrics[0].activation_milli), (core::Target::None, 2_500));
    assert_eq!(policy.metrics[1].target, core::Target::Value { value_milli: 10_000 });
    let formula = policy.formula.as_ref().unwrap();
    assert_eq!((formula.expression.text(), formula.activation_milli), ("a + b", 3_000));
    assert_eq!(formula.target, core::Target::AverageValue { average_value_milli: 10_000 });
    assert_eq!(policy.problem(), None);
    // Nobody has to write the cool-down; above zero there is none.
    let plain = Plan::new(&with_terms(json!({})), "cluster").unwrap();
    assert_eq!(plain.policy.zero, Some(core::Zero::default()));
    assert_eq!(Plan::new(&with_terms(json!({"minReplicas": 1})), "cluster").unwrap().policy.zero, None);
}

#[test]
fn schedules_are_in_force_by_their_own_clocks() {
    let spec = with_terms(json!({"schedules": [
        {"name": "office", "timeZone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "minReplicas": 5},
        {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "maxReplicas": 2},
    ]}));
    let plan = Plan::new(&spec, "cluster").unwrap();
    // Monday, 2026-11-30.
    for (at, expected) in [
        ("2026-11-30T06:30:00Z", vec![]),
        ("2026-11-30T07:00:00Z", vec!["office"]),
        ("2026-11-30T17:00:00Z", vec![]),
        ("2026-11-30T23:00:00Z", vec!["night"]),
    ] {
        let now_ms = at.parse::<k8s_openapi::jiff::Timestamp>().unwrap().as_millisecond();
        let found: Vec<String> = plan
            .schedules
            .iter()
            .filter(|s| s.schedule.is_in_force(now_ms))
            .map(|s| s.bounds.name.to_string())
            .collect();
        assert_eq!(found, expected, "{at}");
    }
}

#[test]
fn metrics_of_pods_are_not_asked_of_a_querier_but_for_their_own_query() {
    let spec: ScalingPolicySpec = serde_json::from_value(json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9,
        "metrics": [
            {"name": "cpu", "type": "Resource",
             "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
            {"name": "memory", "type": "ContainerResource", "containerResource": {
                "name": "memory", "container": "app", "target": {"type": "AverageValue", "averageValue": "1Ki"}}},
            {"name": "requests", "type": "Pods", "query": "rate(a[1m])", "evidence": {"podLabel": "instance"},
             "target": {"type": "AverageValue", "averageValue": "5"}}],
    }))
    .unwrap();
    let plan = Plan::new(&spec, "cluster").unwrap();
    let kinds: Vec<_> =
        plan.policy.metrics.iter().map(|metric| (metric.kind.clone(), metric.target)).collect();
    let (resource, container) = ("memory".into(), "app".into());
    assert_eq!(
        kinds,
        [
            (
                core::MetricKind::Resource { resource: "cpu".into() },
                core::Target::Utilization { average_utilization: 70 }
            ),
            (
                core::MetricKind::ContainerResource { resource, container },
                core::Target::AverageValue { average_value_milli: 1_024_000 }
            ),
            (core::MetricKind::Pods, core::Target::AverageValue { average_value_milli: 5_000 }),
        ]
    );
    assert!(plan.policy.needs_pods());
    assert_eq!(
        plan.metrics.iter().map(|metric| metric.asked.is_ok()).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert_eq!(plan.metrics[2].form, Form::Pods { label: "instance".into() });
}
