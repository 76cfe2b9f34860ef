//! The engine over series in memory: what a tick of policies and a dashboard ask for, small enough to run in
//! every build. `cargo bench -p thanos-promql`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures::future::{BoxFuture, FutureExt, ready};
use thanos_model::{Labels, Sample};
use thanos_promql::source::{Budget, SelectRequest, Series, SeriesSet, SeriesSource, SourceError};
use thanos_promql::{Engine, Steps, parse};

const SERIES: usize = 1000;
const INTERVAL_MS: i64 = 15_000;
const SAMPLES: i64 = 240;

struct Memory(Vec<Series>);

impl SeriesSource for Memory {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
        let series =
            self.0.iter().filter(|s| request.matchers.iter().all(|m| m.matches_labels(&s.labels))).map(|s| {
                Series {
                    labels: s.labels.clone(),
                    samples: s.samples.iter().filter(inside).cloned().collect(),
                }
            });
        ready(Ok(SeriesSet { series: series.collect(), warnings: Vec::new() })).boxed()
    }
}

fn memory() -> Memory {
    let series = (0..SERIES).map(|i| {
        let labels = [
            ("__name__", "request_total".to_owned()),
            ("pod", format!("web-{i:04}")),
            ("deployment", format!("web-{}", i % 10)),
            ("namespace", "default".to_owned()),
        ];
        let samples = (0..SAMPLES).map(|t| Sample::float(t * INTERVAL_MS, (t * (1 + i as i64 % 7)) as f64));
        Series { labels: Labels::from_pairs(labels), samples: samples.collect() }
    });
    let mut series: Vec<Series> = series.collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Memory(series)
}

fn benchmarks(c: &mut Criterion) {
    let (memory, engine) = (memory(), Engine::default());
    let end = SAMPLES * INTERVAL_MS - INTERVAL_MS;
    let range = Steps::range(end - 1_800_000, end, 15_000).expect("a range");
    let mut group = c.benchmark_group("1k series");
    group.sample_size(10);
    for (name, query, steps) in [
        ("sum(rate) instant", "sum(rate(request_total[2m]))", Steps::instant(end)),
        ("sum(rate) 120 steps", "sum(rate(request_total[2m]))", range),
        ("sum by (rate[30m]) 120 steps", "sum by (deployment) (rate(request_total[30m]))", range),
        ("selector 120 steps", "request_total", range),
        ("topk 120 steps", "topk(10, rate(request_total[2m]))", range),
        (
            "join 120 steps",
            "request_total / on (deployment) group_left sum by (deployment) (request_total)",
            range,
        ),
        ("max_over_time 120 steps", "max(max_over_time(request_total[10m]))", range),
    ] {
        let plan = parse(query).expect(query);
        let budget = || Budget::new(u64::MAX / 2, u64::MAX / 2);
        let fetched =
            futures::executor::block_on(engine.fetch(&plan, steps, &memory, budget())).expect(query);
        group.bench_function(name, |b| {
            let evaluate = |budget: Arc<Budget>| engine.evaluate(&plan, steps, &fetched, &budget, &|| None);
            b.iter_batched(budget, |budget| black_box(evaluate(budget)), BatchSize::SmallInput);
        });
    }
    group.bench_function("parse", |b| {
        b.iter(|| {
            parse(black_box("sum by (deployment) (rate(request_total{direction=\"inbound\"}[2m])) > 5"))
        });
    });
    group.finish();
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
