//! Tells waiting watches of the newest revision, always in the order in which they began to wait: tokio's `watch` draws
//! lots for it, and a run in virtual time would be another one each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The newest revision, and whoever waits for a newer one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    revision: AtomicU64,
    rung: Notify,
}

impl Bell {
    pub(crate) fn new(revision: u64) -> Arc<Self> {
        Arc::new(Self { revision: AtomicU64::new(revision), rung: Notify::new() })
    }

    /// Rings if that is newer: two writers may ring in either order, and the revision never goes back.
    pub(crate) fn ring(&self, revision: u64) {
        if self.revision.fetch_max(revision, Ordering::AcqRel) < revision {
            self.rung.notify_waiters();
        }
    }

    /// Hears of what is newer than now.
    pub(crate) fn ear(self: &Arc<Self>) -> Ear {
        Ear { heard: self.revision.load(Ordering::Acquire), bell: self.clone() }
    }
}

/// Who listens.
#[derive(Debug)]
pub(crate) struct Ear {
    bell: Arc<Bell>,
    heard: u64,
}

impl Ear {
    /// Counts what rang before as heard.
    pub(crate) fn hear(&mut self) {
        self.heard = self.bell.revision.load(Ordering::Acquire);
    }

    /// Waits for a revision after the last that was heard.
    pub(crate) async fn changed(&mut self) {
        self.after(self.heard).await;
        self.hear();
    }

    /// Waits for a revision after this one.
    pub(crate) async fn after(&self, revision: u64) {
        loop {
            let mut rung = std::pin::pin!(self.bell.rung.notified());
            // What rings after this line is heard.
            rung.as_mut().enable();
            if self.bell.revision.load(Ordering::Acquire) > revision {
                return;
            }
            rung.await;
        }
    }
}
