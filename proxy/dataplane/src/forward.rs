//! One request to one address: send, measure, stream back. Shared by both directions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, Uri, Version};
use proxy_core::classify::{Class, StreamError};
use tokio::time::{Instant, timeout_at};

use crate::body::{Held, Meter, ProxyBody, RequestBody, Streamed, stream_error};
use crate::client::{Pool, SendError};
use crate::headers::{self, Protocol};
use crate::metrics::{Cause, Registry, Target, Traffic};
use crate::refusal::Refusal;

/// Where a request goes.
pub(crate) struct Destination<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) target: &'a Arc<Target>,
}

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until the response's head.
    pub(crate) deadline: Instant,
    /// The same, as it was configured: for words.
    pub(crate) timeout: Duration,
    /// Between two frames of the response.
    pub(crate) stream_idle: Duration,
}

/// How an attempt ended without a response.
pub(crate) enum Failed {
    /// Not sent: may be sent elsewhere.
    NotSent { request: Box<Request<RequestBody>>, refusal: Refusal },
    /// Sent, and refused before it was processed: may be sent again, and anywhere.
    NotProcessed { request: Box<Request<RequestBody>> },
    /// Sent, and the connection broke; `reused` if it had served before.
    Broken { reused: bool },
    /// Sent, and the deadline passed.
    Timeout(Refusal),
}

/// What of a request suffices to send it again: it had no body, and its method may be repeated.
#[derive(Debug)]
pub(crate) struct Replay {
    method: Method,
    uri: Uri,
    headers: http::HeaderMap,
    version: Version,
}

impl Replay {
    pub(crate) fn of(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.method().is_idempotent() && http_body::Body::is_end_stream(request.body());
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            version: request.version(),
        })
    }

    pub(crate) fn request(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        *request.version_mut() = self.version;
        request
    }
}

/// Sends and measures. `held` is kept by the response until it is over.
pub(crate) async fn attempt(
    to: Destination<'_>,
    registry: &Registry,
    request: Request<RequestBody>,
    limits: Limits,
    held: impl FnOnce() -> Held,
) -> Result<Response<ProxyBody>, Failed> {
    let grpc = headers::is_grpc(request.headers());
    let protocol = Protocol::of(request.version());
    let started = Instant::now();
    let counted = || to.target.request(registry.now_ms());
    let fail = |error| to.target.response(None, Class::Error(error));
    let sent = match timeout_at(limits.deadline, to.pool.send(request, protocol, counted)).await {
        Ok(sent) => sent,
        Err(_) => {
            fail(StreamError::Timeout);
            return Err(Failed::Timeout(Refusal::Timeout(limits.timeout)));
        }
    };
    match sent {
        Ok((mut response, lease)) => {
            headers::strip_hop_by_hop(response.headers_mut());
            let meter = Meter::new(to.target.clone(), started, grpc, &response);
            let wrap = |inner| {
                ProxyBody::Streamed(Box::new(Streamed::new(inner, meter, lease, held(), limits.stream_idle)))
            };
            Ok(response.map(wrap))
        }
        Err(SendError::NotSent { request, error }) => {
            Err(Failed::NotSent { request, refusal: Refusal::Unreachable { addr: to.addr, error } })
        }
        Err(SendError::NotProcessed { request, error }) => {
            tracing::debug!(addr = %to.addr, %error, "not processed");
            fail(stream_error(&error));
            Err(request.map_or(Failed::Broken { reused: false }, |request| Failed::NotProcessed { request }))
        }
        Err(SendError::Broken { error, reused }) => {
            tracing::debug!(addr = %to.addr, %error, "connection broke before the response");
            fail(stream_error(&error));
            Err(Failed::Broken { reused })
        }
    }
}

/// Answers a request with the refusal, and counts it.
pub(crate) fn refuse(
    traffic: &Traffic,
    refusal: &Refusal,
    version: Version,
    grpc: bool,
) -> Response<ProxyBody> {
    traffic.refused(refusal.cause());
    tracing::debug!(%refusal, "refused");
    refusal.response(version, grpc)
}

/// Counts a request whose client leaves before there is a response: dropping it undefused is that event.
pub(crate) struct Leaving<'a>(Option<&'a Traffic>);

impl<'a> Leaving<'a> {
    pub(crate) fn watch(traffic: &'a Traffic) -> Self {
        Self(Some(traffic))
    }

    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(traffic) = self.0 {
            traffic.refused(Cause::Canceled);
        }
    }
}
