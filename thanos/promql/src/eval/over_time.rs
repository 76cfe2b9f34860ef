//! Functions of a range vector: one pass per series, a window per step.

use std::collections::BTreeSet;
use std::sync::Arc;

use thanos_model::{FloatHistogram, MatchOp, ResetHint, Value};

use super::rate::Change;
use super::window::{Columns, Edge, Window, each_window};
use super::{Evaluator, Grid, Sink, extended, merge};
use crate::annotations::Annotations;
use crate::error::QueryError;
use crate::histogram::{Hist, Incompatible, is_reset, same};
use crate::kahan::{Kahan, Mean};
use crate::plan::Extend;
use crate::plan::expr::{Kind, Range, RangeCall};
use crate::plan::func::RangeFn;
use crate::row::{Bits, Row, StepSeries};

/// What a window function needs besides the window.
pub(super) struct Kernel<'k> {
    pub(super) func: RangeFn,
    pub(super) name: &'k str,
    pub(super) pos: usize,
    pub(super) notes: &'k Annotations,
    pub(super) range_ms: i64,
    pub(super) extend: Extend,
    /// Indices of floats that are less than the one before.
    pub(super) resets: &'k [usize],
}

const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

impl Evaluator<'_> {
    pub(super) fn range_call(
        &self,
        call: &RangeCall,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let params = call.params.iter().map(|p| self.scalar(p, grid)).collect::<Result<Vec<_>, _>>()?;
        let Kind::Range(range) = &call.range.kind else {
            return Err(QueryError::exec("expected a range vector"));
        };
        let windows = self.windows(range, grid)?;
        let func = call.func;
        extended::check_function(windows.extend, func, call.name)?;
        let edge = Edge::of(windows.range_ms, windows.extend, self.options.lookback_delta_ms);
        let mut seen_anywhere = Bits::new(grid.steps);
        let mut distinct = BTreeSet::new();
        let one_name = self.selects_one_name(range);
        let mut columns = Columns::default();
        let mut resets = Vec::new();
        for (s, input_drops_name) in windows.series.iter().zip(&windows.drop_names) {
            self.tick(s.samples.len())?;
            columns.fill(&s.samples);
            resets.clear();
            if matches!(func, RangeFn::Rate | RangeFn::Increase) {
                resets
                    .extend((1..columns.floats.len()).filter(|i| columns.floats[*i] < columns.floats[i - 1]));
            }
            let kernel = Kernel {
                func,
                name: s.labels.metric_name(),
                pos: call.first_arg_pos,
                notes: &self.notes,
                range_ms: windows.range_ms,
                extend: windows.extend,
                resets: &resets,
            };
            let mut row = Row::new(grid.steps);
            let same_everywhere = windows.shift.is_pinned() && params.is_empty();
            let first_only = Grid { steps: 1, ..grid };
            let computed = if same_everywhere { first_only } else { grid };
            each_window(&columns, edge, windows.shift, computed, |step, w| {
                let param = |n: usize| params.get(n).and_then(|p| p.get(step)).copied().unwrap_or(f64::NAN);
                if let Some(v) = kernel.apply(&w, [param(0), param(1)], grid.time(step))? {
                    row.set(step, v);
                }
                Ok(())
            })?;
            if same_everywhere && let Some(v) = row.get(0) {
                (1..grid.steps).for_each(|i| row.set(i, v.clone()));
            }
            if func == RangeFn::Absent {
                seen_anywhere.union(row.present());
                continue;
            }
            if row.is_empty() {
                continue;
            }
            kernel.check_is_counter(&row);
            let mut out = StepSeries { labels: s.labels.clone(), drop_name: false, row };
            if !func.keeps_name() || *input_drops_name {
                self.drop_name(&mut out);
                let only_name_went = s.labels.len() - out.labels.len() <= 1;
                let surely_distinct = self.options.delayed_name_removal || one_name && only_name_went;
                if !surely_distinct && !distinct.insert(out.labels.clone()) {
                    return Err(merge::duplicate());
                }
            }
            sink(out)?;
        }
        if func == RangeFn::Absent {
            let mut row = Row::new(grid.steps);
            (0..grid.steps).filter(|i| !seen_anywhere.get(*i)).for_each(|i| row.set_float(i, 1.0));
            let labels = self.labels_when_absent(&call.range);
            sink(StepSeries { labels, drop_name: true, row })?;
        }
        Ok(())
    }

    fn selects_one_name(&self, range: &Range) -> bool {
        let Range::Selector(id) = range else { return false };
        let matchers = self.plan.selectors.get(*id).map_or(&[][..], |s| &s.matchers);
        matchers.iter().any(|m| &*m.name == thanos_model::METRIC_NAME && m.op == MatchOp::Equal)
    }
}

impl Kernel<'_> {
    pub(super) fn warn(&self, text: impl FnOnce(&str) -> String) {
        self.notes.warn(self.pos, || text(self.name));
    }

    pub(super) fn info(&self, text: impl FnOnce(&str) -> String) {
        self.notes.info(self.pos, || text(self.name));
    }

    pub(super) fn warn_mixed(&self) {
        self.warn(|name| format!("encountered a mix of histograms and floats for metric name {name:?}"));
    }

    pub(super) fn warn_mixed_buckets(&self) {
        self.warn(|name| {
            format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
            )
        });
    }

    fn check_is_counter(&self, row: &Row) {
        let wanted = matches!(self.func, RangeFn::Rate | RangeFn::Increase) && !self.name.is_empty();
        if wanted
            && !COUNTER_SUFFIXES.iter().any(|s| self.name.ends_with(s))
            && row.present().iter().any(|i| row.float(i).is_some())
        {
            self.info(|name| {
                format!(
                    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
                )
            });
        }
    }

    /// Of floats only; says so where histograms were in the window too.
    fn floats_only(&self, w: &Window<'_>) -> bool {
        if !w.floats.is_empty() && !w.histograms.is_empty() {
            self.info(|name| {
                format!("ignored histograms in a range containing both floats and histograms for metric name {name:?}")
            });
        }
        !w.floats.is_empty()
    }

    fn apply(&self, w: &Window<'_>, params: [f64; 2], at_ms: i64) -> Result<Option<Value>, QueryError> {
        let float = |v: f64| Some(Value::Float(v));
        let floats = |f: &dyn Fn(&[f64]) -> f64| self.floats_only(w).then(|| Value::Float(f(w.floats)));
        let (counter, per_second) = (true, true);
        let anchored;
        let w = match self.extend {
            Extend::No => w,
            _ if !matches!(self.func, RangeFn::Resets | RangeFn::Changes) => {
                let counter = self.func != RangeFn::Delta;
                return Ok(
                    self.extended_change(w, Change { counter, per_second: self.func == RangeFn::Rate })
                );
            }
            _ => match extended::anchored(w) {
                Some(w) => {
                    anchored = w;
                    &anchored
                }
                None => return Ok(None),
            },
        };
        Ok(match self.func {
            RangeFn::Rate => self.extrapolated(w, Change { counter, per_second }),
            RangeFn::Increase => self.extrapolated(w, Change { counter, per_second: false }),
            RangeFn::Delta => self.extrapolated(w, Change { counter: false, per_second: false }),
            RangeFn::Irate => self.instant_change(w, Change { counter, per_second }),
            RangeFn::Idelta => self.instant_change(w, Change { counter: false, per_second: false }),
            RangeFn::Deriv => {
                self.slope(w, w.float_t.first().copied().unwrap_or(0)).map(|(slope, _)| Value::Float(slope))
            }
            RangeFn::PredictLinear => {
                self.slope(w, at_ms).map(|(slope, now)| Value::Float(slope * params[0] + now))
            }
            RangeFn::DoubleExponentialSmoothing => self.smoothed(w, params[0], params[1])?.map(Value::Float),
            RangeFn::Resets => float(count_pairs(w, |a, b| match (a, b) {
                (Value::Float(a), Value::Float(b)) => b < a,
                (Value::Histogram(a), Value::Histogram(b)) => is_reset(b, a),
                _ => true,
            })),
            RangeFn::Changes => float(count_pairs(w, |a, b| match (a, b) {
                (Value::Float(a), Value::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
                (Value::Histogram(a), Value::Histogram(b)) => !same(a, b),
                _ => true,
            })),
            RangeFn::Sum | RangeFn::Avg if !w.floats.is_empty() && !w.histograms.is_empty() => {
                self.warn_mixed();
                None
            }
            RangeFn::Sum | RangeFn::Avg if !w.histograms.is_empty() => self.histogram_total(w.histograms),
            RangeFn::Sum => floats(&|v| {
                let mut sum = Kahan::default();
                v.iter().for_each(|v| sum.add(*v));
                sum.value()
            }),
            RangeFn::Avg => floats(&|v| {
                let mut mean = Mean::default();
                v.iter().for_each(|v| mean.add(*v));
                mean.value()
            }),
            RangeFn::Min => {
                floats(&|v| v.iter().copied().fold(f64::NAN, |a, b| if b < a || a.is_nan() { b } else { a }))
            }
            RangeFn::Max => {
                floats(&|v| v.iter().copied().fold(f64::NAN, |a, b| if b > a || a.is_nan() { b } else { a }))
            }
            RangeFn::Count => float((w.floats.len() + w.histograms.len()) as f64),
            RangeFn::First => pick(w, true),
            RangeFn::Last => pick(w, false),
            RangeFn::Present | RangeFn::Absent => float(1.0),
            RangeFn::Stddev => floats(&|v| variance(v).sqrt()),
            RangeFn::Stdvar => floats(&variance),
            RangeFn::Quantile => {
                let q = params[0];
                if !w.floats.is_empty() && !(0.0..=1.0).contains(&q) {
                    self.notes.warn(self.pos, || bad_quantile(q));
                }
                floats(&|v| quantile(q, &mut v.to_vec()))
            }
            RangeFn::Mad => floats(&|v| {
                if v.iter().any(|v| v.is_nan()) {
                    return f64::NAN;
                }
                let mut v = v.to_vec();
                let median = quantile(0.5, &mut v);
                v.iter_mut().for_each(|v| *v = (*v - median).abs());
                quantile(0.5, &mut v)
            }),
            RangeFn::TsOfFirst => {
                let first = w.float_t.first().into_iter().chain(w.histogram_t.first()).min();
                first.and_then(|t| float(*t as f64 / 1000.0))
            }
            RangeFn::TsOfLast => {
                let last = w.float_t.last().into_iter().chain(w.histogram_t.last()).max();
                last.and_then(|t| float(*t as f64 / 1000.0))
            }
            RangeFn::TsOfMin => self.time_of(w, |v, best| v <= best),
            RangeFn::TsOfMax => self.time_of(w, |v, best| v >= best),
        })
    }

    /// When the most extreme float was, the latest of equals.
    fn time_of(&self, w: &Window<'_>, beats: impl Fn(f64, f64) -> bool) -> Option<Value> {
        if !self.floats_only(w) {
            return None;
        }
        let (mut best, mut at) = (f64::NAN, *w.float_t.first()?);
        for (v, t) in w.floats.iter().zip(w.float_t) {
            if beats(*v, best) || best.is_nan() {
                (best, at) = (*v, *t);
            }
        }
        Some(Value::Float(at as f64 / 1000.0))
    }

    /// Least-squares slope per second, and the line's value at a time.
    fn slope(&self, w: &Window<'_>, at_ms: i64) -> Option<(f64, f64)> {
        if !self.floats_only(w) || w.floats.len() < 2 {
            return None;
        }
        let first = w.floats[0];
        if w.floats.iter().all(|v| *v == first) {
            return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
        }
        let n = w.floats.len() as f64;
        let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Kahan::default(); 4];
        for (y, t) in w.floats.iter().zip(w.float_t) {
            let x = (t - at_ms) as f64 / 1000.0;
            x_sum.add(x);
            y_sum.add(*y);
            xy_sum.add(x * y);
            xx_sum.add(x * x);
        }
        let [x, y, xy, xx] = [x_sum, y_sum, xy_sum, xx_sum].map(|k| k.sum + k.lost);
        let slope = (xy - x * y / n) / (xx - x * x / n);
        Some((slope, y / n - slope * x / n))
    }

    fn smoothed(&self, w: &Window<'_>, smoothing: f64, trend: f64) -> Result<Option<f64>, QueryError> {
        for (what, short, v) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
            if v <= 0.0 || v >= 1.0 {
                return Err(QueryError::exec(format!(
                    "invalid {what} factor. Expected: 0 < {short} < 1, got: {v:.6}"
                )));
            }
        }
        if !self.floats_only(w) || w.floats.len() < 2 {
            return Ok(None);
        }
        let (mut level, mut slope) = (w.floats[0], w.floats[1] - w.floats[0]);
        let mut previous = 0.0;
        for (i, v) in w.floats.iter().enumerate().skip(1) {
            if i > 1 {
                slope = trend * (level - previous) + (1.0 - trend) * slope;
            }
            (previous, level) = (level, smoothing * v + (1.0 - smoothing) * (level + slope));
        }
        Ok(Some(level))
    }

    /// Sum or average of histograms.
    fn histogram_total(&self, histograms: &[Arc<FloatHistogram>]) -> Option<Value> {
        let mut total = HistogramTotal::new(self.func == RangeFn::Avg);
        for h in histograms {
            if total.add(h).is_err() {
                self.warn_mixed_buckets();
                return None;
            }
        }
        if total.bounds_reconciled {
            self.info(|_| "mismatched custom buckets were reconciled during aggregation".into());
        }
        if total.has_collision() {
            self.warn(|_| "conflicting counter resets during histogram aggregation".into());
        }
        total.finish().map(Value::Histogram)
    }
}

/// A running sum or average of histograms; the average goes on incrementally when the sum would overflow.
#[derive(Clone, Debug, Default)]
pub(super) struct HistogramTotal {
    mean: bool,
    incremental: bool,
    count: f64,
    total: Option<Hist>,
    pub(super) bounds_reconciled: bool,
    reset_seen: bool,
    not_reset_seen: bool,
}

impl HistogramTotal {
    pub(super) fn new(mean: bool) -> Self {
        Self { mean, ..Self::default() }
    }

    pub(super) fn add(&mut self, h: &FloatHistogram) -> Result<(), Incompatible> {
        self.reset_seen |= h.reset_hint == ResetHint::Reset;
        self.not_reset_seen |= h.reset_hint == ResetHint::NotReset;
        self.count += 1.0;
        let Some(total) = &mut self.total else {
            self.total = Some(Hist::from(h));
            return Ok(());
        };
        if !self.incremental {
            let mut next = total.clone();
            self.bounds_reconciled |= next.add(h)?.bounds_reconciled;
            if !self.mean || !next.has_overflow() {
                *total = next;
                return Ok(());
            }
            self.incremental = true;
            total.div(self.count - 1.0);
        }
        total.mul((self.count - 1.0) / self.count);
        let mut share = Hist::from(h);
        share.div(self.count);
        self.bounds_reconciled |= total.add(&share.finish())?.bounds_reconciled;
        Ok(())
    }

    pub(super) fn has_collision(&self) -> bool {
        self.reset_seen && self.not_reset_seen
    }

    pub(super) fn finish(self) -> Option<Arc<FloatHistogram>> {
        let mut total = self.total?;
        if self.mean && !self.incremental {
            total.div(self.count);
        }
        Some(total.finish())
    }
}

/// The first or last sample of the window.
fn pick(w: &Window<'_>, first: bool) -> Option<Value> {
    let at = |n: usize| if first { 0 } else { n.wrapping_sub(1) };
    let float = w.float_t.get(at(w.float_t.len())).zip(w.floats.get(at(w.floats.len())));
    let histogram = w.histogram_t.get(at(w.histogram_t.len())).zip(w.histograms.get(at(w.histograms.len())));
    match (float, histogram) {
        (Some((t, v)), Some((u, h))) => {
            let float_wins = if first { t < u } else { t > u };
            Some(if float_wins { Value::Float(*v) } else { Value::Histogram(h.clone()) })
        }
        (Some((_, v)), None) => Some(Value::Float(*v)),
        (None, Some((_, h))) => Some(Value::Histogram(h.clone())),
        (None, None) => None,
    }
}

/// How many neighbouring samples, floats and histograms in time order, satisfy `f`.
fn count_pairs(w: &Window<'_>, f: impl Fn(&Value, &Value) -> bool) -> f64 {
    let (mut i, mut j, mut count) = (0, 0, 0u64);
    let mut previous: Option<Value> = None;
    loop {
        let now = match (w.float_t.get(i), w.histogram_t.get(j)) {
            (Some(t), u) if u.is_none_or(|u| t <= u) => {
                i += 1;
                Value::Float(w.floats[i - 1])
            }
            (_, Some(_)) => {
                j += 1;
                Value::Histogram(w.histograms[j - 1].clone())
            }
            _ => return count as f64,
        };
        count += u64::from(previous.as_ref().is_some_and(|p| f(p, &now)));
        previous = Some(now);
    }
}

pub(super) fn bad_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", super::labels::format_g(q))
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut aux, mut count) = (Kahan::default(), Kahan::default(), 0.0);
    for v in values {
        count += 1.0;
        let delta = v - (mean.sum + mean.lost);
        mean.add(delta / count);
        aux.add(delta * (v - (mean.sum + mean.lost)));
    }
    (aux.sum + aux.lost) / count
}

/// The `q`-quantile, interpolated between neighbours; NaN sorts first.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}
