//! Selectors and windows: which samples a step sees.

use std::borrow::Cow;
use std::sync::Arc;

use thanos_model::{FloatHistogram, Labels, ResetHint, Sample, TimestampMs, Value};

use super::{Evaluator, Grid, Held, Sink, extended};
use crate::error::QueryError;
use crate::plan::expr::{Range, Subquery};
use crate::plan::{At, Extend};
use crate::row::{Row, StepSeries};
use crate::source::Series;

/// The times that windows end at, seen from a grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    offset_ms: i64,
    pinned_ms: Option<TimestampMs>,
}

impl Shift {
    pub(super) fn end(&self, grid: &Grid, step: usize) -> TimestampMs {
        self.pinned_ms.unwrap_or_else(|| grid.time(step)).saturating_sub(self.offset_ms)
    }

    /// Whether all steps see the same samples.
    pub(super) fn is_pinned(&self) -> bool {
        self.pinned_ms.is_some()
    }
}

/// A range vector over a grid: series, and where their windows are.
pub(crate) struct Windows<'a> {
    pub(super) series: Cow<'a, [Series]>,
    /// Per series; from a subquery whose function asked for it.
    pub(super) drop_names: Vec<bool>,
    pub(super) range_ms: i64,
    pub(super) shift: Shift,
    pub(super) extend: Extend,
    _held: Option<Held<'a>>,
}

/// A series' samples apart by kind, staleness markers gone.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) float_t: Vec<TimestampMs>,
    pub(super) floats: Vec<f64>,
    pub(super) histogram_t: Vec<TimestampMs>,
    pub(super) histograms: Vec<Arc<FloatHistogram>>,
}

/// The samples of one window: after `start_ms`, up to and with `end_ms`, and as far beyond as the selector's
/// extension looks.
#[derive(Clone, Copy)]
pub(super) struct Window<'w> {
    pub(super) float_t: &'w [TimestampMs],
    pub(super) floats: &'w [f64],
    pub(super) histogram_t: &'w [TimestampMs],
    pub(super) histograms: &'w [Arc<FloatHistogram>],
    pub(super) start_ms: TimestampMs,
    pub(super) end_ms: TimestampMs,
    /// Index of the first float in the whole series.
    pub(super) first_float: usize,
}

impl Columns {
    pub(super) fn fill(&mut self, samples: &[Sample]) {
        self.float_t.clear();
        self.floats.clear();
        self.histogram_t.clear();
        self.histograms.clear();
        for s in samples.iter().filter(|s| !s.value.is_stale()) {
            match &s.value {
                Value::Float(v) => {
                    self.float_t.push(s.t_ms);
                    self.floats.push(*v);
                }
                Value::Histogram(h) => {
                    self.histogram_t.push(s.t_ms);
                    self.histograms.push(h.clone());
                }
            }
        }
    }
}

/// Two edges that only move forward over ascending times.
#[derive(Default)]
pub(super) struct Edges {
    lo: usize,
    hi: usize,
}

impl Edges {
    fn advance(&mut self, times: &[TimestampMs], after: TimestampMs, until: TimestampMs) -> (usize, usize) {
        while times.get(self.hi).is_some_and(|t| *t <= until) {
            self.hi += 1;
        }
        while self.lo < self.hi && times.get(self.lo).is_some_and(|t| *t <= after) {
            self.lo += 1;
        }
        (self.lo, self.hi)
    }
}

/// How wide a window is, and how far beyond its edges samples are shown.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    pub(super) range_ms: i64,
    pub(super) before_ms: i64,
    pub(super) after_ms: i64,
}

impl Edge {
    pub(super) fn of(range_ms: i64, extend: Extend, lookback_ms: i64) -> Self {
        let (before_ms, after_ms) = match extend {
            Extend::No => (0, 0),
            Extend::Anchored => (lookback_ms, 0),
            Extend::Smoothed => (lookback_ms, lookback_ms),
        };
        Self { range_ms, before_ms, after_ms }
    }
}

/// Calls `f` with each step's window.
pub(super) fn each_window(
    columns: &Columns,
    frame: Edge,
    shift: Shift,
    grid: Grid,
    mut f: impl FnMut(usize, Window<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let (mut floats, mut histograms) = (Edges::default(), Edges::default());
    for step in 0..grid.steps {
        let end_ms = shift.end(&grid, step);
        let start_ms = end_ms.saturating_sub(frame.range_ms);
        let (after, until) =
            (start_ms.saturating_sub(frame.before_ms), end_ms.saturating_add(frame.after_ms));
        let (a, b) = floats.advance(&columns.float_t, after, until);
        let (c, d) = histograms.advance(&columns.histogram_t, after, until);
        if a == b && c == d {
            continue;
        }
        let window = Window {
            float_t: &columns.float_t[a..b],
            floats: &columns.floats[a..b],
            histogram_t: &columns.histogram_t[c..d],
            histograms: &columns.histograms[c..d],
            start_ms,
            end_ms,
            first_float: a,
        };
        f(step, window)?;
    }
    Ok(())
}

impl<'a> Evaluator<'a> {
    fn shift(&self, offset_ms: i64, at: Option<At>) -> Shift {
        Shift { offset_ms, pinned_ms: at.map(|at| at.resolve(self.query.start_ms, self.query.end_ms)) }
    }

    /// The series of a selector and its windows' ends.
    pub(super) fn selected(&self, id: usize) -> Result<(&'a [Series], Shift), QueryError> {
        let (Some(selector), Some(series)) = (self.plan.selectors.get(id), self.fetched.series.get(id))
        else {
            return Err(QueryError::exec("the selectors were not fetched for this query"));
        };
        Ok((series.as_slice(), self.shift(selector.offset_ms, selector.at)))
    }

    /// An instant selector: the newest sample of each series within the lookback.
    pub(super) fn instant(
        &self,
        id: usize,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        if self.plan.selectors.get(id).is_some_and(|s| s.extend == Extend::Smoothed) {
            return self.interpolated(id, pos, grid, sink);
        }
        self.newest(id, grid, |s| s.value.clone(), sink)
    }

    /// `timestamp()` of an instant selector: the times of those samples, in seconds.
    pub(super) fn instant_times(&self, id: usize, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        self.newest(id, grid, |s| Value::Float(s.t_ms as f64 / 1000.0), sink)
    }

    fn newest(
        &self,
        id: usize,
        grid: Grid,
        value: impl Fn(&Sample) -> Value,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let (series, shift) = self.selected(id)?;
        for s in series {
            let mut row = Row::new(grid.steps);
            let mut seen = 0;
            for step in 0..grid.steps {
                let at = shift.end(&grid, step);
                while s.samples.get(seen).is_some_and(|s| s.t_ms <= at) {
                    seen += 1;
                }
                let Some(sample) = seen.checked_sub(1).and_then(|i| s.samples.get(i)) else { continue };
                if sample.t_ms > at.saturating_sub(self.options.lookback_delta_ms) && !sample.value.is_stale()
                {
                    row.set(step, value(sample));
                }
            }
            self.tick(s.samples.len())?;
            sink(StepSeries { labels: s.labels.clone(), drop_name: false, row })?;
        }
        Ok(())
    }

    /// A range vector over a grid.
    pub(super) fn windows(&self, range: &Range, grid: Grid) -> Result<Windows<'a>, QueryError> {
        match range {
            Range::Selector(id) => {
                let (series, shift) = self.selected(*id)?;
                let selector = self.plan.selectors.get(*id);
                let range_ms = selector.and_then(|s| s.range_ms).unwrap_or(0);
                Ok(Windows {
                    series: Cow::Borrowed(series),
                    drop_names: vec![false; series.len()],
                    range_ms,
                    shift,
                    extend: selector.map_or(Extend::No, |s| s.extend),
                    _held: None,
                })
            }
            Range::Subquery(s) => self.subquery(s, grid),
        }
    }

    /// Evaluates the inner expression on its own grid, whose times are multiples of its step.
    fn subquery(&self, s: &Subquery, grid: Grid) -> Result<Windows<'a>, QueryError> {
        let shift = self.shift(s.offset_ms, s.at);
        let inner = subquery_grid(s, self.options.default_subquery_step_ms, |last| {
            shift.end(&grid, if last { grid.steps.saturating_sub(1) } else { 0 })
        })?;
        let frame = self.vector(&s.expr, inner)?;
        let mut series = Vec::with_capacity(frame.series.len());
        let mut drop_names = Vec::with_capacity(frame.series.len());
        let mut held = Held::nothing(self.budget);
        for s in frame.series {
            let samples: Vec<Sample> = (s.row.present().iter())
                .filter_map(|i| {
                    Some(Sample { t_ms: inner.time(i), value: without_reset_hint(s.row.get(i)?) })
                })
                .collect();
            held.grow((samples.len() as u64, (samples.len() * size_of::<Sample>()) as u64))?;
            drop_names.push(s.drop_name);
            series.push(Series { labels: s.labels, samples });
        }
        Ok(Windows {
            series: Cow::Owned(series),
            drop_names,
            range_ms: s.range_ms,
            shift,
            extend: Extend::No,
            _held: Some(held),
        })
    }
}

/// The grid of a subquery whose windows end between `end(false)` and `end(true)`.
pub(crate) fn subquery_grid(
    s: &Subquery,
    default_step_ms: i64,
    end: impl Fn(bool) -> TimestampMs,
) -> Result<Grid, QueryError> {
    let step_ms = s.step_ms.unwrap_or(default_step_ms).max(1);
    let after = end(false).saturating_sub(s.range_ms);
    let start_ms = after.div_euclid(step_ms).saturating_mul(step_ms).saturating_add(step_ms);
    let steps = match end(true).checked_sub(start_ms) {
        Some(width) if width >= 0 => width / step_ms + 1,
        _ => 0,
    };
    if steps > crate::steps::MAX_STEPS {
        return Err(QueryError::exec(format!(
            "subquery has {steps} steps, more than {}; use a larger step",
            crate::steps::MAX_STEPS
        )));
    }
    Ok(Grid { start_ms, step_ms, steps: steps as usize })
}

/// A subquery may skip samples or repeat them, so what a sample says of the one before it is void.
fn without_reset_hint(v: Value) -> Value {
    match v {
        Value::Histogram(h) if matches!(h.reset_hint, ResetHint::Reset | ResetHint::NotReset) => {
            Value::Histogram(Arc::new(FloatHistogram { reset_hint: ResetHint::Unknown, ..(*h).clone() }))
        }
        other => other,
    }
}

impl Windows<'_> {
    /// Labels and samples of every series at one time, for a query that asks for the range vector itself.
    ///
    /// # Errors
    /// The selector is extended and a series has histograms.
    pub(crate) fn collect(
        &self,
        grid: Grid,
        lookback_ms: i64,
    ) -> Result<Vec<(Labels, bool, Vec<Sample>)>, QueryError> {
        let end = self.shift.end(&grid, 0);
        let start = end.saturating_sub(self.range_ms);
        let edge = Edge::of(self.range_ms, self.extend, lookback_ms);
        let (after, until) = (start.saturating_sub(edge.before_ms), end.saturating_add(edge.after_ms));
        let mut out = Vec::new();
        for (s, drop) in self.series.iter().zip(&self.drop_names) {
            let inside = |s: &&Sample| s.t_ms > after && s.t_ms <= until && !s.value.is_stale();
            let mut samples: Vec<Sample> = s.samples.iter().filter(inside).cloned().collect();
            if self.extend != Extend::No {
                samples = extended::edges(&samples, start, end, self.extend)?;
            }
            if !samples.is_empty() {
                out.push((s.labels.clone(), *drop, samples));
            }
        }
        Ok(out)
    }
}
