//! Quantiles, fractions and moments of a native histogram.

use thanos_model::FloatHistogram;

use super::buckets::{Bucket, ascending};
use super::uses_custom_buckets;
use crate::kahan::Kahan;

/// How NaN observations, which no bucket counts, bear on a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NanEffect {
    /// None.
    None,
    /// The quantile lies among them.
    ResultIsNan,
    /// They push the quantile up.
    SkewedHigher,
    /// They are in no fraction.
    Excluded,
}

/// The `q`-quantile: linear inside custom buckets and the zero bucket, exponential inside others.
pub(crate) fn quantile(q: f64, h: &FloatHistogram) -> (f64, NanEffect) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanEffect::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanEffect::None);
    }
    let mut buckets = ascending(h);
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, NanEffect::None);
    }
    if buckets.is_empty() {
        buckets.push(Bucket { lower: 0.0, upper: 0.0, count: 0.0 });
    }
    let forward = h.sum.is_nan() || q < 0.5;
    let mut rank = if forward { q } else { 1.0 - q } * h.count;
    if !forward {
        buckets.reverse();
    }
    let (mut count, mut at) = (0.0, 0);
    for (i, b) in buckets.iter().enumerate() {
        at = i;
        if b.count == 0.0 {
            continue;
        }
        count += b.count;
        if count >= rank {
            break;
        }
    }
    let custom = uses_custom_buckets(h);
    let mut b = buckets[at];
    if custom {
        if b.lower == f64::NEG_INFINITY {
            if b.upper <= 0.0 {
                return (b.upper, NanEffect::None);
            }
            b.lower = 0.0;
        } else if b.upper == f64::INFINITY {
            return (b.lower, NanEffect::None);
        }
    } else {
        narrow_zero(h, &mut b);
    }
    count = count.min(h.count);
    if count < rank {
        if h.sum.is_nan() {
            return (f64::NAN, NanEffect::ResultIsNan);
        }
        return (b.upper, NanEffect::None);
    }
    rank = if forward { rank - (count - b.count) } else { count - rank };
    let mut effect = NanEffect::None;
    if h.sum.is_nan() {
        count += buckets[at + 1..].iter().map(|b| b.count).sum::<f64>();
        if count < h.count {
            effect = NanEffect::SkewedHigher;
        }
    }
    let share = rank / b.count;
    if custom || b.lower <= 0.0 && b.upper >= 0.0 {
        return (b.lower + (b.upper - b.lower) * share, effect);
    }
    let (lower, upper) = (b.lower.abs().log2(), b.upper.abs().log2());
    let v = if b.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    };
    (v, effect)
}

/// A zero bucket beside buckets of one sign holds observations of that sign.
fn narrow_zero(h: &FloatHistogram, b: &mut Bucket) {
    if b.lower < 0.0 && b.upper > 0.0 {
        if h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
            b.lower = 0.0;
        } else if h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
            b.upper = 0.0;
        }
    }
}

/// The share of observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, h: &FloatHistogram) -> (f64, NanEffect) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, NanEffect::None);
    }
    if lower >= upper {
        return (0.0, NanEffect::None);
    }
    let buckets = ascending(h);
    let mut effect = NanEffect::None;
    let mut total = h.count;
    if h.sum.is_nan() {
        total = buckets.iter().map(|b| b.count).sum();
        if total < h.count {
            effect = NanEffect::Excluded;
        }
    }
    let custom = uses_custom_buckets(h);
    let rank_of = |v: f64| {
        let mut rank = 0.0;
        for b in &buckets {
            let mut b = *b;
            let zero = b.lower <= 0.0 && b.upper >= 0.0;
            narrow_zero(h, &mut b);
            if b.lower >= v {
                return rank;
            }
            if b.upper > v {
                // No interpolation is possible towards an infinite bound.
                if b.lower == f64::NEG_INFINITY {
                    return b.count;
                }
                return rank + b.count * b.fraction_below(v, custom || zero);
            }
            rank += b.count;
        }
        total
    };
    let share = rank_of(upper).min(total) - rank_of(lower).min(total);
    (share / h.count, effect)
}

/// Estimated variance: each bucket's observations sit at its (geometric) middle.
pub(crate) fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let mut total = Kahan::default();
    for b in ascending(h).iter().filter(|b| b.count != 0.0) {
        let v = if uses_custom_buckets(h) {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            (b.upper * b.lower).sqrt().copysign(b.upper)
        };
        total.add(b.count * (v - mean) * (v - mean));
    }
    total.value() / h.count
}
