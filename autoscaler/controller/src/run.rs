//! `gauntlet autoscaler run`: flags, and the tasks of one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use autoscaler_querier::Rotating;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus_client::registry::Registry;
use thanos_telemetry::admin::{self, Readiness};
use thanos_telemetry::{Context, Metrics as Exposed, RunError, Shutdown};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::defaults::DefaultsArgs;
use crate::lease::{Elector, Fence, Timing};
use crate::metrics::Metrics;
use crate::policies::{self, Snapshot};
use crate::querier::Slots;
use crate::querier::flags::{QueryArgs, wrong};
use crate::records::Records;
use crate::scheduler;
use crate::shared::Shared;

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
    /// Name of the Lease
    #[arg(long, default_value = "gauntlet-autoscaler")]
    pub lease_name: String,
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
    /// Longest that values and ages in a status may lag; what matters is written within a second
    #[arg(long, default_value = "5s", value_parser = thanos_model::parse_duration)]
    pub status_refresh: Duration,
    /// Where /metrics, /live and /ready are served
    #[arg(long, default_value = "0.0.0.0:9095")]
    pub listen_address: SocketAddr,
    /// Directory for decision records; none: only their digests are kept, in the status
    #[arg(long)]
    pub records_dir: Option<PathBuf>,
    /// Most decision records that are kept
    #[arg(long, default_value_t = 1000)]
    pub max_records: usize,
}

/// Runs the controller until shutdown.
///
/// # Errors
/// [`RunError::Config`] names a wrong flag; anything else is a bug or a broken host.
pub(crate) async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    let timing = timing(&args)?;
    label(&args.cluster_label)?;
    args.defaults.given()?;
    if args.query_timeout.is_zero() {
        return Err(RunError::Config("--query-timeout 0: must be above zero, for example 3s".into()));
    }
    let source = args.query.source(args.max_series)?;
    let querier = Arc::new(Rotating::open(source).map_err(|e| wrong(&e))?);
    let records = Records::open(args.records_dir.as_deref(), args.max_records).map_err(|e| {
        let dir = args.records_dir.as_deref().unwrap_or(Path::new("")).display();
        RunError::Config(format!("--records-dir {dir}: {e}"))
    })?;
    let clusters = clusters(&args).await?;
    let listener = admin::bind("--listen-address", args.listen_address).await?;

    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    clusters.iter().for_each(|c| metrics.begin(&c.name));
    let shared = Arc::new(Shared {
        clusters,
        querier: Slots::new(querier.clone()),
        query_timeout: args.query_timeout,
        status_refresh: args.status_refresh,
        cluster_label: args.cluster_label.clone(),
        records,
        metrics,
        started: Instant::now(),
    });
    serve(&args, timing, shared, querier, Exposed::new(registry), listener, ctx.shutdown).await
}

async fn serve(
    args: &Args,
    timing: Timing,
    shared: Arc<Shared>,
    querier: Arc<Rotating>,
    exposed: Exposed,
    listener: tokio::net::TcpListener,
    stop: Shutdown,
) -> Result<(), RunError> {
    let given = args.defaults.given()?;
    let readiness = Readiness::default();
    let changed = Arc::new(Notify::new());
    // Leases go last: what is under way at shutdown still needs the fence.
    let release = Shutdown::new();
    let identity = identity();
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut electors: JoinSet<()> = JoinSet::new();
    let mut snapshots = Vec::new();
    for cluster in &shared.clusters {
        let (publish, snapshot) = watch::channel::<Option<Snapshot>>(None);
        snapshots.push(snapshot);
        let follow = policies::follow(
            cluster.name.clone(),
            cluster.client.clone(),
            args.cluster_label.clone(),
            given.clone(),
            publish,
        );
        tasks.spawn(follow);
        if args.leader_elect {
            let elector = Elector {
                cluster: cluster.name.clone(),
                client: cluster.client.clone(),
                namespace: args.namespace.clone(),
                name: args.lease_name.clone(),
                // Two contexts may lead to one API server; one process must not hold its lease twice.
                identity: format!("{identity}_{}", cluster.name),
                timing,
                fence: cluster.fence.clone(),
            };
            electors.spawn(elector.run(release.clone()));
        } else {
            cluster.fence.set(Some(Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)));
        }
    }
    tasks.spawn(announce(snapshots.clone(), readiness.clone(), changed.clone()));
    let web = {
        let router = admin::router(exposed, readiness.clone());
        tokio::spawn(admin::serve(listener, router, stop.clone()))
    };
    let names: Vec<&str> = shared.clusters.iter().map(|c| c.name.as_str()).collect();
    let asked = querier.current().addresses().collect::<Vec<_>>().join(",");
    tracing::info!(clusters = names.join(","), querier = asked, "autoscaler started");
    tasks.spawn(querier.follow(CREDENTIALS));

    let beat = tokio::spawn(scheduler::run(shared.clone(), snapshots, changed, stop.clone()));
    tokio::pin!(beat);
    let ended = tokio::select! {
        ended = &mut beat => ended.map_err(|e| anyhow::anyhow!("the scheduler ended: {e}")),
        Some(ended) = tasks.join_next() => match ended {
            Err(e) => Err(anyhow::anyhow!("a watch ended: {e}")),
            Ok(()) => Err(anyhow::anyhow!("a watch ended")),
        },
        // Without it this process would never lead again, and say nothing.
        Some(ended) = electors.join_next() => match ended {
            Err(e) => Err(anyhow::anyhow!("an election ended: {e}")),
            Ok(()) => Err(anyhow::anyhow!("an election ended")),
        },
    };
    readiness.set(false);
    stop.start();
    tasks.abort_all();
    release.start();
    while electors.join_next().await.is_some() {}
    let _ = tokio::time::timeout(Duration::from_secs(2), web).await;
    ended.map_err(RunError::Failed)
}

/// Wakes the scheduler when policies change, and turns ready once every cluster's policies were listed.
async fn announce(
    mut snapshots: Vec<watch::Receiver<Option<Snapshot>>>,
    readiness: Readiness,
    changed: Arc<Notify>,
) {
    loop {
        let listed = snapshots.iter_mut().all(|s| s.borrow_and_update().is_some());
        readiness.set(listed);
        changed.notify_one();
        let waits = snapshots.iter_mut().map(|s| Box::pin(s.changed()));
        let (ended, ..) = futures::future::select_all(waits).await;
        if ended.is_err() {
            return;
        }
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

async fn clusters(args: &Args) -> Result<Vec<Cluster>, RunError> {
    let mut contexts: Vec<Option<&str>> = args.contexts.iter().map(|c| Some(c.as_str())).collect();
    if contexts.is_empty() {
        contexts.push(None);
    }
    let mut clusters = Vec::with_capacity(contexts.len());
    for context in contexts {
        let name = context.unwrap_or("current");
        if clusters.iter().any(|c: &Cluster| c.name == name) {
            return Err(RunError::Config(format!("--context {name}: given twice")));
        }
        let mut config = config(args.kubeconfig.as_deref(), context).await.map_err(|e| {
            let flag = if context.is_some() { "--context" } else { "--kubeconfig" };
            RunError::Config(format!("{flag} {name}: {e}"))
        })?;
        // A repeated write could meet what it had already done; whoever calls decides whether to repeat.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        // Calls have deadlines of their own; a list or watch whose server fell silent ends by this one.
        config.read_timeout = Some(policies::SILENCE);
        config.reset_reader_on_write = true;
        let client =
            Client::try_from(config).map_err(|e| RunError::Config(format!("--context {name}: {e}")))?;
        clusters.push(Cluster {
            name: name.to_owned(),
            client,
            fence: Fence::default(),
            timeout: args.kube_timeout.max(Duration::from_millis(10)),
            resources: Default::default(),
        });
    }
    Ok(clusters)
}

async fn config(file: Option<&Path>, context: Option<&str>) -> anyhow::Result<kube::Config> {
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
