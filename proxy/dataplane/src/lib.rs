//! The sidecar: inbound in front of an app port, outbound by authority, admin on 4191.
//!
//! ```text
//!  other pods ─► :4143 server ─► inbound: rate limit, in-flight limit ─► client pool ─► the app
//!  the app    ─► :4140 server ─► outbound: route by authority ─► P2C ─► client pool ─► endpoint's :4143
//!                                            ▲ endpoints
//!                                  discovery: control plane's stream, or a file; else the resolver
//!  scraper    ─► :4191 admin  ─► metrics (recorded by all of the above)
//! ```
//!
//! Invariants:
//! - a request is sent to a second target only if the first did not process it, or if its method is idempotent, its
//!   body still at hand, and retries are within their budget;
//! - an endpoint that left discovery, and a proxy that ends, finish what is in flight;
//! - while discovery is away, the last known endpoints stay;
//! - the request path takes no lock that another thread holds for long, and records nothing by name;
//! - bodies stream: nothing is buffered beyond the flow-control windows, but for the first 64 KiB of an outbound
//!   request's until its response begins.
//!
//! Modules in reading order: [`args`], [`limits`], [`server`], [`caller`], [`inbound`], [`outbound`], [`discovery`],
//! [`headers`], [`framing`], [`message`], [`forward`], [`upload`], [`kept`], [`replay`], [`interim`], [`tunnel`],
//! [`client`], [`stream`], [`body`], [`stall`], [`refusal`], [`io`], [`metrics`], [`descriptors`], [`access`],
//! [`admin`].
#![expect(rustdoc::private_intra_doc_links, reason = "the module list is for readers of the source")]

mod access;
mod admin;
mod args;
mod body;
mod caller;
mod client;
mod descriptors;
mod discovery;
mod forward;
mod framing;
mod headers;
mod inbound;
mod interim;
mod io;
mod kept;
mod limits;
mod message;
pub mod metrics;
mod outbound;
mod refusal;
mod replay;
mod server;
mod stall;
mod stream;
mod tunnel;
mod upload;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_core::drain::{self, Drain, Phase};
use thanos_telemetry::admin::{Readiness, bind};
use thanos_telemetry::{Context, RunError, Running};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

pub use args::Args;
pub use inbound::RateLimit;

use args::Lookup;
use discovery::Source;
use inbound::Inbound;
use metrics::{Direction, Peer, Registry};
use outbound::Outbound;
use server::{Server, Side};

/// How often a drain looks whether its last requests are over.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs the sidecar until the context's shutdown, then drains.
///
/// # Errors
/// [`RunError::Config`]: a flag, the endpoints file, or an address that cannot be listened on.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(proxy(args, ctx))
}

async fn proxy(args: Args, ctx: Context) -> Result<(), RunError> {
    let mut config = args.config()?;
    let sides = usize::from(config.inbound.is_some()) + usize::from(config.outbound.is_some());
    config.limits.connections_max = descriptors::connections(config.limits.connections_max, sides);
    let seed = args.seed.map_or_else(seed_from_clock, |seed| seed_of(seed, &args.stream));
    let registry = Arc::new(Registry::forgetting_after(args.metrics_idle_timeout));
    let readiness = Readiness::default();

    let admin = bind("--admin-listen", args.admin_listen).await?;
    let inbound_listener = match &config.inbound {
        Some((listen, _)) => Some(bind("--inbound-listen", *listen).await?),
        None => None,
    };
    let outbound_listener = match &config.outbound {
        Some((outbound, _)) => Some(bind("--outbound-listen", outbound.listen).await?),
        None => None,
    };

    let shutdown = ctx.shutdown.clone();
    let asked = admin::Admin { registry: registry.clone(), readiness: readiness.clone(), shutdown };
    let admin = tokio::spawn(admin::serve(admin, asked));
    let _admin = AbortOnDropHandle::new(admin);
    let (inbound_phase, outbound_phase) =
        (watch::Sender::new(Phase::Serving), watch::Sender::new(Phase::Serving));
    let inbound = config.inbound.zip(inbound_listener).map(|((_, inbound), listener)| {
        let side = Side::Inbound(Arc::new(Inbound::new(inbound, registry.clone())));
        let transport = registry.transport(Direction::Inbound, Peer::Src);
        let access = args.access_log.then(access::AccessLog::to_stdout);
        Server::start(listener, side, config.limits, access, transport, inbound_phase.subscribe())
    });
    let outbound = config.outbound.zip(outbound_listener).map(|((outbound, lookup), listener)| {
        let source = match lookup {
            Lookup::Destination(client) => Source::Destination(client),
            Lookup::File(path, first) => Source::File(discovery::file::Watched::start(path, first)),
            Lookup::Nowhere => Source::Nowhere,
        };
        let side = Side::Outbound(Arc::new(Outbound::new(outbound, source, registry.clone(), seed)));
        let transport = registry.transport(Direction::Outbound, Peer::Src);
        Server::start(listener, side, config.limits, None, transport, outbound_phase.subscribe())
    });
    readiness.set(true);
    tracing::info!(inbound = ?args.inbound_listen, forward = ?args.inbound_forward,
        outbound = ?args.outbound_listen, admin = %args.admin_listen, seed, "proxying");

    ctx.shutdown.started().await;
    readiness.set(false);
    let began_ms = registry.now_ms();
    if let Some(server) = inbound {
        end(server, config.drain, &inbound_phase, &registry).await;
    }
    if let Some(server) = outbound {
        // The app's last requests, and its own last words, still go out through us: outbound ends after inbound,
        // and only once nobody used it for a while.
        let used_ms = registry.now_ms().saturating_sub(began_ms);
        let timeout_ms = config.drain.timeout_ms.saturating_sub(used_ms);
        let drain = drain::Config { timeout_ms, until_quiet: true, ..config.drain };
        end(server, drain, &outbound_phase, &registry).await;
    }
    Ok(())
}

/// Drains one side.
async fn end(server: Server, config: drain::Config, phase: &watch::Sender<Phase>, registry: &Registry) {
    let mut drain = Drain::new(config);
    drain.begin(registry.now_ms());
    loop {
        let seen = server.observed();
        let now = drain.step(registry.now_ms(), seen);
        phase.send_if_modified(|p| std::mem::replace(p, now) != now);
        let Some(wake_ms) = drain.wake_ms(seen) else { break };
        let mut wait = Duration::from_millis(wake_ms.saturating_sub(registry.now_ms()).max(1));
        if now == Phase::Lingering && seen.in_flight > 0 {
            // A request's end wakes nobody.
            wait = wait.min(LOOK_AGAIN);
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = server.closed_one(), if now == Phase::Finishing => {}
        }
    }
    let left = server.observed();
    if left.connections > 0 {
        tracing::warn!(connections = left.connections, in_flight = left.in_flight, "drain timed out");
    }
}

/// The same for the same seed and name, whatever else differs.
fn seed_of(seed: u64, stream: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    if stream.is_empty() {
        return seed;
    }
    let mut hasher = DefaultHasher::new();
    (seed, stream).hash(&mut hasher);
    hasher.finish()
}

/// A seed that differs between proxies that start together.
fn seed_from_clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    proxy_core::random::mix(now ^ u64::from(std::process::id()) << 32)
}
