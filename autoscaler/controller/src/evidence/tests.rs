use autoscaler_api::ScalingPolicySpec;
use proptest::prelude::*;

use super::*;
use crate::plan::Plan;
use crate::querier::Series;

const NOW_MS: i64 = 1_000_000_000;

fn plan(query: &str, clusters: &[&str]) -> Plan {
    let spec: ScalingPolicySpec = serde_json::from_value(serde_json::json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9,
        "metrics": [{"name": "m", "query": query, "target": {"type": "Value", "value": "1"},
                     "evidence": {"clusters": clusters}}],
    }))
    .unwrap();
    Plan::new(&spec, "cluster").unwrap()
}

fn series(labels: &[(&str, &str)], value: f64) -> Series {
    Series {
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        value: Some(value),
    }
}

fn value(v: f64) -> Outcome {
    Ok(Answer { series: vec![series(&[], v)], ..Answer::default() })
}

/// Newest samples so and so many seconds ago.
fn newest(ages_s: &[(&str, i64)]) -> Outcome {
    let at = |age: &i64| (NOW_MS - age * 1000) as f64 / 1000.0;
    let series = ages_s.iter().map(|(cluster, age)| series(&[("cluster", cluster)], at(age))).collect();
    Ok(Answer { series, ..Answer::default() })
}

fn seen(query: &str, clusters: &[&str], outcomes: &[Outcome]) -> Observation {
    let plan = plan(query, clusters);
    let by_query: BTreeMap<&str, &Outcome> = plan.queries().zip(outcomes).collect();
    observe(&plan.metrics[0], "cluster", NOW_MS, |q| by_query.get(q).copied())
}

fn ages(observation: &Observation) -> Vec<(&str, Option<i64>)> {
    observation.newest_sample_age_ms.iter().map(|(c, a)| (c.as_str(), *a)).collect()
}

#[test]
fn a_complete_answer_has_a_value_and_every_clusters_age() {
    let o = seen("sum(up)", &["east", "west"], &[value(5.0), newest(&[("east", 1), ("west", 3)])]);
    assert_eq!(o.reading, Reading::Value(Float::new(5.0)));
    assert_eq!(ages(&o), [("east", Some(1000)), ("west", Some(3000))]);
    assert!(o.warnings.is_empty() && !o.timeless);
}

#[test]
fn a_lost_cluster_is_missing_however_complete_the_value_looks() {
    let o = seen("sum(up)", &["east", "west"], &[value(5.0), newest(&[("east", 1)])]);
    assert_eq!(ages(&o), [("east", Some(1000)), ("west", None)]);
}

#[test]
fn several_selectors_count_as_the_worst_of_them() {
    let clusters = ["east", "west"];
    let o = seen(
        "sum(a) / sum(b)",
        &clusters,
        &[value(5.0), newest(&[("east", 1), ("west", 9)]), newest(&[("east", 4), ("west", 2)])],
    );
    assert_eq!(ages(&o), [("east", Some(4000)), ("west", Some(9000))]);
    let o = seen(
        "sum(a) / sum(b)",
        &clusters,
        &[value(5.0), newest(&[("east", 1), ("west", 1)]), newest(&[("west", 1)])],
    );
    assert_eq!(ages(&o), [("east", None), ("west", Some(1000))]);
    let o = seen(
        "sum(a) / sum(b)",
        &clusters,
        &[value(5.0), newest(&[("west", 1)]), newest(&[("east", 1), ("west", 1)])],
    );
    assert_eq!(ages(&o), [("east", None), ("west", Some(1000))]);
    // A clock that is ahead is worse than an age.
    let o =
        seen("sum(a) / sum(b)", &["east"], &[value(5.0), newest(&[("east", -60)]), newest(&[("east", 1)])]);
    assert_eq!(ages(&o), [("east", Some(-60_000))]);
}

#[test]
fn without_expected_clusters_whoever_answered_counts() {
    let unlabelled =
        Ok(Answer { series: vec![series(&[], (NOW_MS / 1000) as f64 - 2.0)], ..Answer::default() });
    assert_eq!(ages(&seen("sum(up)", &[], &[value(5.0), unlabelled])), [("", Some(2000))]);
    assert_eq!(ages(&seen("sum(up)", &[], &[value(5.0), newest(&[])])), []);
    let one_sided = seen(
        "sum(a) / sum(b)",
        &[],
        &[value(5.0), newest(&[("east", 1)]), newest(&[("east", 1), ("west", 1)])],
    );
    assert_eq!(ages(&one_sided), [("east", Some(1000)), ("west", None)]);
}

#[test]
fn evidence_that_cannot_be_had_is_a_warning() {
    let lost = Err(QueryError::new(FailureKind::Timeout, "too late"));
    let o = seen("sum(up)", &["east"], &[value(5.0), lost]);
    assert_eq!(ages(&o), [("east", None)]);
    assert!(o.warnings[0].contains("too late"), "{:?}", o.warnings);
}

#[test]
fn warnings_of_value_and_evidence_are_kept_once_and_bounded() {
    let warned = |outcome: Outcome, warnings: Vec<String>| outcome.map(|a| Answer { warnings, ..a });
    let many: Vec<String> = (0..50).map(|i| i.to_string()).chain(["half".to_owned()]).collect();
    let o = seen(
        "sum(up)",
        &["east"],
        &[warned(value(5.0), many), warned(newest(&[("east", 1)]), vec!["half".into()])],
    );
    assert_eq!((o.warnings.len(), o.warnings[0].as_str()), (MAX_WARNINGS, "half"));
}

#[test]
fn answers_that_are_no_number_say_so() {
    let failed =
        |outcome: Outcome| match seen("sum(up)", &["east"], &[outcome, newest(&[("east", 1)])]).reading {
            Reading::Failed { kind, message } => (kind, message),
            Reading::Value(v) => panic!("{v}"),
        };
    let vector = |series: Vec<Series>| Ok(Answer { series, ..Answer::default() });
    assert_eq!(failed(value(f64::NAN)).0, FailureKind::NotANumber);
    assert_eq!(failed(value(f64::INFINITY)).0, FailureKind::NotANumber);
    assert_eq!(failed(vector(vec![])).0, FailureKind::Empty);
    let (kind, message) = failed(vector(vec![series(&[("pod", "a")], 1.0), series(&[("pod", "b")], 2.0)]));
    assert_eq!(kind, FailureKind::ManySeries);
    assert_eq!(message, r#"the query returned 2 series, among them {pod="a"} and {pod="b"}"#);
    let histogram = Series { labels: BTreeMap::new(), value: None };
    assert!(failed(vector(vec![histogram])).1.contains("histogram_quantile"));
    assert_eq!(
        failed(Err(QueryError::new(FailureKind::Unreachable, "x"))),
        (FailureKind::Unreachable, "x".into())
    );
}

#[test]
fn a_query_that_is_no_promql_is_not_sent() {
    let plan = plan("sum(up", &["east"]);
    assert_eq!(plan.queries().count(), 0);
    let o = observe(&plan.metrics[0], "cluster", NOW_MS, |_| None);
    let Reading::Failed { kind: FailureKind::BadQuery, message } = o.reading else {
        panic!("{:?}", o.reading)
    };
    assert_eq!(message, "the query is not usable: the '(' at column 4 is never closed");
}

#[test]
fn a_query_that_reads_no_series_has_no_age() {
    let o = seen("vector(3)", &["east"], &[value(3.0)]);
    assert!(o.timeless);
}

#[test]
fn an_offset_selectors_age_counts_from_its_own_time() {
    let o = seen("sum(up offset 1m)", &["east"], &[value(1.0), newest(&[("east", 62)])]);
    assert_eq!(ages(&o), [("east", Some(2000))]);
}

proptest! {
    #[test]
    fn no_sample_time_panics(time in any::<f64>()) {
        let answer = Ok(Answer { series: vec![series(&[("cluster", "east")], time)], ..Answer::default() });
        let _ = seen("sum(up)", &["east"], &[value(1.0), answer]);
    }
}
