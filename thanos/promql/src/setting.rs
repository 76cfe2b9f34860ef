//! What an evaluation is given besides its plan and its times: options, samples, and who may stop it.

use std::sync::Arc;

use crate::error::Stop;
use crate::source::Series;

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

/// Asked every few thousand samples: whether to stop, and why. It reads the clock so that the engine need not.
pub type Check<'a> = dyn Fn() -> Option<Stop> + Send + Sync + 'a;

/// What the selectors of one query read, in the order of [`Plan::selectors`](crate::Plan::selectors).
#[derive(Debug)]
pub struct Fetched {
    pub(crate) series: Vec<Arc<Vec<Series>>>,
    pub(crate) warnings: Vec<String>,
}
