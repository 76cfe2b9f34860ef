//! Requests that the proxy answers itself: cause, status, and words for whoever reads the response.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};
use proxy_api::header::PROXY_ERROR;

use crate::body::ProxyBody;
use crate::metrics::Cause;

/// Why a request was not, or not successfully, forwarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("method CONNECT is not supported")]
    Connect,
    #[error("upgrading the connection is not supported")]
    Upgrade,
    #[error("over the rate limit of this proxy")]
    RateLimited { retry_after: Duration },
    #[error("too many requests in flight")]
    LoadShed,
    #[error("no such service: {0}")]
    UnknownService(String),
    #[error("no ready endpoint for {0}")]
    NoEndpoint(String),
    #[error("too many distinct authorities")]
    TooManyAuthorities,
    #[error("the request would come back to this proxy")]
    Loop,
    #[error("cannot connect to {addr}: {error}")]
    Unreachable { addr: std::net::SocketAddr, error: std::io::Error },
    #[error("the connection broke before the response")]
    Broken,
    #[error("no response within {0:?}")]
    Timeout(Duration),
}

impl Refusal {
    /// Under which counter it goes.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::BadRequest(_) | Self::Connect | Self::Upgrade => Cause::BadRequest,
            Self::RateLimited { .. } => Cause::RateLimited,
            Self::LoadShed | Self::TooManyAuthorities => Cause::LoadShed,
            Self::UnknownService(_) | Self::NoEndpoint(_) => Cause::FailFast,
            Self::Loop | Self::Unreachable { .. } => Cause::Connect,
            Self::Broken => Cause::Broken,
            Self::Timeout(_) => Cause::Timeout,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Connect | Self::Upgrade => StatusCode::NOT_IMPLEMENTED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::LoadShed | Self::TooManyAuthorities | Self::UnknownService(_) | Self::NoEndpoint(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Unreachable { .. } | Self::Broken => StatusCode::BAD_GATEWAY,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED or UNAVAILABLE.
    fn grpc_status(&self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "3",
            StatusCode::GATEWAY_TIMEOUT => "4",
            StatusCode::TOO_MANY_REQUESTS => "8",
            StatusCode::NOT_IMPLEMENTED => "12",
            _ => "14",
        }
    }

    /// The response. A gRPC client gets its own kind of error: HTTP 200 with the status in the headers.
    pub(crate) fn response(&self, version: Version, grpc: bool) -> Response<ProxyBody> {
        let text = self.to_string();
        let mut response = Response::new(ProxyBody::full(if grpc {
            Bytes::new()
        } else {
            Bytes::from(format!("{text}\n"))
        }));
        let headers = response.headers_mut();
        let reason = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("error"));
        headers.insert(PROXY_ERROR, reason.clone());
        if grpc {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from_static(self.grpc_status()));
            headers.insert("grpc-message", reason);
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        if let Self::RateLimited { retry_after } = self {
            // Whole seconds are all that the header can say.
            let seconds = retry_after.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if version < Version::HTTP_2 && matches!(self, Self::BadRequest(_) | Self::Connect) {
            // Where the message ended is in doubt: nothing after it can be trusted.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !grpc {
            *response.status_mut() = self.status();
        }
        response
    }
}
