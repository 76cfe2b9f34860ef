//! The querier: Prometheus' HTTP API over the global view, and the dashboard that reads it.
//!
//! ```text
//!  GET, POST /api/v1/… ─► params ─► gate ─► fetch (thanos-store) ─► evaluate (own thread) ─► json
//!                            └──────────────── error: one table ◄───────┘
//!  GET /ui/…          ─► thanos-ui, static
//! ```
//!
//! Invariants:
//! - every request has a deadline, a share of memory and a slot, and loses them when its client goes away;
//! - an incomplete answer carries `warnings` that name what is missing, or is an error if the caller asked so;
//! - JSON, error types and parameters are Prometheus'; a client library cannot tell the two apart.
//!
//! Modules in reading order: [`args`], [`params`], [`error`], [`gate`], [`backend`], [`api`], [`json`],
//! [`metrics`].

mod api;
mod args;
mod backend;
mod error;
mod gate;
mod json;
mod metrics;
mod params;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use thanos_store::{EndpointSet, Fanout, ProxyLimits};
use thanos_telemetry::{Context, RunError, Running, admin};
use tower_http::compression::CompressionLayer;

pub use args::Args;

/// How long a query that runs at shutdown may go on.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs `gauntlet thanos query` until shutdown.
///
/// # Errors
/// [`RunError::Config`] for a flag or file that is wrong, before any port opens.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(query(args, ctx))
}

async fn query(args: Args, ctx: Context) -> Result<(), RunError> {
    let limits = args.limits()?;
    // Stores outlive the request for shutdown: queries that run may still ask them.
    let stores_end = thanos_telemetry::Shutdown::new();
    let set = EndpointSet::start(args.stores(), &stores_end)?;
    let listener = admin::bind("--http-address", args.http_address).await?;
    let grpc = match args.grpc_address {
        Some(addr) => Some(admin::bind("--grpc-address", addr).await?),
        None => None,
    };

    let store_metrics = thanos_store::Metrics::default();
    let own = metrics::Metrics::new(args.max_concurrent);
    let mut registry = Registry::default();
    store_metrics.register(&mut registry);
    own.register(&mut registry);
    let gate = gate::Gate::new(args.max_concurrent);
    let fanout = Fanout::new(set.clone(), store_metrics.clone());
    let proxy_limits = ProxyLimits {
        timeout: limits.timeout,
        response_timeout: limits.response_timeout,
        max_memory_bytes: limits.max_memory_bytes,
        max_series: limits.max_series,
    };
    let stack = {
        let (fanout, shutdown) = (fanout.clone(), ctx.shutdown.clone());
        async move {
            match grpc {
                Some(grpc) => thanos_store::serve(grpc, fanout, proxy_limits, shutdown).await,
                None => Ok(()),
            }
        }
    };
    let api = api::Api {
        backend: Arc::new(fanout),
        limits: Arc::new(limits),
        gate: gate.clone(),
        metrics: own.clone(),
    };
    let readiness = admin::Readiness::default();
    let router = api::router(api)
        .merge(admin::router(thanos_telemetry::Metrics::new(registry), readiness.clone()))
        .merge(thanos_ui::router().layer(CompressionLayer::new()));
    tracing::info!(address = %args.http_address, stores = args.endpoint.len() + args.sd_files.len(), "querier listens");

    let watch = watch(set, store_metrics, own, gate, readiness.clone(), 2 * args.info_timeout);
    let serve = async {
        let http = admin::serve(listener, router, ctx.shutdown.clone());
        let serving = async { tokio::try_join!(http, async { Ok(stack.await?) }).map(|_| ()) };
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended,
            () = ctx.shutdown.started() => readiness.set(false),
        }
        match tokio::time::timeout(DRAIN, serving).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("queries still run, ending them");
                Ok(())
            }
        }
    };
    let ended = tokio::select! { ended = serve => ended, () = watch => Ok(()) };
    stores_end.start();
    Ok(ended?)
}

/// Ready once every store was asked once, or `patience` is over: a store that is down must not keep the others
/// from being asked, it is flagged instead. Then keeps the gauges.
async fn watch(
    set: Arc<EndpointSet>,
    stores: thanos_store::Metrics,
    own: metrics::Metrics,
    gate: gate::Gate,
    readiness: admin::Readiness,
    patience: Duration,
) {
    let mut changes = set.changes();
    let settle = async { while !set.settled() && changes.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(patience, settle).await;
    readiness.set(true);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let statuses = set.statuses();
        let silent = statuses.iter().filter(|s| s.problem.is_some()).count();
        stores.set_stores(statuses.len() - silent, silent);
        own.set_in_flight(gate.in_flight());
    }
}
