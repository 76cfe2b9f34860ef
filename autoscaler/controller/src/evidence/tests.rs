use autoscaler_api::ScalingPolicySpec;
use proptest::prelude::*;

use super::*;
use crate::plan::Plan;

mod by_pod;
mod engine;

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

fn series(part: &str, labels: &[(&str, &str)], value: f64) -> Series {
    let labels = labels.iter().copied().chain([(PART, part)]).map(|(k, v)| (k.to_owned(), v.to_owned()));
    Series { labels: labels.collect(), value: Some(value) }
}

fn answer(series: Vec<Series>) -> Outcome {
    Ok(Answer { series, ..Answer::default() })
}

/// A time so and so many seconds ago.
fn ago(part: &str, cluster: &str, age_s: f64) -> Series {
    series(part, &[("cluster", cluster)], NOW_MS as f64 / 1000.0 - age_s)
}

const QUESTION: Question<'_> =
    Question { now_ms: NOW_MS, settled_ms: None, starts: &[], cluster_label: "cluster", cluster: "east" };

fn seen(query: &str, outcome: &Outcome) -> Observation {
    observe(&plan(query, &["east", "west"]).metrics[0], QUESTION, &[Some(outcome)])
}

fn clusters(observation: &Observation, selector: usize) -> Vec<(&str, i64, Option<i64>)> {
    let Samples::Seen(selectors) = &observation.samples else { panic!("{:?}", observation.samples) };
    let age = |ms: i64| NOW_MS - ms;
    selectors[selector]
        .clusters
        .iter()
        .map(|c| (c.cluster.as_str(), age(c.newest_ms), c.slowest_ms.map(age)))
        .collect()
}

#[test]
fn one_answer_is_both_values_and_what_every_cluster_has() {
    let all = answer(vec![
        series("now", &[], 5.0),
        series("at", &[], 6.0),
        ago("old0", "east", 2.0),
        ago("new0", "east", 1.0),
        ago("new0", "west", 90.0),
        series("pod0", &[("cluster", "east")], 3.0),
        series("sil0", &[("cluster", "west")], 2.0),
    ]);
    let question = Question { settled_ms: Some(NOW_MS - 4_000), ..QUESTION };
    let o = observe(&plan("sum(up)", &["east", "west"]).metrics[0], question, &[Some(&all)]);
    assert_eq!(o.newest, Reading::Value(Float::new(5.0)));
    let settled = Settled { at_ms: NOW_MS - 4_000, reading: Reading::Value(Float::new(6.0)) };
    assert_eq!(o.settled, Some(settled));
    assert_eq!(clusters(&o, 0), [("east", 1_000, Some(2_000)), ("west", 90_000, None)]);
    let Samples::Seen(selectors) = &o.samples else { panic!("{:?}", o.samples) };
    let pods: Vec<_> = selectors[0].clusters.iter().map(|c| (c.pods, c.silent_pods)).collect();
    assert_eq!((pods, selectors[0].selector.as_str()), (vec![(3, 0), (0, 2)], "up"));
}

#[test]
fn selectors_are_kept_apart_and_series_without_a_cluster_have_no_name() {
    let all = answer(vec![series("now", &[], 5.0), ago("new1", "east", 1.0), series("new0", &[], 999_998.0)]);
    let o = seen("sum(a) / sum(b)", &all);
    assert_eq!(clusters(&o, 0), [("", 2_000, None)]);
    assert_eq!(clusters(&o, 1), [("east", 1_000, None)]);
}

#[test]
fn what_looks_elsewhere_counts_from_there() {
    let at = |query: &str, age_s: f64| {
        let o = seen(query, &answer(vec![series("now", &[], 1.0), ago("new0", "east", age_s)]));
        clusters(&o, 0)[0].1
    };
    assert_eq!(at("sum(up)", 2.0), 2_000);
    assert_eq!(at("sum(up)", -5.0), -5_000, "ahead");
    assert_eq!(at("sum(up offset 1m)", 62.0), 2_000);
    assert_eq!(at("sum(up offset 1m)", 40.0), 0, "newer than it looks at is as new as can be");
    assert_eq!(at("sum(up offset -1m)", 0.0), 60_000, "it looks for what is not there yet");
    assert_eq!(at("sum(up @ 500000 offset 1m)", 500_062.0), 2_000);
}

#[test]
fn what_the_server_says_beside_its_answer_is_kept_once_and_bounded() {
    let many: Vec<String> = (0..50).map(|i| format!("{i}{}", "x".repeat(1_000))).collect();
    let series = vec![series("now", &[], 5.0)];
    let warned = Answer { series, warnings: [many.clone(), many].concat(), ..Answer::default() };
    let o = seen("sum(up)", &Ok(Answer { incomplete: Some("isPartial".into()), ..warned }));
    assert_eq!((o.warnings.len(), o.warnings[0].chars().count()), (MAX_WARNINGS, MAX_WORDS));
    assert_eq!(o.incomplete.as_deref(), Some("isPartial"));
}

#[test]
fn answers_that_are_no_number_say_so() {
    let failed = |outcome: &Outcome| match seen("sum(up)", outcome).newest {
        Reading::Failed { kind, message } => (kind, message),
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(&answer(vec![series("now", &[], f64::NAN)])).0, FailureKind::NotANumber);
    assert_eq!(failed(&answer(vec![series("now", &[], f64::INFINITY)])).0, FailureKind::NotANumber);
    assert_eq!(failed(&answer(vec![ago("new0", "east", 1.0)])).0, FailureKind::Empty);
    let two = vec![series("now", &[("pod", "a")], 1.0), series("now", &[("pod", "b")], 2.0)];
    let (kind, message) = failed(&answer(two));
    assert_eq!(kind, FailureKind::ManySeries);
    assert_eq!(message, r#"the query returned 2 series, among them {pod="a"} and {pod="b"}"#);
    let histogram = Series { value: None, ..series("now", &[], 0.0) };
    assert!(failed(&answer(vec![histogram])).1.contains("histogram_quantile"));
    let lost = Err(QueryError::new(FailureKind::Unreachable, "x"));
    assert_eq!(failed(&lost), (FailureKind::Unreachable, "x".into()));
    assert_eq!(seen("sum(up)", &lost).samples, Samples::Unknown("x".into()));
}

#[test]
fn a_part_of_the_evidence_that_is_lost_says_nothing_of_samples() {
    let value = answer(vec![series("now", &[], 5.0), ago("new0", "east", 1.0)]);
    let lost = Err(QueryError::new(FailureKind::Timeout, "too late"));
    let sum = (0..60).map(|i| format!("m{i}")).collect::<Vec<_>>().join(" + ");
    let plan = plan(&sum, &[]);
    let o = observe(&plan.metrics[0], QUESTION, &[Some(&value), Some(&lost), None]);
    assert_eq!(o.newest, Reading::Value(Float::new(5.0)));
    assert_eq!(o.samples, Samples::Unknown("too late".into()));
}

#[test]
fn a_query_that_is_no_promql_is_not_sent() {
    let plan = plan("sum(up", &["east"]);
    assert_eq!(plan.queries(0, &autoscaler_core::History::default()), [Vec::<String>::new()]);
    let o = observe(&plan.metrics[0], QUESTION, &[]);
    let Reading::Failed { kind: FailureKind::BadQuery, message } = o.newest else { panic!("{:?}", o.newest) };
    assert_eq!(message, "the query is not usable: the '(' is never closed, at column 4");
}

#[test]
fn a_query_that_reads_no_series_has_no_age() {
    assert_eq!(seen("vector(3)", &answer(vec![series("now", &[], 3.0)])).samples, Samples::Timeless);
}

proptest! {
    #[test]
    fn no_answer_panics(
        parts in proptest::collection::vec(("now|at|new[0-9]|old[0-9]|pod0|sil0|[a-z0-9]{0,5}", any::<f64>()), 0..9),
        query in prop::sample::select(vec!["sum(up)", "sum(up offset 5m) / sum(up @ 5)", "vector(1)"]),
    ) {
        let series = parts.iter().map(|(part, value)| series(part, &[("cluster", "east")], *value)).collect();
        let _ = seen(query, &answer(series));
    }
}
