//! What decisions remember of themselves: what was proposed, what was written.

use autoscaler_hpa::state as hpa;
use serde::{Deserialize, Serialize};

/// One remembered proposal.
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

/// One written change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleEvent {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// By how many replicas, without sign.
    pub change: i32,
    /// Older than the longest period, so its slot may be used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
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

impl From<ScaleEvent> for hpa::ScaleEvent {
    fn from(event: ScaleEvent) -> Self {
        Self { change: event.change, at_ms: event.at_ms, outdated: event.outdated }
    }
}

impl From<hpa::ScaleEvent> for ScaleEvent {
    fn from(event: hpa::ScaleEvent) -> Self {
        Self { change: event.change, at_ms: event.at_ms, outdated: event.outdated }
    }
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}
