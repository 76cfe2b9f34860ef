//! How many queries run at once, and how many may wait for that.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::{ApiError, Kind};

/// For each query that may run, so many may wait.
const WAITING_PER_SLOT: usize = 16;

/// Admits queries.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    slots: usize,
}

/// Held while a query runs.
#[derive(Debug)]
pub(crate) struct Slot {
    _running: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(slots: usize) -> Self {
        let admitted = Semaphore::new(slots.saturating_mul(1 + WAITING_PER_SLOT).min(Semaphore::MAX_PERMITS));
        Self { running: Arc::new(Semaphore::new(slots)), admitted: Arc::new(admitted), slots }
    }

    /// Waits for a slot until `deadline`.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Slot, ApiError> {
        let full = |what: &str| {
            let text = format!(
                "too many queries: {} run and {what}; raise --query.max-concurrent or ask less",
                self.slots
            );
            ApiError::new(Kind::Unavailable, text)
        };
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| full(&format!("{} wait", self.slots * WAITING_PER_SLOT)))?;
        match timeout_at(deadline, self.running.clone().acquire_owned()).await {
            Ok(Ok(running)) => Ok(Slot { _running: running, _admitted: admitted }),
            Ok(Err(_)) => Err(ApiError::new(Kind::Unavailable, "shutting down")),
            Err(_) => Err(full("none ended before this one's deadline")),
        }
    }

    /// Queries that run now.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots - self.running.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn waits_until_the_deadline_and_refuses_a_crowd_at_once() {
        let gate = Gate::new(1);
        let deadline = Instant::now() + Duration::from_millis(30);
        let slot = gate.enter(deadline).await.unwrap();
        assert_eq!(gate.in_flight(), 1);
        let late = gate.enter(deadline).await.unwrap_err();
        assert!(late.kind == Kind::Unavailable && late.message.contains("deadline"), "{late:?}");
        let far = Instant::now() + Duration::from_secs(1000);
        let waiting: Vec<_> = (0..WAITING_PER_SLOT)
            .map(|_| {
                tokio::spawn({
                    let gate = gate.clone();
                    async move { gate.enter(far).await.map(drop) }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let crowd = gate.enter(far).await.unwrap_err();
        assert!(crowd.message.contains("1 run and 16 wait"), "{crowd:?}");
        drop(slot);
        for task in waiting {
            assert!(task.await.unwrap().is_ok());
        }
    }
}
