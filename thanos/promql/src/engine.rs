//! From a plan to a result: fetch every selector at once, then evaluate without waiting for anything.

use std::sync::Arc;

use thanos_model::TimestampMs;

use crate::error::{QueryError, Stop};
use crate::plan::Plan;
use crate::result::QueryResult;
use crate::source::{Budget, Series, SeriesSource};

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
        self.evaluate(plan, steps, fetched, &budget, check)
    }

    /// Reads all selectors at once.
    ///
    /// # Errors
    /// The first error of the source.
    pub async fn fetch(
        &self,
        plan: &Plan,
        _steps: Steps,
        _source: &dyn SeriesSource,
        _budget: Arc<Budget>,
    ) -> Result<Fetched, QueryError> {
        Err(QueryError::unsupported(plan.text()))
    }

    /// Evaluates over what was fetched. Pure: the same input gives the same result.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn evaluate(
        &self,
        plan: &Plan,
        _steps: Steps,
        _fetched: Fetched,
        _budget: &Budget,
        _check: &Check<'_>,
    ) -> Result<QueryResult, QueryError> {
        let _ = &self.options;
        Err(QueryError::unsupported(plan.text()))
    }
}
