//! Remote write 1.0 over HTTP. Every limit is checked before the memory it is about is taken.

mod shape;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;

use crate::batch::Batch;
use crate::decode::decode_request;
use crate::error::{Kind, WriteError};
use crate::metrics::CodeTenant;
use crate::write::Writer;
use shape::Shape;

/// How long a request waits for its turn before its sender is told to come back.
const TURN_WAIT: Duration = Duration::from_secs(1);
/// What the sender is told then.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// How long a sender may take over its body: it holds a turn meanwhile.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// A decoded request may take this many times the size that it may have on the wire.
const MEMORY_FACTOR: usize = 8;

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) series: usize,
    pub(crate) samples: usize,
}

pub(crate) struct RemoteWrite {
    pub(crate) writer: Writer,
    pub(crate) limits: Limits,
    pub(crate) turns: Semaphore,
    pub(crate) tenant_header: String,
    pub(crate) replica_header: String,
    pub(crate) default_tenant: String,
}

/// `/api/v1/receive` (Thanos) and `/api/v1/write` (Prometheus).
pub(crate) fn router(app: RemoteWrite) -> Router {
    Router::new()
        .route("/api/v1/receive", post(receive))
        .route("/api/v1/write", post(receive))
        // The limit is ours: axum's would answer before we can say why.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::new(app))
}

async fn receive(State(app): State<Arc<RemoteWrite>>, headers: HeaderMap, body: Body) -> Response {
    match app.handle(&headers, body).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(e) => {
            let mut response = (e.status(), format!("{}\n", e.message)).into_response();
            if e.kind == Kind::Overloaded {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            response
        }
    }
}

impl RemoteWrite {
    async fn handle(&self, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
        check_form(headers)?;
        let tenant = text(headers, &self.tenant_header)?.unwrap_or(&self.default_tenant).to_owned();
        let copy = match text(headers, &self.replica_header)? {
            None => 0,
            Some(n) => n.parse().map_err(|_| {
                Kind::Invalid.error(format!("header {}: {n:?} is not a number", self.replica_header))
            })?,
        };
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_WAIT, self.turns.acquire()).await else {
            return Err(
                Kind::Overloaded.error("too many remote write requests at once; come back in a second")
            );
        };
        let compressed = self.read(headers, body).await?;
        let (batch, Shape { series, samples, .. }) = self.decode(&compressed, tenant.clone())?;
        drop(compressed);

        // Metadata alone is fine and not kept, as in Thanos.
        let stored = match series {
            0 => Ok(()),
            _ => self.writer.write(vec![batch], copy).await,
        };
        let code = stored.as_ref().map_or_else(WriteError::status, |()| StatusCode::OK);
        // A tenant that was not let in gets no metrics of its own.
        if stored.as_ref().is_ok_and(|()| series > 0) || code == StatusCode::CONFLICT {
            let of = CodeTenant { code: code.as_str().to_owned(), tenant };
            self.writer.metrics.write_samples.get_or_create(&of).observe(samples as f64);
            self.writer.metrics.write_timeseries.get_or_create(&of).observe(series as f64);
        }
        stored
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, WriteError> {
        let too_large =
            || Kind::TooLarge.error(format!("the body is over the limit of {} bytes", self.limits.bytes));
        let announced = text(headers, header::CONTENT_LENGTH.as_str())?.and_then(|n| n.parse::<usize>().ok());
        if announced.is_some_and(|n| n > self.limits.bytes) {
            return Err(too_large());
        }
        match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, self.limits.bytes).collect()).await {
            Err(_) => Err(Kind::TooSlow.error(format!("the body did not arrive within {BODY_DEADLINE:?}"))),
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(e)) => Err(Kind::Invalid.error(format!("the body broke off: {e}"))),
        }
    }

    fn decode(&self, compressed: &[u8], tenant: String) -> Result<(Batch, Shape), WriteError> {
        let not_snappy = |e: snap::Error| Kind::Invalid.error(format!("the body is not a snappy block: {e}"));
        let size = snap::raw::decompress_len(compressed).map_err(not_snappy)?;
        if size > self.limits.bytes {
            return Err(Kind::TooLarge.error(format!(
                "the request is {size} bytes when decompressed, over the limit of {}",
                self.limits.bytes
            )));
        }
        let raw = snap::raw::Decoder::new().decompress_vec(compressed).map_err(not_snappy)?;
        let not_a_request = || Kind::Invalid.error("the body is not a prometheus.WriteRequest");
        let shape = shape::shape(&raw).ok_or_else(not_a_request)?;
        for (what, is, limit) in [
            ("series", shape.series, self.limits.series),
            ("samples", shape.samples, self.limits.samples),
            ("bytes of memory", shape.memory_bytes, self.limits.bytes.saturating_mul(MEMORY_FACTOR)),
        ] {
            if is > limit {
                return Err(
                    Kind::TooLarge.error(format!("the request has {is} {what}, over the limit of {limit}"))
                );
            }
        }
        let mut batch = Batch::new(tenant);
        decode_request(&raw, &mut batch).ok_or_else(not_a_request)?;
        Ok((batch, shape))
    }
}

/// Content type and encoding, where they are given; Prometheus takes their absence for version 1, too.
fn check_form(headers: &HeaderMap) -> Result<(), WriteError> {
    if let Some(given) = text(headers, header::CONTENT_TYPE.as_str())? {
        let mut parts = given.split(';').map(str::trim);
        let is_protobuf = parts.next().is_some_and(|m| m.eq_ignore_ascii_case("application/x-protobuf"));
        let proto = parts.find_map(|p| p.strip_prefix("proto="));
        if !is_protobuf || proto.is_some_and(|p| p != "prometheus.WriteRequest") {
            return Err(Kind::Unsupported.error(format!(
                "Content-Type {given:?} is not taken; send application/x-protobuf;proto=prometheus.WriteRequest"
            )));
        }
    }
    match text(headers, header::CONTENT_ENCODING.as_str())? {
        None => Ok(()),
        Some(e) if e.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(e) => Err(Kind::Unsupported.error(format!("Content-Encoding {e:?} is not taken; send snappy"))),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, WriteError> {
    headers
        .get(name)
        .map(|v| v.to_str().map_err(|_| Kind::Invalid.error(format!("header {name} is not text"))))
        .transpose()
        .map(|v| v.filter(|v| !v.is_empty()))
}
