//! From other pods to the local app.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::body::{Held, ProxyBody};
use crate::caller::Caller;
use crate::client::{Pool, Settings};
use crate::descriptors;
use crate::forward::{self, Destination, Failed, Leaving};
use crate::headers;
use crate::io::CountedIo;
use crate::limits::{Limits, Timeouts};
use crate::message::{Call, Role};
use crate::metrics::{Admitted, Cause, Direction, Peer, Registry, Target, Traffic};
use crate::refusal::Refusal;
use crate::replay::Replay;
use crate::tunnel;
use crate::upload::RequestBody;

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
    /// Whether the app's protocol is not looked into: one whose server speaks first, or whose lines look like HTTP's.
    pub(crate) opaque: bool,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) in_flight_max: u64,
    pub(crate) timeouts: Timeouts,
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
    pub(crate) async fn serve(
        &self,
        mut request: Request<Incoming>,
        caller: &Arc<Caller>,
    ) -> Response<ProxyBody> {
        self.traffic.arrived();
        let (version, call) = (request.version(), Call::of(request.headers()));
        let admitted = match self.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(refusal) => return forward::refuse(&self.traffic, &refusal, version, call),
        };
        let leaving = Leaving::watch(&self.traffic);
        let result = self.forward(forward::with_body(request, caller), call, admitted, caller).await;
        leaving.answered();
        result.unwrap_or_else(|refusal| forward::refuse(&self.traffic, &refusal, version, call))
    }

    /// A request that the library refused: it arrived, all the same.
    pub(crate) fn refused_unseen(&self) {
        self.traffic.arrived();
        self.traffic.refused(Cause::BadRequest);
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.config.opaque
    }

    /// Joins a connection that speaks no HTTP to the app. It counts as a connection, not as a request, but for the rate
    /// limit: nobody gets around that by speaking otherwise.
    pub(crate) async fn tunnel(&self, mut io: CountedIo) {
        let refused = match self.limited() {
            Err(refusal) => refusal,
            Ok(()) => match self.pool.connect_opaque().await {
                Ok(app) => {
                    io.leave_alone();
                    let joined = tunnel::join(io, app, self.config.timeouts.stream_idle).await;
                    if let Err(error) = joined {
                        tracing::debug!(%error, "tunnel ended");
                    }
                    return;
                }
                Err(error) if descriptors::are_wanting(&error) => Refusal::NoDescriptors,
                Err(error) => Refusal::Unreachable { whom: "the app".into(), error },
            },
        };
        self.traffic.refused(refused.cause());
        // What cannot be told in words is told by a reset.
        io.wire().end_by_reset();
        tracing::debug!(refusal = %refused, "refused a connection");
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        self.traffic.in_flight().0
    }

    fn admit(&self, request: &mut Request<Incoming>) -> Result<Admitted, Refusal> {
        headers::prepare(request, Role::Inbound)?;
        self.limited()?;
        self.traffic.admit_below(self.config.in_flight_max).ok_or(Refusal::LoadShed)
    }

    fn limited(&self) -> Result<(), Refusal> {
        if let Some(limiter) = &self.limiter
            && let Err(not_until) = limiter.check()
        {
            return Err(Refusal::RateLimited {
                retry_after: not_until.wait_time_from(limiter.clock().now()),
            });
        }
        Ok(())
    }

    async fn forward(
        &self,
        request: Request<RequestBody>,
        call: Call,
        admitted: Admitted,
        caller: &Arc<Caller>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let limits = Limits::of(self.config.timeouts, Instant::now(), call, request.headers(), None);
        // HTTP/2 says what was not processed; what breaks may be repeated if it has no body.
        let says = request.version() == http::Version::HTTP_2 && !request.body().is_end_stream();
        let (mut replay, mut request) = if says {
            let (replay, request) = Replay::keep(request);
            (Some(replay), request)
        } else {
            (Replay::of_repeatable(&request), request)
        };
        let mut admitted = Some(admitted);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let to = Destination {
                addr: self.config.forward,
                pool: &self.pool,
                target: &self.target,
                role: Role::Inbound,
                trusted: false,
            };
            // The guard moves into the response; a failed attempt leaves it here.
            let held = |_| Held::new(admitted.take());
            match forward::attempt(to, &self.registry, request, &limits, caller, held).await {
                Ok(response) => return Ok(response),
                Err(
                    Failed::NotSent { refusal, .. }
                    | Failed::Timeout(refusal)
                    | Failed::Client(refusal)
                    | Failed::BadResponse(refusal)
                    | Failed::Declined(refusal)
                    | Failed::Own(refusal),
                ) => return Err(refusal),
                // The app may close a connection at the moment at which we use it again.
                Err(Failed::Broken { reused: true }) => {
                    let replay = replay.take().filter(|r| !says && r.idempotent());
                    match replay.and_then(|r| r.again()) {
                        Some(again) => request = again,
                        None => return Err(Refusal::Broken),
                    }
                }
                Err(Failed::NotProcessed { request: back }) if attempts < ATTEMPTS_MAX => {
                    match back.map(|r| *r).or_else(|| replay.as_ref().and_then(Replay::again)) {
                        Some(again) => request = again,
                        None => return Err(Refusal::Broken),
                    }
                }
                Err(Failed::NotProcessed { .. } | Failed::Broken { .. }) => return Err(Refusal::Broken),
            }
        }
    }
}
