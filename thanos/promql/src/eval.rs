//! Evaluation: pure, over what was fetched, series by series along all steps.
//!
//! ```text
//!  Expr ─► Evaluator::stream ── one StepSeries at a time ─► aggregation, elementwise functions
//!       └► Evaluator::vector ── all of them, charged ─────► joins, topk, sorting, subqueries
//! ```
//!
//! Invariants: labels, groups and join partners are resolved once per series, never per step; what is held is
//! charged to the budget and given back when dropped; the caller's check runs at least once per series.

use std::cell::Cell;

use thanos_model::{Labels, METRIC_NAME, TimestampMs, Value};

use crate::annotations::Annotations;
use crate::error::QueryError;
use crate::plan::Plan;
use crate::plan::expr::{Expr, Kind, Range, ValueType};
use crate::row::{Row, StepSeries};
use crate::setting::{Check, Fetched, Options};
use crate::source::{Budget, OverBudget};
use crate::steps::Steps;

mod aggregate;
mod binary;
mod classic;
mod extended;
mod function;
mod labels;
mod merge;
mod over_time;
mod pick;
mod rate;
mod sort;
mod time;
mod window;

use merge::merge_equal_labels;
pub(crate) use window::subquery_grid;

/// Equidistant evaluation times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start_ms: TimestampMs,
    pub(crate) step_ms: i64,
    pub(crate) steps: usize,
}

impl Grid {
    pub(crate) fn of(steps: Steps) -> Self {
        let count = (steps.end_ms - steps.start_ms) / steps.step_ms + 1;
        Self { start_ms: steps.start_ms, step_ms: steps.step_ms, steps: count as usize }
    }

    pub(crate) fn time(&self, i: usize) -> TimestampMs {
        self.start_ms + self.step_ms * i as i64
    }

    pub(crate) fn last(&self) -> TimestampMs {
        self.time(self.steps.saturating_sub(1))
    }
}

/// Something held on a query's budget; gives it back when dropped.
pub(crate) struct Held<'a> {
    budget: &'a Budget,
    samples: u64,
    bytes: u64,
}

impl<'a> Held<'a> {
    fn nothing(budget: &'a Budget) -> Self {
        Self { budget, samples: 0, bytes: 0 }
    }

    fn grow(&mut self, (samples, bytes): (u64, u64)) -> Result<(), OverBudget> {
        self.budget.charge(samples, bytes)?;
        self.samples += samples;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.release(self.samples, self.bytes);
    }
}

/// All series of an instant-vector expression.
pub(crate) struct Frame<'a> {
    pub(crate) series: Vec<StepSeries>,
    pub(crate) _held: Held<'a>,
}

pub(crate) struct Evaluator<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a Options,
    pub(crate) fetched: &'a Fetched,
    /// The query's own times, which `start()`, `end()`, `range()` and `step()` mean.
    pub(crate) query: Steps,
    pub(crate) budget: &'a Budget,
    pub(crate) check: &'a Check<'a>,
    pub(crate) notes: Annotations,
    pub(crate) work: Cell<usize>,
}

/// Takes one series of a stream.
type Sink<'s> = dyn FnMut(StepSeries) -> Result<(), QueryError> + 's;

/// How much work may pass between two looks at the caller's check.
const WORK_PER_CHECK: usize = 4096;

impl<'a> Evaluator<'a> {
    /// Counts work and stops when the caller wants to.
    fn tick(&self, work: usize) -> Result<(), QueryError> {
        let done = self.work.get() + work.max(1);
        self.work.set(done);
        if done >= WORK_PER_CHECK {
            self.work.set(0);
            if let Some(stop) = (self.check)() {
                return Err(QueryError::stopped(stop, "expression evaluation"));
            }
        }
        Ok(())
    }

    /// A scalar expression at every step.
    pub(crate) fn scalar(&self, e: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match &e.kind {
            Kind::Number(v) => Ok(vec![*v; grid.steps]),
            Kind::Negate(inner) => Ok(self.scalar(inner, grid)?.into_iter().map(|v| -v).collect()),
            Kind::Binary(b) => {
                let (l, r) = (self.scalar(&b.lhs, grid)?, self.scalar(&b.rhs, grid)?);
                Ok(l.into_iter().zip(r).map(|(l, r)| binary::scalar(b.op, l, r)).collect())
            }
            Kind::Call(c) => self.scalar_call(c, grid),
            _ => Err(QueryError::exec("expected a scalar expression")),
        }
    }

    /// Everything that an instant-vector expression gives, in the order of its result.
    pub(crate) fn vector(&self, e: &Expr, grid: Grid) -> Result<Frame<'a>, QueryError> {
        let mut series = Vec::new();
        let mut held = Held::nothing(self.budget);
        self.stream(e, grid, &mut |s| {
            held.grow(s.row.weight())?;
            series.push(s);
            Ok(())
        })?;
        Ok(Frame { series, _held: held })
    }

    /// Hands each series of an instant-vector expression on as soon as it is complete; none is empty.
    pub(crate) fn stream(&self, e: &Expr, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        if grid.steps == 0 {
            return Ok(());
        }
        let mut sink = |s: StepSeries| {
            self.tick(grid.steps)?;
            if s.row.is_empty() { Ok(()) } else { sink(s) }
        };
        match &e.kind {
            Kind::Instant(id) => self.instant(*id, e.pos, grid, &mut sink),
            Kind::RangeCall(call) => self.range_call(call, grid, &mut sink),
            Kind::Call(call) => self.call(call, e.pos, grid, &mut sink),
            Kind::Aggregate(a) => self.aggregate(a, e.pos, grid, &mut sink),
            Kind::Binary(b) => self.binary(b, e.pos, grid, &mut sink),
            Kind::Negate(inner) => {
                let mut out = Vec::new();
                self.stream(inner, grid, &mut |mut s| {
                    s.row.map(|_, v| Some(negate(&v)));
                    self.drop_name(&mut s);
                    out.push(s);
                    Ok(())
                })?;
                self.merged(out)?.into_iter().try_for_each(sink)
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Range(_) => {
                Err(QueryError::exec("expected an instant vector expression"))
            }
        }
    }

    /// The metric name no longer says what the series is: goes now, or at the end.
    fn drop_name(&self, s: &mut StepSeries) {
        s.drop_name = true;
        if !self.options.delayed_name_removal {
            s.labels = without_metadata(&s.labels);
        }
    }

    /// After names went, series may have become the same one.
    fn merged(&self, series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
        if self.options.delayed_name_removal { Ok(series) } else { merge_equal_labels(series) }
    }

    /// The result of a whole query: names that had to go are gone.
    pub(crate) fn result(&self, grid: Grid) -> Result<Frame<'a>, QueryError> {
        let mut frame = match self.plan.root.value_type() {
            ValueType::Scalar => {
                let mut row = Row::new(grid.steps);
                for (i, v) in self.scalar(&self.plan.root, grid)?.into_iter().enumerate() {
                    row.set_float(i, v);
                }
                let mut held = Held::nothing(self.budget);
                held.grow(row.weight())?;
                Frame {
                    series: vec![StepSeries { labels: Labels::empty(), drop_name: false, row }],
                    _held: held,
                }
            }
            _ => self.vector(&self.plan.root, grid)?,
        };
        if self.options.delayed_name_removal {
            for s in frame.series.iter_mut().filter(|s| s.drop_name) {
                s.labels = without_metadata(&s.labels);
            }
            frame.series = merge_equal_labels(frame.series)?;
        }
        Ok(frame)
    }

    /// The samples of a range-vector query at one time.
    pub(crate) fn range_result(&self, range: &Range, grid: Grid) -> Result<window::Windows<'a>, QueryError> {
        self.windows(range, grid)
    }
}

/// Without the labels that describe the metric rather than the series.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.filtered(|l| !matches!(&*l.name, METRIC_NAME | "__type__" | "__unit__"))
}

fn negate(v: &Value) -> Value {
    match v {
        Value::Float(v) => Value::Float(-v),
        Value::Histogram(h) => {
            let mut h = crate::histogram::Hist::from(&**h);
            h.mul(-1.0);
            Value::Histogram(h.finish())
        }
    }
}
