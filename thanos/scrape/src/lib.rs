//! Scrape: finds targets, reads their metrics, and writes them on, with staleness kept right.
//!
//! ```text
//!  prometheus.yml ─► config ─► manager ─┬─► pool (a job) ◄─ discovery (static, files, pods)
//!                                       │     └► target ─► scrape_loop ─► fetch ─► series_cache ┐
//!                                       └─► remote_write ◄─ points, staleness markers ──────────┘
//!                                             └► POST, snappy, remote write 1.0
//! ```
//!
//! Invariants:
//! - a series that was written and is no longer there ends with one staleness marker, unless it carries its own
//!   timestamps or this process is stopping;
//! - samples of one series leave in the order they were scraped;
//! - no scrape waits for a receiver, and no queue grows without bound: the oldest samples go first, counted;
//! - a configuration that is wrong changes nothing;
//! - a cluster or file that cannot be read keeps the targets it gave.
//!
//! Modules in reading order: [`config`], [`relabel`], [`target`], [`discovery`], [`series_cache`], [`fetch`],
//! [`scrape_loop`], [`pool`], [`remote_write`], [`manager`], [`status`], [`web`], [`metrics`].

pub mod config;
pub mod discovery;
pub mod fetch;
pub mod manager;
pub mod metrics;
pub mod pool;
pub mod relabel;
pub mod remote_write;
pub mod scrape_loop;
pub mod series_cache;
pub mod status;
pub mod target;
pub mod web;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prometheus_client::registry::Registry;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, RunError, Running, cli};
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::manager::{Manager, prepare};

/// How this scraper names itself to targets and receivers.
pub const USER_AGENT: &str = concat!("gauntlet-scrape/", env!("CARGO_PKG_VERSION"));

/// Scrape targets and write their metrics on.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration, in the form of Prometheus' prometheus.yml.
    #[arg(long = "config.file", default_value = "prometheus.yml")]
    pub config_file: PathBuf,

    /// How often the file is looked at for changes, which are then taken without a restart.
    #[arg(long = "config.reload-interval", default_value = "2s", value_parser = thanos_model::parse_duration)]
    pub reload_interval: Duration,

    /// Address of own metrics, health and /api/v1/targets.
    #[arg(long = "web.listen-address", default_value = "0.0.0.0:9091")]
    pub listen_address: SocketAddr,

    /// How long to go on sending queued samples when stopping.
    #[arg(long = "storage.remote.flush-deadline", default_value = "10s", value_parser = thanos_model::parse_duration)]
    pub flush_deadline: Duration,
}

/// Runs until shutdown, then sends what is queued.
///
/// # Errors
/// [`RunError::Config`] for a wrong file or flag, before the port opens.
pub fn run(args: Args, ctx: Context) -> Running {
    Box::pin(scrape(args, ctx))
}

async fn scrape(args: Args, ctx: Context) -> Result<(), RunError> {
    if args.reload_interval.is_zero() {
        return Err(RunError::Config("--config.reload-interval: must be above 0".into()));
    }
    let file = &args.config_file;
    let mut text = cli::read_config(file)?;
    let in_file = |e| RunError::Config(format!("{}: {e}", file.display()));
    let prepared = prepare(Config::load(file)?).await.map_err(in_file)?;

    let listener = admin::bind("--web.listen-address", args.listen_address).await?;
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::register(&mut registry);
    let (readiness, board) = (Readiness::default(), status::Board::default());
    let routes = admin::router(thanos_telemetry::Metrics::new(registry), readiness.clone())
        .merge(web::router(board.clone()));
    let server = tokio::spawn(admin::serve(listener, routes, ctx.shutdown.clone()));

    let mut manager = Manager::start(prepared, metrics.clone(), board, args.flush_deadline)?;
    readiness.set(true);
    tracing::info!(file = %file.display(), listen = %args.listen_address, "scraping");

    let mut ticks = tokio::time::interval(args.reload_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ctx.shutdown.started() => break,
            _ = ticks.tick() => {}
        }
        // Contents, not times: a mounted ConfigMap swaps links.
        let Ok(now) = cli::read_config(file) else { continue };
        if now != text {
            text = now;
            match reload(&mut manager, file).await {
                Ok(()) => tracing::info!(file = %file.display(), "configuration reloaded"),
                Err(error) => {
                    metrics.reload_ok.set(0);
                    tracing::error!(error, "configuration not reloaded, the earlier one stays in force");
                }
            }
        }
    }
    readiness.set(false);
    manager.stop().await;
    server.await.map_err(anyhow::Error::from)??;
    Ok(())
}

async fn reload(manager: &mut Manager, file: &Path) -> Result<(), String> {
    let config = Config::load(file).map_err(|e| e.to_string())?;
    let prepared = prepare(config).await.map_err(|e| format!("{}: {e}", file.display()))?;
    manager.reload(prepared).await.map_err(|e| e.to_string())
}
