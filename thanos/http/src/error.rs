//! Errors as Prometheus' HTTP API answers them: one table from kind to `errorType` and status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thanos_promql::QueryError;
use thanos_promql::source::SourceError;

/// What went wrong, in the classes that clients tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Unavailable,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Internal,
}

impl Kind {
    /// `(errorType, status)`; Prometheus `web/api/v1/api.go`. Stores that cannot answer are 503 here, where
    /// Prometheus says 422, so that clients and load balancers may try again.
    pub(crate) fn table(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            Self::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            Self::Canceled => ("canceled", StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("bad_data", StatusCode::METHOD_NOT_ALLOWED),
            Self::TooLarge => ("bad_data", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// `invalid parameter "step": …`
    pub(crate) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::new(Kind::BadData, format!("invalid parameter {name:?}: {message}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(e: QueryError) -> Self {
        let kind = match &e {
            QueryError::BadData(_) | QueryError::Unsupported { .. } => return Self::parameter("query", e),
            QueryError::Execution(_) | QueryError::Budget(_) => Kind::Execution,
            QueryError::Source(_) => Kind::Unavailable,
            QueryError::Timeout(_) => Kind::Timeout,
            QueryError::Cancelled(_) => Kind::Canceled,
        };
        Self::new(kind, e.to_string())
    }
}

impl From<SourceError> for ApiError {
    fn from(e: SourceError) -> Self {
        let kind = match &e {
            SourceError::Budget(_) => Kind::Execution,
            SourceError::Invalid(_) => Kind::BadData,
            SourceError::Unavailable(_) => Kind::Unavailable,
            SourceError::Timeout(_) => Kind::Timeout,
        };
        Self::new(kind, e.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (kind, status) = self.kind.table();
        let message = serde_json::Value::from(self.message);
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":{message}}}"#);
        let json = HeaderValue::from_static("application/json");
        let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
        // For the request counter, which labels errors by kind.
        response.extensions_mut().insert(self.kind);
        response
    }
}
