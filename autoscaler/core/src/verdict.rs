//! What one metric said, and what became of it.

use serde::{Deserialize, Serialize};

use crate::doubt::Doubt;
use crate::name::Name;
use crate::number::Float;
use crate::policy::MetricSpec;

/// What one metric said, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verdict {
    /// The metric's name.
    pub name: Name,
    /// The value that the proposal came from, or the one that there is.
    pub value: Option<Float>,
    /// Which time the value is for, in milliseconds since the epoch: the settled or the evaluation time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_ms: Option<i64>,
    /// Whether this metric may take part in lowering.
    pub evidence: Evidence,
    /// Replicas that its values ask for, if there is one to compute with.
    pub proposal: Option<i32>,
    /// Replicas that its fallback proposed, if that was in force.
    pub fallback: Option<i32>,
    /// What it contributed to the maximum: nothing, if insufficient evidence asked for no more than there is.
    pub counted: Option<i32>,
}

/// Whether a metric's evidence is good enough to lower on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Evidence {
    /// Fresh, complete, one finite number.
    Sufficient,
    /// The policy has `compatibility: HPA`, which takes values as they are.
    NotJudged,
    /// May hold or raise.
    #[serde(rename_all = "camelCase")]
    Insufficient {
        /// All of them; never empty.
        doubts: Vec<Doubt>,
        /// Since when without interruption, in milliseconds since the epoch.
        since_ms: i64,
    },
}

impl Evidence {
    /// Whether it may only hold or raise.
    #[must_use]
    pub fn is_insufficient(&self) -> bool {
        matches!(self, Self::Insufficient { .. })
    }

    /// What speaks against lowering on it; empty if sufficient.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        match self {
            Self::Sufficient | Self::NotJudged => &[],
            Self::Insufficient { doubts, .. } => doubts,
        }
    }
}

impl Verdict {
    /// What speaks against it by itself, and not against a metric that a formula reads: that is said there.
    pub fn own_doubts(&self) -> impl Iterator<Item = &Doubt> {
        self.evidence.doubts().iter().filter(|doubt| !matches!(doubt, Doubt::OfMetric { .. }))
    }

    /// Whether it gave no number for want of evidence. One without a target asks for none.
    pub(crate) fn failed(&self) -> bool {
        self.proposal.is_none() && self.evidence.is_insufficient()
    }

    /// Whether nothing may be lowered because of it: its evidence is insufficient, and no fallback in force is the
    /// user's word that lowering is right.
    #[must_use]
    pub fn blocks_lowering(&self, spec: &MetricSpec) -> bool {
        let is_chosen =
            self.fallback.is_some() && spec.fallback.as_ref().is_some_and(|f| f.behavior.may_lower());
        self.evidence.is_insufficient() && !is_chosen
    }

    /// Whether what counts is its fallback's word.
    #[must_use]
    pub fn is_by_fallback(&self) -> bool {
        self.fallback.is_some() && self.counted == self.fallback && self.proposal != self.fallback
    }
}
