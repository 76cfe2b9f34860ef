//! The text, a real engine and the decision together: the querier's own PromQL over made series.

use std::ops::Range;

use autoscaler_core::{Decision, History, Input, Scale, decide};
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{BoxFuture, ready};
use thanos_model::{Labels, Sample, Value};
use thanos_promql::source::{Budget, SelectRequest, Series as Data, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, QueryValue, Steps, parse};

use super::*;

const REPLICAS: i32 = 8;
const START_MS: i64 = 1_700_000_000_000;

/// Two clusters of two pods each under the load of eight replicas, ten a second each.
struct World {
    scrape_ms: i64,
    /// West's samples are so late.
    lag_ms: i64,
    /// How far our clock is ahead.
    clock_ms: i64,
    /// West is not scraped.
    cut: Range<i64>,
    /// The store that is asked from then on lacks what was scraped before.
    lost_ms: i64,
    /// The store that is asked from then on lacks these samples of one of west's pods.
    lacks: (i64, Range<i64>),
    /// From when on there is half of the load.
    fall_ms: i64,
    query: &'static str,
}

impl World {
    fn new(query: &'static str) -> Self {
        Self {
            scrape_ms: 1_000,
            lag_ms: 0,
            clock_ms: 0,
            cut: 0..0,
            lost_ms: i64::MAX,
            lacks: (i64::MAX, 0..0),
            fall_ms: i64::MAX,
            query,
        }
    }

    /// The samples that arrived by `now_ms`, both counted from the start.
    fn data(&self, now_ms: i64) -> Store {
        let served = |at_ms: i64| {
            (at_ms.min(self.fall_ms) + at_ms.saturating_sub(self.fall_ms).max(0) / 2) as f64 / 50.0
        };
        let pod = |cluster: &str, pod: usize| {
            let lag_ms = if cluster == "west" { self.lag_ms } else { 0 };
            let times = (-400..=now_ms / self.scrape_ms).map(|i| i * self.scrape_ms + 137 * pod as i64);
            let is_there = |at: i64| {
                let is_lost = now_ms >= self.lost_ms && at < self.lost_ms;
                let (from, lacks) = &self.lacks;
                let is_lacked = now_ms >= *from && (cluster, pod) == ("west", 1) && lacks.contains(&at);
                at + lag_ms <= now_ms
                    && (cluster == "east" || !self.cut.contains(&at))
                    && !(is_lost || is_lacked)
            };
            let there = times.filter(|at| is_there(*at));
            let name = format!("web-7d9f8b6c5d-x2k4{pod}");
            Data {
                labels: Labels::from_pairs([
                    ("__name__", "x_total"),
                    ("cluster", cluster),
                    ("pod", name.as_str()),
                ]),
                samples: there
                    .map(|at| Sample { t_ms: START_MS + at, value: Value::Float(1e6 + served(at)) })
                    .collect(),
            }
        };
        Store(vec![pod("east", 0), pod("east", 1), pod("west", 0), pod("west", 1)])
    }

    fn run(&self, seconds: i64) -> Vec<Decision> {
        let spec: ScalingPolicySpec = serde_json::from_value(serde_json::json!({
            "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 20, "interval": "1s",
            "metrics": [{"name": "m", "query": self.query, "target": {"type": "AverageValue", "averageValue": "10"},
                         "evidence": {"clusters": ["east", "west"], "maxAge": "20s"}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }))
        .unwrap();
        let plan = Plan::new(&spec, "cluster").unwrap();
        let mut history = History::default();
        let ticks = (0..seconds).map(|second| {
            let real_ms = second * 1000 + 321;
            let now_ms = START_MS + real_ms + self.clock_ms;
            let data = self.data(real_ms);
            let queries = plan.queries(now_ms, &history);
            let [query] = queries[0].as_slice() else { panic!("one query a metric: {queries:?}") };
            let starts = history.starts(&plan.policy, "m", now_ms);
            let question = Question {
                now_ms,
                starts: &starts,
                settled_ms: history.settled_ms("m"),
                cluster_label: "cluster",
                cluster: "east",
            };
            let outcome = Ok(data.ask(query, now_ms));
            let input = Input {
                now_ms,
                cluster: "east".into(),
                policy: plan.policy.clone(),
                scale: Scale { spec_replicas: REPLICAS, status_replicas: REPLICAS, ready_replicas: 2 },
                schedules: Vec::new(),
                pods: None,
                observations: vec![observe(&plan.metrics[0], question, &[Some(&outcome)])],
                history: std::mem::take(&mut history),
            };
            let decision = decide(&input);
            history = decision.history.clone();
            decision
        });
        ticks.collect()
    }

    fn lowest(&self, seconds: i64) -> Option<i32> {
        self.run(seconds).iter().map(|decision| decision.desired_replicas).min()
    }
}

struct Store(Vec<Data>);

impl SeriesSource for Store {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
        let series = self.0.iter().filter(|s| request.matchers.iter().all(|m| m.matches_labels(&s.labels)));
        let series = series.map(|s| Data {
            labels: s.labels.clone(),
            samples: s.samples.iter().filter(inside).cloned().collect(),
        });
        ready(Ok(SeriesSet { series: series.collect(), warnings: Vec::new() })).boxed()
    }
}

impl Store {
    fn ask(&self, query: &str, at_ms: i64) -> Answer {
        let plan = parse(query).unwrap_or_else(|e| panic!("{e}: {query}"));
        let budget = Budget::new(10_000_000, 1 << 30);
        let result =
            block_on(Engine::default().query(&plan, Steps::instant(at_ms), self, budget, &|| None)).unwrap();
        let QueryValue::Vector(vector) = result.value else { panic!("{query} gave {:?}", result.value) };
        let series = vector.into_iter().map(|sample| Series {
            labels: sample.labels.iter().map(|l| (l.name.to_string(), l.value.to_string())).collect(),
            value: match sample.value {
                Value::Float(value) => Some(value),
                Value::Histogram(_) => None,
            },
        });
        Answer { series: series.collect(), ..Answer::default() }
    }
}

const RATE: &str = "sum(rate(x_total[15s]))";

#[test]
fn sound_samples_are_sufficient_in_the_engines_own_words() {
    let last = World::new(RATE).run(30).pop().unwrap();
    let verdict = &last.metrics[0];
    assert_eq!(verdict.evidence.doubts(), []);
    assert!(verdict.value.is_some_and(|value| (value.get() - 80.0).abs() < 0.5), "{:?}", verdict.value);
    assert_eq!(last.history.metrics[0].pods_seen, 1);
}

#[test]
fn a_lag_below_max_age_lowers_nothing_and_hides_no_fall() {
    for lag_ms in [4_000, 10_000, 15_000] {
        let late = World { lag_ms, ..World::new(RATE) };
        assert_eq!(late.lowest(70), Some(REPLICAS), "{lag_ms} ms");
        let falling = World { lag_ms, fall_ms: 30_000, ..World::new(RATE) };
        assert_eq!(falling.lowest(90), Some(4), "{lag_ms} ms");
    }
}

#[test]
fn a_wrong_clock_lowers_nothing() {
    for clock_ms in [-25_000, -5_000, 5_000, 12_000, 25_000] {
        let wrong = World { clock_ms, ..World::new(RATE) };
        assert_eq!(wrong.lowest(60), Some(REPLICAS), "{clock_ms} ms");
    }
}

#[test]
fn a_cut_lowers_nothing_noticed_or_not() {
    for cut in [40_000..50_000, 40_000..75_000] {
        let world = World { cut: cut.clone(), ..World::new(RATE) };
        assert_eq!(world.lowest(110), Some(REPLICAS), "{cut:?}");
    }
}

#[test]
fn a_store_that_lost_its_samples_lowers_nothing() {
    let world = World { lost_ms: 60_000, ..World::new("sum(rate(x_total[15s]))") };
    let decisions = world.run(120);
    let lowest = decisions.iter().map(|decision| decision.desired_replicas).min();
    assert_eq!(lowest, Some(REPLICAS));
    let told: Vec<String> = decisions[60..]
        .iter()
        .flat_map(|d| d.metrics[0].evidence.doubts())
        .map(ToString::to_string)
        .collect();
    let words = "cluster east's samples of 16.3s before the evaluation are gone, where its window begins";
    assert!(told.iter().any(|told| told == words), "{told:?}");
    // And is read as ever once a window is there again.
    let falling = World { lost_ms: 40_000, fall_ms: 60_000, ..World::new("sum(rate(x_total[15s]))") };
    assert_eq!(falling.lowest(110), Some(4));
}

#[test]
fn a_store_that_lacks_a_stretch_of_a_part_lowers_nothing() {
    for (from, lacks) in [(60_000, 50_000..59_990), (60_000, 48_000..56_000)] {
        let world = World { lacks: (from, lacks.clone()), ..World::new(RATE) };
        let decisions = world.run(100);
        let lowest = decisions.iter().map(|decision| decision.desired_replicas).min();
        assert_eq!(lowest, Some(REPLICAS), "{lacks:?}");
        let doubts = decisions.iter().flat_map(|d| d.metrics[0].evidence.doubts());
        let told: Vec<String> = doubts.map(ToString::to_string).collect();
        let words = "1 of cluster west's 2 series lack a stretch of its window";
        assert!(told.iter().filter(|told| *told == words).count() > 3, "{lacks:?}: {told:?}");
        assert_eq!(decisions[99].metrics[0].evidence.doubts(), [], "{lacks:?}");
    }
}

#[test]
fn a_rise_is_seen_at_the_settled_time_where_a_lag_hides_it_now() {
    // A load that doubled is the same as one that halves, seen from its end.
    let world = World { lag_ms: 12_000, fall_ms: 0, ..World::new("sum(rate(x_total[15s])) * 4") };
    let raised = world.run(60).iter().map(|decision| decision.desired_replicas).max();
    assert_eq!(raised, Some(16));
}

/// Everything that a query may do to selectors, asked of the real engine in one text.
#[test]
fn every_kind_of_query_has_its_evidence_in_one_answer() {
    for query in [
        "sum(x_total) / 1e6",
        "scalar(sum(rate(x_total[15s])))",
        "sum(rate(x_total[15s] offset 5s))",
        "max_over_time(sum(rate(x_total[15s]))[20s:1s])",
        "sum(rate(x_total{cluster=\"east\"}[15s])) + sum(rate(x_total{cluster=\"west\"}[15s]))",
        "sum(rate(x_total[15s])) or vector(0)",
        "sum by () (rate(x_total[15s])) # with a comment",
    ] {
        let last = World::new(query).run(50).pop().unwrap();
        let doubts: Vec<String> = last.metrics[0].evidence.doubts().iter().map(ToString::to_string).collect();
        assert_eq!(doubts, [""; 0], "{query}");
        assert!(last.metrics[0].value.is_some(), "{query}");
    }
}
