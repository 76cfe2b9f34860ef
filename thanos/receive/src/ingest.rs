//! The one writer of this replica's storage: batches queue up and are committed together.
//!
//! ```text
//!  write ─┐
//!  write ─┼─► bounded queue ─► writer thread: as many as wait, one log write ─► answers
//!  write ─┘
//! ```

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use thanos_tsdb::{Batch, Db, Outcome, SampleError};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Kind, WriteError};
use crate::metrics::ReceiveMetrics;

/// Batches that may wait.
const QUEUE_BATCHES: usize = 256;
/// Batches that one commit takes at most, so that the first of them does not wait for ever.
const COMMIT_BATCHES: usize = 64;

struct Job {
    batch: Batch,
    answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

enum Message {
    Store(Job),
    /// What was queued before is stored, what comes after is refused.
    Stop,
}

/// Storage that opens after the ports do. Until then everything is "not ready".
#[derive(Debug, Default)]
pub(crate) struct Storage(OnceLock<Arc<Db>>);

impl Storage {
    pub(crate) fn db(&self) -> Option<&Arc<Db>> {
        self.0.get()
    }

    pub(crate) fn set(&self, db: Arc<Db>) {
        let _ = self.0.set(db);
    }
}

/// The way into this replica's storage.
#[derive(Clone)]
pub(crate) struct Ingest {
    storage: Arc<Storage>,
    queue: mpsc::Sender<Message>,
}

/// The thread behind it.
pub(crate) struct IngestThread {
    thread: JoinHandle<()>,
    queue: mpsc::Sender<Message>,
}

impl Ingest {
    pub(crate) fn start(
        storage: Arc<Storage>,
        metrics: ReceiveMetrics,
    ) -> std::io::Result<(Self, IngestThread)> {
        let (queue, jobs) = mpsc::channel(QUEUE_BATCHES);
        let of_thread = storage.clone();
        let thread = std::thread::Builder::new()
            .name("ingest".into())
            .spawn(move || commit_all(jobs, &of_thread, &metrics))?;
        let ingest_thread = IngestThread { thread, queue: queue.clone() };
        Ok((Self { storage, queue }, ingest_thread))
    }

    /// Stores a batch; when this returns `Ok`, what was accepted survives kill −9.
    pub(crate) async fn store(&self, batch: Batch) -> Result<Outcome, WriteError> {
        if self.storage.db().is_none() {
            return Err(Kind::Unavailable.error("storage is not ready: the log is being replayed"));
        }
        let (answer, answered) = oneshot::channel();
        let full = || Kind::Overloaded.error("the ingest queue is full");
        self.queue.try_send(Message::Store(Job { batch, answer })).map_err(|_| full())?;
        answered.await.unwrap_or_else(|_| Err(Kind::Unavailable.error("shutting down")))
    }
}

impl IngestThread {
    /// Stores what is queued and ends, whoever may still hold an [`Ingest`].
    pub(crate) fn stop(self) {
        let _ = self.queue.blocking_send(Message::Stop);
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the ingest thread panicked");
        }
    }
}

fn commit_all(mut jobs: mpsc::Receiver<Message>, storage: &Storage, metrics: &ReceiveMetrics) {
    let mut stop = false;
    while !stop && let Some(Message::Store(first)) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < COMMIT_BATCHES
            && !stop
            && let Ok(next) = jobs.try_recv()
        {
            match next {
                Message::Store(job) => group.push(job),
                Message::Stop => stop = true,
            }
        }
        // Nothing is queued before the storage is there.
        let Some(db) = storage.db() else { continue };
        let (batches, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|j| (j.batch, j.answer)).unzip();
        match db.append(now_ms(), &batches) {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    metrics.count(&outcome);
                    // A sender that has gone needs no answer.
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                metrics.wal_writes_failed.inc();
                tracing::error!(%error, "the write-ahead log takes nothing; samples are refused until it does");
                for answer in answers {
                    let _ = answer.send(Err(Kind::Unavailable.error(format!("write-ahead log: {error}"))));
                }
            }
        }
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What an outcome with refusals is, told by its first refusal.
pub(crate) fn verdict(batch_label: impl Fn(usize) -> String, outcome: &Outcome) -> Option<WriteError> {
    let worst =
        outcome.rejected.iter().max_by_key(|r| matches!(r.error, SampleError::TooManySeries { .. }))?;
    let kind = match worst.error {
        SampleError::TooManySeries { .. } => Kind::Overloaded,
        _ => Kind::Conflict,
    };
    let more = match outcome.rejected.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more samples refused)"),
    };
    let series = batch_label(worst.series);
    Some(kind.error(format!("{series} at {}: {}{more}", worst.t_ms, worst.error)))
}
