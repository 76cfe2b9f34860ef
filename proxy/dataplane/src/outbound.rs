//! From the local app to a service's endpoints: power of two choices for every request.

mod route;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use hyper::body::Incoming;
use proxy_api::header::TIMEOUT;
use proxy_core::random::Seeded;
use tokio::time::Instant;

use crate::body::{Held, ProxyBody, RequestBody};
use crate::client::Settings;
use crate::discovery::Source;
use crate::forward::{self, Destination, Failed, Leaving, Limits, Replay};
use crate::headers;
use crate::metrics::{Admitted, Registry, Traffic};
use crate::refusal::Refusal;

pub(crate) use route::{Addresses, InUse, Known, Route};
use routes::Routes;

/// Endpoints tried for one request that was not sent yet.
const ATTEMPTS_MAX: u32 = 4;
/// Longest deadline that a request may ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// What the outbound side is made from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) in_flight_max: u64,
    pub(crate) request_timeout: Duration,
    pub(crate) fail_fast: Duration,
    pub(crate) stream_idle: Duration,
    pub(crate) client: Settings,
}

/// The outbound side.
pub(crate) struct Outbound {
    config: Config,
    registry: Arc<Registry>,
    routes: Routes,
    /// Requests that name no service.
    nowhere: Arc<Traffic>,
    in_flight: Arc<AtomicU64>,
    used_ms: AtomicU64,
}

/// Counts against the limit of the whole side.
struct Counted(Arc<AtomicU64>);

impl Outbound {
    pub(crate) fn new(config: Config, source: Source, registry: Arc<Registry>, seed: u64) -> Self {
        let random = Arc::new(Seeded::new(seed));
        Self {
            routes: Routes::new(registry.clone(), config.client, random, source, config.listen),
            nowhere: registry.outbound_traffic(""),
            registry,
            config,
            in_flight: Arc::default(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// Serves one request.
    pub(crate) async fn serve(&self, mut request: Request<Incoming>) -> Response<ProxyBody> {
        self.used_ms.store(self.registry.now_ms(), Relaxed);
        let (version, grpc) = (request.version(), headers::is_grpc(request.headers()));
        let route = match headers::prepare(&mut request).and_then(|a| self.route(a)) {
            Ok(route) => route,
            Err(refusal) => {
                self.nowhere.arrived();
                return forward::refuse(&self.nowhere, &refusal, version, grpc);
            }
        };
        route.traffic.arrived();
        let timeout = match self.timeout(&mut request) {
            Ok(timeout) => timeout,
            Err(refusal) => return forward::refuse(&route.traffic, &refusal, version, grpc),
        };
        let Some(admitted) = self.admit(&route) else {
            return forward::refuse(&route.traffic, &Refusal::LoadShed, version, grpc);
        };
        let leaving = Leaving::watch(&route.traffic);
        let result = self.forward(&route, request.map(RequestBody::Streamed), admitted, timeout).await;
        leaving.answered();
        result.unwrap_or_else(|refusal| forward::refuse(&route.traffic, &refusal, version, grpc))
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// When the last request came, by the registry's clock.
    pub(crate) fn last_used_ms(&self) -> u64 {
        self.used_ms.load(Relaxed)
    }

    fn route(&self, authority: Option<Authority>) -> Result<Arc<Route>, Refusal> {
        let authority = authority.ok_or(Refusal::BadRequest("the request names no authority"))?;
        self.routes.get(&authority)
    }

    fn timeout(&self, request: &mut Request<Incoming>) -> Result<Duration, Refusal> {
        let Some(value) = request.headers_mut().remove(TIMEOUT) else {
            return Ok(self.config.request_timeout);
        };
        value
            .to_str()
            .ok()
            .and_then(|v| crate::args::duration(v).ok())
            .map(|d| d.min(TIMEOUT_MAX))
            .ok_or(Refusal::BadRequest("l5d-timeout is not a duration such as 250ms or 2s"))
    }

    fn admit(&self, route: &Route) -> Option<(Admitted, Counted)> {
        let counted = Counted(self.in_flight.clone());
        // Counted's drop takes back what the limit refuses.
        (self.in_flight.fetch_add(1, Relaxed) < self.config.in_flight_max)
            .then(|| (route.traffic.admit(), counted))
    }

    async fn forward(
        &self,
        route: &Route,
        request: Request<RequestBody>,
        admitted: (Admitted, Counted),
        timeout: Duration,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let limits =
            Limits { deadline: Instant::now() + timeout, timeout, stream_idle: self.config.stream_idle };
        let mut replay = Replay::of(&request);
        let mut request = request;
        let mut admitted = Some(admitted);
        let mut attempts = 0;
        loop {
            let endpoint = route.endpoint(self.config.fail_fast, limits.deadline).await?;
            attempts += 1;
            let to = Destination { addr: endpoint.addr, pool: &endpoint.pool, target: &endpoint.target };
            let mut in_use = Some(InUse::start(endpoint.clone()));
            let started_ns = self.registry.now_ns();
            let answered = || {
                let now_ns = self.registry.now_ns();
                endpoint.load.answered(now_ns.saturating_sub(started_ns), now_ns);
            };
            let held = || {
                answered();
                Held::new((admitted.take(), in_use.take()))
            };
            let last = attempts >= ATTEMPTS_MAX || Instant::now() >= limits.deadline;
            match forward::attempt(to, &self.registry, request, limits, held).await {
                Ok(response) => return Ok(response),
                Err(Failed::NotSent { request: back, refusal }) => {
                    tracing::debug!(%refusal, "endpoint unreachable");
                    endpoint.load.unreachable(self.registry.now_ns(), route.random());
                    if last {
                        return Err(refusal);
                    }
                    request = *back;
                }
                Err(Failed::NotProcessed { request: back }) => {
                    endpoint.load.unreachable(self.registry.now_ns(), route.random());
                    if last {
                        return Err(Refusal::Broken);
                    }
                    request = *back;
                }
                Err(Failed::Timeout(refusal)) => {
                    // No answer for that long is an observation too.
                    answered();
                    return Err(refusal);
                }
                Err(Failed::Broken { .. }) => match replay.take() {
                    Some(again) if !last => request = again.request(),
                    _ => return Err(Refusal::Broken),
                },
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
