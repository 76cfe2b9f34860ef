//! Everything that one sync says and does.

use crate::event::Event;
use crate::metrics::Proposal;
use crate::status::HpaStatus;

/// What one sync did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// What metrics ask for, where they were asked and may be followed.
    pub proposal: Option<Proposal>,
    /// Replicas that were written to the scale, or tried.
    pub write: Option<i32>,
    /// The new status.
    pub status: HpaStatus,
    /// Whether it differs from the one before, and so is to be stored.
    pub status_changed: bool,
    /// In the order of their emission.
    pub events: Vec<Event>,
    /// Why the sync counts as failed, which it also may after a write. Failed or not, the next one is due a
    /// period later.
    pub error: Option<SyncError>,
}

/// Why a sync counts as failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The scale could not be read.
    #[error("the scale could not be read: {0}")]
    GetScale(String),
    /// Metrics said nothing, or some failed and the others would have lowered.
    #[error("metrics give no replicas: {0}")]
    Metrics(String),
    /// Some metrics failed, and the others were followed.
    #[error("some metrics failed: {0}")]
    SomeMetrics(String),
    /// The scale could not be written.
    #[error("the scale could not be written: {0}")]
    UpdateScale(String),
    /// The status could not be stored.
    #[error("the status could not be stored: {0}")]
    UpdateStatus(String),
}

pub(crate) const COMPUTE_FAILED: &str = "FailedComputeMetricsReplicas";

impl Outputs {
    /// To be called where the status could not be stored; the next sync then begins with the one before.
    ///
    /// Upstream: `horizontal.go`, `updateStatus`. The event comes before the one on metrics, which follows the
    /// attempt to store.
    pub fn status_rejected(&mut self, why: &str) {
        let last = self.events.last().is_some_and(|event| event.reason == COMPUTE_FAILED);
        let at = self.events.len().saturating_sub(usize::from(last));
        self.events.insert(at, Event::warning("FailedUpdateStatus", why));
        if matches!(self.error, None | Some(SyncError::SomeMetrics(_))) {
            self.error = Some(SyncError::UpdateStatus(why.to_owned()));
        }
    }
}
