//! Brings a configuration into force and, later, the next one, touching only what changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::{Config, Job};
use crate::discovery::{Connection, Discovery, connect};
use crate::metrics::Metrics;
use crate::pool::{Pool, Shared};
use crate::remote_write::Sink;
use crate::status::Board;

/// The running jobs and remotes.
pub struct Manager {
    config: Config,
    shared: Shared,
    pools: BTreeMap<String, Pool>,
    flush_deadline: Duration,
}

/// A configuration whose clusters and clients are ready: nothing can fail any more.
pub struct Prepared {
    config: Config,
    connections: BTreeMap<String, Vec<Connection>>,
}

/// Finds the clusters that a configuration names.
///
/// # Errors
/// One line naming the job.
pub async fn prepare(config: Config) -> Result<Prepared, String> {
    let mut connections = BTreeMap::new();
    for job in &config.jobs {
        let mut of_job = Vec::new();
        for sd in &job.kubernetes_sd_configs {
            of_job.push(connect(sd).await.map_err(|e| format!("job {:?}: {e}", job.job_name))?);
        }
        connections.insert(job.job_name.clone(), of_job);
    }
    Ok(Prepared { config, connections })
}

impl Manager {
    /// Starts everything.
    ///
    /// # Errors
    /// An HTTP client could not be built.
    pub fn start(
        prepared: Prepared,
        metrics: Metrics,
        board: Board,
        flush_deadline: Duration,
    ) -> anyhow::Result<Self> {
        let sink = Arc::new(Sink::start(&prepared.config, &metrics)?);
        let shared = Shared { sink, http: crate::fetch::client()?, metrics, board };
        let Prepared { config, mut connections } = prepared;
        let mut this = Self { config: Config::default(), shared, pools: BTreeMap::new(), flush_deadline };
        for job in &config.jobs {
            this.start_pool(job.clone(), connections.remove(&job.job_name).unwrap_or_default(), Vec::new());
        }
        this.config = config;
        this.reloaded();
        Ok(this)
    }

    /// Replaces the configuration. Jobs that did not change go on undisturbed; changed ones go on with what they
    /// know of their series.
    ///
    /// # Errors
    /// An HTTP client could not be built; what ran goes on.
    pub async fn reload(&mut self, prepared: Prepared) -> anyhow::Result<()> {
        let Prepared { config, mut connections } = prepared;
        let sink_changed =
            config.remotes != self.config.remotes || config.external_labels != self.config.external_labels;
        let mut old_sink = None;
        if sink_changed {
            let new = Arc::new(Sink::start(&config, &self.shared.metrics)?);
            old_sink = Some(std::mem::replace(&mut self.shared.sink, new));
        }
        let mut jobs: BTreeMap<String, Job> =
            config.jobs.iter().map(|job| (job.job_name.clone(), job.clone())).collect();
        let names: Vec<String> = self.pools.keys().cloned().collect();
        for name in names {
            let unchanged = jobs.get(&name).is_some_and(|job| *job == *self.pools[&name].job);
            if unchanged && !sink_changed {
                jobs.remove(&name);
                continue;
            }
            let Some(pool) = self.pools.remove(&name) else { continue };
            let memory = pool.halt().await;
            match jobs.remove(&name) {
                Some(job) => self.start_pool(job, connections.remove(&name).unwrap_or_default(), memory),
                None => {
                    self.shared.board.remove(&name);
                    self.shared.metrics.remove_job(&name);
                }
            }
        }
        for (name, job) in jobs {
            self.start_pool(job, connections.remove(&name).unwrap_or_default(), Vec::new());
        }
        if let Some(sink) = old_sink {
            // No loop writes to it any more; what it holds leaves while the new remotes already take others.
            let deadline = self.flush_deadline;
            tokio::spawn(async move { sink.flush(deadline).await });
        }
        self.config = config;
        self.reloaded();
        Ok(())
    }

    /// Stops scraping, then sends what is queued within the deadline.
    pub async fn stop(self) {
        let halts = self.pools.into_values().map(Pool::halt);
        futures::future::join_all(halts).await;
        self.shared.sink.flush(self.flush_deadline).await;
    }

    fn start_pool(
        &mut self,
        job: Job,
        connections: Vec<Connection>,
        memory: Vec<crate::scrape_loop::Memory>,
    ) {
        let discovery = Discovery::start(&job, connections);
        let name = job.job_name.clone();
        self.pools.insert(name, Pool::start(job, discovery, self.shared.clone(), memory));
    }

    fn reloaded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.shared.metrics.reload_ok.set(1);
        self.shared.metrics.reload_seconds.set(now.as_secs_f64());
    }
}
