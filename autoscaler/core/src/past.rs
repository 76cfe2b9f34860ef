//! What decisions remember of themselves: what was proposed, what was written.

pub use autoscaler_hpa::state::ScaleEvent;

use autoscaler_hpa::state as hpa;
use serde::{Deserialize, Serialize};

/// One remembered proposal: upstream's, and how much of its time was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What was proposed, before stabilization and limits.
    pub replicas: i32,
    /// Milliseconds that had been spent holding for want of evidence until then ([`crate::History::held_ms`]):
    /// they do not make a proposal older for the scale-down window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_ms: i64,
}

impl Recommendation {
    /// From when it counts for the scale-down window, with `held_ms` spent holding until now: its own time,
    /// later by what was spent since.
    #[must_use]
    pub fn counted_ms(&self, held_ms: i64) -> i64 {
        self.at_ms.saturating_add(held_ms.saturating_sub(self.held_ms).max(0))
    }
}

impl From<Recommendation> for hpa::Recommendation {
    fn from(rec: Recommendation) -> Self {
        Self { replicas: rec.replicas, at_ms: rec.at_ms }
    }
}

impl From<hpa::Recommendation> for Recommendation {
    fn from(rec: hpa::Recommendation) -> Self {
        Self { replicas: rec.replicas, at_ms: rec.at_ms, held_ms: 0 }
    }
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}
