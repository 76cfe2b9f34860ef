//! Alerts fire when tests/manifests/alerts.yaml says so: the file is promtool's, the engine is ours.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{BoxFuture, FutureExt, ready};
use serde_json::Value;
use thanos_model::{Labels, METRIC_NAME, Sample, parse_duration, stale_nan};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, Options, Plan, QueryValue, Steps, VectorSample, parse};
use thanos_telemetry::cli::parse_yaml_documents;

/// One alert of the rule file.
struct Rule {
    name: String,
    plan: Plan,
    hold_ms: i64,
    labels: Vec<(String, String)>,
}

struct Store(Vec<Series>);

impl SeriesSource for Store {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
        let fits = |s: &&Series| request.matchers.iter().all(|m| m.matches_labels(&s.labels));
        let cut = |s: &Series| Series {
            labels: s.labels.clone(),
            samples: s.samples.iter().filter(inside).cloned().collect(),
        };
        let mut series: Vec<Series> = self.0.iter().filter(fits).map(cut).collect();
        series.retain(|s| !s.samples.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        ready(Ok(SeriesSet { series, warnings: Vec::new() })).boxed()
    }
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(super::root().join(path)).expect("a file");
    parse_yaml_documents(&text).unwrap_or_else(|e| panic!("{path}: {e}")).remove(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn duration_ms(value: &Value) -> i64 {
    let duration = parse_duration(text(value)).unwrap_or_else(|e| panic!("{value}: {e}"));
    i64::try_from(duration.as_millis()).expect("a duration")
}

fn plan(query: &str) -> Plan {
    parse(query).unwrap_or_else(|e| panic!("{query}: {e}"))
}

/// The labels of a selector with equal signs only.
fn labels(selector: &str) -> Labels {
    let plan = plan(selector);
    let matchers = plan.selectors().iter().flat_map(|s| s.matchers.iter());
    Labels::from_pairs(matchers.map(|m| (m.name.clone(), m.value.clone())))
}

fn rules() -> Vec<Rule> {
    let file = read("manifests/rules/gauntlet.yaml");
    let rules = list(&file["groups"]).iter().flat_map(|g| list(&g["rules"]));
    let rule = |r: &Value| Rule {
        name: text(&r["alert"]).to_owned(),
        plan: plan(text(&r["expr"])),
        hold_ms: duration_ms(&r["for"]),
        labels: r["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), text(v).to_owned()))
            .collect(),
    };
    rules.map(rule).collect()
}

/// promtool's notation: `1x3` and `1+2x3` are four samples, `_` is none, `stale` ends the series.
fn samples(values: &str, step_ms: i64) -> Vec<Sample> {
    let mut points: Vec<Option<f64>> = Vec::new();
    let number = |t: &str| t.parse::<f64>().unwrap_or_else(|e| panic!("{t}: {e}"));
    for item in values.split_whitespace() {
        let (base, times) = item.split_once('x').map_or((item, 0), |(b, n)| (b, number(n) as usize));
        match base {
            // `_x3` is three of them.
            "_" => points.extend(std::iter::repeat_n(None, times.max(1))),
            "stale" => points.push(Some(stale_nan())),
            _ => {
                let (start, step) = base.split_once('+').unwrap_or((base, "0"));
                points.extend((0..=times).map(|i| Some(number(start) + i as f64 * number(step))));
            }
        }
    }
    let at = |(i, point): (usize, Option<f64>)| {
        Some(Sample::float(i64::try_from(i).expect("few samples") * step_ms, point?))
    };
    points.into_iter().enumerate().filter_map(at).collect()
}

fn store(test: &Value) -> Store {
    let step_ms = duration_ms(&test["interval"]);
    let series = |s: &Value| Series {
        labels: labels(text(&s["series"])),
        samples: samples(text(&s["values"]), step_ms),
    };
    Store(list(&test["input_series"]).iter().map(series).collect())
}

/// What an expression gives at a time.
fn evaluate(what: &str, plan: &Plan, store: &Store, at_ms: i64) -> Vec<VectorSample> {
    let engine = Engine::new(Options {
        lookback_delta_ms: 300_000,
        default_subquery_step_ms: 60_000,
        delayed_name_removal: false,
    });
    let budget = Budget::new(1_000_000, 1 << 28);
    let run = engine.query(plan, Steps::instant(at_ms), store, budget, &|| None);
    let result = futures::executor::block_on(run).unwrap_or_else(|e| panic!("{what}: {e}"));
    let QueryValue::Vector(vector) = result.value else { panic!("{what} gives no vector") };
    vector
}

/// What an alert's expression gives at a time, by labels without the metric's name.
fn active(rule: &Rule, store: &Store, at_ms: i64) -> BTreeSet<Labels> {
    let vector = evaluate(&rule.name, &rule.plan, store, at_ms);
    vector.into_iter().map(|v| v.labels.without(METRIC_NAME)).collect()
}

/// What a query gives over series in promtool's notation, a sample each ten seconds, after twenty of them.
pub(super) fn values(query: &str, series: &[(&str, &str)]) -> Vec<f64> {
    const STEP_MS: i64 = 10_000;
    let series = series
        .iter()
        .map(|(name, values)| Series { labels: labels(name), samples: samples(values, STEP_MS) });
    let vector = evaluate(query, &plan(query), &Store(series.collect()), 20 * STEP_MS);
    vector.iter().map(|sample| sample.value.as_float().unwrap_or(f64::NAN)).collect()
}

/// The series ALERTS of an alert at a time, those that fire.
fn firing(rule: &Rule, store: &Store, every_ms: i64, until_ms: i64) -> BTreeSet<Labels> {
    let mut since: BTreeMap<Labels, i64> = BTreeMap::new();
    let mut at_ms = 0;
    while at_ms <= until_ms {
        let now = active(rule, store, at_ms);
        since.retain(|labels, _| now.contains(labels));
        for labels in now {
            since.entry(labels).or_insert(at_ms);
        }
        at_ms += every_ms;
    }
    let last_ms = at_ms - every_ms;
    let fires = since.into_iter().filter(|(_, since_ms)| last_ms - since_ms >= rule.hold_ms);
    fires
        .map(|(labels, _)| {
            let own = rule.labels.iter().fold(labels, |l, (k, v)| l.with(k.as_str(), v.as_str()));
            own.with(METRIC_NAME, "ALERTS").with("alertname", rule.name.as_str()).with("alertstate", "firing")
        })
        .collect()
}

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() {
    let file = read("tests/manifests/alerts.yaml");
    let every_ms = duration_ms(&file["evaluation_interval"]);
    let rules = rules();
    let mut fired = BTreeSet::new();
    for test in list(&file["tests"]) {
        let store = store(test);
        for case in list(&test["promql_expr_test"]) {
            let asked = labels(text(&case["expr"]));
            let (name, until_ms) = (asked.get("alertname"), duration_ms(&case["eval_time"]));
            let of_rule = |r: &&Rule| name.is_empty() || r.name == name;
            let got: BTreeSet<Labels> =
                rules.iter().filter(of_rule).flat_map(|r| firing(r, &store, every_ms, until_ms)).collect();
            let wanted: BTreeSet<Labels> =
                list(&case["exp_samples"]).iter().map(|s| labels(text(&s["labels"]))).collect();
            assert_eq!(got, wanted, "{} at {}", test["name"], case["eval_time"]);
            fired.extend(wanted.iter().map(|l| l.get("alertname").to_owned()));
        }
    }
    let all: BTreeSet<String> = rules.iter().map(|r| r.name.clone()).collect();
    assert_eq!(fired, all, "every alert has a test in which it fires");
}
