//! Remote write 1.0: bounded queues in memory, sharded by series, that lose nothing while they have room.
//!
//! ```text
//!  Point ─► Sink ─► per remote: its label bytes, made once a series ─► shard = hash mod shards
//!                     shard queue (bounded) ─► batch ─► snappy ─► POST, again until taken or refused
//! ```
//!
//! Order: a series always takes the same shard, and a shard sends one batch at a time, so samples of a series
//! arrive in the order they were scraped. What happens to a batch: 2xx, it is done; 5xx, 429, no connection or
//! no answer in time, it is sent again, after `Retry-After` or a growing pause, for as long as it takes; any
//! other answer, the receiver will never want it, so it is dropped and counted.
//!
//! Differences from Prometheus, which reads its own write-ahead log: a full queue drops its *oldest* samples
//! (an autoscaler needs the newest; they are counted as `dropped`, reason `queue_full`), a crash loses what is
//! queued, the number of shards is fixed, and 429 is always retried.

mod client;
mod queue;
mod shard;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use thanos_model::{Labels, TimestampMs};
use tokio::task::JoinSet;

pub use queue::Queued;
pub use wire::WireSeries;

use crate::config::{Config, Remote, Rules};
use crate::metrics::{Metrics, RemoteMetrics};
use crate::relabel::{self, Builder};
use crate::target::hash;

/// A series as every remote writes it.
#[derive(Debug)]
pub struct Series {
    /// Labels as stored, external ones not added.
    pub labels: Labels,
    /// Of `labels`.
    pub hash: u64,
    remotes: Box<[Option<Arc<WireSeries>>]>,
}

impl Series {
    /// A series and, per remote, what goes on the wire; `None` where the remote's rules drop it.
    pub fn new(labels: Labels, remotes: impl IntoIterator<Item = Option<Arc<WireSeries>>>) -> Self {
        Self { hash: hash(&labels), labels, remotes: remotes.into_iter().collect() }
    }
}

/// One sample of one series.
#[derive(Clone, Debug)]
pub struct Point {
    /// Whose.
    pub series: Arc<Series>,
    /// When.
    pub t_ms: TimestampMs,
    /// What.
    pub value: f64,
}

/// All remotes of a configuration. A [`Series`] belongs to the sink that made it.
#[derive(Debug)]
pub struct Sink {
    external_labels: Labels,
    remotes: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    write_relabel: Rules,
    shards: Vec<Arc<queue::ShardQueue>>,
    metrics: RemoteMetrics,
    tasks: parking_lot::Mutex<JoinSet<()>>,
}

impl Sink {
    /// Starts the remotes of a configuration.
    ///
    /// # Errors
    /// An HTTP client could not be built.
    pub fn start(config: &Config, metrics: &Metrics) -> anyhow::Result<Self> {
        let start = |remote: &Remote| -> anyhow::Result<Running> {
            let metrics = metrics.remote(&remote.name, &remote.url.to_string());
            metrics.shards.set(remote.queue.max_shards as i64);
            metrics.shard_capacity.set(remote.queue.capacity as i64);
            let client = Arc::new(client::Client::new(remote, metrics.clone())?);
            let mut tasks = JoinSet::new();
            let shards: Vec<_> = (0..remote.queue.max_shards)
                .map(|index| {
                    let queue = Arc::new(queue::ShardQueue::new(&remote.queue, metrics.clone()));
                    let seed = hash(&config.external_labels).wrapping_add(index as u64);
                    tasks.spawn(shard::run(queue.clone(), client.clone(), remote.queue.clone(), seed));
                    queue
                })
                .collect();
            Ok(Running { write_relabel: remote.write_relabel.clone(), shards, metrics, tasks: tasks.into() })
        };
        let remotes = config.remotes.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { external_labels: config.external_labels.clone(), remotes })
    }

    /// Makes the series of final scrape labels: external labels where it has none, then each remote's rules.
    pub fn series(&self, labels: Labels) -> Arc<Series> {
        let full = self.external_labels.overlaid(&labels);
        let wire = |remote: &Running| {
            let mut builder = Builder::from_labels(&full);
            let kept = relabel::apply(&remote.write_relabel.compiled, &mut builder);
            let labels = builder.labels();
            (kept && !labels.is_empty()).then(|| Arc::new(WireSeries::new(&labels)))
        };
        Arc::new(Series::new(labels, self.remotes.iter().map(wire)))
    }

    /// Queues points for every remote; never waits.
    pub fn append(&self, points: &[Point]) {
        for (i, remote) in self.remotes.iter().enumerate() {
            let mut per_shard: Vec<Vec<Queued>> = vec![Vec::new(); remote.shards.len()];
            let mut dropped_by_rules = 0;
            for point in points {
                let Some(series) = point.series.remotes.get(i).cloned().flatten() else {
                    dropped_by_rules += 1;
                    continue;
                };
                let shard = (series.hash % remote.shards.len() as u64) as usize;
                per_shard[shard].push(Queued { series, t_ms: point.t_ms, value: point.value });
            }
            remote.metrics.dropped_by_rules.inc_by(dropped_by_rules);
            for (shard, batch) in remote.shards.iter().zip(per_shard) {
                shard.push(batch);
            }
            if let Some(newest) = points.iter().map(|p| p.t_ms).max() {
                remote.metrics.highest_seen(newest);
            }
        }
    }

    /// Sends what is queued, for at most `deadline`; what is left then is dropped and counted.
    pub async fn flush(&self, deadline: Duration) {
        let deadline = tokio::time::Instant::now() + deadline;
        for remote in &self.remotes {
            for shard in &remote.shards {
                shard.close();
            }
        }
        for remote in &self.remotes {
            let mut tasks = std::mem::take(&mut *remote.tasks.lock());
            let all = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout_at(deadline, all).await.is_err() {
                tasks.shutdown().await;
                let left: usize = remote.shards.iter().map(|s| s.abandon()).sum();
                tracing::warn!(
                    remote = remote.metrics.name(),
                    samples = left,
                    "remote write gave up at its deadline"
                );
            }
        }
    }
}
