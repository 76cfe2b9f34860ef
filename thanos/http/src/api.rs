//! The endpoints of `/api/v1`.

mod metadata;
mod query;
mod status;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use thanos_model::TimestampMs;
use thanos_promql::source::Budget;
use thanos_store::QueryOptions;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::backend::{Backend, Source};
use crate::error::{ApiError, Kind};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::params::Params;

/// What a query may use when it does not ask for less.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) lookback_delta_ms: i64,
    pub(crate) default_step_ms: i64,
    pub(crate) max_samples: u64,
    pub(crate) max_memory_bytes: u64,
    pub(crate) max_series: usize,
    pub(crate) partial_response: bool,
    pub(crate) replica_labels: Vec<String>,
    pub(crate) cors: bool,
}

/// What every handler sees.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
}

/// One request's part of the limits.
struct Call {
    source: Box<dyn Source>,
    budget: Arc<Budget>,
    deadline: Instant,
    lookback_delta_ms: i64,
}

impl Api {
    /// Reads the parameters that all endpoints share.
    fn call(&self, params: &Params) -> Result<Call, ApiError> {
        let limits = &self.limits;
        for name in ["storeMatch[]", "shard_info"] {
            if params.get(name).is_some() {
                return Err(ApiError::parameter(name, "not supported yet"));
            }
        }
        let timeout = match params.duration_ms("timeout")? {
            None => limits.timeout,
            Some(ms) => match u64::try_from(ms) {
                Ok(ms) if ms > 0 => limits.timeout.min(Duration::from_millis(ms)),
                _ => return Err(ApiError::parameter("timeout", "it must be positive")),
            },
        };
        let lookback_delta_ms = params.duration_ms("lookback_delta")?.unwrap_or(limits.lookback_delta_ms);
        if lookback_delta_ms <= 0 {
            return Err(ApiError::parameter("lookback_delta", "it must be positive"));
        }
        let mut replica_labels: Vec<String> = params.all("replicaLabels[]").map(str::to_owned).collect();
        if replica_labels.is_empty() {
            replica_labels.clone_from(&limits.replica_labels);
        }
        if !params.flag("dedup", true)? {
            replica_labels.clear();
        }
        let deadline = Instant::now() + timeout;
        let options = QueryOptions {
            replica_labels,
            partial_response: params.flag("partial_response", limits.partial_response)?,
            deadline,
            response_timeout: limits.response_timeout,
            max_series: limits.max_series,
        };
        let budget = Budget::new(limits.max_samples, limits.max_memory_bytes);
        Ok(Call { source: self.backend.open(options), budget, deadline, lookback_delta_ms })
    }
}

/// All endpoints, with compression, CORS and a last resort for panics.
pub(crate) fn router(api: Api) -> Router {
    let counted = api.clone();
    let routes = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/labels", get(metadata::label_names).post(metadata::label_names))
        .route("/label/{name}/values", get(metadata::label_values))
        .route("/series", get(metadata::series).post(metadata::series))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/stores", get(status::stores))
        .route("/metadata", get(async || status::none("{}")))
        .route("/rules", get(async || status::none(r#"{"groups":[]}"#)))
        .route("/alerts", get(async || status::none(r#"{"alerts":[]}"#)))
        .route("/query_exemplars", get(async || status::none("[]")))
        .fallback(async || ApiError::new(Kind::NotFound, "no such endpoint"))
        .method_not_allowed_fallback(async || {
            ApiError::new(Kind::MethodNotAllowed, "method not allowed here")
        })
        .with_state(api);
    Router::new()
        .nest("/api/v1", routes)
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            ApiError::new(Kind::Internal, "internal error; the log says more").into_response()
        }))
        .layer(middleware::from_fn_with_state(counted, observe))
        .layer(CompressionLayer::new())
}

/// Counts and times requests, and answers for other origins as Thanos does.
async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let handler = handler_name(request.uri().path());
    let preflight = api.limits.cors && request.method() == Method::OPTIONS;
    let started = Instant::now();
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    api.metrics.requested(handler, response.status().as_u16(), started.elapsed());
    if let Some(kind) = response.extensions().get::<Kind>() {
        api.metrics.failed(kind.table().0);
    }
    if api.limits.cors {
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
            ),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// A label of few values, whatever is requested.
fn handler_name(path: &str) -> &'static str {
    match path.strip_prefix("/api/v1/").unwrap_or_default() {
        "query" => "query",
        "query_range" => "query_range",
        "labels" => "labels",
        "series" => "series",
        "stores" => "stores",
        "status/buildinfo" => "buildinfo",
        p if p.starts_with("label/") && p.ends_with("/values") => "label_values",
        _ => "other",
    }
}

/// A success with this body.
fn ok(body: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], Body::from(body)).into_response()
}

const TRUNCATED: &str = "results truncated due to limit";

fn now_ms() -> TimestampMs {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
