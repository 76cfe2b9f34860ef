//! A decision in single words, from closed sets: what a metric's label may carry.

use super::{Cause, Decision};
use crate::input::Input;
use crate::limit::LimitKind;
use crate::reasons;

impl Decision {
    /// Why this number: what the metrics ask for, or the reason for which they do not decide.
    #[must_use]
    pub fn cause_code(&self, input: &Input) -> &'static str {
        match &self.cause {
            Cause::Invalid(_) => reasons::INVALID_POLICY,
            Cause::Paused => reasons::SCALING_PAUSED,
            Cause::Disabled => reasons::SCALING_DISABLED,
            Cause::AboveMaximum => LimitKind::TooManyReplicas.reason(),
            Cause::BelowMinimum => LimitKind::TooFewReplicas.reason(),
            Cause::InsufficientEvidence if self.metrics.iter().any(|verdict| verdict.proposal.is_none()) => {
                reasons::FAILED_GET_EXTERNAL_METRIC
            }
            Cause::InsufficientEvidence => reasons::INSUFFICIENT_EVIDENCE,
            Cause::Metric { index, .. } if self.metrics.get(*index).is_some_and(|v| v.is_by_fallback()) => {
                reasons::FALLBACK
            }
            Cause::Metric { replicas, .. } => match replicas.cmp(&input.scale.spec_replicas) {
                std::cmp::Ordering::Greater => reasons::ABOVE_TARGET,
                std::cmp::Ordering::Equal => reasons::ON_TARGET,
                std::cmp::Ordering::Less => reasons::BELOW_TARGET,
            },
        }
    }

    /// The last limit that kept it from being what the metrics ask for. A hold without any number to cut has no
    /// limit of its own, but is one to a reader.
    #[must_use]
    pub fn limited_by(&self) -> Option<LimitKind> {
        let held = self.cause == Cause::InsufficientEvidence;
        self.limits.last().map(|limit| limit.kind).or(held.then_some(LimitKind::InsufficientEvidence))
    }

    /// What the evidence is worth: `EvidenceComplete`, or the first doubt.
    #[must_use]
    pub fn evidence_code(&self) -> &'static str {
        let first = self.metrics.iter().find_map(|verdict| verdict.evidence.doubts().first());
        first.map_or(reasons::EVIDENCE_COMPLETE, crate::doubt::Doubt::reason)
    }

    /// No metric gave a number: upstream's event `FailedComputeMetricsReplicas`.
    #[must_use]
    pub fn failed_to_compute(&self) -> bool {
        self.cause == Cause::InsufficientEvidence && self.metrics.iter().all(|v| v.proposal.is_none())
    }
}
