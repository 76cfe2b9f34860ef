use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use futures::future::{BoxFuture, FutureExt, ready};
use proptest::prelude::*;
use thanos_model::{BucketSpan, FloatHistogram, Labels, Value, stale_nan};

use super::*;
use crate::error::Stop;
use crate::parse;
use crate::source::{OverBudget, Series, SeriesSet, SourceError};

/// Two metrics of floats, one with a gap and a staleness marker, and one of histograms.
struct Memory;

impl SeriesSource for Memory {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let histogram = |n: f64| FloatHistogram {
            count: 3.0 * n,
            sum: n,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_buckets: vec![n, 2.0 * n],
            ..FloatHistogram::default()
        };
        let series = |name: &str, pod: &str, sample: &dyn Fn(i64) -> Sample| Series {
            labels: Labels::from_pairs([("__name__", name), ("pod", pod)]),
            samples: (0..20)
                .map(sample)
                .filter(|s| (request.start_ms..=request.end_ms).contains(&s.t_ms))
                .collect(),
        };
        let all = [
            series("a_total", "x", &|i| Sample::float(i * 10_000, i as f64)),
            series("a_total", "y", &|i| {
                Sample::float(i * 10_000, if i == 9 { stale_nan() } else { (i % 7) as f64 })
            }),
            series("b_total", "x", &|i| Sample::float(i * 10_000, -1.0)),
            series("h", "x", &|i| Sample::histogram(i * 10_000, histogram((i % 8) as f64))),
        ];
        let wanted = |s: &Series| request.matchers.iter().all(|m| m.matches_labels(&s.labels));
        let series: Vec<Series> = all.into_iter().filter(wanted).collect();
        let samples: usize = series.iter().map(|s| s.samples.len()).sum();
        let set = SeriesSet { series, warnings: vec!["one store did not answer".into()] };
        ready(request.budget.charge(samples as u64, 0).map(|()| set).map_err(SourceError::from)).boxed()
    }
}

fn run(
    query: &str,
    steps: Steps,
    budget: &Arc<Budget>,
    check: &Check<'_>,
) -> Result<QueryResult, QueryError> {
    block_on(Engine::default().query(&parse(query)?, steps, &Memory, budget.clone(), check))
}

fn instant(query: &str) -> Result<QueryResult, QueryError> {
    run(query, Steps::instant(100_000), &Budget::new(10_000, 1 << 20), &|| None)
}

fn floats(query: &str) -> Vec<(String, f64)> {
    let QueryValue::Vector(v) = instant(query).unwrap().value else { panic!("{query} gives no vector") };
    v.iter().map(|v| (v.labels.to_string(), v.value.as_float().unwrap())).collect()
}

#[test]
fn names_go_with_the_function_that_changes_the_metric() {
    let named = |l: &str, v: f64| (l.to_owned(), v);
    assert_eq!(floats(r#"a_total{pod="x"}"#), [named(r#"a_total{pod="x"}"#, 10.0)]);
    assert_eq!(floats("-b_total"), [named(r#"{pod="x"}"#, 1.0)]);
    assert_eq!(floats("rate(a_total{pod=\"x\"}[30s])"), [named(r#"{pod="x"}"#, 0.1)]);
    assert_eq!(floats("last_over_time(b_total[1m])"), [named(r#"b_total{pod="x"}"#, -1.0)]);
    let relabelled = r#"label_replace(abs(b_total), "name", "$1", "__name__", "(.*)")"#;
    assert_eq!(floats(relabelled), [named(r#"{pod="x"}"#, 1.0)]);
    for query in [r#"abs({__name__=~".*_total"})"#, r#"rate({__name__=~".*_total"}[1m])"#] {
        let e = instant(query).unwrap_err();
        assert_eq!(
            (e.api_type(), e.to_string().as_str()),
            ("execution", "vector cannot contain metrics with the same labelset")
        );
    }
}

#[test]
fn a_stale_series_is_absent_until_it_comes_back() {
    let at =
        |t| run("a_total{pod=\"y\"}", Steps::instant(t), &Budget::new(100, 1 << 20), &|| None).unwrap().value;
    assert_eq!(at(95_000), QueryValue::Vector(vec![]));
    assert!(matches!(at(100_000), QueryValue::Vector(v) if v.len() == 1));
}

#[test]
fn the_sources_warnings_reach_the_result() {
    assert!(instant("sum(a_total)").unwrap().warnings.contains("one store did not answer"));
}

#[test]
fn a_stop_ends_the_evaluation_with_its_cause() {
    for (stop, kind) in [(Stop::Timeout, "timeout"), (Stop::Cancelled, "canceled")] {
        let asked = AtomicUsize::new(0);
        let check = || {
            asked.fetch_add(1, Ordering::Relaxed);
            Some(stop)
        };
        let steps = Steps::range(0, 200_000, 10).unwrap();
        let e = run("sum(rate(a_total[1m]))", steps, &Budget::new(1 << 30, 1 << 30), &check).unwrap_err();
        assert_eq!((e.api_type(), asked.into_inner()), (kind, 1));
    }
}

#[test]
fn a_query_over_budget_fails_and_gives_back_what_the_evaluation_held() {
    let budget = Budget::new(100, 1 << 20);
    let steps = Steps::range(0, 200_000, 1_000).unwrap();
    let e = run("a_total + a_total", steps, &budget, &|| None).unwrap_err();
    assert_eq!(e, QueryError::Budget(OverBudget::Samples(100)));
    let fetched_twice = 2 * 40;
    assert!(budget.charge(100 - fetched_twice, 1 << 20).is_ok());
}

#[test]
fn step_and_range_in_durations_mean_the_query() {
    let steps = Steps::range(100_000, 120_000, 20_000).unwrap();
    let result =
        run("count_over_time(a_total{pod=\"x\"}[step()])", steps, &Budget::new(1000, 1 << 20), &|| None);
    let QueryValue::Matrix(m) = result.unwrap().value else { panic!("a matrix") };
    assert_eq!(
        m[0].samples.iter().map(|s| &s.value).collect::<Vec<_>>(),
        [&Value::Float(2.0), &Value::Float(2.0)]
    );
}

#[test]
fn a_query_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (engine, plan) = (Engine::default(), parse("a_total").unwrap());
    let query = engine.query(&plan, Steps::instant(0), &Memory, Budget::new(10, 10), &|| None);
    is_send(&query);
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for at in [i64::MIN, i64::MAX] {
        for query in [
            "predict_linear(a_total[1m] @ 100, 1)",
            "rate(h[200y] offset -200y)",
            "hour()",
            "max_over_time(h[1y:1d])",
        ] {
            assert!(run(query, Steps::instant(at), &Budget::new(1000, 1 << 20), &|| None).is_ok(), "{query}");
        }
    }
}

#[test]
fn bad_ranges_are_refused() {
    for (start, end, step) in [(0, 10, 0), (0, 10, -1), (10, 0, 1), (i64::MIN, i64::MAX, 1), (0, i64::MAX, 1)]
    {
        assert_eq!(Steps::range(start, end, step).unwrap_err().api_type(), "bad_data");
    }
    let steps = Steps::range(0, 10, 1).unwrap();
    for query in ["a_total[1m]", "\"text\""] {
        assert_eq!(
            run(query, steps, &Budget::new(1000, 1 << 20), &|| None).unwrap_err().api_type(),
            "bad_data"
        );
    }
}

/// Expressions of every kind, most of them well typed.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a_total",
        "b_total",
        "h",
        "{pod=\"x\"}",
        "1",
        "NaN",
        "time()",
        "nothing",
        "h offset -5y",
    ]);
    let modifiers = prop::sample::select(vec!["", " offset 1m", " @ start()", " @ -5 offset -1h", " @ 9e12"]);
    let ranges = prop::sample::select(vec![
        "[30s]",
        "[1m:10s]",
        "[1h:]",
        "[5m] anchored",
        "[1m] smoothed",
        "[200y:90y]",
    ]);
    let range_functions = prop::sample::select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "resets",
        "changes",
        "avg_over_time",
        "sum_over_time",
        "max_over_time",
        "stddev_over_time",
        "mad_over_time",
        "absent_over_time",
        "last_over_time",
        "ts_of_max_over_time",
    ]);
    let functions = prop::sample::select(vec![
        "abs",
        "sqrt",
        "-",
        "absent",
        "timestamp",
        "scalar",
        "vector",
        "sort",
        "hour",
        "histogram_count",
        "histogram_stddev",
        "sum",
        "avg",
        "stdvar",
        "min",
        "count by (pod)",
        "group without (pod)",
        "round",
        "histogram_quantile(0.9, ",
        "topk(2, ",
        "quantile(0.5, ",
        "count_values(\"v\", ",
        "limit_ratio(-0.5, ",
        "histogram_fraction(0, 1, ",
        "bottomk(1, ",
        "clamp_min(",
    ]);
    let operators = prop::sample::select(vec![
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "atan2",
        "==",
        "!= bool",
        "> on (pod) group_left",
        "and",
        "or",
        "unless on ()",
        "</",
        ">/",
        "+ on (pod) fill (1)",
        "<= ignoring (pod) group_right (pod)",
    ]);
    leaf.prop_map(String::from).prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), functions.clone()).prop_map(|(e, f)| match f.split_once('(') {
                Some((_, rest)) if rest.is_empty() || f.ends_with(", ") => format!("{f}{e})"),
                _ => format!("{f}({e})"),
            }),
            (inner.clone(), ranges.clone(), modifiers.clone(), range_functions.clone())
                .prop_map(|(e, r, m, f)| format!("{f}({e}{r}{m})")),
            (inner.clone(), operators.clone(), inner).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        ]
    })
}

proptest! {
    #[test]
    fn no_query_panics_and_a_range_agrees_with_its_instants(query in expressions(), start in -50_000i64..250_000) {
        let budget = Budget::new(1 << 30, 1 << 28);
        let steps = Steps::range(start, start + 20_000, 10_000).unwrap();
        let range = run(&query, steps, &budget, &|| None);
        let _ = run(&query, Steps::instant(i64::MAX / 4), &budget, &|| None);
        let Ok(QueryResult { value: QueryValue::Matrix(m), .. }) = range else { return Ok(()) };
        let middle = run(&query, Steps::instant(start + 10_000), &budget, &|| None);
        // What pins itself to the query's own times means something else in the other query.
        prop_assume!(!query.contains("start()"));
        let Ok(QueryResult { value: QueryValue::Vector(v), .. }) = middle else { return Ok(()) };
        for s in &v {
            let at = m.iter().find(|r| r.labels == s.labels).and_then(|r| r.samples.iter().find(|p| p.t_ms == s.t_ms));
            let same = match (at.map(|p| &p.value), &s.value) {
                (Some(Value::Float(a)), Value::Float(b)) => a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * b.abs(),
                (Some(Value::Histogram(a)), Value::Histogram(b)) => a.count == b.count || a.count.is_nan() || (a.count - b.count).abs() <= 1e-9 * b.count.abs(),
                _ => false,
            };
            prop_assert!(same, "{} has {:?} in the range and {:?} alone", s.labels, at, s.value);
        }
    }
}
