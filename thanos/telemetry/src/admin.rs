//! The endpoints that every process serves beside its own: metrics, liveness, readiness.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::server::{self, Bounds};
use crate::sockets::{Protocol, explain};
use crate::{Metrics, RunError, Shutdown};

/// Whether the process wants traffic. Starts as "not ready".
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Sets it.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Reads it.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `/metrics`, `/live` and `/ready` (Linkerd's), `/-/healthy` and `/-/ready` (Prometheus').
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    let ready = |State(readiness): State<Readiness>| async move {
        if readiness.get() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    Router::new()
        .route("/metrics", get(move |headers: HeaderMap| serve_metrics(metrics, headers)))
        .route("/live", get(async || "live\n"))
        .route("/-/healthy", get(async || "healthy\n"))
        .route("/ready", get(ready))
        .route("/-/ready", get(ready))
        .with_state(readiness)
}

async fn serve_metrics(metrics: Metrics, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let (content_type, body) = metrics.encode(accept);
    ([(header::CONTENT_TYPE, content_type)], body)
}

/// Binds a listening port, naming the flag in the error, and who holds the port. `[::]` is all addresses, of IPv4 too.
///
/// # Errors
/// [`RunError::Config`]: the address is taken or not ours.
pub async fn bind(flag: &str, addr: SocketAddr) -> Result<TcpListener, RunError> {
    let mut bound = TcpListener::bind(addr).await;
    if let Err(error) = &bound
        && addr.ip() == Ipv6Addr::UNSPECIFIED
        && error.kind() != std::io::ErrorKind::AddrInUse
    {
        // "All addresses" on a machine without IPv6.
        bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, addr.port())).await;
    }
    bound.map_err(|e| {
        let why = explain(Protocol::Tcp, addr, &e);
        RunError::Config(format!("{flag} {addr}: cannot listen: {why}"))
    })
}

/// Serves until shutdown, then finishes what is in flight, all of it within [`Bounds`].
///
/// # Errors
/// None: a connection that fails is that connection's end.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    server::serve(listener, router, Bounds::default(), shutdown).await;
    Ok(())
}
