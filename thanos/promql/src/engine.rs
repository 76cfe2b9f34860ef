//! From a plan to a result: fetch every selector at once, then evaluate without waiting for anything.

use std::cell::Cell;
use std::sync::Arc;

use thanos_model::{Sample, TimestampMs};

use crate::annotations::Annotations;
use crate::error::{QueryError, Stop};
use crate::eval::{Evaluator, Grid, subquery_grid, without_metadata};
use crate::histogram;
use crate::plan::expr::{BinaryOp, Expr, Kind, Range};
use crate::plan::func::{Func, HistogramFn};
use crate::plan::{At, Extend, Plan, ValueType};
use crate::result::{MatrixSeries, QueryResult, QueryValue, VectorSample};
use crate::source::{Budget, SelectHints, SelectRequest, Series, SeriesSource};

/// What an engine's queries have in common.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far an instant selector looks back, exclusive; Prometheus' `--query.lookback-delta`.
    pub lookback_delta_ms: i64,
    /// Step of a subquery that gives none; Prometheus' global evaluation interval.
    pub default_subquery_step_ms: i64,
    /// Metric names are dropped at the end of the evaluation instead of by each function; Prometheus'
    /// feature `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { lookback_delta_ms: 300_000, default_subquery_step_ms: 60_000, delayed_name_removal: false }
    }
}

/// The times that a query is evaluated at: `start`, `start + step`, … up to and with `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub(crate) start_ms: TimestampMs,
    pub(crate) end_ms: TimestampMs,
    pub(crate) step_ms: i64,
    pub(crate) instant: bool,
}

/// A range query may have this many steps; Prometheus' HTTP API draws the line at 11,000.
pub const MAX_STEPS: i64 = 1_000_000;

impl Steps {
    /// One time.
    pub fn instant(at_ms: TimestampMs) -> Self {
        Self { start_ms: at_ms, end_ms: at_ms, step_ms: 1, instant: true }
    }

    /// A range of times.
    ///
    /// # Errors
    /// The step is not positive, the end is before the start, or there are more than [`MAX_STEPS`].
    pub fn range(start_ms: TimestampMs, end_ms: TimestampMs, step_ms: i64) -> Result<Self, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::BadData(
                "zero or negative query resolution step widths are not accepted. Try a positive integer"
                    .into(),
            ));
        }
        if end_ms < start_ms {
            return Err(QueryError::BadData("end timestamp must not be before start time".into()));
        }
        if end_ms.checked_sub(start_ms).is_none_or(|d| d / step_ms >= MAX_STEPS) {
            return Err(QueryError::BadData(format!("more than {MAX_STEPS} steps; use a larger step")));
        }
        Ok(Self { start_ms, end_ms, step_ms, instant: false })
    }
}

/// Asked every few thousand samples: whether to stop, and why. It reads the clock so that the engine need not.
pub type Check<'a> = dyn Fn() -> Option<Stop> + Send + Sync + 'a;

/// Evaluates plans.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
}

/// What the selectors of one query read, in the order of [`Plan::selectors`].
#[derive(Debug)]
pub struct Fetched {
    pub(crate) series: Vec<Arc<Vec<Series>>>,
    pub(crate) warnings: Vec<String>,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Fetches and evaluates. The evaluation runs on the caller's thread: a server calls [`Self::fetch`] and
    /// then [`Self::evaluate`] on a thread for blocking work.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query(
        &self,
        plan: &Plan,
        steps: Steps,
        source: &dyn SeriesSource,
        budget: Arc<Budget>,
        check: &Check<'_>,
    ) -> Result<QueryResult, QueryError> {
        let fetched = self.fetch(plan, steps, source, budget.clone()).await?;
        self.evaluate(plan, steps, &fetched, &budget, check)
    }

    /// Reads all selectors at once.
    ///
    /// # Errors
    /// The first error of the source.
    pub async fn fetch(
        &self,
        plan: &Plan,
        steps: Steps,
        source: &dyn SeriesSource,
        budget: Arc<Budget>,
    ) -> Result<Fetched, QueryError> {
        let plan = &*plan.bound(steps)?;
        let reads = reads(plan, steps, &self.options)?;
        let only_stats: Vec<bool> = reads.iter().map(|r| r.only_stats).collect();
        let selects = reads.into_iter().zip(&plan.selectors).map(|(read, selector)| {
            source.select(SelectRequest {
                matchers: selector.matchers.clone(),
                start_ms: read.start_ms,
                end_ms: read.end_ms,
                hints: read.hints,
                budget: budget.clone(),
            })
        });
        let mut fetched = Fetched { series: Vec::new(), warnings: Vec::new() };
        for (mut set, only_stats) in futures::future::try_join_all(selects).await?.into_iter().zip(only_stats)
        {
            if only_stats {
                set.series.iter_mut().for_each(|s| histogram::keep_stats(&mut s.samples));
            }
            fetched.series.push(Arc::new(set.series));
            fetched.warnings.extend(set.warnings);
        }
        Ok(fetched)
    }

    /// Evaluates over what was fetched. Pure: the same input gives the same result.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn evaluate(
        &self,
        plan: &Plan,
        steps: Steps,
        fetched: &Fetched,
        budget: &Budget,
        check: &Check<'_>,
    ) -> Result<QueryResult, QueryError> {
        let plan = &*plan.bound(steps)?;
        let evaluator = Evaluator {
            plan,
            options: &self.options,
            fetched,
            query: steps,
            budget,
            check,
            notes: Annotations::default(),
            work: Cell::new(0),
        };
        let value = value(&evaluator, Grid::of(steps))?;
        let (warnings, infos) = evaluator.notes.finish(&plan.text);
        let warnings = fetched.warnings.iter().cloned().chain(warnings).collect();
        Ok(QueryResult { value, warnings, infos: infos.into_iter().collect() })
    }
}

fn value(evaluator: &Evaluator<'_>, grid: Grid) -> Result<QueryValue, QueryError> {
    let (plan, steps) = (evaluator.plan, evaluator.query);
    let t_ms = steps.start_ms;
    if !steps.instant {
        if !matches!(plan.value_type(), ValueType::Vector | ValueType::Scalar) {
            return Err(QueryError::BadData(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                plan.value_type().documented()
            )));
        }
        let frame = evaluator.result(grid)?;
        let series = frame.series.iter().filter(|s| !s.row.is_empty()).map(|s| MatrixSeries {
            labels: s.labels.clone(),
            samples: (s.row.present().iter())
                .filter_map(|i| Some(Sample { t_ms: grid.time(i), value: s.row.get(i)? }))
                .collect(),
        });
        return Ok(sorted(series.collect()));
    }
    Ok(match &plan.root.kind {
        Kind::Text(text) => QueryValue::String { t_ms, value: text.clone() },
        Kind::Range(range) => {
            let windows = evaluator.range_result(range, grid)?;
            let series = windows.collect(grid, evaluator.options.lookback_delta_ms)?.into_iter().map(
                |(labels, drop_name, samples)| MatrixSeries {
                    labels: if drop_name { without_metadata(&labels) } else { labels },
                    samples,
                },
            );
            sorted(series.collect())
        }
        _ if plan.value_type() == ValueType::Scalar => {
            let value = evaluator.scalar(&plan.root, grid)?.first().copied().unwrap_or(f64::NAN);
            QueryValue::Scalar { t_ms, value }
        }
        _ => QueryValue::Vector(
            (evaluator.result(grid)?.series.into_iter())
                .filter_map(|s| Some(VectorSample { value: s.row.get(0)?, labels: s.labels, t_ms }))
                .collect(),
        ),
    })
}

fn sorted(mut series: Vec<MatrixSeries>) -> QueryValue {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    QueryValue::Matrix(series)
}

/// What one selector has to read.
struct Read {
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    hints: SelectHints,
    /// Only count, sum and resets of histograms matter.
    only_stats: bool,
}

/// The reads of a plan's selectors, in their order.
fn reads(plan: &Plan, steps: Steps, options: &Options) -> Result<Vec<Read>, QueryError> {
    let mut reads: Vec<Option<Read>> = plan.selectors.iter().map(|_| None).collect();
    let step_ms = if steps.instant { 0 } else { steps.step_ms };
    let reach =
        Reach { start_ms: steps.start_ms, end_ms: steps.end_ms, step_ms, func: "", stats: Stats::default() };
    walk(plan, steps, options, &plan.root, reach, &mut reads)?;
    reads.into_iter().collect::<Option<_>>().ok_or_else(|| QueryError::exec("a selector is in no expression"))
}

/// The evaluation times around an expression, and the function around it.
#[derive(Clone, Copy)]
struct Reach<'r> {
    start_ms: TimestampMs,
    end_ms: TimestampMs,
    step_ms: i64,
    func: &'r str,
    stats: Stats,
}

/// What the expressions around a selector want of its histograms.
#[derive(Clone, Copy, Default)]
struct Stats {
    /// Count, sum or average.
    wanted: bool,
    /// Anything that looks at buckets, or a subquery, whose resets are found by them.
    buckets: bool,
}

fn walk(
    plan: &Plan,
    steps: Steps,
    options: &Options,
    e: &Expr,
    reach: Reach<'_>,
    reads: &mut [Option<Read>],
) -> Result<(), QueryError> {
    let pinned = |at: Option<At>| match at.map(|at| at.resolve(steps.start_ms, steps.end_ms)) {
        Some(t) => (t, t),
        None => (reach.start_ms, reach.end_ms),
    };
    match &e.kind {
        Kind::Number(_) | Kind::Text(_) => Ok(()),
        Kind::Instant(id) | Kind::Range(Range::Selector(id)) => {
            let Some((selector, read)) = plan.selectors.get(*id).zip(reads.get_mut(*id)) else {
                return Ok(());
            };
            let (start, end) = pinned(selector.at);
            let lookback = options.lookback_delta_ms;
            let (before, after) = match (selector.range_ms, selector.extend) {
                (None, Extend::Smoothed) => (lookback, lookback),
                (None, _) => (lookback, 0),
                (Some(range), Extend::No) => (range, 0),
                (Some(range), Extend::Anchored) => (range + lookback, 0),
                (Some(range), Extend::Smoothed) => (range + lookback, lookback),
            };
            // Both the lookback and a range leave out the sample at their far end.
            *read = Some(Read {
                start_ms: start.saturating_sub(selector.offset_ms).saturating_sub(before - 1),
                end_ms: end.saturating_sub(selector.offset_ms).saturating_add(after),
                hints: SelectHints {
                    step_ms: reach.step_ms,
                    range_ms: selector.range_ms.unwrap_or(0),
                    func: reach.func.into(),
                    skip_samples: false,
                },
                only_stats: reach.stats.wanted && !reach.stats.buckets,
            });
            Ok(())
        }
        Kind::Range(Range::Subquery(s)) => {
            let (start, end) = pinned(s.at);
            let grid = subquery_grid(s, options.default_subquery_step_ms, |last| {
                if last { end } else { start }.saturating_sub(s.offset_ms)
            })?;
            let (start_ms, end_ms, step_ms) = (grid.start_ms, grid.last(), grid.step_ms);
            let inner = Reach {
                start_ms,
                end_ms: end_ms.max(start_ms),
                step_ms,
                func: "",
                stats: Stats { buckets: true, ..reach.stats },
            };
            walk(plan, steps, options, &s.expr, inner, reads)
        }
        Kind::Negate(inner) => walk(plan, steps, options, inner, reach, reads),
        Kind::Binary(b) => {
            let trims = matches!(b.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
            let stats = Stats { buckets: reach.stats.buckets || trims, ..reach.stats };
            let reach = Reach { func: "", stats, ..reach };
            walk(plan, steps, options, &b.lhs, reach, reads)?;
            walk(plan, steps, options, &b.rhs, reach, reads)
        }
        Kind::Aggregate(a) => {
            let reach = Reach { func: a.op.name(), ..reach };
            a.param.iter().try_for_each(|p| walk(plan, steps, options, p, reach, reads))?;
            walk(plan, steps, options, &a.expr, reach, reads)
        }
        Kind::RangeCall(c) => {
            let reach = Reach { func: c.name, ..reach };
            c.params.iter().try_for_each(|p| walk(plan, steps, options, p, reach, reads))?;
            walk(plan, steps, options, &c.range, reach, reads)
        }
        Kind::Call(c) => {
            let Stats { wanted, buckets } = reach.stats;
            let stats = match c.func {
                Func::Histogram(HistogramFn::Count | HistogramFn::Sum | HistogramFn::Avg) => {
                    Stats { wanted: true, buckets }
                }
                Func::HistogramQuantile | Func::HistogramQuantiles | Func::HistogramFraction => {
                    Stats { wanted, buckets: true }
                }
                _ => reach.stats,
            };
            let reach = Reach { func: c.name, stats, ..reach };
            c.args.iter().try_for_each(|a| walk(plan, steps, options, a, reach, reads))
        }
    }
}
