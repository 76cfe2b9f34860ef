//! The mesh control plane: streams to the proxies where a service's ready endpoints are.
//!
//! ```text
//!  API server ─ pods, services, slices ─► cluster ─ objects ─► state ─ what changed ─► index ─► server ─► proxies
//!                                                  made small    │                      │  versions, encoded once
//!                                                                └─────► resolve ◄──────┘
//!                                                                     target ─► view
//! ```
//!
//! Invariants:
//! - a pod that is being deleted or is not ready leaves every stream about a service as soon as the API server says
//!   so;
//! - while the API server is away, the last known endpoints stay;
//! - the first message of a stream is the whole truth, later ones are differences;
//! - a slow proxy costs one pending update, not a queue;
//! - of an object only what is read is kept, and an event that changes nothing of that does nothing;
//! - what changes is worked out for the services that it may concern, once for all of their streams;
//! - `state`, `resolve`, `endpoints` and `profile` know no clock and no socket.
//!
//! Pods are the source of endpoints, not EndpointSlices, which cannot hold loopback addresses and say a change
//! later; services without selector have slices alone. Of a dual-stack pod the first address is used. Identity,
//! policy, ServiceProfiles and zones are not served yet.
//!
//! Modules in reading order: [`authority`], [`objects`], [`intern`], [`ports`], [`pod`], [`service`], [`mod@slice`],
//! [`state`], [`endpoints`], [`profile`], [`resolve`], [`view`], [`index`], [`pause`], [`cluster`], [`server`],
//! [`codec`], [`metrics`].

pub mod authority;
pub mod cluster;
pub mod codec;
pub mod endpoints;
pub mod index;
pub mod intern;
pub mod metrics;
pub mod objects;
pub mod pause;
pub mod pod;
pub mod ports;
pub mod profile;
pub mod resolve;
pub mod server;
pub mod service;
pub mod slice;
pub mod state;
pub mod view;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, RunError, Running};
use tonic::transport::server::TcpIncoming;

use crate::codec::Destination;
use crate::index::Index;

/// A proxy that vanished without a word is noticed after these two.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams of one proxy: one for each name and address that it talks to.
const STREAMS_OF_ONE_MAX: u32 = 10_000;

/// Run the mesh control plane of one cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where proxies ask for endpoints (gRPC, io.linkerd.proxy.destination.Destination).
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:8086")]
    pub listen: SocketAddr,

    /// Where /metrics, /live and /ready are served.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:9996")]
    pub admin_listen: SocketAddr,

    /// Which cluster to watch; default $KUBECONFIG, then the pod's service account.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; default its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Domain that this cluster's service names end in; may be given again. Profiles name services in the first.
    #[arg(long = "cluster-domain", value_name = "DOMAIN", default_value = "cluster.local")]
    pub cluster_domains: Vec<String>,
}

/// Runs until shutdown, then ends all streams.
///
/// # Errors
/// [`RunError::Config`] for a wrong flag or kubeconfig, before a port opens.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(serve(args, ctx))
}

async fn serve(args: Args, ctx: Context) -> Result<(), RunError> {
    let client = cluster::connect(args.kubeconfig.as_deref(), args.context.as_deref())
        .await
        .map_err(RunError::Config)?;
    let listener = admin::bind("--listen", args.listen).await?;
    let admin_listener = admin::bind("--admin-listen", args.admin_listen).await?;

    let mut registry = Registry::default();
    let metrics = metrics::Metrics::register(&mut registry);
    let readiness = Readiness::default();
    let routes = admin::router(thanos_telemetry::Metrics::new(registry), readiness.clone());
    let admin_server = tokio::spawn(admin::serve(admin_listener, routes, ctx.shutdown.clone()));

    let domain = args.cluster_domains.first().map_or("cluster.local", |d| d);
    let index = Arc::new(Index::new(domain, metrics.clone()));
    let filling = tokio::spawn(cluster::fill(client, index.clone(), metrics.clone()));
    let service = server::Server {
        index: index.clone(),
        domains: args.cluster_domains.into(),
        metrics,
        shutdown: ctx.shutdown.clone(),
    };
    let ready = tokio::spawn(async move {
        index.wait_until_listed().await;
        readiness.set(true);
        tracing::info!("everything listed, ready");
    });
    tracing::info!(listen = %args.listen, "serving discovery");
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .tcp_nodelay(true)
        .max_concurrent_streams(Some(STREAMS_OF_ONE_MAX))
        .add_service(Destination::new(service))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), ctx.shutdown.wait())
        .await
        .context("discovery server")?;
    filling.abort();
    ready.abort();
    admin_server.await.context("admin server")??;
    Ok(())
}
