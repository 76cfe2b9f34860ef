//! The mesh control plane: streams a service's ready endpoints to the proxies.
//!
//! ```text
//!  API server ─ watch pods, services ─► cluster ─► index ─► server ─ Destination/Get ─► proxies
//!                                                    └ endpoints: Service + pods ─► addresses ─► updates
//! ```
//!
//! Invariants:
//! - a pod that is being deleted or is not ready leaves every stream as soon as the API server says so;
//! - while the API server is away, the last known endpoints stay;
//! - the first message of a stream is the whole truth, later ones are differences;
//! - a slow proxy costs one pending update, not a queue.
//!
//! It watches Pods, not EndpointSlices, which cannot hold loopback addresses. Service profiles, identity and
//! policy are not served yet.
//!
//! Modules in reading order: [`authority`], [`objects`], [`endpoints`], [`index`], [`cluster`], [`server`], [`metrics`].

pub mod authority;
pub mod cluster;
pub mod endpoints;
pub mod index;
pub mod metrics;
pub mod objects;
pub mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use linkerd2_proxy_api::destination::destination_server::DestinationServer;
use prometheus_client::registry::Registry;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, RunError, Running};
use tonic::transport::server::TcpIncoming;

use crate::index::Index;

/// A proxy that vanished without a word is noticed after these two.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A discovery request is a name.
const REQUEST_MAX_BYTES: usize = 64 << 10;

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

    /// Domain that this cluster's service names end in; may be given again.
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

    let watches = cluster::Watches::new(&client);
    let index = Arc::new(Index::new(watches.services.clone(), watches.pods.clone(), metrics.clone()));
    let filling = tokio::spawn(watches.fill(index.clone(), metrics.clone()));
    let service = server::Server {
        index: index.clone(),
        domains: args.cluster_domains.into(),
        metrics,
        shutdown: ctx.shutdown.clone(),
    };
    let ready = tokio::spawn(async move {
        index.wait_until_listed().await;
        readiness.set(true);
        tracing::info!("pods and services listed, ready");
    });
    tracing::info!(listen = %args.listen, "serving discovery");
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .tcp_nodelay(true)
        .add_service(DestinationServer::new(service).max_decoding_message_size(REQUEST_MAX_BYTES))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), ctx.shutdown.wait())
        .await
        .context("discovery server")?;
    filling.abort();
    ready.abort();
    admin_server.await.context("admin server")??;
    Ok(())
}
