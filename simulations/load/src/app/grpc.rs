//! As much of gRPC as a unary call without a message needs: five bytes of frame, and a status in the trailers
//! (the protocol over HTTP/2, `grpc/doc/PROTOCOL-HTTP2.md`).

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::uri::Authority;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use thanos_telemetry::RunError;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::upstream::Unanswered;

/// Done.
pub(super) const OK: u8 = 0;
/// What answered was no gRPC, or said nothing of how it went.
const UNKNOWN: u8 = 2;
/// No place left.
pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
/// Going away.
pub(super) const UNAVAILABLE: u8 = 14;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A message without fields: not compressed, no bytes long.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// A larger answer is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

/// An answer with this status; with a message where all is well.
pub(super) fn response(status: u8) -> Response {
    let mut fields = HeaderMap::new();
    fields.insert(STATUS, HeaderValue::from(u16::from(status)));
    let body = match status {
        OK => {
            let message = Full::new(Bytes::from_static(EMPTY_MESSAGE));
            Body::new(message.with_trailers(std::future::ready(Some(Ok(fields)))))
        }
        // Without a message there are no trailers: the only header field block holds the status.
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    if status != OK {
        response.headers_mut().insert(STATUS, HeaderValue::from(u16::from(status)));
    }
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// A connection to a service, or to the sidecar in between, that all calls share.
#[derive(Debug)]
pub(super) struct Channel {
    connect_to: String,
    authority: Authority,
    timeout: Duration,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Channel {
    /// # Errors
    /// [`RunError::Config`]: the upstream has no host.
    pub(super) fn new(
        upstream: &Uri,
        proxy: Option<SocketAddr>,
        timeout: Duration,
    ) -> Result<Self, RunError> {
        let bad = || RunError::Config(format!("--upstream {upstream}: write http://HOST[:PORT]/"));
        let authority = upstream.authority().ok_or_else(bad)?.clone();
        let connect_to = match proxy {
            Some(proxy) => proxy.to_string(),
            None => format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)),
        };
        Ok(Self { connect_to, authority, timeout, open: Mutex::default() })
    }

    /// The status of a call of a method, such as `/gauntlet.Work/Do`.
    ///
    /// # Errors
    /// There was no answer, or none in time.
    pub(super) async fn call(&self, method: &str) -> Result<u8, Unanswered> {
        tokio::time::timeout(self.timeout, self.try_call(method)).await.unwrap_or(Err(Unanswered::Late))
    }

    async fn try_call(&self, method: &str) -> Result<u8, Unanswered> {
        let request = Request::post(format!("http://{}{method}", self.authority))
            .header(CONTENT_TYPE, GRPC)
            .header(TE, "trailers")
            .body(Full::new(Bytes::from_static(EMPTY_MESSAGE)))
            .map_err(Unanswered::failed)?;
        let mut send = self.connected().await?;
        let response = send.send_request(request).await.map_err(Unanswered::failed)?;
        let (head, body) = response.into_parts();
        let whole = Limited::new(body, BODY_MAX_BYTES).collect().await.map_err(Unanswered::failed)?;
        Ok(status(&head.headers).or(whole.trailers().and_then(status)).unwrap_or(UNKNOWN))
    }

    /// The connection, made anew where there is none or it ended.
    async fn connected(&self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        let mut open = self.open.lock().await;
        if let Some(send) = open.as_ref().filter(|send| !send.is_closed()) {
            return Ok(send.clone());
        }
        let stream = TcpStream::connect(&self.connect_to).await.map_err(Unanswered::failed)?;
        stream.set_nodelay(true).map_err(Unanswered::failed)?;
        let (send, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Unanswered::failed)?;
        // Ends with the connection; whoever sends on it then hears of it.
        tokio::spawn(connection);
        *open = Some(send.clone());
        Ok(send)
    }
}

fn status(fields: &HeaderMap) -> Option<u8> {
    fields.get(STATUS)?.to_str().ok()?.parse().ok()
}
