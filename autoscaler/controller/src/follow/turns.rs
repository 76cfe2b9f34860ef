//! Turns of what would be forbidden for the same reason: however much of it there is, one asks at a time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Time between two of them.
const BETWEEN: Duration = Duration::from_secs(1);

/// Turns that are shared, for example by the Secrets of one namespace.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    next: Mutex<Option<Instant>>,
    granted: Notify,
}

impl Turns {
    /// When whoever wants to ask then may do so.
    pub(super) fn book(&self, wanted: Instant) -> Instant {
        let mut next = self.next.lock();
        let at = next.map_or(wanted, |free| free.max(wanted));
        *next = Some(at + BETWEEN);
        at
    }

    /// Waits for a turn; less, should another be allowed what it was forbidden.
    pub(super) async fn wait(&self, until: Instant) {
        tokio::select! {
            biased;
            () = self.granted.notified() => {}
            () = sleep_until(until) => {}
        }
    }

    /// One was allowed what it was forbidden: perhaps all are, and each asks at once.
    pub(super) fn granted(&self) {
        *self.next.lock() = None;
        self.granted.notify_waiters();
    }
}
