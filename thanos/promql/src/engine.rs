//! From a plan to a result: fetch every selector at once, then evaluate without waiting for anything.

use std::cell::Cell;
use std::sync::Arc;

use thanos_model::Sample;

use crate::annotations::Annotations;
use crate::error::QueryError;
use crate::eval::{Evaluator, Grid, without_metadata};
use crate::histogram;
use crate::plan::expr::Kind;
use crate::plan::{Plan, ValueType};
use crate::result::{MatrixSeries, QueryResult, QueryValue, VectorSample};
use crate::setting::{Check, Fetched, Options};
use crate::source::{Budget, SelectRequest, SeriesSource};
use crate::steps::Steps;

mod reads;

use reads::reads;

/// Evaluates plans.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
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
