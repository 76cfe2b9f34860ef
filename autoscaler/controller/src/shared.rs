//! What every evaluation uses.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::querier::Slots;
use crate::records::Records;

/// What every evaluation uses.
pub(crate) struct Shared {
    /// The managed clusters, in the order of the flags.
    pub clusters: Vec<Cluster>,
    /// Answers queries.
    pub querier: Slots,
    /// Deadline of one query.
    pub query_timeout: Duration,
    /// Longest that values and ages in a status may lag.
    pub status_refresh: Duration,
    /// The label that tells clusters apart in the metrics.
    pub cluster_label: String,
    /// Where decisions are kept.
    pub records: Records,
    /// Own metrics.
    pub metrics: Metrics,
    /// When the process started.
    pub started: Instant,
}

impl Shared {
    /// Milliseconds since the process started, by a clock that nobody sets.
    pub(crate) fn steady_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}
