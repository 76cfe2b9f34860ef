//! What makes an answer complete enough to lower replicas on.

use serde::{Deserialize, Serialize};

use crate::coverage::Window;
use crate::name::Name;

/// Oldest acceptable sample where a policy names no `maxAge`, in milliseconds: four scrapes at the usual
/// fifteen seconds.
pub const DEFAULT_MAX_AGE_MS: i64 = 60_000;

/// What makes an answer complete enough to lower replicas on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceSpec {
    /// Oldest acceptable newest sample per cluster, in milliseconds, inclusive.
    pub max_age_ms: i64,
    /// Clusters that must all have answered. Empty: those that ever did, and at least one.
    pub clusters: Vec<Name>,
    /// How far back the query reads from its evaluation time, ranges of subqueries included, in milliseconds:
    /// how long a gap in the samples stays in the value. 0 for queries that read only the newest samples.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_ms: i64,
    /// The shortest range of the query, in milliseconds: how much a lag understates a value. `None`: the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest_range_ms: Option<i64>,
    /// A gap anywhere in the window makes the value low, and not only one in which the window begins: the
    /// query sums or counts over time, or has a subquery.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sums_over_window: bool,
    /// An empty answer means zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_is_zero: bool,
    /// Whether pods are counted.
    #[serde(default, skip_serializing_if = "PodEvidence::is_auto")]
    pub pods: PodEvidence,
    /// Where no clusters are named: how long one that answered stays expected, in milliseconds; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_clusters_ms: Option<i64>,
}

/// Whether pods without fresh samples are missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodEvidence {
    /// Where series carry pods.
    #[default]
    Auto,
    /// Never.
    Ignore,
}

impl PodEvidence {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl EvidenceSpec {
    /// The samples that a value at `end_ms` is computed from; `None` if it reads only the newest ones.
    #[must_use]
    pub fn window(&self, end_ms: i64) -> Option<Window> {
        let start_ms = end_ms.saturating_sub(self.window_ms);
        (self.window_ms > 0).then_some(Window { start_ms, end_ms, sums: self.sums_over_window })
    }

    /// How far samples may end before the evaluation without making the value low by more than `tolerance`,
    /// in milliseconds; `None` for queries that read only the newest samples.
    #[must_use]
    pub fn tolerable_lag_ms(&self, tolerance: f64) -> Option<i64> {
        let range_ms = self.shortest_range_ms.unwrap_or(self.window_ms);
        (range_ms > 0).then(|| (range_ms as f64 * tolerance.max(0.0)) as i64)
    }
}

impl Default for EvidenceSpec {
    fn default() -> Self {
        Self {
            max_age_ms: DEFAULT_MAX_AGE_MS,
            clusters: Vec::new(),
            window_ms: 0,
            shortest_range_ms: None,
            sums_over_window: false,
            empty_is_zero: false,
            pods: PodEvidence::Auto,
            forget_clusters_ms: None,
        }
    }
}

fn is_zero(ms: &i64) -> bool {
    *ms == 0
}
