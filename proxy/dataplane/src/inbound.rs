//! From other pods to the local app.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::body::{Held, ProxyBody, RequestBody};
use crate::client::{Pool, Settings};
use crate::forward::{self, Destination, Failed, Leaving, Limits, Replay};
use crate::headers;
use crate::metrics::{Admitted, Direction, Peer, Registry, Target, Traffic};
use crate::refusal::Refusal;

/// Attempts for one request that the app does not take.
const ATTEMPTS_MAX: u32 = 3;

/// Requests a second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Sustained.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// What the inbound side is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) forward: SocketAddr,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) in_flight_max: u64,
    pub(crate) request_timeout: Duration,
    pub(crate) stream_idle: Duration,
    pub(crate) client: Settings,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// The inbound side.
pub(crate) struct Inbound {
    config: Config,
    registry: Arc<Registry>,
    limiter: Option<Limiter>,
    traffic: Arc<Traffic>,
    target: Arc<Target>,
    pool: Arc<Pool>,
}

impl Inbound {
    pub(crate) fn new(config: Config, registry: Arc<Registry>) -> Self {
        let transport = registry.transport(Direction::Inbound, Peer::Dst);
        let quota = |l: RateLimit| Quota::per_second(l.per_second).allow_burst(l.burst);
        Self {
            limiter: config.rate_limit.map(|l| RateLimiter::direct_with_clock(quota(l), MonotonicClock)),
            traffic: registry.inbound_traffic(config.forward),
            target: registry.inbound_target(config.forward),
            pool: Arc::new(Pool::new(config.forward, config.client, transport)),
            registry,
            config,
        }
    }

    /// Serves one request.
    pub(crate) async fn serve(&self, mut request: Request<Incoming>) -> Response<ProxyBody> {
        self.traffic.arrived();
        let (version, grpc) = (request.version(), headers::is_grpc(request.headers()));
        let admitted = match self.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(refusal) => return forward::refuse(&self.traffic, &refusal, version, grpc),
        };
        let leaving = Leaving::watch(&self.traffic);
        let result = self.forward(request.map(RequestBody::Streamed), admitted).await;
        leaving.answered();
        result.unwrap_or_else(|refusal| forward::refuse(&self.traffic, &refusal, version, grpc))
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.traffic.in_flight().0
    }

    fn admit(&self, request: &mut Request<Incoming>) -> Result<Admitted, Refusal> {
        headers::prepare(request)?;
        if let Some(limiter) = &self.limiter
            && let Err(not_until) = limiter.check()
        {
            return Err(Refusal::RateLimited {
                retry_after: not_until.wait_time_from(limiter.clock().now()),
            });
        }
        self.traffic.admit_below(self.config.in_flight_max).ok_or(Refusal::LoadShed)
    }

    async fn forward(
        &self,
        request: Request<RequestBody>,
        admitted: Admitted,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let timeout = self.config.request_timeout;
        let limits =
            Limits { deadline: Instant::now() + timeout, timeout, stream_idle: self.config.stream_idle };
        let mut replay = Replay::of(&request);
        let mut request = request;
        let mut admitted = Some(admitted);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let to = Destination { addr: self.config.forward, pool: &self.pool, target: &self.target };
            // The guard moves into the response; a failed attempt leaves it here.
            let held = || Held::new(admitted.take());
            match forward::attempt(to, &self.registry, request, limits, held).await {
                Ok(response) => return Ok(response),
                Err(Failed::NotSent { refusal, .. } | Failed::Timeout(refusal)) => return Err(refusal),
                Err(Failed::NotProcessed { request: back }) if attempts < ATTEMPTS_MAX => request = *back,
                // The app may close a connection at the moment at which we use it again.
                Err(Failed::Broken { reused: true }) if replay.is_some() => match replay.take() {
                    Some(again) => request = again.request(),
                    None => return Err(Refusal::Broken),
                },
                Err(Failed::NotProcessed { .. } | Failed::Broken { .. }) => return Err(Refusal::Broken),
            }
        }
    }
}
