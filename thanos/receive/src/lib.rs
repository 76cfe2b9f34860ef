//! Receive: remote write in, spread over a hashring, stored in a head with a log, and read by StoreAPI.
//!
//! ```text
//!  remote write ─► remote_write ─┐            ┌─► ingest ─► thanos-tsdb ─► store ─► StoreAPI, Info
//!                                ├─► write ───┤
//!  RemoteWrite (a peer's copy) ──┘  hashring  └─► peers ─► RemoteWrite of other replicas
//! ```
//!
//! Invariants:
//! - success is said only when each series is in the log of a quorum of its replicas;
//! - what is repeated after a lost answer is recognised and succeeds again;
//! - a copy is stored where it arrives and never forwarded, whatever the rings say;
//! - a hashring file that is no good changes nothing.
//!
//! Ready means "storage is open", not "in the ring": whoever writes the ring waits for readiness. Before its
//! hashring file was first read, a replica takes copies and refuses remote write with 503.
//!
//! Modules in reading order: [`args`], [`error`], [`hashring`], [`ring_file`], `batch`, `wire`, `decode`, `remote_write`,
//! `write`, `peers`, `ingest`, `store`, `grpc`.

pub mod args;
mod batch;
mod decode;
pub mod error;
mod grpc;
pub mod hashring;
mod ingest;
mod metrics;
mod peers;
mod remote_write;
pub mod ring_file;
mod store;
mod tenant;
mod wire;
mod write;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use thanos_model::Labels;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, Metrics, RunError, Running, Shutdown};
use thanos_tsdb::{Db, Options};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

pub use args::Args;
use hashring::Hashrings;
use ingest::{Ingest, Storage};
use metrics::ReceiveMetrics;
use peers::Peers;
use ring_file::{RingFile, Rings};
use write::Writer;

/// At shutdown each stage may take this long.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The three ports, open.
#[derive(Debug)]
pub struct Listeners {
    /// Remote write.
    pub remote_write: TcpListener,
    /// StoreAPI, Info, RemoteWrite.
    pub grpc: TcpListener,
    /// Metrics and health.
    pub http: TcpListener,
}

impl Listeners {
    /// Opens the ports of `args`.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag.
    pub async fn bind(args: &Args) -> Result<Self, RunError> {
        Ok(Self {
            remote_write: admin::bind("--remote-write.address", args.remote_write_address).await?,
            grpc: admin::bind("--grpc-address", args.grpc_address).await?,
            http: admin::bind("--http-address", args.http_address).await?,
        })
    }
}

/// Runs until shutdown.
///
/// # Errors
/// [`RunError::Config`] before any port opens; otherwise what failed.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(receive(args, ctx))
}

async fn receive(args: Args, ctx: Context) -> Result<(), RunError> {
    check(&args)?;
    let listeners = Listeners::bind(&args).await?;
    serve(args, listeners, ctx.shutdown).await
}

fn check(args: &Args) -> Result<Labels, RunError> {
    args.check()?;
    let external = args.external_labels()?;
    std::fs::create_dir_all(&args.tsdb_path)
        .map_err(|e| RunError::Config(format!("--tsdb.path {}: {e}", args.tsdb_path.display())))?;
    Ok(external)
}

/// As [`run`], over ports that are open already.
///
/// # Errors
/// As [`run`].
pub async fn serve(args: Args, listeners: Listeners, shutdown: Shutdown) -> Result<(), RunError> {
    let external = check(&args)?;
    let mut registry = Registry::default();
    let replication_factor = usize::from(args.replication_factor);
    let metrics = ReceiveMetrics::register(&mut registry, replication_factor);
    let readiness = Readiness::default();
    let storage = Arc::new(Storage::default());
    let (ingest, ingest_thread) =
        Ingest::start(storage.clone(), metrics.clone()).context("starting the ingest thread")?;

    let awaited = args.hashrings_file.as_ref().map_or(Rings::Local, |_| Rings::Awaited);
    let (rings_in, rings) = watch::channel(awaited);
    let peers = Arc::new(Peers::new(args.forward_timeout, args.forward_max_backoff));
    let tenant_label: Arc<str> = args.tenant_label_name.as_str().into();
    let stragglers = TaskTracker::new();
    let writer = Writer {
        rings: rings.clone(),
        local_endpoint: args.local_endpoint.clone(),
        tenant_label: tenant_label.clone(),
        tenants: Arc::default(),
        ingest,
        peers: peers.clone(),
        metrics: metrics.clone(),
        stragglers: stragglers.clone(),
    };
    let remote_write = remote_write::router(remote_write::RemoteWrite {
        writer: writer.clone(),
        limits: remote_write::Limits {
            bytes: args.request_size_bytes,
            series: args.request_series,
            samples: args.request_samples,
        },
        turns: Semaphore::new(args.max_concurrency.min(Semaphore::MAX_PERMITS)),
        tenant_header: args.tenant_header.clone(),
        replica_header: args.replica_header.clone(),
        default_tenant: args.default_tenant_id.clone(),
    });
    let store =
        store::HeadStore::new(storage.clone(), external, tenant_label, args.store_series, ms(args.retention));

    // Ends the tasks below when one of them fails, too.
    let stop = shutdown.child();
    let Listeners { remote_write: rw_port, grpc: grpc_port, http: http_port } = listeners;
    let rw = tokio::spawn(admin::serve(rw_port, remote_write, stop.child()));
    let grpc = tokio::spawn(grpc::serve(grpc_port, store, writer, stop.wait()));
    let admin_stop = Shutdown::new();
    let admin_router = admin::router(Metrics::new(registry), readiness.clone());
    let admin = tokio::spawn(admin::serve(http_port, admin_router, admin_stop.clone()));
    if let Some(path) = &args.hashrings_file {
        let file = RingFile::new(
            path.clone(),
            args.hashrings_file_refresh_interval,
            args.hashrings_algorithm,
            replication_factor,
            metrics.clone(),
        );
        tokio::spawn(file.watch(rings_in, stop.clone()));
        tokio::spawn(forget_peers(rings, peers, stop.clone()));
    }

    let opened = tokio::select! {
        opened = open_storage(&args, &metrics) => Some(opened),
        () = stop.started() => None,
    };
    let result = match opened {
        None => Ok(()),
        Some(Err(e)) => Err(e),
        Some(Ok(db)) => {
            storage.set(db.clone());
            readiness.set(true);
            tracing::info!("ready");
            upkeep(&db, &metrics, args.wal_fsync_interval, &stop).await;
            Ok(())
        }
    };

    readiness.set(false);
    stop.start();
    for (what, server) in [("remote write", flatten(rw)), ("gRPC", flatten(grpc))] {
        match tokio::time::timeout(DRAIN_DEADLINE, server).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(what, %error, "server ended badly"),
            Err(_) => tracing::warn!(what, "clients still connected at shutdown"),
        }
    }
    stragglers.close();
    if tokio::time::timeout(DRAIN_DEADLINE, stragglers.wait()).await.is_err() {
        tracing::warn!("copies for peers still under way at shutdown");
    }
    let closed = tokio::task::spawn_blocking(move || {
        ingest_thread.stop();
        storage.db().map_or(Ok(()), |db| db.sync())
    });
    match tokio::time::timeout(DRAIN_DEADLINE, closed).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::error!(%error, "the log could not be synced"),
        Ok(Err(error)) => tracing::error!(%error, "storage ended badly"),
        Err(_) => tracing::error!("writes still queued at shutdown"),
    }
    admin_stop.start();
    let _ = tokio::time::timeout(DRAIN_DEADLINE, admin).await;
    result
}

type ServerEnd = futures::future::BoxFuture<'static, anyhow::Result<()>>;

/// A server's task as one result.
fn flatten<E>(task: tokio::task::JoinHandle<Result<(), E>>) -> ServerEnd
where
    E: Into<anyhow::Error> + Send + 'static,
{
    Box::pin(async move { task.await?.map_err(Into::into) })
}

async fn open_storage(args: &Args, metrics: &ReceiveMetrics) -> Result<Arc<Db>, RunError> {
    let options = Options {
        retention_ms: ms(args.retention),
        append_window_ms: ms(args.retention).min(Options::default().append_window_ms),
        future_ms: ms(args.future_window),
        series_max: args.max_series,
        sync_each_commit: args.wal_fsync_interval.is_zero(),
        ..Options::default()
    };
    let path = args.tsdb_path.clone();
    let opened =
        tokio::task::spawn_blocking(move || Db::open(&path, options)).await.context("opening storage")?;
    let (db, report) = opened.map_err(|e| match e {
        thanos_tsdb::OpenError::InUse(_) => RunError::Config(format!("--tsdb.path: {e}")),
        e => RunError::Failed(e.into()),
    })?;
    for damage in &report.corruptions {
        metrics.wal_corruptions.inc();
        tracing::error!(damage, "the write-ahead log is damaged");
    }
    if report.orphans > 0 {
        tracing::error!(samples = report.orphans, "samples without a series were lost to damage");
    }
    tracing::info!(
        segments = report.segments,
        samples = report.samples,
        torn_bytes = report.torn_bytes,
        "write-ahead log replayed"
    );
    Ok(Arc::new(db))
}

/// Syncs, truncates and shows storage until shutdown.
async fn upkeep(db: &Arc<Db>, metrics: &ReceiveMetrics, sync_interval: Duration, stop: &Shutdown) {
    let sync_interval = if sync_interval.is_zero() { UPKEEP_INTERVAL } else { sync_interval };
    let mut syncs = tokio::time::interval(sync_interval);
    let mut rounds = tokio::time::interval(UPKEEP_INTERVAL);
    for ticks in [&mut syncs, &mut rounds] {
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let (of_thread, what) = (db.clone(), metrics.clone());
        let done = tokio::select! {
            () = stop.started() => return,
            _ = syncs.tick() => tokio::task::spawn_blocking(move || of_thread.sync()).await,
            _ = rounds.tick() => tokio::task::spawn_blocking(move || {
                what.show(&of_thread.stats(), of_thread.wal_bytes());
                of_thread.truncate()
            })
            .await,
        };
        if let Ok(Err(error)) = done {
            tracing::error!(%error, "upkeep of the write-ahead log failed");
        }
    }
}

/// Closes connections to replicas that left every ring.
async fn forget_peers(mut rings: watch::Receiver<Rings>, peers: Arc<Peers>, stop: Shutdown) {
    loop {
        tokio::select! { changed = rings.changed() => if changed.is_err() { return }, () = stop.started() => return }
        let Rings::Active(now) = rings.borrow_and_update().clone() else { continue };
        peers.retain(|address| in_any(&now, address));
    }
}

fn in_any(rings: &Hashrings, address: &str) -> bool {
    rings.rings().flat_map(|r| r.endpoints()).any(|e| e.address == address)
}

fn ms(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
