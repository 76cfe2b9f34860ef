//! Native histograms as text, their sequences, and their comparison.

use std::collections::BTreeMap;

use thanos_model::{BucketSpan, FloatHistogram, ResetHint};

use crate::check::almost_equal;
use crate::series::{Point, parse_number};

/// `{{…}}`, or `{{…}}+{{…}}` repeated.
pub(crate) fn sequence(text: &str, times: usize) -> Result<Vec<Point>, String> {
    let end = text.find("}}").ok_or("histogram without }}")? + 2;
    let (base, rest) = text.split_at(end);
    let (mut value, mut hint_given) = parse(base)?;
    if rest.is_empty() {
        return Ok(vec![Point::Histogram { value, hint_given }; times + 1]);
    }
    let sign = if rest.starts_with('-') { -1.0 } else { 1.0 };
    let (step, step_hint_given) = parse(&rest[1..])?;
    hint_given = step_hint_given;
    let mut out = Vec::new();
    for _ in 0..=times {
        out.push(Point::Histogram { value: value.clone(), hint_given });
        value = add(&value, &step, sign)?;
    }
    Ok(out)
}

fn parse(text: &str) -> Result<(FloatHistogram, bool), String> {
    let inner = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).ok_or("not a histogram")?;
    let mut h = FloatHistogram::default();
    let (mut offset, mut n_offset, mut hint_given) = (0, 0, false);
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("no value in {rest:?}"))?;
        let len = if after.starts_with('[') {
            after.find(']').ok_or("list without ]")? + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let (value, tail) = after.split_at(len);
        rest = tail.trim_start();
        let number = || parse_number(value);
        let integer = || value.parse::<i32>().map_err(|e| e.to_string());
        let list = || {
            value.trim_matches(['[', ']']).split_whitespace().map(parse_number).collect::<Result<Vec<_>, _>>()
        };
        match key {
            "schema" => h.schema = integer()?,
            "sum" => h.sum = number()?,
            "count" => h.count = number()?,
            "z_bucket" => h.zero_count = number()?,
            "z_bucket_w" => h.zero_threshold = number()?,
            "custom_values" => h.custom_values = list()?,
            "buckets" => h.positive_buckets = list()?,
            "n_buckets" => h.negative_buckets = list()?,
            "offset" => offset = integer()?,
            "n_offset" => n_offset = integer()?,
            "counter_reset_hint" => {
                hint_given = true;
                h.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    other => return Err(format!("unknown hint {other:?}")),
                };
            }
            other => return Err(format!("unknown key {other:?}")),
        }
    }
    let span =
        |offset, n: usize| if n > 0 { vec![BucketSpan { offset, length: n as u32 }] } else { Vec::new() };
    h.positive_spans = span(offset, h.positive_buckets.len());
    h.negative_spans = span(n_offset, h.negative_buckets.len());
    Ok((h, hint_given))
}

/// Populated buckets by index.
pub(crate) fn buckets(spans: &[BucketSpan], counts: &[f64]) -> BTreeMap<i32, f64> {
    let mut out = BTreeMap::new();
    let (mut next, mut counts) = (0, counts.iter());
    for s in spans {
        next += s.offset;
        for _ in 0..s.length {
            let count = counts.next().copied().unwrap_or(0.0);
            if count != 0.0 {
                out.insert(next, count);
            }
            next += 1;
        }
    }
    out
}

fn spans(buckets: &BTreeMap<i32, f64>) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut next = 0;
    let spans = buckets.keys().map(|i| {
        let span = BucketSpan { offset: i - next, length: 1 };
        next = i + 1;
        span
    });
    (spans.collect(), buckets.values().copied().collect())
}

/// `a + sign × b`, where `b` may be of a higher resolution.
fn add(a: &FloatHistogram, b: &FloatHistogram, sign: f64) -> Result<FloatHistogram, String> {
    let comparable = a.zero_threshold == b.zero_threshold && a.custom_values == b.custom_values;
    if a.schema > b.schema || !comparable {
        return Err("cannot add histograms of these layouts".into());
    }
    let shift = (b.schema - a.schema) as u32;
    let merged = |mut into: BTreeMap<i32, f64>, from: BTreeMap<i32, f64>| {
        for (i, count) in from {
            *into.entry(if shift == 0 { i } else { ((i - 1) >> shift) + 1 }).or_insert(0.0) += sign * count;
        }
        into
    };
    let mut out = a.clone();
    out.count += sign * b.count;
    out.sum += sign * b.sum;
    out.zero_count += sign * b.zero_count;
    (out.positive_spans, out.positive_buckets) = spans(&merged(
        buckets(&a.positive_spans, &a.positive_buckets),
        buckets(&b.positive_spans, &b.positive_buckets),
    ));
    (out.negative_spans, out.negative_buckets) = spans(&merged(
        buckets(&a.negative_spans, &a.negative_buckets),
        buckets(&b.negative_spans, &b.negative_buckets),
    ));
    Ok(out)
}

pub(crate) fn equal(want: &FloatHistogram, got: &FloatHistogram, with_hint: bool) -> bool {
    let side = |a: BTreeMap<i32, f64>, b: BTreeMap<i32, f64>| {
        a.len() == b.len() && a.iter().zip(&b).all(|((i, x), (j, y))| i == j && almost_equal(*x, *y))
    };
    want.schema == got.schema
        && almost_equal(want.count, got.count)
        && almost_equal(want.sum, got.sum)
        && want.zero_threshold == got.zero_threshold
        && almost_equal(want.zero_count, got.zero_count)
        && want.custom_values == got.custom_values
        && (!with_hint || want.reset_hint == got.reset_hint)
        && side(
            buckets(&want.positive_spans, &want.positive_buckets),
            buckets(&got.positive_spans, &got.positive_buckets),
        )
        && side(
            buckets(&want.negative_spans, &want.negative_buckets),
            buckets(&got.negative_spans, &got.negative_buckets),
        )
}
