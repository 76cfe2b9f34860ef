//! A query whose text was written for one time gives, at any other, what the query itself gives at that one time.
#![expect(clippy::unwrap_used, reason = "a test: its failures are loud")]

use futures::executor::block_on;
use futures::future::{BoxFuture, FutureExt, ready};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use thanos_model::{BucketSpan, FloatHistogram, Labels, Sample, Value, stale_nan};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, QueryError, QueryValue, Steps, parse};
use thanos_promql_syntax::Query;

/// Counters with resets, gaps and an end, a gauge, and a histogram, every ten seconds for half an hour.
struct Memory(Vec<Series>);

impl Memory {
    fn new() -> Self {
        let histogram = |n: f64| FloatHistogram {
            count: 3.0 * n,
            sum: n,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_buckets: vec![n, 2.0 * n],
            ..FloatHistogram::default()
        };
        let series = |name: &str, pod: &str, sample: &dyn Fn(i64) -> Option<Value>| Series {
            labels: Labels::from_pairs([("__name__", name), ("pod", pod)]),
            samples: (0..180)
                .filter_map(|i| Some(Sample { t_ms: i * 10_000 + 137, value: sample(i)? }))
                .collect(),
        };
        Self(vec![
            series("a_total", "x", &|i| Some(Value::Float((i % 50) as f64 * 3.0))),
            series("a_total", "y", &|i| (!(40..60).contains(&i)).then_some(Value::Float(i as f64 * 0.7))),
            series("b", "x", &|i| Some(Value::Float(((i * 7919) % 13) as f64 - 4.0))),
            series("b", "y", &|i| match i {
                120.. => None,
                119 => Some(Value::Float(stale_nan())),
                i => Some(Value::Float((i % 3) as f64)),
            }),
            series("h", "x", &|i| Some(Value::Histogram(histogram((i % 30) as f64).into()))),
        ])
    }
}

impl SeriesSource for Memory {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
        let series = self.0.iter().filter(|s| request.matchers.iter().all(|m| m.matches_labels(&s.labels)));
        let series = series.map(|s| Series {
            labels: s.labels.clone(),
            samples: s.samples.iter().filter(inside).cloned().collect(),
        });
        ready(Ok(SeriesSet { series: series.collect(), warnings: Vec::new() })).boxed()
    }
}

fn ask(text: &str, memory: &Memory, at_ms: i64) -> Result<Vec<(String, Value)>, QueryError> {
    let plan = parse(text)?;
    let budget = Budget::new(10_000_000, 1 << 30);
    let result = block_on(Engine::default().query(&plan, Steps::instant(at_ms), memory, budget, &|| None))?;
    Ok(match result.value {
        QueryValue::Scalar { value, .. } => vec![(String::new(), Value::Float(value))],
        QueryValue::Vector(v) => v.into_iter().map(|s| (s.labels.to_string(), s.value)).collect(),
        other => panic!("{text} gave {other:?}"),
    })
}

/// The same to the last bit, but for `predict_linear`, which draws its line from another point.
fn same(a: &Value, b: &Value, to_the_bit: bool) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => {
            a == b
                || a.is_nan() && b.is_nan()
                || !to_the_bit && (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
        }
        (Value::Histogram(_), Value::Histogram(_)) => format!("{a:?}") == format!("{b:?}"),
        _ => false,
    }
}

fn holds(text: &str, memory: &Memory, at_ms: i64, later_ms: i64) -> Result<bool, TestCaseError> {
    let query = Query::parse(text);
    prop_assert!(query.is_ok(), "{}: {:?}", text, query);
    let pinned = query.unwrap().at(at_ms);
    let (then, now) = (ask(text, memory, at_ms), ask(&pinned, memory, at_ms + later_ms));
    let (then, now) = match (then, now) {
        (Ok(then), Ok(now)) => (then, now),
        (then, now) => {
            prop_assert!(then.is_err() == now.is_err(), "{text} at {at_ms}: {then:?}, {pinned}: {now:?}");
            return Ok(false);
        }
    };
    let to_the_bit = !text.contains("predict_linear");
    let fits = then.len() == now.len()
        && then.iter().zip(&now).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1, to_the_bit));
    prop_assert!(fits, "{text} at {at_ms} gives {then:?}; {pinned} {later_ms} ms later {now:?}");
    Ok(!then.is_empty())
}

fn modifiers() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "",
        "",
        " offset 30s",
        " offset -20s",
        " offset (1m-15s)",
        " @ 700",
        " @ start()",
        "@end()",
        " @ 650 offset 1m",
        " offset 20s @ end()",
    ])
}

fn instants() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "a_total",
        "b",
        "a_total{pod=\"x\"}",
        "{__name__=~`a.*|b`}",
        "b{pod!=\"x\"}",
    ]);
    (names, modifiers()).prop_map(|(name, modifiers)| format!("{name}{modifiers}"))
}

fn ranges() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["a_total", "b", "a_total{pod=\"y\"}"]);
    let widths = prop::sample::select(vec!["45s", "2m", "1m+10s", "7m"]);
    (names, widths, modifiers()).prop_map(|(name, width, modifiers)| format!("{name}[{width}]{modifiers}"))
}

const OF_A_RANGE: [&str; 9] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "max_over_time",
    "last_over_time",
    "deriv",
    "changes",
    "present_over_time",
];
const OF_A_VECTOR: [&str; 10] =
    ["abs", "timestamp", "hour", "sum", "max by (pod) ", "topk(1, ", "absent", "sort", "-", "ceil"];
const OPERATORS: [&str; 9] = [
    "+",
    "* on (pod)",
    "or",
    "unless",
    "and ignoring (__name__)",
    "> bool ignoring (__name__)",
    "- on (pod) group_left ()",
    "or ignoring (pod)",
    "/ ignoring (__name__)",
];

fn scalars() -> impl Strategy<Value = String> {
    let clocks =
        vec!["time()", "start()", "end()", "step()", "range()", "2", "-1.5", "(time() - end())", "pi()"];
    let leaf = prop_oneof![
        prop::sample::select(clocks).prop_map(str::to_owned),
        instants().prop_map(|v| format!("scalar(sum({v}))")),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner)
            .prop_map(|(a, op, b)| format!("{a} {op} {b}"))
    })
}

/// Queries of every shape that depends on time.
fn vectors() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => instants(),
        3 => (prop::sample::select(&OF_A_RANGE[..]), ranges()).prop_map(|(f, r)| format!("{f}({r})")),
        1 => prop::sample::select(vec!["hour()", "vector(time())", "day_of_week() + minute()", "histogram_sum(rate(h[1m]))", "h"])
            .prop_map(str::to_owned),
        1 => scalars().prop_map(|s| format!("vector({s})")),
        1 => Just("histogram_quantile(0.5, h)".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let steps = prop::sample::select(vec![":", ":10s", ":7s"]);
        prop_oneof![
            (prop::sample::select(&OF_A_VECTOR[..]), inner.clone()).prop_map(|(f, v)| match f {
                "topk(1, " => format!("topk(1, {v})"),
                "hour" => format!("hour({v})"),
                f => format!("{f}({v})"),
            }),
            (inner.clone(), prop::sample::select(&OPERATORS[..]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (inner.clone(), prop::sample::select(vec!["+", "-", ">", "% "]), scalars())
                .prop_map(|(v, op, s)| format!("({v}) {op} ({s})")),
            (prop::sample::select(&OF_A_RANGE[..]), inner.clone(), steps, modifiers())
                .prop_map(|(f, v, step, m)| format!("{f}(({v})[1m{step}]{m})")),
            inner.prop_map(|v| format!("label_replace({v}, \"part\", \"v\", \"\", \"\")")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn any_query_gives_at_any_time_what_it_gave_at_one(text in vectors(), at_ms in 0..1_900_000_i64, later_ms in -600_000..200_000_000_i64) {
        holds(&text, &Memory::new(), at_ms, later_ms)?;
    }

    #[test]
    fn a_prediction_is_made_from_the_one_time(range in ranges(), ahead in scalars(), at_ms in 0..1_900_000_i64, later_ms in 0..600_000_i64) {
        holds(&format!("predict_linear({range}, {ahead})"), &Memory::new(), at_ms, later_ms)?;
    }

    #[test]
    fn any_number_too(text in scalars(), at_ms in -1_000..1_900_000_i64, later_ms in 0..100_000_i64) {
        holds(&text, &Memory::new(), at_ms, later_ms)?;
    }
}

#[test]
fn the_generated_queries_say_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let memory = Memory::new();
    let texts = (0..300).map(|_| vectors().new_tree(&mut runner).unwrap().current());
    let full = texts.filter(|text| holds(text, &memory, 900_000, 60_000).unwrap()).count();
    assert!(full > 150, "only {full} of 300 have a result");
}
