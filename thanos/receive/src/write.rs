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

use thanos_model::{Label, Labels};
use thanos_storepb::prompb::TimeSeries;
use thanos_storepb::storepb;
use thanos_tsdb::SeriesSamples;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

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

/// Series of one tenant.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) tenant: String,
    pub(crate) series: Vec<TimeSeries>,
}

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

    async fn write_batch(&self, mut batch: Batch, copy: u64) -> Result<(), WriteError> {
        tenant::check(&batch.tenant).map_err(|why| Kind::Invalid.error(why))?;
        if !self.tenants.admit(&batch.tenant) {
            return Err(Kind::Overloaded.error("too many tenants have written to this replica"));
        }
        let invalid = self.take_invalid(&mut batch.series);
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

    /// Removes what cannot be stored anywhere; the rest of the request is none the worse for it.
    fn take_invalid(&self, series: &mut Vec<TimeSeries>) -> Option<WriteError> {
        let mut refused = 0;
        let mut first = None;
        let mut refuse = |why: String| {
            refused += 1;
            first.get_or_insert(why);
        };
        series.retain_mut(|s| {
            if let Err(why) = check_labels(&s.labels) {
                refuse(format!("{why} in series {}", show(&s.labels)));
                return false;
            }
            self.metrics.exemplars_dropped.inc_by(s.exemplars.len() as u64);
            s.exemplars.clear();
            if !s.histograms.is_empty() {
                let n = s.histograms.len();
                refuse(format!("{n} native histogram samples in series {}: not stored yet", show(&s.labels)));
                s.histograms.clear();
            }
            !s.samples.is_empty()
        });
        let first = first?;
        let more = if refused > 1 { format!(" (and {} more series)", refused - 1) } else { String::new() };
        Some(Kind::Invalid.error(format!("{first}{more}")))
    }

    async fn store_all(&self, batch: &Batch) -> Result<(), WriteError> {
        let all: Vec<usize> = (0..batch.series.len()).collect();
        let mut tally = Tally::new(all.len(), 1);
        for (series, answer) in self.store(batch, &all).await {
            tally.add(&series, answer);
        }
        tally.verdict()
    }

    /// Stores some series here. Answers by series, since one that is refused says nothing of the others.
    async fn store(&self, batch: &Batch, which: &[usize]) -> Vec<(Vec<usize>, Result<(), WriteError>)> {
        let tenant = Label::new(self.tenant_label.clone(), batch.tenant.as_str());
        let samples: Vec<SeriesSamples> = which
            .iter()
            .filter_map(|i| batch.series.get(*i))
            .map(|s| SeriesSamples {
                labels: s
                    .labels
                    .iter()
                    .map(|l| Label::new(l.name.as_str(), l.value.as_str()))
                    .chain([tenant.clone()])
                    .collect::<Labels>(),
                samples: s.samples.iter().map(|s| (s.timestamp, s.value)).collect(),
            })
            .collect();
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
        let name = |i: usize| {
            which.get(i).and_then(|i| batch.series.get(*i)).map_or_else(String::new, |s| show(&s.labels))
        };
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
            for (copy, node) in ring.nodes(series_hash(&batch.tenant, &s.labels)).enumerate() {
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
        let answer = self.peers.send(address, copy_request(batch, series, copy)).await;
        // A conflict is the peer at work, not a failure to reach it.
        let reached = answer.as_ref().map_or_else(|e| e.kind == Kind::Conflict, |()| true);
        self.metrics.forwards.get_or_create(&outcome(reached)).inc();
        self.metrics.replications.get_or_create(&outcome(reached)).inc();
        answer
    }
}

/// Copy number `copy` of some series. In the two fields that every Thanos reads: up to 0.42 it does not know the list
/// of tenants, and would acknowledge it without storing anything.
fn copy_request(batch: &Batch, series: &[usize], copy: usize) -> storepb::WriteRequest {
    storepb::WriteRequest {
        timeseries: series.iter().filter_map(|i| batch.series.get(*i)).cloned().collect(),
        tenant: batch.tenant.clone(),
        // On the wire copies count from 1; 0 is "not replicated".
        replica: copy as i64 + 1,
        ..Default::default()
    }
}

/// Counts down when a write ends, however it ends.
struct Pending<'a>(&'a ReceiveMetrics);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending_writes.dec();
    }
}

/// What the protocol asks of labels: some, with names and values, sorted, each once.
fn check_labels(labels: &[storepb::Label]) -> Result<(), &'static str> {
    if labels.is_empty() {
        return Err("no labels");
    }
    if labels.iter().any(|l| l.name.is_empty()) {
        return Err("empty label name");
    }
    if labels.iter().any(|l| l.value.is_empty()) {
        return Err("empty label value");
    }
    for pair in labels.windows(2) {
        match pair[0].name.cmp(&pair[1].name) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Err("duplicate label name"),
            std::cmp::Ordering::Greater => return Err("labels not sorted"),
        }
    }
    Ok(())
}

/// A series for a message: as it came, and not endless.
fn show(labels: &[storepb::Label]) -> String {
    const CHARS_MAX: usize = 300;
    let pairs: Vec<String> = labels.iter().take(20).map(|l| format!("{}={:?}", l.name, l.value)).collect();
    let text = format!("{{{}}}", pairs.join(", "));
    if text.chars().count() <= CHARS_MAX {
        text
    } else {
        text.chars().take(CHARS_MAX).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_sent_as_every_thanos_reads_them() {
        let batch = Batch { tenant: "team".into(), series: vec![TimeSeries::default(); 3] };
        let request = copy_request(&batch, &[0, 2], 1);
        assert_eq!((request.timeseries.len(), request.tenant.as_str(), request.replica), (2, "team", 2));
        assert!(request.timeseries_tenant_data.is_empty());
    }
}
