//! `gauntlet autoscaler run`: flags, and the tasks of one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoscaler_engine::{Config, pool, writer};
use autoscaler_querier::Rotating;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus_client::registry::Registry;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, Metrics as Exposed, RunError, Shutdown};

use crate::clock::SystemClock;
use crate::controller::{Controller, Leases, Managed, Outside, Settings};
use crate::defaults::{DefaultsArgs, Given};
use crate::follow::SILENCE;
use crate::lease::Timing;
use crate::querier::Servers;
use crate::querier::flags::{QueryArgs, wrong};
use crate::records::{Bounds, Records};

/// How often credentials that are files are read.
const CREDENTIALS: Duration = Duration::from_secs(1);

/// Flags of `gauntlet autoscaler run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context of a managed cluster, repeated for several; none: the current context
    #[arg(long = "context")]
    pub contexts: Vec<String>,
    /// The querier.
    #[command(flatten)]
    pub query: QueryArgs,
    /// Deadline of one query, from when it is sent
    #[arg(long, default_value = "3s", value_parser = thanos_model::parse_duration)]
    pub query_timeout: Duration,
    /// Queries under way at one querier
    #[arg(long, default_value_t = pool::Limits::default().slots)]
    pub query_slots: u32,
    /// Of these, for one policy
    #[arg(long, default_value_t = pool::Limits::default().slots_per_policy)]
    pub query_slots_per_policy: u32,
    /// Most metrics of one policy; policies with more are not evaluated, and told so
    #[arg(long, default_value_t = Config::default().max_queries_per_policy)]
    pub max_queries_per_policy: usize,
    /// Shortest interval; policies that ask for less are evaluated at it, and told so
    #[arg(long, default_value = "100ms", value_parser = thanos_model::parse_duration)]
    pub min_interval: Duration,
    /// Most series that one answer may have
    #[arg(long, default_value_t = 1000)]
    pub max_series: usize,
    /// Label that tells clusters apart in the metrics
    #[arg(long, default_value = "cluster")]
    pub cluster_label: String,
    /// What holds where a policy does not say.
    #[command(flatten)]
    pub defaults: DefaultsArgs,
    /// Namespace of the Lease in each managed cluster
    #[arg(long, default_value = "default")]
    pub namespace: String,
    /// Act only while holding a Lease; without it nothing else may run this controller
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Name of the Lease; with several shards, each has its own, with its number after the name
    #[arg(long, default_value = "gauntlet-autoscaler")]
    pub lease_name: String,
    /// Among how many Leases a cluster's policies are divided; the same in every process, and permitted by name. Processes come to hold about as many each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: u16,
    /// How long a Lease is respected after its last renewal
    #[arg(long, default_value = "8s", value_parser = thanos_model::parse_duration)]
    pub lease_duration: Duration,
    /// How long this process believes in its Lease without renewing; below --lease-duration
    #[arg(long, default_value = "5s", value_parser = thanos_model::parse_duration)]
    pub lease_renew: Duration,
    /// Time between attempts to take or renew the Lease; below --lease-renew
    #[arg(long, default_value = "1s", value_parser = thanos_model::parse_duration)]
    pub lease_retry: Duration,
    /// Deadline of one call to an API server
    #[arg(long, default_value = "5s", value_parser = thanos_model::parse_duration)]
    pub kube_timeout: Duration,
    /// Writes to an API server a second, in the long run; replicas go before statuses
    #[arg(long, default_value_t = writer::Limits::default().per_second)]
    pub writes_per_second: u32,
    /// Longest that values and ages in a status may lag; what matters is written within a second
    #[arg(long, default_value = "5s", value_parser = thanos_model::parse_duration)]
    pub status_refresh: Duration,
    /// Where /metrics, /live and /ready are served
    #[arg(long, default_value = "0.0.0.0:9095")]
    pub listen_address: SocketAddr,
    /// Directory for decision records; none: only their digests are kept, in the status
    #[arg(long)]
    pub records_dir: Option<PathBuf>,
    /// Most decision records that are kept in all; the oldest go
    #[arg(long, default_value_t = 10_000)]
    pub max_records: usize,
    /// Of these, of one policy
    #[arg(long, default_value_t = 500)]
    pub max_records_per_policy: usize,
    /// Most MiB that all decision records have; one policy may have a sixteenth
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_records_mib: u64,
}

/// Runs the controller until shutdown.
///
/// # Errors
/// [`RunError::Config`] names a wrong flag; anything else is a bug or a broken host.
pub(crate) async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    let timing = timing(&args)?;
    label(&args.cluster_label)?;
    let given = args.defaults.given()?;
    if args.query_timeout.is_zero() {
        return Err(RunError::Config("--query-timeout 0: must be above zero, for example 3s".into()));
    }
    let source = args.query.source(args.max_series)?;
    let querier = Arc::new(Rotating::open(source).map_err(|e| wrong(&e))?);
    let records = records(&args)?;
    let clusters = clusters(&args).await?;
    let listener = admin::bind("--listen-address", args.listen_address).await?;

    let names: Vec<&str> = clusters.iter().map(|c| c.name.as_str()).collect();
    let asked = querier.current().addresses().collect::<Vec<_>>().join(",");
    tracing::info!(clusters = names.join(","), querier = asked, "autoscaler started");
    let outside = Outside {
        clusters,
        queriers: Arc::new(Servers::new(querier.clone())),
        clock: Arc::new(SystemClock),
        records: Arc::new(records),
    };
    let mut registry = Registry::default();
    let controller = Controller::new(outside, settings(&args, given, timing), &mut registry);
    serve(controller, querier, Exposed::new(registry), listener, ctx.shutdown).await
}

fn records(args: &Args) -> Result<Records, RunError> {
    let bounds = Bounds {
        per_policy: args.max_records_per_policy,
        in_all: args.max_records,
        bytes: args.max_records_mib.saturating_mul(1 << 20),
    };
    let names = contexts(args).into_iter().map(|context| name_of(context).to_owned()).collect();
    Records::open(args.records_dir.as_deref(), bounds, names).map_err(|e| {
        let dir = args.records_dir.as_deref().unwrap_or(Path::new("")).display();
        RunError::Config(format!("--records-dir {dir}: {e}"))
    })
}

async fn serve(
    controller: Controller,
    querier: Arc<Rotating>,
    exposed: Exposed,
    listener: tokio::net::TcpListener,
    stop: Shutdown,
) -> Result<(), RunError> {
    let readiness = Readiness::default();
    let web = {
        let router = admin::router(exposed, readiness.clone());
        tokio::spawn(admin::serve(listener, router, stop.clone()))
    };
    let ready = {
        let readiness = readiness.clone();
        move || readiness.set(true)
    };
    let ended = tokio::select! {
        ended = controller.run(ready, stop.clone()) => ended,
        () = querier.follow(CREDENTIALS) => Err(anyhow::anyhow!("credentials are not followed any more")),
    };
    readiness.set(false);
    stop.start();
    let _ = tokio::time::timeout(Duration::from_secs(2), web).await;
    ended.map_err(RunError::Failed)
}

fn settings(args: &Args, given: Given, timing: Timing) -> Settings {
    Settings {
        engine: config_of(args),
        cluster_label: args.cluster_label.clone(),
        given,
        max_series: args.max_series,
        kube_timeout: args.kube_timeout,
        leases: args.leader_elect.then(|| Leases {
            namespace: args.namespace.clone(),
            name: args.lease_name.clone(),
            identity: identity(),
            timing,
        }),
    }
}

fn config_of(args: &Args) -> Config {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let defaults = Config::default();
    Config {
        shards: args.shards,
        query_timeout_ms: ms(args.query_timeout),
        write_timeout_ms: ms(args.kube_timeout),
        status_refresh_ms: ms(args.status_refresh),
        min_interval_ms: ms(args.min_interval),
        max_queries_per_policy: args.max_queries_per_policy,
        pool: pool::Limits {
            slots: args.query_slots.max(1),
            slots_per_policy: args.query_slots_per_policy.max(1),
            ..defaults.pool
        },
        writer: writer::Limits {
            per_second: args.writes_per_second.max(1),
            burst: args.writes_per_second.saturating_mul(2).max(1),
            ..defaults.writer
        },
        ..defaults
    }
}

fn timing(args: &Args) -> Result<Timing, RunError> {
    let timing = Timing { lease: args.lease_duration, renew: args.lease_renew, retry: args.lease_retry };
    let ordered = !timing.retry.is_zero() && timing.retry < timing.renew && timing.renew < timing.lease;
    if ordered && timing.lease >= Duration::from_secs(1) {
        return Ok(timing);
    }
    Err(RunError::Config(format!(
        "--lease-retry {:?} must be below --lease-renew {:?}, and that below --lease-duration {:?}; \
         for example 1s, 5s, 8s",
        timing.retry, timing.renew, timing.lease
    )))
}

fn label(name: &str) -> Result<(), RunError> {
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(RunError::Config(format!("--cluster-label {name:?}: not a label name; write for example cluster")))
}

/// The contexts of the managed clusters; `None`: the current one.
fn contexts(args: &Args) -> Vec<Option<&str>> {
    let contexts: Vec<Option<&str>> = args.contexts.iter().map(|c| Some(c.as_str())).collect();
    if contexts.is_empty() { vec![None] } else { contexts }
}

/// What a cluster is called.
fn name_of(context: Option<&str>) -> &str {
    context.unwrap_or("current")
}

async fn clusters(args: &Args) -> Result<Vec<Managed>, RunError> {
    let contexts = contexts(args);
    let mut clusters = Vec::with_capacity(contexts.len());
    for context in contexts {
        let name = name_of(context);
        if clusters.iter().any(|c: &Managed| c.name == name) {
            return Err(RunError::Config(format!("--context {name}: given twice")));
        }
        let mut config = config(args.kubeconfig.as_deref(), context).await.map_err(|e| {
            let flag = if context.is_some() { "--context" } else { "--kubeconfig" };
            RunError::Config(format!("{flag} {name}: {e}"))
        })?;
        // A repeated write could meet what it had already done; whoever calls decides whether to repeat.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        // Calls have deadlines of their own; a watch whose server fell silent ends by this one at the latest.
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        let client =
            Client::try_from(config).map_err(|e| RunError::Config(format!("--context {name}: {e}")))?;
        clusters.push(Managed { name: name.to_owned(), client });
    }
    Ok(clusters)
}

pub(crate) async fn config(file: Option<&Path>, context: Option<&str>) -> anyhow::Result<kube::Config> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    if let Some(file) = file {
        return Ok(kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?);
    }
    if context.is_some() {
        return Ok(kube::Config::from_kubeconfig(&options).await?);
    }
    Ok(kube::Config::infer().await?)
}

/// Unique per process: a restart is another holder.
fn identity() -> String {
    let host =
        std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "host".into());
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{host}_{}_{:x}", std::process::id(), started.as_nanos())
}

#[cfg(test)]
mod tests;
