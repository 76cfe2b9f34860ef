//! One shard: takes batches in order and gets each of them taken or refused before the next.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use twox_hash::XxHash64;

use super::client::{Client, SendError};
use super::queue::ShardQueue;
use super::{Queued, wire};
use crate::config::Queue;

pub(super) async fn run(queue: Arc<ShardQueue>, client: Arc<Client>, config: Queue, seed: u64) {
    let mut pauses = Pauses { config: config.clone(), next: config.min_backoff, seed, drawn: 0 };
    while let Some(mut batch) = queue.take().await {
        let taken = batch.len();
        while !batch.is_empty() {
            drop_old(&mut batch, &config, &client);
            match client.send(&wire::encode(&batch), &batch).await {
                Ok(()) => {
                    pauses.reset();
                    break;
                }
                Err(SendError::Refused) => break,
                Err(SendError::Retry { after }) => {
                    tokio::time::sleep(after.unwrap_or_else(|| pauses.draw())).await
                }
            }
        }
        queue.settled(taken);
    }
}

/// `sample_age_limit`: nobody wants these any more.
fn drop_old(batch: &mut Vec<Queued>, config: &Queue, client: &Client) {
    if config.sample_age_limit.is_zero() {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let oldest_ms = now.saturating_sub(config.sample_age_limit).as_millis();
    let before = batch.len();
    batch.retain(|sample| i128::from(sample.t_ms) >= oldest_ms as i128);
    client.metrics.dropped_too_old.inc_by((before - batch.len()) as u64);
}

/// Growing pauses, each between half and all of its step so that shards and replicas fall out of step.
struct Pauses {
    config: Queue,
    next: Duration,
    seed: u64,
    drawn: u64,
}

impl Pauses {
    fn draw(&mut self) -> Duration {
        self.drawn += 1;
        let mut hasher = XxHash64::with_seed(self.seed);
        hasher.write_u64(self.drawn);
        let part = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
        let step = self.next;
        self.next = (step * 2).min(self.config.max_backoff);
        step.mul_f64(0.5 + part / 2.0)
    }

    fn reset(&mut self) {
        self.next = self.config.min_backoff;
    }
}
