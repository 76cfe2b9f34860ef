//! Selectors that look beyond their range: `anchored` takes the newest sample before the start as the start,
//! `smoothed` interpolates at both edges. Changes over such a range need no extrapolation.

use std::sync::Arc;

use thanos_model::{FloatHistogram, ResetHint, Sample, TimestampMs, Value};

use super::over_time::Kernel;
use super::rate::{Change, divided};
use super::window::{Columns, Edge, Window, each_window};
use super::{Evaluator, Grid, Sink};
use crate::error::QueryError;
use crate::histogram::{Hist, Incompatible, is_reset, uses_custom_buckets};
use crate::plan::Extend;
use crate::plan::func::RangeFn;
use crate::row::{Row, StepSeries};

/// Extended windows show samples outside the range, which most functions would count.
pub(super) fn check_function(extend: Extend, func: RangeFn, name: &str) -> Result<(), QueryError> {
    let change = matches!(func, RangeFn::Rate | RangeFn::Increase | RangeFn::Delta);
    let (allowed, list, modifier) = match extend {
        Extend::No => return Ok(()),
        Extend::Anchored => {
            let counting = matches!(func, RangeFn::Resets | RangeFn::Changes);
            (change || counting, "changes, delta, increase, rate, resets", "anchored")
        }
        Extend::Smoothed => (change, "delta, increase, rate", "smoothed"),
    };
    if allowed {
        return Ok(());
    }
    Err(QueryError::exec(format!("{modifier} modifier can only be used with: {list} - not with {name}")))
}

/// The window from its anchor on: the newest sample of either kind at or before its start.
pub(super) fn anchored<'w>(w: &Window<'w>) -> Option<Window<'w>> {
    let floats = w.float_t.partition_point(|t| *t <= w.start_ms);
    let histograms = w.histogram_t.partition_point(|t| *t <= w.start_ms);
    if floats == w.float_t.len() && histograms == w.histogram_t.len() {
        return None;
    }
    let before = |times: &[TimestampMs], n: usize| n.checked_sub(1).and_then(|i| times.get(i)).copied();
    let (f, h) = match (before(w.float_t, floats), before(w.histogram_t, histograms)) {
        (None, None) => (floats, histograms),
        (Some(f), h) if h.is_none_or(|h| f >= h) => (floats - 1, histograms),
        _ => (floats, histograms - 1),
    };
    Some(Window {
        float_t: &w.float_t[f..],
        floats: &w.floats[f..],
        histogram_t: &w.histogram_t[h..],
        histograms: &w.histograms[h..],
        first_float: w.first_float + f,
        ..*w
    })
}

/// Which samples stand for the edges of a range: indices of the first and last to look at.
fn bounds(
    times: &[TimestampMs],
    start: TimestampMs,
    end: TimestampMs,
    smoothed: bool,
) -> Option<(usize, usize)> {
    let last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { times[..last].partition_point(|t| *t < end) } else { last };
    (times[last] > start && !(smoothed && times[first] > end)).then_some((first, last))
}

fn interpolate(a: (TimestampMs, f64), b: (TimestampMs, f64), at: TimestampMs, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (at - a.0) as f64 / (b.0 - a.0) as f64
}

/// The values at the two edges.
fn edge_values(
    times: &[TimestampMs],
    values: &[f64],
    (first, last): (usize, usize),
    (start, end): (TimestampMs, TimestampMs),
    smoothed: bool,
    counter: bool,
) -> (f64, f64) {
    let at = |i: usize| (times[i], values[i]);
    let left = if smoothed && times[first] < start && first + 1 < times.len() {
        interpolate(at(first), at(first + 1), start, counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolate(at(last - 1), at(last), end, counter)
    } else {
        values[last]
    };
    (left, right)
}

/// The samples of an extended range as a result: values at both edges and what is between.
pub(super) fn edges(
    samples: &[Sample],
    start: TimestampMs,
    end: TimestampMs,
    extend: Extend,
) -> Result<Vec<Sample>, QueryError> {
    let name = if extend == Extend::Anchored { "anchored" } else { "smoothed" };
    let values: Option<Vec<f64>> = samples.iter().map(|s| s.value.as_float()).collect();
    let values = values
        .ok_or_else(|| QueryError::exec(format!("{name} modifier is not supported with histograms")))?;
    let times: Vec<TimestampMs> = samples.iter().map(|s| s.t_ms).collect();
    let smoothed = extend == Extend::Smoothed;
    let Some(at) = bounds(&times, start, end, smoothed) else { return Ok(Vec::new()) };
    let (left, right) = edge_values(&times, &values, at, (start, end), smoothed, false);
    let between = samples.iter().filter(|s| s.t_ms > start && s.t_ms < end).cloned();
    let mut out = vec![Sample::float(start, left)];
    out.extend(between);
    out.push(Sample::float(end, right));
    Ok(out)
}

impl Kernel<'_> {
    /// The change between the edges of an extended window.
    pub(super) fn extended_change(&self, w: &Window<'_>, change: Change) -> Option<Value> {
        if !w.floats.is_empty() && !w.histograms.is_empty() {
            self.warn_mixed();
            return None;
        }
        let value = if w.histograms.is_empty() {
            Value::Float(self.extended_floats(w, change.counter)?)
        } else {
            Value::Histogram(self.extended_histograms(w, change.counter)?)
        };
        Some(if change.per_second { divided(value, self.range_ms as f64 / 1000.0) } else { value })
    }

    fn extended_floats(&self, w: &Window<'_>, counter: bool) -> Option<f64> {
        let smoothed = self.extend == Extend::Smoothed;
        let at = bounds(w.float_t, w.start_ms, w.end_ms, smoothed)?;
        let (left, right) = edge_values(w.float_t, w.floats, at, (w.start_ms, w.end_ms), smoothed, counter);
        let mut increase = right - left;
        if counter {
            // Resets at the edges are in their values already.
            let mut previous = left;
            let inside = w.float_t.iter().zip(w.floats).filter(|(t, _)| **t > w.start_ms && **t < w.end_ms);
            for v in inside.map(|(_, v)| *v).chain([right]) {
                if v < previous {
                    increase += previous;
                }
                previous = v;
            }
        }
        Some(increase)
    }

    fn extended_histograms(&self, w: &Window<'_>, counter: bool) -> Option<Arc<FloatHistogram>> {
        let smoothed = self.extend == Extend::Smoothed;
        let (times, all) = (w.histogram_t, w.histograms);
        let (first, last) = bounds(times, w.start_ms, w.end_ms, smoothed)?;
        let is_gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
        let used = &all[first..=last];
        if used.iter().any(|h| uses_custom_buckets(h) != uses_custom_buckets(&used[0])) {
            self.warn_mixed_buckets();
            return None;
        }
        if counter && used.iter().any(|h| is_gauge(h)) {
            self.warn(|name| format!("this native histogram metric is not a counter: {name:?}"));
        }
        let between = |i: usize, at: TimestampMs| {
            let result = self.between((times[i], &all[i]), (times[i + 1], &all[i + 1]), at, counter);
            result.map_err(|Incompatible| self.warn_mixed_buckets()).ok()
        };
        let left_inside = smoothed && times[first] < w.start_ms && first + 1 < all.len();
        let left = if left_inside { between(first, w.start_ms)? } else { all[first].clone() };
        let right_inside = smoothed && last > 0 && times[last] > w.end_ms;
        let right = if right_inside { between(last - 1, w.end_ms)? } else { all[last].clone() };
        if !counter && (!is_gauge(&left) || !is_gauge(&right)) {
            self.warn(|name| format!("this native histogram metric is not a gauge: {name:?}"));
        }
        let mut increase = Hist::from(&*right);
        self.noted(increase.sub(&left), "subtraction")?;
        if counter {
            // A reset that the left edge was interpolated across is in its value already.
            let crossed = left_inside && is_reset(&all[first + 1], &all[first]);
            let (mut previous, skip) = if crossed { (&all[first + 1], 2) } else { (&left, 1) };
            if first + skip <= last {
                for h in all[first + skip..last].iter().chain([&right]) {
                    if is_reset(h, previous) {
                        self.noted(increase.add(previous), "addition")?;
                    }
                    previous = h;
                }
            }
        }
        increase.set_hint(ResetHint::Gauge);
        Some(increase.finish())
    }

    /// The histogram at a time between two, on a straight line; across a reset it grows from nothing.
    fn between(
        &self,
        a: (TimestampMs, &Arc<FloatHistogram>),
        b: (TimestampMs, &Arc<FloatHistogram>),
        at: TimestampMs,
        counter: bool,
    ) -> Result<Arc<FloatHistogram>, Incompatible> {
        let share = (at - a.0) as f64 / (b.0 - a.0) as f64;
        let mut h = Hist::from(&**b.1);
        if counter && is_reset(b.1, a.1) {
            h.mul(share);
            return Ok(h.finish());
        }
        let reconciled = |done: Result<crate::histogram::Merged, Incompatible>, operation| {
            if done?.bounds_reconciled {
                self.info(|_| format!("mismatched custom buckets were reconciled during {operation}"));
            }
            Ok(())
        };
        reconciled(h.sub(a.1), "subtraction")?;
        h.mul(share);
        reconciled(h.add(a.1), "addition")?;
        Ok(h.finish())
    }
}

impl Evaluator<'_> {
    /// A `smoothed` instant selector: each series' value at the step, on the line between its neighbours.
    pub(super) fn interpolated(
        &self,
        id: usize,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let (series, shift) = self.selected(id)?;
        let edge = Edge::of(0, Extend::Smoothed, self.options.lookback_delta_ms);
        let mut columns = Columns::default();
        for s in series {
            self.tick(s.samples.len())?;
            columns.fill(&s.samples);
            let kernel = Kernel {
                func: RangeFn::Last,
                name: s.labels.metric_name(),
                pos,
                notes: &self.notes,
                range_ms: 0,
                extend: Extend::Smoothed,
                resets: &[],
            };
            let mut row = Row::new(grid.steps);
            each_window(&columns, edge, shift, grid, |step, w| {
                if let Some(v) = kernel.value_at(&w) {
                    row.set(step, v);
                }
                Ok(())
            })?;
            sink(StepSeries { labels: s.labels.clone(), drop_name: false, row })?;
        }
        Ok(())
    }
}

impl Kernel<'_> {
    fn value_at(&self, w: &Window<'_>) -> Option<Value> {
        let at = w.end_ms;
        if !w.floats.is_empty() && !w.histograms.is_empty() {
            self.warn_mixed();
            return None;
        }
        if w.histograms.is_empty() {
            let next = w.float_t.partition_point(|t| *t < at);
            return match (next.checked_sub(1), w.float_t.get(next)) {
                (_, Some(t)) if *t == at => Some(Value::Float(w.floats[next])),
                (Some(p), Some(t)) => Some(Value::Float(interpolate(
                    (w.float_t[p], w.floats[p]),
                    (*t, w.floats[next]),
                    at,
                    false,
                ))),
                (Some(p), None) => Some(Value::Float(w.floats[p])),
                (None, _) => None,
            };
        }
        let next = w.histogram_t.partition_point(|t| *t < at);
        match (next.checked_sub(1), w.histogram_t.get(next)) {
            (_, Some(t)) if *t == at => Some(Value::Histogram(w.histograms[next].clone())),
            (Some(p), Some(t)) => {
                let (a, b) = (&w.histograms[p], &w.histograms[next]);
                if uses_custom_buckets(a) != uses_custom_buckets(b) {
                    self.warn_mixed_buckets();
                    return None;
                }
                let gauge = |h: &FloatHistogram| h.reset_hint == ResetHint::Gauge;
                let counter = !gauge(a) || !gauge(b);
                match self.between((w.histogram_t[p], a), (*t, b), at, counter) {
                    Ok(h) => Some(Value::Histogram(h)),
                    Err(Incompatible) => {
                        self.warn_mixed_buckets();
                        None
                    }
                }
            }
            (Some(p), None) => {
                let h = FloatHistogram { reset_hint: ResetHint::Unknown, ..(*w.histograms[p]).clone() };
                Some(Value::Histogram(Arc::new(h)))
            }
            (None, _) => None,
        }
    }
}
