//! Many queries at once, fairly: slots go round among their owners, so that whose queries hang waits for himself.
//!
//! ```text
//!  owner a: q q q q q q ─┐                        at most a few of one owner in flight
//!  owner b: q            ├─ in turn ─► slots ─► Querier   the deadline runs from here
//!  owner c: q q          ─┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use autoscaler_core::FailureKind;
use futures::StreamExt;
use futures::stream::{BoxStream, FuturesUnordered};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::querier::{Outcome, Querier, QueryError};
use turns::Turns;

mod turns;

/// Whose query it is.
pub type Owner = Arc<str>;

/// Queries in flight, of all and of one owner.
const IN_FLIGHT: usize = 128;
const IN_FLIGHT_OF_ONE: usize = 8;
/// A query that waits for longer than so many deadlines is given up: its time of evaluation is long past.
const DEADLINES_WAITED: u32 = 4;

/// Slots to one querier, shared by all batches.
#[derive(Clone)]
pub struct Slots {
    querier: Arc<dyn Querier>,
    turns: Shared,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

impl Slots {
    /// 128 queries in flight, 8 of one owner.
    pub fn new(querier: Arc<dyn Querier>) -> Self {
        Self { querier, turns: Arc::new(Mutex::new(Turns::new(IN_FLIGHT, IN_FLIGHT_OF_ONE))) }
    }

    /// Evaluates all `queries` at `time_ms`. Outcomes carry the query's index and come in any order, exactly one for
    /// each. `deadline` is each query's own, from when it is sent.
    pub fn instant_batch(
        &self,
        time_ms: i64,
        queries: Vec<(Owner, String)>,
        deadline: Duration,
    ) -> BoxStream<'static, (usize, Outcome)> {
        let asked: FuturesUnordered<_> = queries
            .into_iter()
            .enumerate()
            .map(|(i, (owner, query))| {
                let this = self.clone();
                async move { (i, this.instant(owner, query, time_ms, deadline).await) }
            })
            .collect();
        asked.boxed()
    }

    async fn instant(self, owner: Owner, query: String, time_ms: i64, deadline: Duration) -> Outcome {
        let (give, slot) = oneshot::channel();
        self.turns.lock().enqueue(owner, give);
        grant(&self.turns);
        let waited = tokio::time::timeout(deadline.saturating_mul(DEADLINES_WAITED), slot).await;
        let Ok(Ok(_slot)) = waited else {
            let message =
                "not sent: too many queries are waiting for their answers; ask fewer, or cheaper ones";
            return Err(QueryError::new(FailureKind::Timeout, message));
        };
        let answer = self.querier.instant(&query, time_ms, deadline);
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(QueryError::new(FailureKind::Timeout, "no answer in time")))
    }
}

type Shared = Arc<Mutex<Turns<oneshot::Sender<Slot>>>>;

/// A right to have a query in flight; given on when dropped.
struct Slot(Option<(Owner, Shared)>);

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((owner, turns)) = self.0.take() {
            turns.lock().done(&owner);
            grant(&turns);
        }
    }
}

/// Gives out what is free.
fn grant(turns: &Shared) {
    loop {
        let next = turns.lock().next();
        let Some((owner, give)) = next else { return };
        if let Err(mut slot) = give.send(Slot(Some((owner, turns.clone())))) {
            // Its query went away. Taken out here, since dropping it would grant within granting.
            if let Some((owner, _)) = slot.0.take() {
                turns.lock().done(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests;
