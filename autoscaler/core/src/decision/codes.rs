//! A decision in single words, from closed sets: what a metric's label may carry.

use super::{Cause, Decision};
use crate::doubt::Doubt;
use crate::input::Input;
use crate::limit::LimitKind;
use crate::pods::Pods;
use crate::reasons;
use crate::verdict::{Evidence, Verdict};

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
            Cause::InsufficientEvidence if self.metrics.iter().any(Verdict::failed) => {
                self.failure_reason(input)
            }
            Cause::MetricsFailed => self.failure_reason(input),
            Cause::InsufficientEvidence => reasons::INSUFFICIENT_EVIDENCE,
            Cause::Metric { index, .. } if self.metrics.get(*index).is_some_and(|v| v.is_by_fallback()) => {
                reasons::FALLBACK
            }
            Cause::Idle => reasons::SCALED_TO_ZERO,
            Cause::Metric { replicas, .. } | Cause::Formula { replicas } => {
                match replicas.cmp(&input.scale.spec_replicas) {
                    std::cmp::Ordering::Greater => reasons::ABOVE_TARGET,
                    std::cmp::Ordering::Equal => reasons::ON_TARGET,
                    std::cmp::Ordering::Less => reasons::BELOW_TARGET,
                }
            }
        }
    }

    /// The HPA's reason for the first metric without a number, or for pods that nobody can select.
    pub(super) fn failure_reason(&self, input: &Input) -> &'static str {
        let failed = self.metrics.iter().zip(&input.policy.metrics).find(|(v, _)| v.failed());
        match input.pods.as_ref() {
            Some(Pods::SelectorMissing | Pods::SelectorInvalid(_)) if input.policy.needs_pods() => {
                reasons::INVALID_SELECTOR
            }
            Some(Pods::SelectorAmbiguous(_)) if input.policy.needs_pods() => reasons::AMBIGUOUS_SELECTOR,
            _ => failed.map_or(reasons::FAILED_GET_EXTERNAL_METRIC, |(_, spec)| spec.kind.failure_reason()),
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
        let first = self.verdicts().find_map(|verdict| verdict.own_doubts().next());
        let is_judged = self.metrics.iter().all(|verdict| verdict.evidence != Evidence::NotJudged);
        let without = if is_judged { reasons::EVIDENCE_COMPLETE } else { reasons::EVIDENCE_NOT_JUDGED };
        first.map_or(without, Doubt::reason)
    }

    /// No metric gave a number, or with `compatibility: HPA` none that may be followed: upstream's event
    /// `FailedComputeMetricsReplicas`.
    #[must_use]
    pub fn failed_to_compute(&self) -> bool {
        let held_without = || self.verdicts().all(|v| v.proposal.is_none());
        match self.cause {
            Cause::MetricsFailed => true,
            Cause::InsufficientEvidence => held_without(),
            _ => false,
        }
    }
}
