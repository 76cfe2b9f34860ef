//! What one decision hands to the next: recommendations, written changes, and since when evidence is
//! insufficient.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one decision hands to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// Proposals of late, for the stabilization windows; `None` before the first decision.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Raises that were written, for the rate policies.
    pub scale_up_events: Vec<ScaleEvent>,
    /// Lowerings that were written, for the rate policies.
    pub scale_down_events: Vec<ScaleEvent>,
    /// By metric, when its evidence became insufficient (milliseconds since the epoch).
    pub insufficient_since_ms: BTreeMap<String, i64>,
}

/// One remembered proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What was proposed, before stabilization and limits.
    pub replicas: i32,
    /// Nothing was proposed: replicas were held for want of evidence. Counts against lowering, never
    /// against raising.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
}

/// One written change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
