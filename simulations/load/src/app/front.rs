//! A service that calls another for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use clap::Args as ClapArgs;
use http::{Method, Uri};
use thanos_model::parse_duration;
use thanos_telemetry::RunError;

use super::grpc::{self, Channel};
use super::upstream::Upstream;

/// A service that calls another.
#[derive(Clone, Debug, ClapArgs)]
pub struct Front {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// What to call, as its users name it: `http://web.default.svc.cluster.local/`.
    #[arg(long)]
    pub upstream: Uri,
    /// Send through this HTTP proxy (the sidecar's outbound side) instead of to the upstream's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub proxy: Option<SocketAddr>,
    /// Longest wait for the upstream.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Call by gRPC (HTTP/2), and answer with 502 what has another status than OK.
    #[arg(long)]
    pub grpc: bool,
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

pub(super) fn router(args: &Front) -> Result<Router, RunError> {
    let ask = Arc::new(Ask::new(args)?);
    let handler = move || {
        let ask = ask.clone();
        async move { ask.once().await }
    };
    Ok(Router::new().route("/", get(handler)).route("/healthz", get(async || "ok\n")))
}

/// How the upstream is asked.
#[derive(Debug)]
enum Ask {
    Http(Box<Upstream>, String),
    Grpc(Channel),
}

impl Ask {
    fn new(args: &Front) -> Result<Self, RunError> {
        if args.grpc {
            return Ok(Self::Grpc(Channel::new(&args.upstream, args.proxy, args.timeout)?));
        }
        let path = args.upstream.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let upstream = Upstream::new("--upstream", &args.upstream, args.proxy, args.timeout)?;
        Ok(Self::Http(Box::new(upstream), path))
    }

    async fn once(&self) -> (StatusCode, Bytes) {
        match self {
            Self::Http(upstream, path) => match upstream.ask(Method::GET, path).await {
                Ok(answer) => answer,
                Err(e) => (e.status(), format!("upstream: {e}\n").into()),
            },
            Self::Grpc(channel) => match channel.call("/gauntlet.Work/Do").await {
                Ok(grpc::OK) => (StatusCode::OK, "ok\n".into()),
                Ok(status) => (StatusCode::BAD_GATEWAY, format!("upstream: gRPC status {status}\n").into()),
                Err(e) => (e.status(), format!("upstream: {e}\n").into()),
            },
        }
    }
}
