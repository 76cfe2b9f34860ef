//! From the local app to a service's endpoints: power of two choices for every request.
//!
//! ```text
//!  request ─► routes (by authority) ─► route ─► endpoint ─► in_use ─► forward::attempt ─► response
//!                                        ▲                                │ failed
//!                                        └── not one that was tried ◄─────┘ if Attempts and its budget say so
//! ```

mod connect;
mod in_use;
mod own;
mod route;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::uri::Authority;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use proxy_api::header::TIMEOUT;
use proxy_core::attempts::{Again, Attempts, Failure, Next, Policy};
use proxy_core::load::Unanswered;
use proxy_core::random::Seeded;
use tokio::time::Instant;

use crate::body::ProxyBody;
use crate::caller::Caller;
use crate::client;
use crate::discovery::Source;
use crate::forward::{self, Destination, Failed, Leaving};
use crate::headers;
use crate::limits::{self, Limits, Timeouts};
use crate::message::{Call, Role};
use crate::metrics::{Admitted, Cause, Registry, Traffic};
use crate::refusal::Refusal;
use crate::replay::Replay;
use crate::upload::RequestBody;

use in_use::InUse;
pub(crate) use own::Own;
use route::Route;
use route::{Settings, Tried};
use routes::Routes;

/// What a request may be tried and sent again.
const RETRIES: Policy = Policy { attempts_max: Tried::MAX as u32, resends_max: 2, elsewhere: true };

/// What the outbound side is made from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) in_flight_max: u64,
    pub(crate) timeouts: Timeouts,
    pub(crate) fail_fast: Duration,
    /// How long an endpoint that comes to others takes to get its share.
    pub(crate) slow_start: Duration,
    /// Whether names that discovery does not know are resolved as without a proxy.
    pub(crate) pass_through: bool,
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
                    pass_through: config.pass_through,
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
    pub(crate) async fn serve(
        &self,
        mut request: Request<Incoming>,
        caller: &Arc<Caller>,
    ) -> Response<ProxyBody> {
        self.used_ms.store(self.registry.now_ms(), Relaxed);
        let (version, call) = (request.version(), Call::of(request.headers()));
        let route = match headers::prepare(&mut request, Role::Outbound).and_then(|a| self.route(a)) {
            Ok(route) => route,
            Err(refusal) => {
                self.nowhere.arrived();
                return forward::refuse(&self.nowhere, &refusal, version, call);
            }
        };
        route.traffic.arrived();
        let asked = match asked(&mut request) {
            Ok(asked) => asked,
            Err(refusal) => return forward::refuse(&route.traffic, &refusal, version, call),
        };
        let limits = Limits::of(self.config.timeouts, Instant::now(), call, request.headers(), asked);
        let Some(admitted) = self.admit(&route) else {
            return forward::refuse(&route.traffic, &Refusal::LoadShed, version, call);
        };
        if request.method() == Method::CONNECT {
            let result = self.connect(&route, request, admitted, &limits, caller).await;
            return result.unwrap_or_else(|refusal| forward::refuse(&route.traffic, &refusal, version, call));
        }
        let leaving = Leaving::watch(&route.traffic);
        let result =
            self.forward(&route, forward::with_body(request, caller), admitted, &limits, caller).await;
        leaving.answered();
        result.unwrap_or_else(|refusal| forward::refuse(&route.traffic, &refusal, version, call))
    }

    /// A request that the library refused: it arrived, all the same.
    pub(crate) fn refused_unseen(&self) {
        self.nowhere.arrived();
        self.nowhere.refused(Cause::BadRequest);
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
        limits: &Limits,
        caller: &Arc<Caller>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        route.budget.request(self.registry.now_ns());
        let (replay, mut request) = Replay::keep(request);
        let mut admitted = Some(admitted);
        let (mut attempts, mut tried) = (Attempts::new(RETRIES), Tried::default());
        loop {
            let endpoint = route.endpoint(&tried, self.config.fail_fast, limits.find_by()).await?;
            tried.add(endpoint.addr);
            let to = Destination {
                addr: endpoint.addr,
                pool: &endpoint.pool,
                target: &endpoint.target,
                role: Role::Outbound,
                trusted: route.is_discovered(),
            };
            // Dropped with this future, it tells that the client left.
            let mut in_use = InUse::start(route, &endpoint);
            let held = |eos| in_use.answered(eos, replay.heard(), admitted.take());
            let (how, failure, back, refusal) =
                match forward::attempt(to, &self.registry, request, limits, caller, held).await {
                    Ok(response) => return Ok(response),
                    Err(Failed::NotSent { request: back, refusal }) => {
                        let how = match &refusal {
                            Refusal::Unreachable { .. } => Unanswered::Unreachable,
                            _ => Unanswered::Declined,
                        };
                        (how, Failure::NotProcessed, Some(*back), refusal)
                    }
                    Err(Failed::Client(refusal)) => (Unanswered::Canceled, Failure::Final, None, refusal),
                    Err(Failed::BadResponse(refusal)) => (Unanswered::Broken, Failure::Final, None, refusal),
                    Err(Failed::Declined(refusal)) => {
                        (Unanswered::Declined, Failure::NotProcessed, replay.again(), refusal)
                    }
                    Err(Failed::NotProcessed { request: back }) => {
                        let back = back.map(|r| *r).or_else(|| replay.again());
                        (Unanswered::Declined, Failure::NotProcessed, back, Refusal::Broken)
                    }
                    // No other endpoint has what we lack.
                    Err(Failed::Own(refusal)) => (Unanswered::Canceled, Failure::Final, None, refusal),
                    Err(Failed::Broken { reused }) => {
                        (Unanswered::Broken, Failure::Broken { reused }, replay.again(), Refusal::Broken)
                    }
                    // Who asked for less than everybody gets has left, as far as the endpoint is concerned.
                    Err(Failed::Timeout(refusal)) if limits.waited() < self.config.timeouts.request => {
                        (Unanswered::Canceled, Failure::Final, None, refusal)
                    }
                    Err(Failed::Timeout(refusal)) => (Unanswered::TimedOut, Failure::Final, None, refusal),
                };
            tracing::debug!(%refusal, addr = %endpoint.addr, "attempt failed");
            in_use.unanswered(how, replay.heard());
            let again = Again { whole: back.is_some(), idempotent: replay.idempotent() };
            let late = limits.deadline().is_some_and(|d| Instant::now() >= d);
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

/// What a request asks for by our own header.
fn asked(request: &mut Request<Incoming>) -> Result<Option<Duration>, Refusal> {
    let Some(value) = request.headers_mut().remove(TIMEOUT) else { return Ok(None) };
    let asked = value.to_str().ok().and_then(|v| limits::duration(v).ok());
    asked.map(Some).ok_or(Refusal::BadRequest("l5d-timeout is not a duration such as 250ms or 2s"))
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
