//! Arithmetic on native histograms, with the results of Prometheus' `FloatHistogram`.
//!
//! ```text
//!  FloatHistogram (spans) ─► Hist (sparse: index → count) ── add, sub, scale, trim ─► FloatHistogram, compacted
//! ```
//!
//! Invariants: buckets are ascending by index; every number carries what rounding lost, so that sums of many
//! histograms are as exact as sums of floats; spans from the outside may be inconsistent and are read as far
//! as they make sense.

use std::sync::Arc;

use thanos_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use thanos_model::{BucketSpan, FloatHistogram, ResetHint};

use crate::kahan::Kahan;

mod buckets;
mod quantile;
mod reset;
mod trim;

pub(crate) use buckets::describe;
pub(crate) use quantile::{NanEffect, fraction, quantile, variance};
pub(crate) use reset::{is_reset, keep_stats};
pub(crate) use trim::Keep;

/// A histogram being computed with.
#[derive(Clone, Debug)]
pub(crate) struct Hist {
    schema: i32,
    zero_threshold: f64,
    zero: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Side,
    negative: Side,
    bounds: Vec<f64>,
    hint: ResetHint,
}

type Side = Vec<(i32, Kahan)>;

/// Exponential and custom buckets do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What an addition has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// One side says that its counter was reset, the other that it was not.
    pub(crate) reset_collision: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) bounds_reconciled: bool,
}

pub(crate) fn uses_custom_buckets(h: &FloatHistogram) -> bool {
    h.schema == CUSTOM_BUCKETS_SCHEMA
}

impl From<&FloatHistogram> for Hist {
    fn from(h: &FloatHistogram) -> Self {
        let custom = uses_custom_buckets(h);
        let side = |spans: &[BucketSpan], counts: &[f64]| -> Side {
            buckets::indexed(spans, counts).map(|(i, c)| (i, Kahan::new(c))).collect()
        };
        Self {
            schema: h.schema,
            zero_threshold: if custom { 0.0 } else { h.zero_threshold },
            zero: Kahan::new(if custom { 0.0 } else { h.zero_count }),
            count: Kahan::new(h.count),
            sum: Kahan::new(h.sum),
            positive: side(&h.positive_spans, &h.positive_buckets),
            negative: side(&h.negative_spans, &h.negative_buckets),
            bounds: h.custom_values.clone(),
            hint: h.reset_hint,
        }
    }
}

impl Hist {
    /// No observations, in the layout of `like`.
    pub(crate) fn empty_like(like: &FloatHistogram) -> Self {
        let mut h = Self::from(like);
        h.positive.clear();
        h.negative.clear();
        (h.zero_threshold, h.zero, h.count, h.sum) =
            (0.0, Kahan::default(), Kahan::default(), Kahan::default());
        h.hint = ResetHint::Unknown;
        h
    }

    /// Compacted: no empty buckets.
    pub(crate) fn finish(&self) -> Arc<FloatHistogram> {
        let (positive_spans, positive_buckets) = spans(&self.positive);
        let (negative_spans, negative_buckets) = spans(&self.negative);
        Arc::new(FloatHistogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.bounds.clone(),
            reset_hint: self.hint,
        })
    }

    pub(crate) fn set_hint(&mut self, hint: ResetHint) {
        self.hint = hint;
    }

    pub(crate) fn add(&mut self, other: &FloatHistogram) -> Result<Merged, Incompatible> {
        self.merge(other, 1.0)
    }

    pub(crate) fn sub(&mut self, other: &FloatHistogram) -> Result<Merged, Incompatible> {
        self.merge(other, -1.0)
    }

    fn merge(&mut self, other: &FloatHistogram, sign: f64) -> Result<Merged, Incompatible> {
        let custom = self.schema == CUSTOM_BUCKETS_SCHEMA;
        if custom != uses_custom_buckets(other) {
            return Err(Incompatible);
        }
        let reset_collision = self.merge_hint(other.reset_hint);
        let mut other = Self::from(other);
        let mut bounds_reconciled = false;
        if custom {
            if !same_bits(&self.bounds, &other.bounds) {
                bounds_reconciled = true;
                let common = common_bounds(&self.bounds, &other.bounds);
                self.rebound(&common);
                other.rebound(&common);
            }
        } else {
            self.reconcile_zero(&mut other);
            let schema = self.schema.min(other.schema);
            self.reduce(schema);
            other.reduce(schema);
        }
        merge_number(&mut self.zero, other.zero, sign);
        merge_number(&mut self.count, other.count, sign);
        merge_number(&mut self.sum, other.sum, sign);
        merge_side(&mut self.positive, &other.positive, sign);
        merge_side(&mut self.negative, &other.negative, sign);
        Ok(Merged { reset_collision, bounds_reconciled })
    }

    fn merge_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collision) = match (self.hint, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset | NotReset, _) => (Unknown, true),
        };
        self.hint = hint;
        collision
    }

    pub(crate) fn mul(&mut self, factor: f64) {
        self.scale_all(|k| k.scale(factor));
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    pub(crate) fn div(&mut self, divisor: f64) {
        self.scale_all(|k| {
            k.sum /= divisor;
            k.lost = if divisor == 0.0 { 0.0 } else { k.lost / divisor };
        });
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn scale_all(&mut self, mut f: impl FnMut(&mut Kahan)) {
        f(&mut self.zero);
        f(&mut self.count);
        f(&mut self.sum);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, k)| f(k));
    }

    /// Whether any number left the range of floats.
    pub(crate) fn has_overflow(&self) -> bool {
        let inf = |k: &Kahan| k.sum.is_infinite();
        inf(&self.zero)
            || inf(&self.count)
            || inf(&self.sum)
            || self.positive.iter().chain(&self.negative).any(|(_, k)| inf(k))
    }

    /// To a schema of lower resolution.
    pub(crate) fn reduce(&mut self, schema: i32) {
        if schema >= self.schema || self.schema == CUSTOM_BUCKETS_SCHEMA {
            return;
        }
        let shift = (self.schema - schema).min(31);
        for side in [&mut self.positive, &mut self.negative] {
            remap(side, |i| (i.saturating_sub(1) >> shift) + 1);
        }
        self.schema = schema;
    }

    /// To custom bounds that are a subset of the own ones.
    fn rebound(&mut self, bounds: &[f64]) {
        let own = std::mem::replace(&mut self.bounds, bounds.to_vec());
        remap(&mut self.positive, |i| {
            let upper = usize::try_from(i).ok().and_then(|i| own.get(i)).copied().unwrap_or(f64::INFINITY);
            i32::try_from(bounds.partition_point(|b| *b < upper)).unwrap_or(i32::MAX)
        });
    }

    /// Widens the narrower zero bucket until both are equally wide and end where no populated bucket is.
    fn reconcile_zero(&mut self, other: &mut Self) {
        // Each turn widens one side past at least one of its buckets, so this ends.
        while self.zero_threshold != other.zero_threshold {
            let wider = self.zero_threshold.max(other.zero_threshold);
            if wider.is_nan() {
                return;
            }
            self.widen_zero(wider);
            other.widen_zero(wider);
        }
    }

    /// Moves buckets below `threshold` into the zero bucket; a populated bucket across it is moved whole and
    /// widens the threshold further.
    fn widen_zero(&mut self, threshold: f64) {
        let mut threshold = threshold;
        if self.zero_threshold >= threshold {
            return;
        }
        loop {
            let lower = |i: i32| buckets::exponential_bound(i.saturating_sub(1), self.schema);
            let upper = |i: i32| buckets::exponential_bound(i, self.schema);
            let across = self
                .positive
                .iter()
                .chain(&self.negative)
                .filter(|(i, k)| k.sum != 0.0 && lower(*i) < threshold && upper(*i) > threshold)
                .map(|(i, _)| upper(*i))
                .fold(threshold, f64::max);
            if across == threshold {
                break;
            }
            threshold = across;
        }
        let schema = self.schema;
        for side in [&mut self.positive, &mut self.negative] {
            side.retain(|(i, k)| {
                let inside = buckets::exponential_bound(i.saturating_sub(1), schema) < threshold;
                if inside {
                    merge_number(&mut self.zero, *k, 1.0);
                }
                !inside
            });
        }
        self.zero_threshold = threshold;
    }
}

fn merge_number(into: &mut Kahan, from: Kahan, sign: f64) {
    into.add(sign * from.sum);
    if from.lost != 0.0 {
        into.add(sign * from.lost);
    }
}

fn merge_side(into: &mut Side, from: &Side, sign: f64) {
    let own = std::mem::take(into);
    let mut own = own.into_iter().peekable();
    for (i, k) in from {
        while let Some(first) = own.next_if(|(j, _)| j < i) {
            into.push(first);
        }
        let mut total = own.next_if(|(j, _)| j == i).map_or(Kahan::default(), |(_, k)| k);
        merge_number(&mut total, *k, sign);
        into.push((*i, total));
    }
    into.extend(own);
}

/// Moves every bucket to a new index; the mapping is monotonic.
fn remap(side: &mut Side, to: impl Fn(i32) -> i32) {
    let mut out: Side = Vec::with_capacity(side.len());
    for (i, k) in side.iter() {
        let i = to(*i);
        match out.last_mut() {
            Some((last, total)) if *last == i => merge_number(total, *k, 1.0),
            _ => out.push((i, *k)),
        }
    }
    *side = out;
}

fn spans(side: &Side) -> (Vec<BucketSpan>, Vec<f64>) {
    let (mut spans, mut counts) = (Vec::<BucketSpan>::new(), Vec::new());
    let mut next = 0i32;
    for (i, k) in side {
        let v = k.value();
        if v == 0.0 {
            continue;
        }
        match spans.last_mut() {
            Some(span) if *i == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: i.wrapping_sub(next), length: 1 }),
        }
        counts.push(v);
        next = i.wrapping_add(1);
    }
    (spans, counts)
}

pub(crate) fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(a.len().min(b.len()));
    let mut b = b.iter().peekable();
    for x in a {
        while b.next_if(|y| *y < x).is_some() {}
        if b.next_if(|y| *y == x).is_some() {
            out.push(*x);
        }
    }
    out
}

/// Equal data, however the spans are cut.
pub(crate) fn same(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let side = |x: &[BucketSpan], xs: &[f64], y: &[BucketSpan], ys: &[f64]| {
        buckets::indexed(x, xs)
            .map(|(i, c)| (i, c.to_bits()))
            .eq(buckets::indexed(y, ys).map(|(i, c)| (i, c.to_bits())))
    };
    a.schema == b.schema
        && same_bits(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && a.zero_threshold == b.zero_threshold
        && (!uses_custom_buckets(a) || same_bits(&a.custom_values, &b.custom_values))
        && side(&a.positive_spans, &a.positive_buckets, &b.positive_spans, &b.positive_buckets)
        && side(&a.negative_spans, &a.negative_buckets, &b.negative_spans, &b.negative_buckets)
}

#[cfg(test)]
mod tests;
