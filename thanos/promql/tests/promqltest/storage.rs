//! Series in memory. Histograms come back as a TSDB gives them: a sample knows that it continues the one
//! before it exactly when both fit into one chunk.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use thanos_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use thanos_model::{BucketSpan, FloatHistogram, Labels, METRIC_NAME, ResetHint, Sample, Value};
use thanos_promql::source::{SelectRequest, Series, SeriesSet, SeriesSource, SourceError};

use crate::histograms::buckets;
use crate::script::Load;
use crate::series::Point;

#[derive(Default)]
pub(crate) struct Storage {
    series: BTreeMap<Labels, Vec<Sample>>,
}

impl Storage {
    pub(crate) fn load(&mut self, load: Load) {
        let mut loaded: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        for (labels, points) in load.series {
            let samples = points.into_iter().enumerate().filter_map(|(i, p)| {
                let t_ms = load.step_ms * i as i64;
                match p {
                    Point::Nothing => None,
                    Point::Float(v) => Some(Sample::float(t_ms, v)),
                    Point::Histogram { value, .. } => Some(Sample::histogram(t_ms, value)),
                }
            });
            loaded.insert(labels, samples.collect());
        }
        if load.with_nhcb {
            loaded.extend(custom_bucket_histograms(&loaded));
        }
        for (labels, samples) in loaded {
            let all = self.series.entry(labels).or_default();
            all.extend(samples);
            all.sort_by_key(|s| s.t_ms);
            all.dedup_by_key(|s| s.t_ms);
            set_reset_hints(all);
        }
    }
}

impl SeriesSource for Storage {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<SeriesSet, SourceError>> {
        let mut set = SeriesSet::default();
        for (labels, samples) in &self.series {
            if !request.matchers.iter().all(|m| m.matches_labels(labels)) {
                continue;
            }
            let inside = |s: &&Sample| (request.start_ms..=request.end_ms).contains(&s.t_ms);
            let samples: Vec<Sample> = samples.iter().filter(inside).cloned().collect();
            if !samples.is_empty() {
                set.series.push(Series { labels: labels.clone(), samples });
            }
        }
        ready(Ok(set)).boxed()
    }
}

fn set_reset_hints(samples: &mut [Sample]) {
    let mut chunk: Option<Arc<FloatHistogram>> = None;
    for s in samples {
        let Value::Histogram(h) = &mut s.value else {
            chunk = None;
            continue;
        };
        let gauge = h.reset_hint == ResetHint::Gauge;
        let continues = chunk.as_ref().is_some_and(|last| fits(last, h));
        let hint = match (gauge, continues) {
            (true, _) => ResetHint::Gauge,
            (false, true) => ResetHint::NotReset,
            (false, false) => ResetHint::Unknown,
        };
        chunk = Some(h.clone());
        *h = Arc::new(FloatHistogram { reset_hint: hint, ..(**h).clone() });
    }
}

/// Whether a chunk that ends with `last` takes `h` as a continuation of the same counter.
fn fits(last: &FloatHistogram, h: &FloatHistogram) -> bool {
    let gone = |last: &[BucketSpan], last_counts: &[f64], spans: &[BucketSpan], counts: &[f64]| {
        let now = buckets(spans, counts);
        buckets(last, last_counts).iter().any(|(i, c)| now.get(i).is_none_or(|n| n < c))
    };
    last.reset_hint != ResetHint::Gauge
        && !matches!(h.reset_hint, ResetHint::Gauge | ResetHint::Reset)
        && h.count >= last.count
        && h.schema == last.schema
        && h.zero_threshold == last.zero_threshold
        && h.custom_values == last.custom_values
        && h.zero_count >= last.zero_count
        && !gone(&last.positive_spans, &last.positive_buckets, &h.positive_spans, &h.positive_buckets)
        && !gone(&last.negative_spans, &last.negative_buckets, &h.negative_spans, &h.negative_buckets)
}

#[derive(Default)]
struct Classic {
    /// Bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// `load_with_nhcb`: classic histograms once more, as native histograms with custom buckets.
fn custom_bucket_histograms(loaded: &BTreeMap<Labels, Vec<Sample>>) -> BTreeMap<Labels, Vec<Sample>> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, samples) in loaded {
        let name = labels.metric_name();
        let Some((base, suffix)) = name.rsplit_once('_') else { continue };
        let bound = labels.get("le").parse::<f64>().ok();
        if !matches!(suffix, "count" | "sum") && (suffix != "bucket" || bound.is_none()) {
            continue;
        }
        let group = found.entry(labels.without("le").with(METRIC_NAME, base)).or_default();
        for s in samples {
            let Some(v) = s.value.as_float() else { continue };
            let h = group.entry(s.t_ms).or_default();
            match (suffix, bound) {
                ("count", _) => h.count = Some(v),
                ("sum", _) => h.sum = v,
                (_, Some(le)) => h.buckets.push((le, v)),
                _ => {}
            }
        }
    }
    let samples =
        |group: BTreeMap<i64, Classic>| group.into_iter().map(|(t, h)| Sample::histogram(t, custom(h)));
    found.into_iter().map(|(labels, group)| (labels, samples(group).collect())).collect()
}

fn custom(mut h: Classic) -> FloatHistogram {
    h.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = h.count.or(h.buckets.last().map(|b| b.1)).unwrap_or(0.0);
    if h.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
        h.buckets.push((f64::INFINITY, count));
    }
    let mut before = 0.0;
    let counts: Vec<f64> = h.buckets.iter().map(|(_, c)| c - std::mem::replace(&mut before, *c)).collect();
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: h.sum,
        positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
        positive_buckets: counts,
        custom_values: h.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
        ..FloatHistogram::default()
    }
}
