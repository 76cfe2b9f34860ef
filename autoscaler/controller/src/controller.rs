//! A controller put together from what is outside of it.

use std::sync::Arc;
use std::time::Duration;

use autoscaler_engine::{Config, Engine};
use kube::Client;
use prometheus_client::registry::Registry;
use thanos_telemetry::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::defaults::Given;
use crate::lease::{Elector, Fence, Share, Timing};
use crate::metrics::{Calls, Metrics};
use crate::querier::Queriers;
use crate::records::Keep;
use crate::shared::{Plans, Shared};
use crate::sources::Sources;
use crate::{driver, watches};

/// A cluster that is scaled in.
#[derive(Clone)]
pub struct Managed {
    /// What it is called: in logs, and in its metrics' cluster label.
    pub name: String,
    /// Its API.
    pub client: Client,
}

/// Everything that a controller uses and is not part of it.
#[derive(Clone)]
pub struct Outside {
    /// The clusters, at most as many as there are numbers of 16 bits.
    pub clusters: Vec<Managed>,
    /// Who answers queries.
    pub queriers: Arc<dyn Queriers>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Who keeps decisions.
    pub records: Arc<dyn Keep>,
}

/// What a controller is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The engine's budgets; its clusters' names are those of [`Outside::clusters`].
    pub engine: Config,
    /// The label that tells clusters apart in the metrics.
    pub cluster_label: String,
    /// What holds where a policy does not say.
    pub given: Given,
    /// Most series that one answer of a policy's own source may have.
    pub max_series: usize,
    /// Deadline of one call to an API server.
    pub kube_timeout: Duration,
    /// The leases without which nothing is done; `None`: nobody else runs.
    pub leases: Option<Leases>,
}

/// Leases, one a cluster and shard.
#[derive(Clone, Debug)]
pub struct Leases {
    /// Where they live.
    pub namespace: String,
    /// Their name; with several shards each has its number after it.
    pub name: String,
    /// Who we are; unique among all processes that ever run.
    pub identity: String,
    /// How long things take.
    pub timing: Timing,
}

impl Leases {
    /// With one shard the lease has the name alone, as ever.
    fn name(&self, shards: u16, shard: u16) -> String {
        if shards <= 1 { self.name.clone() } else { format!("{}-{shard}", self.name) }
    }
}

/// A controller that does not run yet.
pub(crate) struct Controller {
    shared: Arc<Shared>,
    settings: Settings,
}

impl Controller {
    /// Asks nobody yet; its own metrics go into `registry`.
    pub(crate) fn new(outside: Outside, mut settings: Settings, registry: &mut Registry) -> Self {
        let calls = Calls::default();
        let metrics = Metrics::register(registry, calls.clone());
        settings.engine.clusters = outside.clusters.iter().map(|c| c.name.clone()).collect();
        let cluster = |managed: Managed| {
            metrics.begin(&managed.name);
            Cluster {
                name: managed.name,
                client: managed.client,
                fences: (0..settings.engine.shards.max(1)).map(|_| Fence::default()).collect(),
                timeout: settings.kube_timeout.max(Duration::from_millis(10)),
                resources: Default::default(),
                calls: calls.clone(),
            }
        };
        let shared = Arc::new(Shared {
            clusters: outside.clusters.into_iter().map(cluster).collect(),
            sources: Sources::new(outside.queriers.clone(), settings.max_series),
            queriers: outside.queriers,
            clock: outside.clock,
            cluster_label: settings.cluster_label.clone(),
            given: settings.given.clone(),
            records: outside.records,
            metrics: metrics.clone(),
            started: Instant::now(),
            plans: Plans::default(),
        });
        Self { shared, settings }
    }

    /// Runs until `stop`, then waits for the writes under way and gives the leases back. `ready` is called whenever a
    /// cluster's policies were listed: one that is away does not make the others' controller useless. Dropped, it ends
    /// as a process does that is killed.
    ///
    /// # Errors
    /// One of its tasks ended, which is a bug.
    pub(crate) async fn run(
        self,
        ready: impl Fn() + Clone + Send + 'static,
        stop: Shutdown,
    ) -> anyhow::Result<()> {
        let Self { shared, settings } = self;
        // Leases go last: what is under way at shutdown still needs the fence.
        let release = Shutdown::new();
        let (events, inbox) = mpsc::channel(driver::EVENTS);
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut electors: JoinSet<()> = JoinSet::new();
        tasks.spawn(watches::objects(shared.clone()));
        for (id, cluster) in (0_u16..).zip(&shared.clusters) {
            tasks.spawn(watches::policies(shared.clone(), events.clone(), id, ready.clone()));
            tasks.spawn(watches::autoscalers(shared.clone(), events.clone(), id));
            let share = Arc::new(Share::default());
            for (shard, fence) in (0_u16..).zip(&cluster.fences) {
                tasks.spawn(driver::follow(shared.clone(), events.clone(), id, shard, fence.clone()));
                let Some(leases) = &settings.leases else {
                    fence.set(Some(Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)));
                    continue;
                };
                let elector = Elector {
                    cluster: cluster.name.clone(),
                    client: cluster.client.clone(),
                    namespace: leases.namespace.clone(),
                    name: leases.name(settings.engine.shards, shard),
                    // Two contexts may lead to one API server; one process must not hold its lease twice.
                    identity: format!("{}_{}", leases.identity, cluster.name),
                    timing: leases.timing,
                    fence: fence.clone(),
                    share: share.clone(),
                    calls: cluster.calls.clone(),
                    clock: shared.clock.clone(),
                };
                electors.spawn(elector.run(release.clone()));
            }
        }
        let mut beat: JoinSet<()> = JoinSet::new();
        let engine = Engine::new(settings.engine);
        beat.spawn(driver::run(shared, engine, events, inbox, stop.clone()));
        let ended = tokio::select! {
            biased;
            Some(ended) = beat.join_next() => ended.map_err(|e| anyhow::anyhow!("the engine ended: {e}")),
            Some(ended) = tasks.join_next() => Err(unexpected("a watch", ended)),
            // Without it this process would never lead again, and say nothing.
            Some(ended) = electors.join_next() => Err(unexpected("an election", ended)),
        };
        stop.start();
        tasks.abort_all();
        // Where the engine goes on, since something else ended: its writes still need the fence.
        while beat.join_next().await.is_some() {}
        release.start();
        while electors.join_next().await.is_some() {}
        ended
    }
}

fn unexpected(what: &str, ended: Result<(), tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Err(e) => anyhow::anyhow!("{what} ended: {e}"),
        Ok(()) => anyhow::anyhow!("{what} ended"),
    }
}

/// A whole controller, for whoever brings everything that is outside of it: production's `run` with flags, files and
/// sockets, and worlds in virtual time without any. Runs until `stop`, then waits for the writes under way and gives the
/// leases back; dropped, it ends as a process does that is killed.
///
/// Nothing in it reads a clock, a file, an environment or chance of its own: wall time is [`Outside::clock`]'s, all
/// other time tokio's. On a runtime of one thread with a paused clock, with an API server and queriers that answer by
/// what they are asked and when, the same start gives the same run.
///
/// # Errors
/// One of its tasks ended, which is a bug.
pub async fn drive(outside: Outside, settings: Settings, stop: Shutdown) -> anyhow::Result<()> {
    Controller::new(outside, settings, &mut Registry::default()).run(|| {}, stop).await
}
