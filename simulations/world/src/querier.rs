//! A Prometheus API server without a socket: the real engine over a world's metrics, and all that can go wrong with it.

pub mod front;
mod json;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use simulations_kernel::Streams;
use thanos_promql::source::Budget;
use thanos_promql::{Engine, Plan, QueryError, Steps};

use crate::metrics::{MetricFault, Metrics, View};

/// What one query may hold.
const SAMPLES_MAX: u64 = 5_000_000;
const BYTES_MAX: u64 = 1 << 30;
/// Plans kept: a policy asks the same few queries over and over, some with another time in their text.
const PLANS_MAX: usize = 256;

/// An answer of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body; JSON, unless the server says nonsense.
    pub body: String,
}

/// Nobody was there to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable;

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for Unreachable {}

/// The querier of a world. Its clones are one querier.
#[derive(Debug, Clone)]
pub struct Querier {
    metrics: Metrics,
    streams: Streams,
    /// How long an answer takes, in milliseconds.
    takes_ms: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    plans: BTreeMap<String, Arc<Plan>>,
    /// Queries so far: each has its own luck.
    asked: u64,
}

impl Querier {
    /// A querier over these metrics that answers after so many milliseconds.
    pub fn new(metrics: Metrics, streams: &Streams, takes_ms: u64) -> Self {
        Self { metrics, streams: streams.of("querier"), takes_ms, state: Arc::default() }
    }

    /// What it answers from.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// `/api/v1/query`: evaluates at a time, in milliseconds since the Unix epoch; `None`: now.
    ///
    /// It may never answer. Who asks has a deadline.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn instant(&self, query: &str, time_ms: Option<i64>) -> Result<Reply, Unreachable> {
        let asked = {
            let mut state = self.state.lock();
            state.asked += 1;
            state.asked
        };
        let mut takes = self.takes_ms;
        let at = u64::try_from(self.metrics.now_ms()).unwrap_or(0);
        let mut instead = None;
        for fault in self.metrics.faults().on(at) {
            match fault.kind {
                MetricFault::Unreachable => return Err(Unreachable),
                MetricFault::Hangs => return std::future::pending().await,
                MetricFault::Slow { ms } => takes = takes.saturating_add(ms),
                MetricFault::Refused { status } => instead = Some(refusal(status)),
                MetricFault::Garbage => {
                    instead = Some(Reply { status: 200, body: "<html>it works</html>".into() });
                }
                _ => {}
            }
        }
        if takes > 0 {
            tokio::time::sleep(Duration::from_millis(takes)).await;
        }
        if let Some(reply) = instead {
            return Ok(reply);
        }
        let time_ms = time_ms.unwrap_or_else(|| self.metrics.now_ms() + self.metrics.epoch_ms());
        Ok(self.evaluate(query, time_ms, asked))
    }

    /// What the metrics say now, at a time in milliseconds since the Unix epoch; the `asked`th query's luck decides
    /// what is hidden from it.
    fn evaluate(&self, query: &str, time_ms: i64, asked: u64) -> Reply {
        let plan = match self.plan(query) {
            Ok(plan) => plan,
            Err(error) => return failure(&error),
        };
        let mut view = View { metrics: &self.metrics, hidden: self.metrics.hidden(&self.streams, asked) };
        let warnings = std::mem::take(&mut view.hidden.warnings);
        let (engine, budget) = (Engine::default(), Budget::new(SAMPLES_MAX, BYTES_MAX));
        let answer = engine.query(&plan, Steps::instant(time_ms), &view, budget, &|| None);
        // The source is never pending.
        let answer = futures::FutureExt::now_or_never(answer)
            .unwrap_or_else(|| Err(QueryError::BadData("the source did not answer at once".into())));
        match answer {
            Ok(mut result) => {
                result.warnings.extend(warnings);
                Reply { status: 200, body: json::success(&result, view.hidden.is_partial) }
            }
            Err(error) => failure(&error),
        }
    }

    fn plan(&self, query: &str) -> Result<Arc<Plan>, QueryError> {
        let mut state = self.state.lock();
        if let Some(plan) = state.plans.get(query) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(thanos_promql::parse(query)?);
        if state.plans.len() >= PLANS_MAX {
            state.plans.clear();
        }
        state.plans.insert(query.to_owned(), plan.clone());
        Ok(plan)
    }
}

fn refusal(status: u16) -> Reply {
    let kind = match status {
        422 => "execution",
        503 => "timeout",
        _ => "internal",
    };
    Reply { status, body: json::error(kind, "the server is overloaded") }
}

fn failure(error: &QueryError) -> Reply {
    let kind = error.api_type();
    let status = match kind {
        "bad_data" => 400,
        "timeout" | "canceled" => 503,
        _ => 422,
    };
    Reply { status, body: json::error(kind, &error.to_string()) }
}

#[cfg(test)]
mod tests;
