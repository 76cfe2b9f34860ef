//! Answers of one series a pod, and of any number.

use autoscaler_core::{FailureKind, Reading};
use serde_json::{Value, json};

use super::*;

fn plan_of(metric: Value, compatibility: Option<&str>) -> Plan {
    let mut spec = json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9, "metrics": [metric]});
    if let Some(compatibility) = compatibility {
        spec["compatibility"] = json!(compatibility);
    }
    let spec: ScalingPolicySpec = serde_json::from_value(spec).unwrap();
    Plan::new(&spec, "cluster").unwrap()
}

fn by_pod() -> Plan {
    plan_of(
        json!({"name": "m", "type": "Pods", "query": "sum by (pod) (rate(a[30s]))",
               "target": {"type": "AverageValue", "averageValue": "10"}}),
        None,
    )
}

fn values(reading: &Reading) -> Vec<(&str, i64, i64)> {
    let Reading::Pods(samples) = reading else { panic!("{reading:?}") };
    samples.iter().map(|s| (s.pod.as_str(), s.value_milli, s.at_ms)).collect()
}

#[test]
fn one_value_a_pod_of_the_own_cluster_at_both_times() {
    let all = answer(vec![
        series("now", &[("pod", "web-b")], 2.5),
        series("now", &[("pod", "web-a"), ("cluster", "east")], 1.0),
        series("now", &[("pod", "web-a"), ("cluster", "west")], 100.0),
        series("now", &[("pod", "web-c")], f64::NAN),
        series("at", &[("pod", "web-a")], 3.0),
        ago("new0", "east", 1.0),
    ]);
    let question = Question { settled_ms: Some(NOW_MS - 4_000), ..QUESTION };
    let o = observe(&by_pod().metrics[0], question, &[Some(&all)]);
    // What is no number is missing, and so is what another cluster's pod of the same name does.
    assert_eq!(values(&o.newest), [("web-a", 1_000, NOW_MS), ("web-b", 2_500, NOW_MS)]);
    assert_eq!(values(&o.settled.unwrap().reading), [("web-a", 3_000, NOW_MS - 4_000)]);
    assert!(matches!(o.samples, Samples::Seen(_)));
}

#[test]
fn what_is_not_one_series_a_pod_is_named() {
    for (found, kind, words) in [
        (
            vec![series("now", &[("instance", "a")], 1.0)],
            FailureKind::BadResponse,
            "{instance=\"a\"} has no label pod",
        ),
        (
            vec![
                series("now", &[("pod", "web-a"), ("x", "1")], 1.0),
                series("now", &[("pod", "web-a"), ("x", "2")], 1.0),
            ],
            FailureKind::ManySeries,
            "several series of pod web-a; aggregate them",
        ),
        (vec![], FailureKind::Empty, "no series"),
    ] {
        let o = observe(&by_pod().metrics[0], QUESTION, &[Some(&answer(found))]);
        let Reading::Failed { kind: seen, message } = &o.newest else { panic!("{:?}", o.newest) };
        assert!(*seen == kind && message.contains(words), "{message}");
    }
}

#[test]
fn compatible_policies_sum_what_there_is_and_ask_for_no_samples() {
    let plan = plan_of(
        json!({"name": "m", "query": "rate(a[30s])", "target": {"type": "AverageValue", "averageValue": "10"}}),
        Some("HPA"),
    );
    assert_eq!(plan.policy.compatibility, autoscaler_core::Compatibility::Hpa);
    let asked = plan.queries(NOW_MS, &autoscaler_core::History::default());
    assert_eq!(asked, [["label_replace(rate(a[30s]), \"__part__\", \"now\", \"\", \"\")"]]);
    let two = answer(vec![series("now", &[("x", "2")], 1.0019), series("now", &[("x", "1")], -2.0)]);
    let o = observe(&plan.metrics[0], QUESTION, &[Some(&two)]);
    assert_eq!(o.newest, Reading::Series(vec![-2_000, 1_001]));
    assert_eq!((o.settled, o.samples), (None, Samples::Timeless));
    for (series, kind) in
        [(vec![], FailureKind::Empty), (vec![series("now", &[], f64::INFINITY)], FailureKind::NotANumber)]
    {
        let o = observe(&plan.metrics[0], QUESTION, &[Some(&answer(series))]);
        assert!(matches!(&o.newest, Reading::Failed { kind: seen, .. } if *seen == kind), "{:?}", o.newest);
    }
}
