//! `/query` and `/query_range`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::Response;
use thanos_model::Labels;
use thanos_promql::{Engine, Options, QueryError, QueryResult, QueryValue, Steps, Stop};
use tokio::time::{Instant, timeout_at};

use super::{Api, TRUNCATED, now_ms, ok};
use crate::error::{ApiError, Kind};
use crate::json;
use crate::params::Params;

/// Prometheus' bound on points of one series.
const MAX_POINTS: i64 = 11_000;

/// `GET|POST /api/v1/query`
pub(super) async fn instant(State(api): State<Api>, params: Params) -> Result<Response, ApiError> {
    let at = params.time("time", now_ms())?;
    run(api, &params, Steps::instant(at)).await
}

/// `GET|POST /api/v1/query_range`
pub(super) async fn range(State(api): State<Api>, params: Params) -> Result<Response, ApiError> {
    let (start, end) = (params.required_time("start")?, params.required_time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    params.required("step")?;
    let step = params.duration_ms("step")?.unwrap_or_default();
    if step <= 0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", text));
    }
    if end.checked_sub(start).is_none_or(|width| width / step > MAX_POINTS) {
        return Err(ApiError::new(
            Kind::BadData,
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    run(api, &params, Steps::range(start, end, step)?).await
}

async fn run(api: Api, params: &Params, steps: Steps) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let call = api.call(params)?;
    let plan = thanos_promql::parse(params.get("query").unwrap_or_default())
        .map_err(|e| ApiError::parameter("query", e))?;
    let engine = Engine::new(Options {
        lookback_delta_ms: call.lookback_delta_ms,
        default_subquery_step_ms: api.limits.default_step_ms,
        ..Options::default()
    });
    let slot = api.gate.enter(call.deadline).await?;
    let fetch = engine.fetch(&plan, steps, &*call.source, call.budget.clone());
    let fetched = timeout_at(call.deadline, fetch)
        .await
        .map_err(|_| QueryError::Timeout("series retrieval".into()))??;
    // Evaluation computes without waiting, so it runs where that blocks nobody. Should the client go away,
    // this future is dropped, and the guard tells the thread.
    let gone = Gone::default();
    let stop = gone.0.clone();
    let (deadline, budget) = (call.deadline, call.budget);
    let evaluation = tokio::task::spawn_blocking(move || -> Result<String, ApiError> {
        let _slot = slot;
        let check = || {
            if stop.load(Ordering::Relaxed) {
                Some(Stop::Cancelled)
            } else {
                (Instant::now() >= deadline).then_some(Stop::Timeout)
            }
        };
        let result = engine.evaluate(&plan, steps, &fetched, &budget, &check)?;
        drop(fetched);
        budget.charge(0, text_bytes(&result.value)).map_err(QueryError::from)?;
        Ok(render(result, limit))
    });
    let body = evaluation.await.map_err(|e| {
        tracing::error!(error = %e, query = params.get("query"), "evaluation ended abnormally");
        ApiError::new(Kind::Internal, "internal error; the log says more")
    })??;
    Ok(ok(body))
}

/// About what the answer's text will hold: it is part of the query's memory too.
fn text_bytes(value: &QueryValue) -> u64 {
    const POINT: u64 = 40;
    let labels = |l: &Labels| l.iter().map(|l| (l.name.len() + l.value.len() + 6) as u64).sum::<u64>();
    match value {
        QueryValue::Scalar { .. } => POINT,
        QueryValue::String { value, .. } => POINT + value.len() as u64,
        QueryValue::Vector(v) => v.iter().map(|s| POINT + labels(&s.labels)).sum(),
        QueryValue::Matrix(m) => m.iter().map(|s| POINT * s.samples.len() as u64 + labels(&s.labels)).sum(),
    }
}

fn render(mut result: QueryResult, limit: usize) -> String {
    let truncated = limit > 0
        && match &mut result.value {
            QueryValue::Vector(v) if v.len() > limit => {
                v.truncate(limit);
                true
            }
            QueryValue::Matrix(m) if m.len() > limit => {
                m.truncate(limit);
                true
            }
            _ => false,
        };
    if truncated {
        result.warnings.insert(TRUNCATED.into());
    }
    json::success(&json::query_data(&result.value), &result.warnings, &result.infos)
}

/// Raised when its holder is dropped.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
