//! From the local app to a service's endpoints: power of two choices for every request.
//!
//! ```text
//!  request ─► routes (by authority) ─► route ─► endpoint ─► in_use ─► forward::attempt ─► response
//!                                        ▲                                │ failed
//!                                        └── not one that was tried ◄─────┘ if Attempts and its budget say so
//! ```

mod in_use;
mod own;
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
use proxy_core::attempts::{Again, Attempts, Failure, Next, Policy};
use proxy_core::load::Unanswered;
use proxy_core::random::Seeded;
use tokio::time::Instant;

use crate::body::{ProxyBody, RequestBody};
use crate::client;
use crate::discovery::Source;
use crate::forward::{self, Destination, Failed, Leaving, Limits};
use crate::headers;
use crate::metrics::{Admitted, Registry, Traffic};
use crate::refusal::Refusal;
use crate::replay::Replay;

use in_use::InUse;
pub(crate) use own::Own;
pub(crate) use route::{Addresses, Described, Known, Route};
use route::{Settings, Tried};
use routes::Routes;

/// What a request may be tried and sent again.
const RETRIES: Policy = Policy { attempts_max: Tried::MAX as u32, resends_max: 2, elsewhere: true };
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
    /// How long an endpoint that comes to others takes to get its share.
    pub(crate) slow_start: Duration,
    pub(crate) client: client::Settings,
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
            routes: Routes::new(
                registry.clone(),
                Settings {
                    client: config.client,
                    slow_start: config.slow_start,
                    own: Own::listening(config.listen),
                    random,
                },
                source,
            ),
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
        route: &Arc<Route>,
        request: Request<RequestBody>,
        admitted: (Admitted, Counted),
        timeout: Duration,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let limits =
            Limits { deadline: Instant::now() + timeout, timeout, stream_idle: self.config.stream_idle };
        route.budget.request(self.registry.now_ns());
        let (replay, mut request) = Replay::keep(request);
        let mut admitted = Some(admitted);
        let (mut attempts, mut tried) = (Attempts::new(RETRIES), Tried::default());
        loop {
            let endpoint = route.endpoint(&tried, self.config.fail_fast, limits.deadline).await?;
            tried.add(endpoint.addr);
            let to = Destination { addr: endpoint.addr, pool: &endpoint.pool, target: &endpoint.target };
            // Dropped with this future, it tells that the client left.
            let mut in_use = InUse::start(route, &endpoint);
            let held = |eos| in_use.answered(eos, replay.heard(), admitted.take());
            let (how, failure, back, refusal) =
                match forward::attempt(to, &self.registry, request, limits, held).await {
                    Ok(response) => return Ok(response),
                    Err(Failed::NotSent { request: back, refusal }) => {
                        let how = match &refusal {
                            Refusal::Unreachable { error, .. } if is_ours(error) => Unanswered::Canceled,
                            Refusal::Unreachable { .. } => Unanswered::Unreachable,
                            _ => Unanswered::Declined,
                        };
                        (how, Failure::NotProcessed, Some(*back), refusal)
                    }
                    // The client's doing.
                    Err(Failed::Broken { .. }) if replay.broken() => {
                        (Unanswered::Canceled, Failure::Final, None, Refusal::Broken)
                    }
                    Err(Failed::Broken { reused }) => {
                        (Unanswered::Broken, Failure::Broken { reused }, replay.again(), Refusal::Broken)
                    }
                    // Who asked for less than everybody gets has left, as far as the endpoint is concerned.
                    Err(Failed::Timeout(refusal)) if timeout < self.config.request_timeout => {
                        (Unanswered::Canceled, Failure::Final, None, refusal)
                    }
                    Err(Failed::Timeout(refusal)) => (Unanswered::TimedOut, Failure::Final, None, refusal),
                };
            tracing::debug!(%refusal, addr = %endpoint.addr, "attempt failed");
            in_use.unanswered(how, replay.heard());
            let again = Again { whole: back.is_some(), idempotent: replay.idempotent() };
            let late = Instant::now() >= limits.deadline;
            let next = attempts.failed(failure, again, late, &route.budget, self.registry.now_ns());
            match (next, back) {
                (Next::Elsewhere | Next::Here, Some(back)) => {
                    route.traffic.retried();
                    request = back;
                }
                _ => return Err(refusal),
            }
        }
    }
}

/// Whether a connect failed for want of something of this host: descriptors or ports.
fn is_ours(error: &std::io::Error) -> bool {
    // ENFILE and EMFILE, the same on Linux, macOS and the BSDs, have no kind of their own.
    error.kind() == std::io::ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(23 | 24))
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
