//! What each selector of a query has to read: found by walking the plan with the times around each expression.

use thanos_model::TimestampMs;

use crate::error::QueryError;
use crate::eval::subquery_grid;
use crate::plan::expr::{BinaryOp, Expr, Kind, Range};
use crate::plan::func::{Func, HistogramFn};
use crate::plan::{At, Extend, Plan};
use crate::setting::Options;
use crate::source::SelectHints;
use crate::steps::Steps;

/// What one selector has to read.
pub(super) struct Read {
    pub(super) start_ms: TimestampMs,
    pub(super) end_ms: TimestampMs,
    pub(super) hints: SelectHints,
    /// Only count, sum and resets of histograms matter.
    pub(super) only_stats: bool,
}

/// The reads of a plan's selectors, in their order.
pub(super) fn reads(plan: &Plan, steps: Steps, options: &Options) -> Result<Vec<Read>, QueryError> {
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
