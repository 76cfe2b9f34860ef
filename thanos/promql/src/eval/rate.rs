//! Changes over a window: `rate`, `increase`, `delta` with extrapolation to the window's edges, `irate` and
//! `idelta` from the last two samples.

use std::sync::Arc;

use thanos_model::{FloatHistogram, ResetHint, TimestampMs, Value};

use super::over_time::Kernel;
use super::window::Window;
use crate::histogram::{Hist, Merged, is_reset, uses_custom_buckets};

/// Which of the three.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Falling values are resets.
    pub(super) counter: bool,
    pub(super) per_second: bool,
}

impl Kernel<'_> {
    /// The change over the window, extrapolated where samples reach close to its edges.
    pub(super) fn extrapolated(&self, w: &Window<'_>, change: Change) -> Option<Value> {
        if !w.floats.is_empty() && !w.histograms.is_empty() {
            self.warn_mixed();
            return None;
        }
        // One factor, and resets added one by one: Prometheus' order, and so its very bits.
        let seconds = if change.per_second { self.range_ms as f64 / 1000.0 } else { 1.0 };
        match (w.floats, w.histograms) {
            ([first, .., last], _) => {
                let mut increase = last - first;
                if change.counter {
                    increase = self.lost_in_resets(w).fold(increase, |sum, lost| sum + lost);
                }
                let factor = extrapolation(w, w.float_t, change.counter.then_some((*first, increase)));
                Some(Value::Float(increase * (factor / seconds)))
            }
            (_, [first, _, ..]) => {
                let mut increase = self.histogram_increase(w.histograms, change.counter)?;
                let start = change.counter.then_some((first.count, increase.finish().count));
                increase.mul(extrapolation(w, w.histogram_t, start) / seconds);
                Some(Value::Histogram(increase.finish()))
            }
            _ => None,
        }
    }

    /// The values that resets threw away.
    fn lost_in_resets(&self, w: &Window<'_>) -> impl Iterator<Item = f64> {
        let (first, last) = (w.first_float, w.first_float + w.floats.len() - 1);
        let from = self.resets.partition_point(|i| *i <= first);
        self.resets[from..].iter().take_while(move |i| **i <= last).map(move |i| w.floats[i - 1 - first])
    }

    fn histogram_increase(&self, histograms: &[Arc<FloatHistogram>], counter: bool) -> Option<Hist> {
        let (Some(first), Some(second), Some(last)) =
            (histograms.first(), histograms.get(1), histograms.last())
        else {
            return None;
        };
        let is_gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
        if counter && histograms.iter().any(|h| is_gauge(h)) {
            self.warn(|name| format!("this native histogram metric is not a counter: {name:?}"));
        }
        // A first sample that the second does not continue counts for nothing, whatever its layout.
        let restarted = counter && is_reset(second, first);
        let start = if restarted { Hist::empty_like(second).finish() } else { first.clone() };
        let custom = uses_custom_buckets(&start);
        let middle_checked = if counter { &histograms[1..] } else { std::slice::from_ref(last) };
        if middle_checked.iter().any(|h| uses_custom_buckets(h) != custom) {
            self.warn_mixed_buckets();
            return None;
        }
        let mut sum = Hist::from(&**last);
        if let Some(coarsest) = middle_checked.iter().map(|h| h.schema).min() {
            sum.reduce(coarsest);
        }
        self.noted(sum.sub(&start), "subtraction")?;
        if counter {
            let mut previous = &start;
            for h in &histograms[1..] {
                if is_reset(h, previous) {
                    self.noted(sum.add(previous), "addition")?;
                }
                previous = h;
            }
        } else if !is_gauge(first) || !is_gauge(last) {
            self.warn(|name| format!("this native histogram metric is not a gauge: {name:?}"));
        }
        sum.set_hint(ResetHint::Gauge);
        Some(sum)
    }

    /// Reports what an operation on two histograms came across.
    pub(super) fn noted<E>(&self, merged: Result<Merged, E>, operation: &str) -> Option<()> {
        match merged {
            Ok(merged) => {
                if merged.bounds_reconciled {
                    self.info(|_| format!("mismatched custom buckets were reconciled during {operation}"));
                }
                Some(())
            }
            Err(_) => {
                self.warn_mixed_buckets();
                None
            }
        }
    }

    /// The change between the last two samples.
    pub(super) fn instant_change(&self, w: &Window<'_>, change: Change) -> Option<Value> {
        let mut last: Vec<(TimestampMs, Value)> = Vec::with_capacity(4);
        let tail = |n: usize| n.saturating_sub(2)..n;
        last.extend(tail(w.floats.len()).map(|i| (w.float_t[i], Value::Float(w.floats[i]))));
        last.extend(
            tail(w.histograms.len()).map(|i| (w.histogram_t[i], Value::Histogram(w.histograms[i].clone()))),
        );
        last.sort_by_key(|(t, _)| *t);
        let [.., (t0, before), (t1, now)] = &last[..] else { return None };
        let elapsed_s = (t1 - t0) as f64 / 1000.0;
        if elapsed_s == 0.0 {
            return None;
        }
        let value = match (before, now) {
            (Value::Float(before), Value::Float(now)) => {
                Value::Float(if change.counter && now < before { *now } else { now - before })
            }
            (Value::Histogram(before), Value::Histogram(now)) => {
                let gauges = [before, now].map(|h| h.reset_hint == ResetHint::Gauge);
                if change.counter && gauges.contains(&true) {
                    self.warn(|name| format!("this native histogram metric is not a counter: {name:?}"));
                }
                if !change.counter && gauges.contains(&false) {
                    self.warn(|name| format!("this native histogram metric is not a gauge: {name:?}"));
                }
                let mut difference = Hist::from(&**now);
                if !change.counter || !is_reset(now, before) {
                    self.noted(difference.sub(before), "subtraction")?;
                }
                difference.set_hint(ResetHint::Gauge);
                Value::Histogram(difference.finish())
            }
            _ => {
                self.warn_mixed();
                return None;
            }
        };
        Some(if change.per_second { divided(value, elapsed_s) } else { value })
    }
}

/// How much longer the window is than the time between its first and last sample, each edge counted only as
/// far as the series plausibly reached: fully when a sample was due within 1.1 intervals, else half an
/// interval, and for a counter not past the time at which it would have been zero.
fn extrapolation(w: &Window<'_>, times: &[TimestampMs], counter: Option<(f64, f64)>) -> f64 {
    let (Some(first_ms), Some(last_ms)) = (times.first(), times.last()) else { return 1.0 };
    let sampled_s = (last_ms - first_ms) as f64 / 1000.0;
    let interval_s = sampled_s / (times.len() - 1) as f64;
    let threshold_s = interval_s * 1.1;
    let mut to_start_s = (first_ms - w.start_ms) as f64 / 1000.0;
    let mut to_end_s = (w.end_ms - last_ms) as f64 / 1000.0;
    if to_start_s >= threshold_s {
        to_start_s = interval_s / 2.0;
    }
    if let Some((first, increase)) = counter.filter(|(first, increase)| *increase > 0.0 && *first >= 0.0) {
        let to_zero_s = sampled_s * (first / increase);
        if to_zero_s < to_start_s {
            to_start_s = to_zero_s;
        }
    }
    if to_end_s >= threshold_s {
        to_end_s = interval_s / 2.0;
    }
    if sampled_s == 0.0 { 1.0 } else { (sampled_s + to_start_s + to_end_s) / sampled_s }
}

pub(super) fn divided(v: Value, seconds: f64) -> Value {
    match v {
        Value::Float(v) => Value::Float(v / seconds),
        Value::Histogram(h) => {
            let mut h = Hist::from(&*h);
            h.div(seconds);
            Value::Histogram(h.finish())
        }
    }
}
