//! `/metrics`, `/live` and `/ready` (Linkerd's), `/-/healthy` and `/-/ready` (Prometheus'), and `/shutdown` for what
//! runs in this pod and ends, such as a Job.
//!
//! Probes decide over the sidecar's life, so nobody may keep them out: who says nothing is closed soon, and when all
//! connections are taken the one that is unused for longest makes room.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thanos_telemetry::Shutdown;
use thanos_telemetry::admin::Readiness;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::Registry;

/// Scrapers and probes at once.
const CONNECTIONS_MAX: usize = 64;
/// Until a request's head, on a new connection and on one that is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is asked about.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) registry: Arc<Registry>,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
}

/// A connection, and whether it is being answered.
struct Guest {
    busy: Arc<AtomicBool>,
    task: AbortOnDropHandle<()>,
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, admin: Admin) {
    let mut guests: VecDeque<Guest> = VecDeque::new();
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "admin cannot accept");
                // What holds descriptors here may be what there are too many of.
                make_room(&mut guests, CONNECTIONS_MAX / 2);
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        guests.retain(|g| !g.task.is_finished());
        make_room(&mut guests, CONNECTIONS_MAX - 1);
        let busy = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(connection(stream, from, admin.clone(), busy.clone()));
        guests.push_back(Guest { busy, task: AbortOnDropHandle::new(task) });
    }
}

fn make_room(guests: &mut VecDeque<Guest>, left: usize) {
    while guests.len() > left {
        let unused = guests.iter().position(|g| !g.busy.load(Ordering::Relaxed)).unwrap_or(0);
        guests.remove(unused);
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, admin: Admin, busy: Arc<AtomicBool>) {
    let service = service_fn(|request| {
        let (admin, busy) = (admin.clone(), busy.clone());
        async move {
            busy.store(true, Ordering::Relaxed);
            let response = answer(&request, from, &admin).await;
            busy.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    // A scraper that went away is no event.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: &Request<Incoming>, from: SocketAddr, admin: &Admin) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path == "/shutdown" {
        return shut_down(request.method(), from.ip(), &admin.shutdown);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match path {
        "/metrics" => metrics(request.headers(), &admin.registry).await,
        "/live" | "/-/healthy" => text(StatusCode::OK, "live\n"),
        "/ready" | "/-/ready" if admin.readiness.get() => text(StatusCode::OK, "ready\n"),
        "/ready" | "/-/ready" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => text(StatusCode::NOT_FOUND, "try /metrics, /live, /ready, or POST /shutdown from this pod\n"),
    }
}

/// Begins the same end as SIGTERM does, for whoever runs in this pod.
fn shut_down(method: &Method, from: IpAddr, shutdown: &Shutdown) -> Response<Full<Bytes>> {
    if *method != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only POST\n");
    }
    if !from.to_canonical().is_loopback() {
        return text(StatusCode::FORBIDDEN, "only from this pod, by 127.0.0.1\n");
    }
    tracing::info!("asked to shut down");
    shutdown.start();
    text(StatusCode::OK, "shutting down\n")
}

/// Written on another thread: thousands of series take milliseconds, in which requests would wait.
async fn metrics(headers: &HeaderMap, registry: &Arc<Registry>) -> Response<Full<Bytes>> {
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let gzip = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(takes_gzip);
    let registry = registry.clone();
    let written = spawn_blocking(move || {
        let (content_type, body) = registry.encode(accept.as_deref());
        let packed = gzip.then(|| pack(&body)).flatten();
        let gzip = packed.is_some();
        (content_type, packed.unwrap_or_else(|| body.into_bytes()), gzip)
    });
    let Ok((content_type, body, gzip)) = written.await else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n");
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches("q=");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>().unwrap_or(1.0) > 0.0
    })
}

fn pack(text: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok()
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (accepted, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("", false),
            ("x-gzip", false),
        ] {
            assert_eq!(takes_gzip(accepted), takes, "{accepted}");
        }
    }
}
