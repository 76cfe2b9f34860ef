//! A worker: takes a job, works on it for a service time, says that it is done.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args as ClapArgs;
use futures::future::join_all;
use http::{Method, Uri};
use thanos_model::parse_duration;
use thanos_telemetry::{Context, RunError, Shutdown};

use super::service_time::{Distribution, ServiceTimes};
use super::upstream::Upstream;
use super::{serve, started_up};

/// After a queue that did not answer, or answered nonsense.
const PAUSE: Duration = Duration::from_millis(500);

/// A job that is done is told so often; if nobody hears of it, another worker does it again.
const TELLS: u32 = 5;

/// Flags of a worker.
#[derive(Clone, Debug, ClapArgs)]
pub struct Worker {
    /// Where to say that it is well.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The queue, as its users name it: `http://jobs.default.svc.cluster.local/`.
    #[arg(long, value_name = "URL")]
    pub queue: Uri,
    /// Send through this HTTP proxy (the sidecar's outbound side) instead of to the queue's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub proxy: Option<SocketAddr>,
    /// How long one job is worked on, on average.
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
    /// What tells this replica from the others. The address of --listen unless told.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub stream: Option<String>,
    /// Jobs worked on at once.
    #[arg(long, default_value_t = 1)]
    pub concurrency: usize,
    /// How long it takes to start: until then it takes no jobs, and is not ready.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub start_up: Duration,
    /// Longest wait for the queue's answer; longer than the queue's own --poll.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Works until shutdown, and then ends the jobs that it has.
pub(super) async fn run(args: Worker, ctx: Context) -> Result<(), RunError> {
    let queue = Upstream::new("--queue", &args.queue, args.proxy, args.timeout)?;
    let whose = args.stream.clone().unwrap_or_else(|| args.listen.to_string());
    let Worker { service_time, service_time_distribution, service_time_cv, seed, .. } = args;
    let times = ServiceTimes::new(service_time, service_time_distribution, service_time_cv, seed, &whose)
        .map_err(|e| RunError::Config(format!("--service-time-cv: {e}")))?;
    if !started_up(args.start_up, &ctx).await {
        return Ok(());
    }
    let hands = (0..args.concurrency.max(1)).map(|_| work(&queue, &times, &ctx.shutdown));
    let router = Router::new().route("/healthz", get(async || "ok\n"));
    let serving = serve(args.listen, router, Duration::ZERO, ctx.clone());
    let (served, _) = tokio::join!(serving, join_all(hands));
    served
}

async fn work(queue: &Upstream, times: &ServiceTimes, shutdown: &Shutdown) {
    while !shutdown.is_started() {
        // Not broken off by shutdown: the answer may hold a job.
        let Some(id) = take(queue).await else { continue };
        tokio::time::sleep(times.draw()).await;
        for _ in 0..TELLS {
            match queue.ask(Method::POST, &format!("/done/{id}")).await {
                Ok((StatusCode::NO_CONTENT | StatusCode::NOT_FOUND, _)) => break,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// The next job's number.
async fn take(queue: &Upstream) -> Option<u64> {
    match queue.ask(Method::POST, "/take").await {
        Ok((StatusCode::NO_CONTENT, _)) => None,
        Ok((StatusCode::OK, body)) if number(&body).is_some() => number(&body),
        Ok((status, _)) => {
            tracing::warn!("the queue answered {status}");
            tokio::time::sleep(PAUSE).await;
            None
        }
        Err(e) => {
            tracing::warn!("the queue: {e}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

fn number(body: &[u8]) -> Option<u64> {
    std::str::from_utf8(body).ok()?.trim().parse().ok()
}
