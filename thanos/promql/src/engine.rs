//! From a plan to a result: fetch every selector at once, then evaluate without waiting for anything.

use std::cell::Cell;
use std::sync::Arc;

use thanos_model::{Sample, TimestampMs};

use crate::annotations::Annotations;
use crate::error::{QueryError, Stop};
use crate::eval::{Evaluator, Grid, without_metadata};
use crate::histogram;
use crate::plan::expr::Kind;
use crate::plan::{Plan, ValueType};
use crate::result::{MatrixSeries, QueryResult, QueryValue, VectorSample};
use crate::source::{Budget, SelectRequest, Series, SeriesSource};

mod reads;

use reads::reads;

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

/// How far from the epoch a query may be, so that no arithmetic on times overflows: 36 million years.
pub const MAX_TIME_MS: i64 = i64::MAX / 8;

impl Steps {
    /// One time; times further than [`MAX_TIME_MS`] from the epoch count as that far.
    pub fn instant(at_ms: TimestampMs) -> Self {
        let at_ms = at_ms.clamp(-MAX_TIME_MS, MAX_TIME_MS);
        Self { start_ms: at_ms, end_ms: at_ms, step_ms: 1, instant: true }
    }

    /// A range of times.
    ///
    /// # Errors
    /// The step is not positive, the end is before the start, there are more than [`MAX_STEPS`], or one is
    /// further than [`MAX_TIME_MS`] from the epoch.
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
        if start_ms < -MAX_TIME_MS || end_ms > MAX_TIME_MS {
            return Err(QueryError::BadData("start or end timestamp is out of range".into()));
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

#[cfg(test)]
mod tests;
