//! A write: judged, spread over the ring, counted.
//!
//! ```text
//!  HTTP ─┐                        ┌─► own storage
//!        ├─► check ─► ring ─► copies ─► peer ─► own storage of the peer (never further)
//!  gRPC ─┘                        └─► peer …        answers ─► tally ─► verdict
//! ```

pub(crate) mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::batch::Batch;
use crate::error::{Kind, WriteError};
use crate::hashring::{Ring, series_hash};
use crate::ingest::{Ingest, verdict};
use crate::metrics::{ReceiveMetrics, outcome};
use crate::peers::Peers;
use crate::ring_file::Rings;
use crate::tenant::{self, Tenants};
use tally::Tally;

/// After the quorum the other copies are waited for this long, so that the next write of the same sender does
/// not overtake this one on a slow replica, which would refuse this one as out of order.
const STRAGGLER_WAIT: Duration = Duration::from_millis(500);
/// The disk may take this long.
const STORE_DEADLINE: Duration = Duration::from_secs(30);

/// Everything a write needs. Clones share it.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) rings: watch::Receiver<Rings>,
    pub(crate) local_endpoint: Option<String>,
    pub(crate) tenant_label: Arc<str>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) ingest: Ingest,
    pub(crate) peers: Arc<Peers>,
    pub(crate) metrics: ReceiveMetrics,
    /// Copies still under way after their request was answered.
    pub(crate) stragglers: TaskTracker,
}

impl Writer {
    /// Stores batches. `copy` is 0 for a request that was not replicated yet; a copy is stored here whatever our
    /// own ring says, so that two replicas that disagree about the ring never send a series in circles.
    pub(crate) async fn write(&self, batches: Vec<Batch>, copy: u64) -> Result<(), WriteError> {
        self.metrics.pending_writes.inc();
        let _pending = Pending(&self.metrics);
        let writes = batches.into_iter().map(|batch| self.write_batch(batch, copy));
        let results = futures::future::join_all(writes).await;
        // Worth repeating goes before not worth it.
        results.into_iter().filter_map(Result::err).max_by_key(|e| e.kind).map_or(Ok(()), Err)
    }

    async fn write_batch(&self, batch: Batch, copy: u64) -> Result<(), WriteError> {
        tenant::check(&batch.tenant).map_err(|why| Kind::Invalid.error(why))?;
        if !self.tenants.admit(&batch.tenant) {
            return Err(Kind::Overloaded.error("too many tenants have written to this replica"));
        }
        self.metrics.exemplars_dropped.inc_by(batch.exemplars);
        let invalid = batch.refusal();
        if batch.series.is_empty() {
            return invalid.map_or(Ok(()), Err);
        }
        let rings = self.rings.borrow().clone();
        let stored = match rings {
            _ if copy > 0 => self.store_all(&batch).await,
            Rings::Local => self.store_all(&batch).await,
            Rings::Awaited => Err(Kind::Unavailable.error("the hashring file has not been read yet")),
            Rings::Active(hashrings) => match hashrings.ring(&batch.tenant) {
                Some(ring) => self.spread(Arc::new(batch), ring).await,
                None => Err(Kind::Internal.error(format!("no hashring takes tenant {:?}", batch.tenant))),
            },
        };
        match (stored, invalid) {
            (Err(e), Some(_)) if !e.kind.is_final() => Err(e),
            (_, Some(e)) => Err(e),
            (stored, None) => stored,
        }
    }

    async fn store_all(&self, batch: &Batch) -> Result<(), WriteError> {
        let all: Vec<usize> = batch.all().collect();
        let mut tally = Tally::new(all.len(), 1);
        for (series, answer) in self.store(batch, &all).await {
            tally.add(&series, answer);
        }
        tally.verdict()
    }

    /// Stores some series here. Answers by series, since one that is refused says nothing of the others.
    async fn store(&self, batch: &Batch, which: &[usize]) -> Vec<(Vec<usize>, Result<(), WriteError>)> {
        let samples = batch.for_storage(which, &self.tenant_label);
        let outcome = match tokio::time::timeout(STORE_DEADLINE, self.ingest.store(samples)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(e)) => return vec![(which.to_vec(), Err(e))],
            Err(_) => {
                return vec![(
                    which.to_vec(),
                    Err(Kind::Unavailable.error("storage did not answer in time")),
                )];
            }
        };
        let name = |i: usize| which.get(i).map_or_else(String::new, |i| batch.show(*i));
        let Some(error) = verdict(name, &outcome) else { return vec![(which.to_vec(), Ok(()))] };
        let refused: BTreeSet<usize> = outcome.rejected.iter().map(|r| r.series).collect();
        let (bad, good): (Vec<_>, Vec<_>) =
            which.iter().enumerate().partition(|(at, _)| refused.contains(at));
        let ids = |part: Vec<(usize, &usize)>| part.into_iter().map(|(_, i)| *i).collect();
        vec![(ids(bad), Err(error)), (ids(good), Ok(()))]
    }

    /// Sends each series to its nodes. At most one request per node and copy.
    async fn spread(&self, batch: Arc<Batch>, ring: &Ring) -> Result<(), WriteError> {
        let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (i, s) in batch.series.iter().enumerate() {
            for (copy, node) in ring.nodes(series_hash(&batch.tenant, s.labels())).enumerate() {
                groups.entry((node, copy)).or_default().push(i);
            }
        }
        let mut tally = Tally::new(batch.series.len(), ring.copies());
        let (answers_in, mut answers) = mpsc::channel(groups.len().max(1));
        for ((node, copy), series) in groups {
            let Some(endpoint) = ring.endpoints().get(node) else { continue };
            let address = endpoint.address.clone();
            let (this, batch, answers_in) = (self.clone(), batch.clone(), answers_in.clone());
            self.stragglers.spawn(async move {
                let given = if this.local_endpoint.as_ref() == Some(&address) {
                    this.store(&batch, &series).await
                } else {
                    let answer = this.forward(&address, &batch, &series, copy).await;
                    vec![(series, answer)]
                };
                // Nobody listens once the verdict is out.
                let _ = answers_in.send(given).await;
            });
        }
        drop(answers_in);
        let mut until: Option<Instant> = None;
        loop {
            let next = match until {
                None => answers.recv().await,
                Some(until) => tokio::time::timeout_at(until, answers.recv()).await.unwrap_or(None),
            };
            let Some(given) = next else { break };
            for (series, answer) in given {
                tally.add(&series, answer);
            }
            if until.is_none() && tally.is_decided() {
                until = Some(Instant::now() + STRAGGLER_WAIT);
            }
        }
        tally.verdict()
    }

    async fn forward(
        &self,
        address: &str,
        batch: &Batch,
        series: &[usize],
        copy: usize,
    ) -> Result<(), WriteError> {
        let answer = self.peers.send(address, batch.copy_request(series, copy)).await;
        // A conflict is the peer at work, not a failure to reach it.
        let reached = answer.as_ref().map_or_else(|e| e.kind == Kind::Conflict, |()| true);
        self.metrics.forwards.get_or_create(&outcome(reached)).inc();
        self.metrics.replications.get_or_create(&outcome(reached)).inc();
        answer
    }
}

/// Counts down when a write ends, however it ends.
struct Pending<'a>(&'a ReceiveMetrics);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending_writes.dec();
    }
}
