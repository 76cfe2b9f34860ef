//! Functions of scalars and instant vectors.

use thanos_model::{Labels, Value};

use super::{Evaluator, Grid, Sink, time};
use crate::error::QueryError;
use crate::histogram;
use crate::plan::expr::{Call, Expr, Kind};
use crate::plan::func::{Func, HistogramFn};
use crate::row::{Bits, Row, StepSeries};

impl Evaluator<'_> {
    pub(super) fn scalar_call(&self, call: &Call, grid: Grid) -> Result<Vec<f64>, QueryError> {
        let arg = |i: usize| match call.args.get(i) {
            Some(e) => self.scalar(e, grid),
            None => Err(QueryError::exec("missing argument")),
        };
        let pair = |f: fn(f64, f64) -> f64| -> Result<Vec<f64>, QueryError> {
            Ok(arg(0)?.into_iter().zip(arg(1)?).map(|(a, b)| f(a, b)).collect())
        };
        let constant = |v: f64| Ok(vec![v; grid.steps]);
        let q = self.query;
        match call.func {
            Func::Time => Ok((0..grid.steps).map(|i| grid.time(i) as f64 / 1000.0).collect()),
            Func::Pi => constant(std::f64::consts::PI),
            Func::QueryStart => constant(q.start_ms as f64 / 1000.0),
            Func::QueryEnd => constant(q.end_ms as f64 / 1000.0),
            Func::QueryRange => constant((q.end_ms - q.start_ms) as f64 / 1000.0),
            Func::QueryStep => constant(if q.start_ms == q.end_ms { 0.0 } else { q.step_ms as f64 / 1000.0 }),
            Func::MinOf => pair(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }),
            Func::MaxOf => pair(|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }),
            Func::Scalar => self.only_value(call, grid),
            _ => Err(QueryError::exec("expected a function that gives a scalar")),
        }
    }

    /// The one float of a vector, or NaN where there is none or more than one.
    fn only_value(&self, call: &Call, grid: Grid) -> Result<Vec<f64>, QueryError> {
        let mut out = vec![f64::NAN; grid.steps];
        let mut found = Bits::new(grid.steps);
        let Some(input) = call.args.first() else { return Ok(out) };
        self.stream(input, grid, &mut |s| {
            for i in s.row.present().iter() {
                if let Some(v) = s.row.float(i) {
                    out[i] = if found.get(i) { f64::NAN } else { v };
                    found.set(i);
                }
            }
            Ok(())
        })?;
        Ok(out)
    }

    pub(super) fn call(
        &self,
        call: &Call,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let arg = |i: usize| match call.args.get(i) {
            Some(e) => self.scalar(e, grid),
            None => Ok(vec![f64::NAN; grid.steps]),
        };
        match call.func {
            Func::Math(f) => self.each(call, grid, sink, |s| s.row.map_floats(|_, v| f(v))),
            Func::Histogram(f) => self.each(call, grid, sink, |s| {
                s.row.map(|_, v| match v {
                    Value::Float(_) => None,
                    Value::Histogram(h) => Some(Value::Float(match f {
                        HistogramFn::Count => h.count,
                        HistogramFn::Sum => h.sum,
                        HistogramFn::Avg => h.sum / h.count,
                        HistogramFn::Stddev => histogram::variance(&h).sqrt(),
                        HistogramFn::Stdvar => histogram::variance(&h),
                    })),
                });
            }),
            Func::Date(f) if call.args.is_empty() => {
                let mut row = Row::new(grid.steps);
                (0..grid.steps).for_each(|i| row.set_float(i, time::part(f, grid.time(i).div_euclid(1000))));
                sink(StepSeries { labels: Labels::empty(), drop_name: false, row })
            }
            Func::Date(f) => {
                self.each(call, grid, sink, |s| s.row.map_floats(|_, v| time::part(f, v as i64)))
            }
            Func::Round => {
                let nearest = if call.args.len() > 1 { arg(1)? } else { vec![1.0; grid.steps] };
                self.each(call, grid, sink, |s| {
                    s.row.map_floats(|i, v| {
                        let inverse = 1.0 / nearest[i];
                        (v * inverse + 0.5).floor() / inverse
                    });
                })
            }
            Func::Clamp => self.clamp(call, grid, sink, &arg(1)?, &arg(2)?),
            Func::ClampMin => self.clamp(call, grid, sink, &arg(1)?, &vec![f64::INFINITY; grid.steps]),
            Func::ClampMax => self.clamp(call, grid, sink, &vec![f64::NEG_INFINITY; grid.steps], &arg(1)?),
            Func::Absent => self.absent(call, grid, sink),
            Func::Vector => {
                let mut row = Row::new(grid.steps);
                arg(0)?.into_iter().enumerate().for_each(|(i, v)| row.set_float(i, v));
                sink(StepSeries { labels: Labels::empty(), drop_name: false, row })
            }
            Func::Timestamp => self.timestamp(call, grid, sink),
            Func::Sort | Func::SortDesc | Func::SortByLabel | Func::SortByLabelDesc => {
                self.sort(call, pos, grid, sink)
            }
            Func::LabelReplace => self.label_replace(call, grid, sink),
            Func::LabelJoin => self.label_join(call, grid, sink),
            Func::HistogramQuantile | Func::HistogramQuantiles | Func::HistogramFraction => {
                self.histogram_call(call, grid, sink)
            }
            _ => Err(QueryError::exec("expected a function that gives an instant vector")),
        }
    }

    /// Applies `f` to each series; the result is another metric.
    fn each(
        &self,
        call: &Call,
        grid: Grid,
        sink: &mut Sink<'_>,
        f: impl Fn(&mut StepSeries),
    ) -> Result<(), QueryError> {
        let Some(input) = call.args.first() else { return Ok(()) };
        self.each_of(input, grid, sink, f)
    }

    fn each_of(
        &self,
        input: &Expr,
        grid: Grid,
        sink: &mut Sink<'_>,
        f: impl Fn(&mut StepSeries),
    ) -> Result<(), QueryError> {
        let apply = |s: &mut StepSeries| {
            f(s);
            self.drop_name(s);
        };
        if self.options.delayed_name_removal {
            return self.stream(input, grid, &mut |mut s| {
                apply(&mut s);
                sink(s)
            });
        }
        let mut frame = self.vector(input, grid)?;
        frame.series.iter_mut().for_each(apply);
        frame.series.retain(|s| !s.row.is_empty());
        self.merged(frame.series)?.into_iter().try_for_each(sink)
    }

    fn clamp(
        &self,
        call: &Call,
        grid: Grid,
        sink: &mut Sink<'_>,
        min: &[f64],
        max: &[f64],
    ) -> Result<(), QueryError> {
        self.each(call, grid, sink, |s| {
            s.row.map(|i, v| match v {
                Value::Float(v) if max[i] >= min[i] || max[i].is_nan() || min[i].is_nan() => {
                    let nan = v.is_nan() || min[i].is_nan() || max[i].is_nan();
                    Some(Value::Float(if nan { f64::NAN } else { v.min(max[i]).max(min[i]) }))
                }
                _ => None,
            });
        })
    }

    fn absent(&self, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let Some(input) = call.args.first() else { return Ok(()) };
        let mut seen = Bits::new(grid.steps);
        self.stream(input, grid, &mut |s| {
            seen.union(s.row.present());
            Ok(())
        })?;
        let mut row = Row::new(grid.steps);
        (0..grid.steps).filter(|i| !seen.get(*i)).for_each(|i| row.set_float(i, 1.0));
        sink(StepSeries { labels: self.labels_when_absent(input), drop_name: false, row })
    }

    /// Of a selector, the samples' own times; of anything else, the evaluation time.
    fn timestamp(&self, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let Some(input) = call.args.first() else { return Ok(()) };
        let mut out = Vec::new();
        if let Kind::Instant(id) = input.kind {
            self.instant_times(id, grid, &mut |mut s| {
                self.drop_name(&mut s);
                out.push(s);
                Ok(())
            })?;
            out.retain(|s| !s.row.is_empty());
            return self.merged(out)?.into_iter().try_for_each(sink);
        }
        self.each(call, grid, sink, |s| s.row.map(|i, _| Some(Value::Float(grid.time(i) as f64 / 1000.0))))
    }
}
