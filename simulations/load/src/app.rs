//! Two small services to aim load at. Their time is a timer's, not the processor's, so that two cores can
//! carry fifty pods and a queue still forms where a real one would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use clap::{Args as ClapArgs, Subcommand};
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thanos_model::parse_duration;
use thanos_telemetry::{Context, RunError, Running, admin};
use tokio::sync::Semaphore;

mod service_time;

use service_time::ServiceTimes;
pub use service_time::{CV_MAX, Distribution};

/// An upstream's answer larger than this is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

/// Which service.
#[derive(Clone, Debug, Subcommand)]
pub enum App {
    /// Answers after a service time, so many requests at once.
    Web(Web),
    /// Asks an upstream for every request it gets.
    Front(Front),
}

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
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

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
    /// After SIGTERM, how long to go on listening: the sidecar in front still sends.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    pub linger: Duration,
}

/// Runs a service until shutdown.
///
/// # Errors
/// [`RunError::Config`] for an address or a cv that cannot be used.
pub fn run(app: App, ctx: Context) -> Running {
    Box::pin(answer(app, ctx))
}

async fn answer(app: App, ctx: Context) -> Result<(), RunError> {
    match app {
        App::Web(args) => {
            let router = web(&args)?;
            tokio::select! {
                () = tokio::time::sleep(args.start_up) => {}
                () = ctx.shutdown.started() => return Ok(()),
            }
            serve(args.listen, router, args.linger, ctx).await
        }
        App::Front(args) => serve(args.listen, front(&args)?, args.linger, ctx).await,
    }
}

async fn serve(listen: SocketAddr, router: Router, linger: Duration, ctx: Context) -> Result<(), RunError> {
    let listener = admin::bind("--listen", listen).await?;
    let end = async move {
        ctx.shutdown.started().await;
        tokio::time::sleep(linger).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(end).await.map_err(|e| RunError::Failed(e.into()))
}

fn web(args: &Web) -> Result<Router, RunError> {
    let work = Arc::new(Semaphore::new(args.concurrency.max(1)));
    let admitted = Arc::new(Semaphore::new(args.concurrency.max(1).saturating_add(args.queue)));
    let Web { service_time, service_time_distribution, service_time_cv, seed, .. } = *args;
    let whose = args.stream.clone().unwrap_or_else(|| args.listen.to_string());
    let times = ServiceTimes::new(service_time, service_time_distribution, service_time_cv, seed, &whose)
        .map_err(|e| RunError::Config(format!("--service-time-cv: {e}")))?;
    let times = Arc::new(times);
    let handler = move || {
        let (work, admitted, times) = (work.clone(), admitted.clone(), times.clone());
        async move {
            let Ok(_place) = admitted.try_acquire() else {
                return (StatusCode::SERVICE_UNAVAILABLE, "queue full\n");
            };
            let Ok(_slot) = work.acquire().await else {
                return (StatusCode::SERVICE_UNAVAILABLE, "closing\n");
            };
            tokio::time::sleep(times.draw()).await;
            (StatusCode::OK, "ok\n")
        }
    };
    Ok(Router::new().route("/", get(handler)).route("/healthz", get(async || "ok\n")))
}

#[derive(Clone)]
struct Upstream {
    client: Client<HttpConnector, Empty<Bytes>>,
    /// Where to connect, and the authority to ask for.
    uri: Uri,
    host: http::HeaderValue,
    timeout: Duration,
}

fn front(args: &Front) -> Result<Router, RunError> {
    let bad = || RunError::Config(format!("--upstream {}: write http://HOST[:PORT]/PATH", args.upstream));
    let authority = args.upstream.authority().ok_or_else(bad)?;
    let host = authority.as_str().parse().map_err(|_| bad())?;
    let uri = match args.proxy {
        None => args.upstream.clone(),
        Some(proxy) => {
            format!("http://{proxy}{}", args.upstream.path_and_query().map_or("/", |p| p.as_str()))
                .parse()
                .map_err(|_| bad())?
        }
    };
    let upstream = Upstream { client: client(args.timeout), uri, host, timeout: args.timeout };
    Ok(Router::new().route("/", get(ask)).route("/healthz", get(async || "ok\n")).with_state(upstream))
}

/// Keep-alive; connecting may take as long as the whole.
fn client(timeout: Duration) -> Client<HttpConnector, Empty<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeout));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

async fn ask(State(up): State<Upstream>) -> Result<(StatusCode, Bytes), (StatusCode, String)> {
    let gateway = |e: &dyn std::fmt::Display| (StatusCode::BAD_GATEWAY, format!("upstream: {e}\n"));
    let mut request = http::Request::new(Empty::new());
    *request.uri_mut() = up.uri.clone();
    request.headers_mut().insert(http::header::HOST, up.host.clone());
    let answer = async {
        let response = up.client.request(request).await.map_err(|e| gateway(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX_BYTES).collect().await;
        Ok((status, body.map_err(|e| gateway(&e))?.to_bytes()))
    };
    tokio::time::timeout(up.timeout, answer)
        .await
        .unwrap_or(Err((StatusCode::GATEWAY_TIMEOUT, "upstream: no answer in time\n".into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn web_works_on_so_many_at_once_and_front_passes_the_answer_on() {
        let spawn = async |router: Router| {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, router).await });
            addr
        };
        let service_time = Duration::from_millis(100);
        let web_args = Web {
            listen: "127.0.0.1:0".parse().unwrap(),
            service_time,
            service_time_distribution: Distribution::Fixed,
            service_time_cv: 1.0,
            seed: 1,
            stream: None,
            concurrency: 2,
            start_up: Duration::ZERO,
            queue: 2,
            linger: Duration::ZERO,
        };
        let web = spawn(web(&web_args).unwrap()).await;
        let front_args = Front {
            listen: "127.0.0.1:0".parse().unwrap(),
            upstream: "http://web.default.svc.cluster.local/".parse().unwrap(),
            proxy: Some(web),
            timeout: Duration::from_secs(5),
            linger: Duration::ZERO,
        };
        let front = spawn(front(&front_args).unwrap()).await;

        let client = super::client(front_args.timeout);
        let started = Instant::now();
        let asked = (0..5).map(|_| client.get(format!("http://{front}/").parse().unwrap()));
        let mut statuses = Vec::new();
        for answer in asked.map(tokio::spawn).collect::<Vec<_>>() {
            statuses.push(answer.await.unwrap().unwrap().status().as_u16());
        }
        statuses.sort_unstable();
        // Two worked on, two queued, one refused; two rounds of work.
        assert_eq!(statuses, [200, 200, 200, 200, 503]);
        assert!(started.elapsed() >= 2 * service_time);
    }
}
