//! One shard's samples in waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thanos_model::TimestampMs;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::WireSeries;
use crate::config::Queue;
use crate::metrics::RemoteMetrics;

/// One sample on its way.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Whose.
    pub series: Arc<WireSeries>,
    /// When.
    pub t_ms: TimestampMs,
    /// What.
    pub value: f64,
}

#[derive(Debug)]
pub(super) struct ShardQueue {
    state: Mutex<State>,
    changed: Notify,
    capacity: usize,
    batch: usize,
    deadline: Duration,
    metrics: RemoteMetrics,
}

#[derive(Debug, Default)]
struct State {
    samples: VecDeque<Queued>,
    /// When the oldest sample must leave, full batch or not.
    due: Option<Instant>,
    closed: bool,
    /// Taken and not yet settled.
    in_flight: usize,
}

impl ShardQueue {
    pub(super) fn new(config: &Queue, metrics: RemoteMetrics) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            capacity: config.capacity,
            batch: config.max_samples_per_send,
            deadline: config.batch_send_deadline,
            metrics,
        }
    }

    /// Adds samples; the oldest make room.
    pub(super) fn push(&self, samples: Vec<Queued>) {
        if samples.is_empty() {
            return;
        }
        let added = samples.len();
        let mut state = self.state.lock();
        state.samples.extend(samples);
        let over = state.samples.len().saturating_sub(self.capacity);
        state.samples.drain(..over);
        state.due.get_or_insert_with(|| Instant::now() + self.deadline);
        let wake = state.samples.len() >= self.batch || state.samples.len() <= added;
        drop(state);
        self.metrics.dropped_queue_full.inc_by(over as u64);
        self.metrics.pending.inc_by(added as i64 - over as i64);
        if wake {
            self.changed.notify_one();
        }
    }

    /// The next batch: when there is a full one, when the oldest sample is due, or when closed. `None` when
    /// closed and empty. What is taken must be [`settled`](Self::settled).
    pub(super) async fn take(&self) -> Option<Vec<Queued>> {
        loop {
            let due = {
                let mut state = self.state.lock();
                let full = state.samples.len() >= self.batch;
                let due = state.due.filter(|_| !state.samples.is_empty());
                if full
                    || (state.closed || due.is_some_and(|d| d <= Instant::now())) && !state.samples.is_empty()
                {
                    let take = state.samples.len().min(self.batch);
                    let batch: Vec<Queued> = state.samples.drain(..take).collect();
                    state.in_flight = batch.len();
                    state.due = (!state.samples.is_empty()).then(|| Instant::now() + self.deadline);
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
                due
            };
            match due {
                Some(due) => drop(tokio::time::timeout_at(due, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Says that a taken batch is done with, sent or not.
    pub(super) fn settled(&self, samples: usize) {
        self.state.lock().in_flight = 0;
        self.metrics.pending.dec_by(samples as i64);
    }

    /// Takes no more; what is there leaves at once.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Drops everything, batch in flight included, and says how much that was.
    pub(super) fn abandon(&self) -> usize {
        let mut state = self.state.lock();
        let left = state.samples.len() + std::mem::take(&mut state.in_flight);
        state.samples.clear();
        self.metrics.dropped_shutdown.inc_by(left as u64);
        self.metrics.pending.dec_by(left as i64);
        left
    }
}
