//! Cutting a histogram at a value: the operators `</` and `>/`.

use std::sync::Arc;

use thanos_model::FloatHistogram;

use super::buckets::{self, Bucket};
use super::{Hist, uses_custom_buckets};
use crate::kahan::Kahan;

/// Which observations to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `</`
    Below,
    /// `>/`
    Above,
}

/// How much of a bucket stays, and a value that stands for what stays.
struct Kept {
    count: f64,
    middle: f64,
}

impl Hist {
    /// `h` without what lies beyond `at`. Count and sum are estimated anew if anything was cut.
    pub(crate) fn trimmed(h: &FloatHistogram, at: f64, keep: Keep) -> Arc<FloatHistogram> {
        let custom = uses_custom_buckets(h);
        let mut out = Self::from(h);
        let (mut count, mut sum, mut cut) = (0.0, 0.0, false);
        let positive: Vec<Bucket> = buckets::positive(h).collect();
        let negative: Vec<Bucket> = buckets::negative(h).collect();
        for (side, buckets, is_positive) in
            [(&mut out.positive, &positive, true), (&mut out.negative, &negative, false)]
        {
            for ((_, number), b) in side.iter_mut().zip(buckets).filter(|(_, b)| b.count != 0.0) {
                let kept = trim_bucket(b, at, keep, is_positive, custom);
                cut |= kept.count != b.count;
                *number = Kahan::new(kept.count);
                count += kept.count;
                sum += kept.middle * kept.count;
            }
        }
        if h.zero_count > 0.0 && !custom {
            let any = |b: &[Bucket]| b.iter().any(|b| b.count != 0.0);
            let kept = trim_zero(h, at, keep, any(&negative), any(&positive));
            cut |= kept.count != h.zero_count;
            out.zero = Kahan::new(kept.count);
            count += kept.count;
            sum += kept.middle * kept.count;
        }
        if cut {
            (out.count, out.sum) = (Kahan::new(count), Kahan::new(sum));
        }
        out.finish()
    }
}

fn trim_bucket(b: &Bucket, at: f64, keep: Keep, is_positive: bool, linear: bool) -> Kept {
    let whole = || Kept { count: b.count, middle: middle(b.lower, b.upper, is_positive, linear) };
    let nothing = Kept { count: 0.0, middle: 0.0 };
    match keep {
        Keep::Below if b.upper <= at => whole(),
        Keep::Below if b.lower >= at => nothing,
        Keep::Above if b.lower >= at => whole(),
        Keep::Above if b.upper <= at => nothing,
        _ if at.is_nan() => nothing,
        _ if b.lower == f64::NEG_INFINITY => trim_lowest(b, at, keep),
        _ if b.upper == f64::INFINITY => match keep {
            Keep::Below => nothing,
            Keep::Above => Kept { count: b.count, middle: at },
        },
        Keep::Below => Kept {
            count: b.count * b.fraction_below(at, linear),
            middle: middle(b.lower, at, is_positive, linear),
        },
        Keep::Above => Kept {
            count: b.count - b.count * b.fraction_below(at, linear),
            middle: middle(at, b.upper, is_positive, linear),
        },
    }
}

/// The first custom bucket reaches down without end; with a positive bound it is taken to start at 0.
fn trim_lowest(b: &Bucket, at: f64, keep: Keep) -> Kept {
    let finite = b.upper > 0.0 && b.upper.is_finite();
    match keep {
        Keep::Below if at > 0.0 && finite => Kept { count: b.count * at / b.upper, middle: at / 2.0 },
        Keep::Below if b.upper <= 0.0 => Kept { count: b.count, middle: at },
        Keep::Above if at >= 0.0 && finite => {
            Kept { count: b.count * (1.0 - at / b.upper), middle: (at + b.upper) / 2.0 }
        }
        _ => Kept { count: 0.0, middle: 0.0 },
    }
}

fn trim_zero(h: &FloatHistogram, at: f64, keep: Keep, has_negative: bool, has_positive: bool) -> Kept {
    let lower = if has_positive && !has_negative { 0.0 } else { -h.zero_threshold };
    let upper = if has_negative && !has_positive { 0.0 } else { h.zero_threshold };
    let whole = Kept { count: h.zero_count, middle: (lower + upper) / 2.0 };
    let nothing = Kept { count: 0.0, middle: 0.0 };
    match keep {
        Keep::Below if at <= lower => nothing,
        Keep::Below if at >= upper => whole,
        Keep::Above if at <= lower => whole,
        Keep::Above if at >= upper => nothing,
        Keep::Below => {
            Kept { count: h.zero_count * ((at - lower) / (upper - lower)), middle: (lower + at) / 2.0 }
        }
        Keep::Above => {
            Kept { count: h.zero_count * ((upper - at) / (upper - lower)), middle: (at + upper) / 2.0 }
        }
    }
}

fn middle(lower: f64, upper: f64, is_positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let geometric = (lower * upper).abs().sqrt();
            if is_positive { geometric } else { -geometric }
        }
    }
}
