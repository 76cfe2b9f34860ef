//! A service with a service time and a concurrency limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Args as ClapArgs;
use thanos_model::parse_duration;
use thanos_telemetry::{Context, RunError};
use tokio::sync::Semaphore;

use super::service_time::{Distribution, ServiceTimes};
use super::{grpc, serve, started_up};

/// A service with a service time and a concurrency limit.
#[derive(Clone, Debug, ClapArgs)]
pub struct Web {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How long one request is worked on, on average.
    #[arg(long, default_value = "50ms", value_parser = parse_duration)]
    pub service_time: Duration,
    /// How service times are spread around their mean; none is longer than a hundred means.
    #[arg(long, value_enum, default_value_t)]
    pub service_time_distribution: Distribution,
    /// Standard deviation of lognormal service times over their mean, up to 10.
    #[arg(long, default_value_t = 1.0, value_name = "CV")]
    pub service_time_cv: f64,
    /// Where the randomness of service times starts; together with --stream, so that replicas differ.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What tells this replica from the others: its pod's name, unlike an address, is the same in the next run. The
    /// address of --listen unless told.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub stream: Option<String>,
    /// Requests worked on at once; the others queue.
    #[arg(long, default_value_t = 2)]
    pub concurrency: usize,
    /// How long the service takes to start: until then it does not listen, and is not ready.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub start_up: Duration,
    /// Requests in the queue; more get 503.
    #[arg(long, default_value_t = 10_000)]
    pub queue: usize,
    /// Answer unary gRPC calls (HTTP/2, any method of `gauntlet.Work`) in place of HTTP.
    #[arg(long)]
    pub grpc: bool,
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

/// Listens once it has started up.
pub(super) async fn run(args: Web, ctx: Context) -> Result<(), RunError> {
    let router = router(&args)?;
    if !started_up(args.start_up, &ctx).await {
        return Ok(());
    }
    serve(args.listen, router, args.linger, ctx).await
}

pub(super) fn router(args: &Web) -> Result<Router, RunError> {
    let places = args.concurrency.max(1).saturating_add(args.queue).min(Semaphore::MAX_PERMITS);
    let work = Arc::new(Semaphore::new(args.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
    let admitted = Arc::new(Semaphore::new(places));
    let Web { service_time, service_time_distribution, service_time_cv, seed, grpc, .. } = *args;
    let whose = args.stream.clone().unwrap_or_else(|| args.listen.to_string());
    let times = ServiceTimes::new(service_time, service_time_distribution, service_time_cv, seed, &whose)
        .map_err(|e| RunError::Config(format!("--service-time-cv: {e}")))?;
    let times = Arc::new(times);
    let handler = move || {
        let (work, admitted, times) = (work.clone(), admitted.clone(), times.clone());
        async move { tell(answer(&work, &admitted, &times).await, grpc) }
    };
    let router = Router::new().route("/healthz", get(async || "ok\n"));
    Ok(if grpc {
        router.route("/gauntlet.Work/{method}", post(handler))
    } else {
        router.route("/", get(handler))
    })
}

/// Why a request was not worked on.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Full,
    Closing,
}

async fn answer(work: &Semaphore, admitted: &Semaphore, times: &ServiceTimes) -> Result<(), Refused> {
    let _place = admitted.try_acquire().map_err(|_| Refused::Full)?;
    let _slot = work.acquire().await.map_err(|_| Refused::Closing)?;
    tokio::time::sleep(times.draw()).await;
    Ok(())
}

fn tell(answer: Result<(), Refused>, grpc: bool) -> Response {
    match answer {
        Ok(()) if grpc => grpc::response(grpc::OK),
        Err(Refused::Full) if grpc => grpc::response(grpc::RESOURCE_EXHAUSTED),
        Err(Refused::Closing) if grpc => grpc::response(grpc::UNAVAILABLE),
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(Refused::Full) => (StatusCode::SERVICE_UNAVAILABLE, "queue full\n").into_response(),
        Err(Refused::Closing) => (StatusCode::SERVICE_UNAVAILABLE, "closing\n").into_response(),
    }
}
