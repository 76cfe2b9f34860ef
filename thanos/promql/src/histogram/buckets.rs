//! Bucket indices and bounds.

use std::fmt::Write;

use thanos_model::{BucketSpan, FloatHistogram};

use super::uses_custom_buckets;

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

impl Bucket {
    /// The share of the bucket's width at or below `v`, which lies inside finite bounds.
    pub(super) fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, v_log) = (self.lower.abs().log2(), self.upper.abs().log2(), v.abs().log2());
        if v > 0.0 { (v_log - lower) / (upper - lower) } else { 1.0 - (v_log - upper) / (lower - upper) }
    }
}

/// Counts with their indices. Spans that promise more buckets than there are end early.
pub(super) fn indexed<'a>(
    spans: &'a [BucketSpan],
    counts: &'a [f64],
) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    spans
        .iter()
        .flat_map(move |s| {
            let start = next.saturating_add(s.offset);
            next = start.saturating_add_unsigned(s.length);
            start..next
        })
        .zip(counts.iter().copied())
}

/// Upper bound of an exponential bucket, and lower bound of the next.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let exponent = f64::from(index) * f64::from(-schema.clamp(-4, 8)).exp2();
    // The last bucket of finite numbers ends at the largest one; ±Inf has the bucket after it.
    if exponent == 1024.0 { f64::MAX } else { exponent.floor().exp2() * (exponent - exponent.floor()).exp2() }
}

fn custom_bound(index: i32, bounds: &[f64]) -> f64 {
    match usize::try_from(index) {
        Ok(i) => bounds.get(i).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

pub(super) fn positive(h: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    let custom = uses_custom_buckets(h);
    indexed(&h.positive_spans, &h.positive_buckets).map(move |(i, count)| {
        let before = i.saturating_sub(1);
        let (lower, upper) = if custom {
            (custom_bound(before, &h.custom_values), custom_bound(i, &h.custom_values))
        } else {
            (exponential_bound(before, h.schema), exponential_bound(i, h.schema))
        };
        Bucket { lower, upper, count }
    })
}

pub(super) fn negative(h: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    indexed(&h.negative_spans, &h.negative_buckets).map(|(i, count)| Bucket {
        lower: -exponential_bound(i, h.schema),
        upper: -exponential_bound(i.saturating_sub(1), h.schema),
        count,
    })
}

/// All buckets in ascending order; those that reach into the zero bucket are cut at it.
pub(crate) fn ascending(h: &FloatHistogram) -> Vec<Bucket> {
    let threshold = h.zero_threshold;
    let mut out: Vec<Bucket> = negative(h).collect();
    out.reverse();
    for b in &mut out {
        if b.upper < 0.0 && b.upper > -threshold {
            b.upper = -threshold;
        }
    }
    if h.zero_count > 0.0 && !uses_custom_buckets(h) {
        out.push(Bucket { lower: -threshold, upper: threshold, count: h.zero_count });
    }
    out.extend(positive(h).map(|mut b| {
        if b.lower > 0.0 && b.lower < threshold {
            b.lower = threshold;
        }
        b
    }));
    out
}

/// The text that `count_values` groups by.
pub(crate) fn describe(h: &FloatHistogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", h.count, h.sum);
    for b in negative(h).filter(|b| b.count != 0.0).collect::<Vec<_>>().iter().rev() {
        let _ = write!(out, ", [{},{}):{}", b.lower, b.upper, b.count);
    }
    if h.zero_count != 0.0 {
        let _ = write!(out, ", [{},{}]:{}", -h.zero_threshold, h.zero_threshold, h.zero_count);
    }
    for b in positive(h).filter(|b| b.count != 0.0) {
        let open = if b.lower == f64::NEG_INFINITY { '[' } else { '(' };
        let _ = write!(out, ", {open}{},{}]:{}", b.lower, b.upper, b.count);
    }
    out.push('}');
    out
}
