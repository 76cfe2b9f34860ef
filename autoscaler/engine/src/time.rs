//! Time, as it is given with every step.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The time of a step, by two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Now {
    /// Milliseconds since the process started, by a clock that nobody sets: deadlines, grids and fences.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch: evaluation times, and whatever is told to others.
    pub wall_ms: i64,
}

/// A wall time as the API has it; what lies beyond its range becomes the epoch.
pub(crate) fn timestamp(wall_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
