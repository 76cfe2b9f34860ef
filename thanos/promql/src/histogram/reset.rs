//! Whether a counter histogram started over.

use std::collections::BTreeMap;
use std::sync::Arc;

use thanos_model::{FloatHistogram, ResetHint, Sample, Value};

use super::{Hist, common_bounds, same_bits, uses_custom_buckets};

/// Whether `h` cannot be a continuation of `previous`: its hint says so, a count fell, a populated bucket
/// disappeared, or the resolution rose.
pub(crate) fn is_reset(h: &FloatHistogram, previous: &FloatHistogram) -> bool {
    match h.reset_hint {
        ResetHint::Reset => return true,
        ResetHint::NotReset => return false,
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if h.count < previous.count {
        return true;
    }
    if uses_custom_buckets(h) {
        if !uses_custom_buckets(previous) {
            return true;
        }
        let (mut h, mut previous) = (Hist::from(h), Hist::from(previous));
        if !same_bits(&h.bounds, &previous.bounds) {
            let common = common_bounds(&h.bounds, &previous.bounds);
            h.rebound(&common);
            previous.rebound(&common);
        }
        return lost_any(&h, &previous);
    }
    if uses_custom_buckets(previous)
        || h.schema > previous.schema
        || h.zero_threshold < previous.zero_threshold
    {
        return true;
    }
    let (h, mut previous) = (Hist::from(h), Hist::from(previous));
    previous.widen_zero(h.zero_threshold);
    if previous.zero_threshold != h.zero_threshold {
        return true;
    }
    previous.reduce(h.schema);
    h.zero.value() < previous.zero.value() || lost_any(&h, &previous)
}

/// Reduces histograms to count, sum and what their buckets told of resets. Histograms without buckets take a
/// fraction of the memory; this is for queries that look at nothing else.
pub(crate) fn keep_stats(samples: &mut [Sample]) {
    let mut previous: Option<Arc<FloatHistogram>> = None;
    for s in samples {
        let Value::Histogram(h) = &mut s.value else { continue };
        if thanos_model::is_stale(h.sum) {
            continue;
        }
        let reset_hint = match (h.reset_hint, &previous) {
            (ResetHint::Unknown, Some(p)) if is_reset(h, p) => ResetHint::Reset,
            (ResetHint::Unknown, Some(_)) => ResetHint::NotReset,
            (hint, _) => hint,
        };
        let stats = FloatHistogram {
            schema: h.schema,
            count: h.count,
            sum: h.sum,
            reset_hint,
            ..FloatHistogram::default()
        };
        previous = Some(std::mem::replace(h, Arc::new(stats)));
    }
}

fn lost_any(h: &Hist, previous: &Hist) -> bool {
    [(&h.positive, &previous.positive), (&h.negative, &previous.negative)].into_iter().any(|(now, before)| {
        let now: BTreeMap<i32, f64> = now.iter().map(|(i, k)| (*i, k.value())).collect();
        before.iter().any(|(i, k)| match now.get(i) {
            Some(v) => *v < k.value(),
            None => k.value() != 0.0,
        })
    })
}
