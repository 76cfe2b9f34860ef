//! Requests that the proxy answers itself: cause, status, and words for whoever reads the response.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, Version};
use proxy_api::header::{NOT_SENT, PROXY_ERROR};

use crate::body::ProxyBody;
use crate::framing;
use crate::message::Call;
use crate::metrics::Cause;

/// Why a request was not, or not successfully, forwarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("method CONNECT is not supported here")]
    Connect,
    #[error("{0}")]
    Coding(framing::Unknown),
    #[error("the body of the request is malformed")]
    BadBody,
    #[error("the client left")]
    Left,
    #[error("the body of the request stood still for {0:?}")]
    ClientStalled(Duration),
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
    /// Nothing was sent.
    #[error("cannot connect to {whom}: {error}")]
    Unreachable { whom: String, error: std::io::Error },
    #[error("the endpoint's proxy: {0}")]
    Declined(String),
    #[error("this proxy has no file descriptors left")]
    NoDescriptors,
    #[error(
        "the head of the response is too large: more than 100 fields or 64 KiB, in HTTP/2 more than 256 KiB"
    )]
    HeadTooLarge,
    #[error("the response is not HTTP: {0}")]
    BadResponse(String),
    #[error("the connection broke before the response")]
    Broken,
    #[error("no response within {0:?}")]
    Timeout(Duration),
}

impl Refusal {
    /// Under which counter it goes.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::BadRequest(_) | Self::Connect | Self::Coding(_) | Self::BadBody => Cause::BadRequest,
            Self::Left => Cause::Canceled,
            Self::ClientStalled(_) => Cause::ClientTimeout,
            Self::HeadTooLarge | Self::BadResponse(_) => Cause::BadResponse,
            Self::RateLimited { .. } => Cause::RateLimited,
            Self::LoadShed | Self::TooManyAuthorities | Self::NoDescriptors => Cause::LoadShed,
            Self::UnknownService(_) | Self::NoEndpoint(_) => Cause::FailFast,
            Self::Loop | Self::Unreachable { .. } | Self::Declined(_) => Cause::Connect,
            Self::Broken => Cause::Broken,
            Self::Timeout(_) => Cause::Timeout,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            // Whoever left does not read it.
            Self::BadRequest(_) | Self::BadBody | Self::Left => StatusCode::BAD_REQUEST,
            Self::ClientStalled(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Connect | Self::Coding(_) => StatusCode::NOT_IMPLEMENTED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::LoadShed
            | Self::NoDescriptors
            | Self::TooManyAuthorities
            | Self::UnknownService(_)
            | Self::NoEndpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Unreachable { .. }
            | Self::Declined(_)
            | Self::Broken
            | Self::HeadTooLarge
            | Self::BadResponse(_) => StatusCode::BAD_GATEWAY,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED or UNAVAILABLE.
    fn grpc_status(&self) -> &'static str {
        match self.status() {
            StatusCode::BAD_REQUEST => "3",
            StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => "4",
            StatusCode::TOO_MANY_REQUESTS => "8",
            StatusCode::NOT_IMPLEMENTED => "12",
            _ => "14",
        }
    }

    /// The response. A gRPC client gets its own kind of error: HTTP 200 with the status in the headers.
    pub(crate) fn response(&self, version: Version, call: Call) -> Response<ProxyBody> {
        let text = self.to_string();
        let grpc = call.error_type();
        let mut response = Response::new(ProxyBody::full(if grpc.is_some() {
            Bytes::new()
        } else {
            Bytes::from(format!("{text}\n"))
        }));
        if grpc.is_none() {
            *response.status_mut() = self.status();
        }
        let headers = response.headers_mut();
        let reason = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("error"));
        headers.insert(PROXY_ERROR, reason.clone());
        if let Some(grpc) = grpc {
            headers.insert(CONTENT_TYPE, grpc);
            headers.insert("grpc-status", HeaderValue::from_static(self.grpc_status()));
            headers.insert("grpc-message", reason);
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        if matches!(self, Self::Unreachable { .. } | Self::Declined(_) | Self::LoadShed | Self::NoDescriptors)
        {
            headers.insert(NOT_SENT, HeaderValue::from_static("1"));
        }
        if let Self::RateLimited { retry_after } = self {
            // Whole seconds are all that the header can say.
            let seconds = retry_after.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let in_doubt = matches!(
            self,
            Self::BadRequest(_)
                | Self::Connect
                | Self::Coding(_)
                | Self::BadBody
                | Self::Left
                | Self::ClientStalled(_)
        );
        if version < Version::HTTP_2 && in_doubt {
            // Where the message ended is in doubt: nothing after it can be trusted.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
