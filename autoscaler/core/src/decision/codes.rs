//! A decision in single words, from closed sets: what a metric's label may carry.

use super::{ConditionType, Decision, LimitKind};
use crate::input::Input;
use crate::reasons;

impl Decision {
    /// Why this number: what the metrics ask for, or the reason for which they do not decide.
    #[must_use]
    pub fn cause_code(&self, input: &Input) -> &str {
        let active = self.conditions.iter().find(|c| c.kind == ConditionType::ScalingActive);
        match (active, self.limits.first()) {
            (Some(active), _) if !active.status => return &active.reason,
            // Bounds alone decided.
            (None, Some(limit)) => return limit.kind.reason(),
            (Some(_), Some(limit)) if limit.kind == LimitKind::InsufficientEvidence => {
                return reasons::INSUFFICIENT_EVIDENCE;
            }
            _ => {}
        }
        let Some(highest) = self.metrics.iter().max_by_key(|verdict| verdict.counted) else {
            return reasons::ON_TARGET;
        };
        let proposed = highest.counted.unwrap_or(input.scale.spec_replicas);
        if highest.fallback == Some(proposed) && highest.proposal != Some(proposed) {
            return reasons::FALLBACK;
        }
        match proposed.cmp(&input.scale.spec_replicas) {
            std::cmp::Ordering::Greater => reasons::ABOVE_TARGET,
            std::cmp::Ordering::Equal => reasons::ON_TARGET,
            std::cmp::Ordering::Less => reasons::BELOW_TARGET,
        }
    }

    /// The last limit that kept it from being what the metrics ask for.
    #[must_use]
    pub fn limited_by(&self) -> Option<LimitKind> {
        // A hold without any number to cut has no limit of its own, but is one to a reader.
        let held = || {
            let kind = LimitKind::InsufficientEvidence;
            self.conditions.iter().any(|c| c.status && c.reason == kind.reason()).then_some(kind)
        };
        self.limits.last().map(|limit| limit.kind).or_else(held)
    }

    /// What the evidence is worth: `EvidenceComplete`, or the first doubt.
    #[must_use]
    pub fn evidence_code(&self) -> &str {
        let evidence = self.conditions.iter().find(|c| c.kind == ConditionType::EvidenceSufficient);
        evidence.map_or(reasons::NOT_OBSERVED, |c| c.reason.as_str())
    }
}
